//! Carries the plans out side by side, and waits for the end of each.

use std::{collections::HashMap, io, time::Duration};

use rustix::process::Signal;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    plan::{Plan, Way},
    process::Found,
};
use crate::output::{complain, printable};

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Until it is given up.
    pub(super) whole: Duration,
    /// Until the user is told what is waited for, and how often from then on.
    pub(super) first_word: Duration,
    pub(super) word: Duration,
}

/// What became of each plan, in order; a failure is what to say.
pub(super) async fn carry_out(
    plans: Vec<Plan>,
    force: bool,
    limits: Limits,
) -> Vec<Result<(), String>> {
    let mut outcomes: Vec<Result<(), String>> = plans
        .iter()
        .map(|plan| Err(format!("failed to stop app id {}\n", plan.app_id)))
        .collect();
    // Asked once, however many apps it has: a second signal often means "at once".
    let mut clis: HashMap<u32, Result<(), String>> = HashMap::new();
    for cli in plans.iter().filter_map(|plan| plan.cli.as_ref()) {
        let ask = || match force {
            true => Ok(()),
            false => cli.signal(Signal::TERM).map_err(|it| it.to_string()),
        };
        clis.entry(cli.pid()).or_insert_with(ask);
    }
    let mut tasks = JoinSet::new();
    for (at, plan) in plans.into_iter().enumerate() {
        let cli = plan.cli.as_ref().and_then(|it| clis.get(&it.pid()));
        let asked = cli.cloned().unwrap_or(Ok(()));
        tasks.spawn(async move { (at, one(&plan, asked, force, limits).await) });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok((at, outcome)) = done {
            outcomes[at] = outcome;
        }
    }
    outcomes
}

/// `asked` is what became of asking its `run`.
async fn one(
    plan: &Plan,
    asked: Result<(), String>,
    force: bool,
    limits: Limits,
) -> Result<(), String> {
    let id = printable(&plan.app_id);
    if let Some(remark) = &plan.remark {
        complain(&format!("{}\n", printable(remark)));
    }
    let until = Instant::now() + limits.whole;
    let told = |done: io::Result<()>| done.map_err(|error| error.to_string());
    let asked = match (force, plan.way, &plan.app) {
        (true, ..) => told(kill(plan)),
        (false, Way::Cli, _) => asked,
        (false, Way::AppThenSidecar, Some(app)) => told(app.signal_all(Signal::TERM)),
        (false, ..) => told(plan.sidecar.signal(Signal::TERM)),
    };
    asked.map_err(|error| failed(&id, &error))?;
    if !force && plan.way == Way::AppThenSidecar {
        // The sidecar serves the app until it is gone.
        gone(plan, plan.app.iter().collect(), until, limits).await?;
        // A second request would make it end at once.
        let patience = match plan.sidecar_follows {
            true => until.min(Instant::now() + FOLLOWS),
            false => Instant::now(),
        };
        if gone(plan, vec![&plan.sidecar], patience, limits)
            .await
            .is_err()
        {
            let asked = told(plan.sidecar.signal(Signal::TERM));
            asked.map_err(|error| failed(&id, &error))?;
        }
    }
    let mut all = vec![&plan.sidecar];
    all.extend(&plan.app);
    all.extend(&plan.cli);
    gone(plan, all, until, limits).await
}

/// The `run` first, so that it starts nothing again.
fn kill(plan: &Plan) -> io::Result<()> {
    if let Some(cli) = &plan.cli {
        cli.signal(Signal::KILL)?;
    }
    if let Some(app) = &plan.app {
        app.signal_all(Signal::KILL)?;
    }
    plan.sidecar.signal(Signal::KILL)
}

fn failed(id: &str, why: &str) -> String {
    format!("failed to stop app id {id}: {why}\n")
}

/// Waits until none of them runs any more.
async fn gone(
    plan: &Plan,
    mut processes: Vec<&Found>,
    until: Instant,
    limits: Limits,
) -> Result<(), String> {
    let id = printable(&plan.app_id);
    let mut word = Instant::now() + limits.first_word;
    loop {
        processes.retain(|it| it.runs());
        if processes.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let left = names(plan, &processes);
        if now >= until {
            let limit = limits.whole;
            return Err(failed(
                &id,
                &format!(
                    "{left} still runs after {limit:?}; 'outrider stop --force {id}' kills it"
                ),
            ));
        }
        if now >= word {
            let seconds = (until - now).as_secs();
            complain(&format!(
                "waiting for {id} to end: {left} still runs ({seconds}s left)\n"
            ));
            word = now + limits.word;
        }
        // The system tells nobody but a parent when a process ends.
        sleep(POLL).await;
    }
}

fn names(plan: &Plan, processes: &[&Found]) -> String {
    let name = |it: &&Found| {
        let what = match Some(*it) {
            it if it == plan.app.as_ref() => "the app",
            it if it == plan.cli.as_ref() => "its run",
            _ => "the sidecar",
        };
        format!("{what} (pid {})", it.pid())
    };
    processes.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// A little more than sidecars take for the calls under way.
const FOLLOWS: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    const LIMITS: Limits = Limits {
        whole: Duration::from_secs(20),
        first_word: Duration::from_secs(5),
        word: Duration::from_secs(5),
    };

    fn cat() -> Child {
        let mut command = Command::new("/bin/cat");
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    fn plan(sidecar: &Child) -> Plan {
        Plan {
            app_id: "a".into(),
            way: Way::Sidecar,
            sidecar: Found::new(sidecar.id()).unwrap(),
            app: None,
            cli: None,
            sidecar_follows: false,
            remark: None,
        }
    }

    #[tokio::test]
    async fn all_of_a_plan_end() {
        let (mut sidecar, mut app) = (cat(), cat());
        let plan = Plan {
            way: Way::AppThenSidecar,
            app: Found::new(app.id()),
            ..plan(&sidecar)
        };
        let outcomes = carry_out(vec![plan], false, LIMITS).await;
        // Whether or not it worked, nothing is left behind.
        let _ = (sidecar.kill(), app.kill());
        let ended = [sidecar.wait().unwrap(), app.wait().unwrap()];
        assert_eq!(outcomes, [Ok(())]);
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(ended.map(|it| it.signal()), [Some(15), Some(15)]);
    }

    #[tokio::test]
    async fn one_that_stays_is_told_with_the_way_to_force_it() {
        // Ignores the request to end.
        let mut sidecar = Command::new("/bin/sh")
            .args(["-c", "trap '' TERM; echo; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        let mut stdout = sidecar.stdout.take().unwrap();
        std::io::Read::read_exact(&mut stdout, &mut line).unwrap();
        let limits = Limits {
            whole: Duration::from_millis(50),
            ..LIMITS
        };
        let asked = carry_out(vec![plan(&sidecar)], false, limits).await;
        let killed = carry_out(vec![plan(&sidecar)], true, LIMITS).await;
        let _ = sidecar.kill();
        sidecar.wait().unwrap();
        let pid = sidecar.id();
        let expected = format!(
            "failed to stop app id a: the sidecar (pid {pid}) still runs after 50ms; \
             'outrider stop --force a' kills it\n"
        );
        assert_eq!(asked, [Err(expected)]);
        assert_eq!(killed, [Ok(())]);
    }
}
