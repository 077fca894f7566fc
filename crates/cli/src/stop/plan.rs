//! Whom to signal for a sidecar to end together with its app, decided before anybody is.

use std::path::Path;

use super::process::Found;
use crate::{procfs, sidecars::Sidecar};

/// How an app and its sidecar end.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) app_id: String,
    pub(super) way: Way,
    pub(super) sidecar: Found,
    /// Known and surely it.
    pub(super) app: Option<Found>,
    /// The `run` that started them and ends with them.
    pub(super) cli: Option<Found>,
    /// Its `run` is ours, which ends the sidecar of an app that ended; `dapr run` leaves it.
    pub(super) sidecar_follows: bool,
    /// A word on what is left alone.
    pub(super) remark: Option<String>,
}

/// Who hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The `run`, which then ends both.
    Cli,
    /// The app, and when that is gone, the sidecar.
    AppThenSidecar,
    Sidecar,
}

/// What the system tells of a process; none if it is gone or cannot be seen.
pub(super) fn the_system(pid: u32) -> Option<procfs::Facts> {
    procfs::facts(pid)
}

/// The plans for the sidecars that are chosen and run.
pub(super) fn plans(
    sidecars: &[Sidecar],
    chosen: impl Fn(&Sidecar) -> bool,
    look: impl Fn(u32) -> Option<procfs::Facts>,
) -> Vec<Plan> {
    let pairs: Vec<(&Sidecar, Option<u32>)> = sidecars.iter().map(|it| (it, cli(it))).collect();
    let plan = |(it, cli): &(&Sidecar, Option<u32>)| {
        let sidecar = Found::new(it.pid)?;
        // A `run` of several apps is ended only together with all of them.
        let siblings = pairs.iter().filter(|(_, other)| other == cli);
        let ends_with_it = cli.is_some() && siblings.map(|(it, _)| it).all(|it| chosen(it));
        let (app, remark) = app(it, *cli, &look);
        let way = match (ends_with_it, &app) {
            (true, _) => Way::Cli,
            (false, Some(_)) => Way::AppThenSidecar,
            (false, None) => Way::Sidecar,
        };
        Some(Plan {
            app_id: it.app_id.clone(),
            way,
            sidecar,
            app,
            cli: cli.filter(|_| ends_with_it).and_then(Found::new),
            sidecar_follows: cli.and_then(&look).is_some_and(|cli| is_ours(&cli)),
            remark,
        })
    };
    let wanted = pairs.iter().filter(|(it, _)| chosen(it));
    wanted.filter_map(plan).collect()
}

/// The `run` of a sidecar, if it still is its parent. One that was killed left the sidecar to
/// another, and its id may be another process's by now.
fn cli(it: &Sidecar) -> Option<u32> {
    it.cli_pid()
        .filter(|cli| it.parent.is_none_or(|parent| parent == *cli))
}

fn is_ours(cli: &procfs::Facts) -> bool {
    let program = cli.arguments.first().map(Path::new);
    program.and_then(Path::file_name) == Some("outrider".as_ref())
}

/// The app's process, if that is sure; else a word on it.
fn app(
    it: &Sidecar,
    cli: Option<u32>,
    look: impl Fn(u32) -> Option<procfs::Facts>,
) -> (Option<Found>, Option<String>) {
    let told = it.metadata();
    let Some((told, pid)) = told.and_then(|told| Some((told, told.app_pid?))) else {
        return (None, None);
    };
    let Some(found) = Found::new(pid) else {
        return (None, None);
    };
    // Without a table of processes there is nothing to compare with.
    let sure = match look(pid) {
        None => !procfs::is_there(),
        Some(facts) => cli == Some(facts.parent) || runs(&facts.arguments, &told.app_command),
    };
    if sure {
        return (Some(found), None);
    }
    let remark = format!(
        "process {pid}, which was the app of {}, seems to be another one by now and is left alone",
        it.app_id
    );
    (None, Some(remark))
}

/// Whether the arguments may be those of the command: its first word is among them, by file name.
fn runs(arguments: &[String], command: &str) -> bool {
    let name = |word: &str| Path::new(word).file_name().map(ToOwned::to_owned);
    let Some(wanted) = command.split_whitespace().next().and_then(name) else {
        return false;
    };
    arguments
        .iter()
        .any(|it| name(it).as_ref() == Some(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sidecars::{Answer, Metadata};

    /// A process that surely runs: this one.
    fn own() -> u32 {
        std::process::id()
    }

    fn sidecar(app_id: &str, parent: u32, cli: Option<u32>, app: Option<u32>) -> Sidecar {
        Sidecar {
            app_id: app_id.into(),
            pid: own(),
            parent: Some(parent),
            answer: Answer::Told(Box::new(Metadata {
                cli_pid: cli,
                app_pid: app,
                app_command: "python app.py".into(),
                ..Metadata::default()
            })),
            ..Sidecar::default()
        }
    }

    fn child_of(parent: u32, line: &str) -> impl Fn(u32) -> Option<procfs::Facts> {
        move |pid| {
            Some(procfs::Facts {
                pid,
                parent,
                arguments: line.split(' ').map(str::to_owned).collect(),
                ..procfs::Facts::default()
            })
        }
    }

    #[test]
    fn a_run_of_one_app_is_asked_itself() {
        let all = [sidecar("a", own(), Some(own()), Some(own()))];
        let plans = plans(&all, |_| true, child_of(own(), "x"));
        assert_eq!(plans[0].way, Way::Cli);
        assert!(plans[0].cli.is_some() && plans[0].app.is_some());
    }

    #[test]
    fn an_app_among_several_is_ended_before_its_sidecar() {
        let it = |id| sidecar(id, own(), Some(own()), Some(own()));
        let all = [it("a"), it("b")];
        let one = plans(&all, |it| it.app_id == "a", child_of(own(), "x"));
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].way, Way::AppThenSidecar);
        assert!(one[0].cli.is_none() && !one[0].sidecar_follows);
        let ours = child_of(own(), "/bin/outrider run -f .");
        let one = plans(&all, |it| it.app_id == "a", ours);
        assert!(one[0].sidecar_follows);
        // All of them are as good as their run.
        let both = plans(&all, |_| true, child_of(own(), "x"));
        assert!(both.iter().all(|it| it.way == Way::Cli));
    }

    #[test]
    fn a_sidecar_alone_is_ended_alone() {
        let all = [sidecar("a", 1, None, None), sidecar("b", 1, None, None)];
        let plans = plans(&all, |it| it.app_id == "a", |_| None);
        assert_eq!(plans[0].way, Way::Sidecar);
    }

    #[test]
    fn of_a_run_that_is_gone_only_what_is_sure_is_ended() {
        let all = [sidecar("a", 1, Some(own()), Some(own()))];
        let still = plans(&all, |_| true, child_of(1, "/usr/bin/python app.py"));
        assert_eq!(still[0].way, Way::AppThenSidecar);
        let other = plans(&all, |_| true, child_of(1, "vim"));
        assert_eq!(other[0].way, Way::Sidecar);
        let remark = other[0].remark.as_deref().unwrap();
        assert!(remark.ends_with("is left alone"), "{remark}");
    }
}
