//! Runs all units to their ends: checks first, starts together, one summary.
//!
//! When one of several apps ends, the others go on, as the reference does; only a start that fails
//! ends them all. Everything is over when the last one has ended.

use std::{collections::HashSet, ffi::OsStr, path::PathBuf, sync::Arc};

use outrider_config::env::Env;
use tokio::{sync::watch, task::JoinSet};

use super::{
    arguments,
    environment::Variables,
    error::Error,
    halt::{self, Halt, Signals},
    leftovers::Before,
    plan::{Member, Origin},
    ports::{self, Reserved},
    program::Program,
    screen::{APP, Look, OWN, SIDECAR, Screen, Source, Status},
    unit::{Shared, Sources, Stage, Unit},
    verdict::Verdict,
};

/// Everything that is needed to start.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) members: Vec<Member>,
    pub(super) origin: Origin,
    pub(super) executable: PathBuf,
    pub(super) variables: Variables,
    /// What the API of a sidecar wants to see.
    pub(super) token: Option<String>,
    pub(super) look: Look,
    /// Lines to say first.
    pub(super) notes: Vec<(Status, String)>,
}

/// The exit code. An error means that nothing was started.
pub(super) fn run(mut start: Start) -> Result<u8, Error> {
    let reserved = ports::reserve(&start.members)?;
    check(&start, &reserved)?;
    let taken = start.members.iter().filter_map(ports::taken);
    start
        .notes
        .extend(taken.map(|text| (Status::Warning, text)));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?
        .block_on(perform(start, reserved))
}

/// What a sidecar would refuse is told without starting it.
fn check(start: &Start, reserved: &[Reserved]) -> Result<(), Error> {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let env = Env::new(
        start
            .variables
            .iter()
            .map(|(name, value)| (text(name), text(value))),
    );
    for (member, reserved) in start.members.iter().zip(reserved) {
        let line = arguments::of(member, &reserved.ports);
        if let Some(why) = arguments::refused(&line, &env) {
            let name = member.name.clone();
            return Err(Error::Refused { name, why });
        }
    }
    Ok(())
}

async fn perform(start: Start, reserved: Vec<Reserved>) -> Result<u8, Error> {
    // Before anything is started: from here on a signal means an orderly end.
    let (wisher, mut halt) = halt::channel();
    let _signals = Signals::listen(&wisher).map_err(Error::Runtime)?;
    adopt_orphans();
    let before = Before::now();
    let labels = Labels::of(&start);
    let screen = Screen::new(start.look, labels.own(start.look));
    for (status, text) in &start.notes {
        screen.tell(*status, text.clone());
    }
    let is_template = start.origin != Origin::Flags;
    let shared = Arc::new(Shared {
        program: Program::of(start.executable),
        variables: start.variables,
        origin: start.origin,
        screen: screen.clone(),
        token: start.token,
    });
    let sources = labels.sources(&start.members, start.look);
    let mut units = spawn(start.members, reserved, &shared, sources, &halt);

    let mut verdicts = Vec::new();
    while let Some((index, verdict)) = next(&mut units).await {
        if is_template {
            told_early(&verdict, units.len(), &halt, &screen);
        }
        if verdict.is_failed_start() {
            wisher.end();
        }
        verdicts.push((index, verdict));
    }
    before.sweep(&halt, &screen).await;
    let code = match is_template {
        true => summary(verdicts, &screen),
        false => one(&verdicts, &screen),
    };
    tokio::select! {
        () = screen.close() => {}
        // Whoever is asked twice does not wait for a reader.
        () = halt.kill() => {}
    }
    Ok(code)
}

/// What an app leaves behind comes to us when the app ends, and not to the first process of the
/// system, so that it can be waited for. Elsewhere than on Linux that is not to be had.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

type Units = JoinSet<(usize, Verdict)>;

fn spawn(
    members: Vec<Member>,
    reserved: Vec<Reserved>,
    shared: &Arc<Shared>,
    sources: Vec<Sources>,
    halt: &Halt,
) -> Units {
    let stages: Vec<_> = members
        .iter()
        .map(|member| (member.name.clone(), watch::Sender::new(Stage::Waiting)))
        .collect();
    let mut units = JoinSet::new();
    let all = members.into_iter().zip(reserved).zip(sources).enumerate();
    for (index, ((member, reserved), sources)) in all {
        let need = |index: &usize| {
            let (name, stage) = &stages[*index];
            (name.clone(), stage.subscribe())
        };
        let unit = Unit {
            needs: member.depends_on.iter().map(need).collect(),
            stage: stages[index].1.clone(),
            member,
            reserved,
            shared: Arc::clone(shared),
            sources,
            halt: halt.clone(),
        };
        units.spawn(async move { (index, unit.run().await) });
    }
    units
}

/// The only unit decides.
fn one(verdicts: &[(usize, Verdict)], screen: &Screen) -> u8 {
    let Some((_, verdict)) = verdicts.first() else {
        return 1;
    };
    if verdict.is_failure() {
        screen.tell(Status::Failure, verdict.text());
    }
    verdict.code()
}

/// The end of one of several, and what it means for those that are left. Of those that end because
/// all have to, the summary tells.
fn told_early(verdict: &Verdict, left: usize, halt: &Halt, screen: &Screen) {
    if left == 0 || halt.is_wanted() {
        return;
    }
    let status = match verdict.is_failure() {
        true => Status::Failure,
        false => Status::Info,
    };
    let rest = match verdict.is_failed_start() {
        true => "ending the others",
        false => "the others go on",
    };
    screen.tell(status, format!("{}; {rest}", verdict.text()));
}

/// All of them, and who failed as the last lines.
fn summary(mut verdicts: Vec<(usize, Verdict)>, screen: &Screen) -> u8 {
    verdicts.sort_by_key(|(index, verdict)| (verdict.is_failure(), *index));
    let failures = verdicts.iter().filter(|(_, it)| it.is_failure()).count();
    screen.tell(
        Status::Info,
        match (failures, verdicts.len()) {
            (0, _) => "all ended well:".to_owned(),
            (failures, all) => format!("{failures} of {all} failed:"),
        },
    );
    for (_, verdict) in &verdicts {
        let (status, word) = match verdict.is_failure() {
            true => (Status::Failure, "failed"),
            false => (Status::Info, "  well"),
        };
        screen.tell(status, format!("  {word}  {}", verdict.text()));
    }
    u8::from(failures > 0)
}

async fn next(units: &mut Units) -> Option<(usize, Verdict)> {
    match units.join_next().await? {
        Ok(ended) => Some(ended),
        // A fault of ours. Unwinding ends everything that still runs.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What stands in front of the lines.
struct Labels {
    width: usize,
    /// There is one writer only, so its lines need no name.
    alone: bool,
    is_template: bool,
}

impl Labels {
    fn of(start: &Start) -> Self {
        let is_template = start.origin != Origin::Flags;
        let alone = !is_template && start.members.iter().all(|it| it.command.is_empty());
        let names: HashSet<usize> = start
            .members
            .iter()
            .flat_map(|member| {
                [
                    app_label(member, is_template),
                    sidecar_label(member, is_template),
                ]
            })
            .map(|label| label.chars().count())
            .collect();
        let width = names.into_iter().max().unwrap_or(0).max(OWN.len());
        Self {
            width: width.min(WIDEST),
            alone,
            is_template,
        }
    }

    fn padded(&self, label: &str) -> String {
        match self.alone {
            true => String::new(),
            false => format!("{label:<width$}", width = self.width),
        }
    }

    fn own(&self, look: Look) -> Source {
        Source::new(look, &self.padded(OWN), Some("1"), "", OWN)
    }

    fn sources(&self, members: &[Member], look: Look) -> Vec<Sources> {
        let source = |member: &Member, label: String, colour: &str, kind| {
            Source::new(
                look,
                &self.padded(&label),
                Some(colour),
                &member.app_id,
                kind,
            )
        };
        let colours = COLOURS.iter().cycle();
        members
            .iter()
            .zip(colours)
            .map(|(member, colour)| Sources {
                app: source(member, app_label(member, self.is_template), colour, APP),
                sidecar: source(
                    member,
                    sidecar_label(member, self.is_template),
                    &format!("2;{colour}"),
                    SIDECAR,
                ),
            })
            .collect()
    }
}

fn app_label(member: &Member, is_template: bool) -> String {
    match is_template {
        true => member.name.clone(),
        false => APP.to_owned(),
    }
}

fn sidecar_label(member: &Member, is_template: bool) -> String {
    match is_template {
        true => format!("{} {SIDECAR}", member.name),
        false => SIDECAR.to_owned(),
    }
}

/// A longer name pushes its lines to the right.
const WIDEST: usize = 24;
/// Of a terminal's palette; red is for failures.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "96"];
