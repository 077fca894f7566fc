//! `outrider stop`: ends apps with their sidecars, whoever started them (contract, cli 8), and comes
//! back when they are gone.
//!
//! Signals only processes that a sidecar told of and the system confirms: a pid in metadata may be
//! of the day before.

mod goal;
mod plan;
mod process;
mod wait;

use std::{process::ExitCode, time::Duration};

use outrider_config::flags::{Flag, Kind, Positionals, Spec};

use crate::{
    Process, http,
    output::{Output, complain, printable},
    sidecars::{self, Sidecar},
};
use goal::{Goal, Wish};
use plan::{Plan, plans};
use wait::{Limits, carry_out};

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider stop",
    usage_tail: "<app-id>… | --run-file <file or folder> | --all",
    about: "\
Ends an app and its sidecar, whether outrider or the dapr CLI started them, and waits until they \
are gone. All instances with the id are ended.

What was started by 'run' with one app is ended through that 'run', which ends app and sidecar in \
its own order. An app among several of a 'run -f' is ended first, then its sidecar; the others \
run on. A sidecar that was started alone is ended alone.

  outrider stop shop till
  outrider stop --run-file dapr.yaml
  outrider stop --force shop

The exit code is 0 if all of it ended, else 1, also if no sidecar has the id.",
    flags: &[
        Flag::new(
            "app-id",
            Kind::Str,
            "The app to end; the same as the id alone.",
        )
        .short('a'),
        Flag::new(
            "run-file",
            Kind::Str,
            "End all that was started by 'run -f' with this file, or with the dapr.yaml in this \
             folder.",
        )
        .short('f'),
        Flag::new(
            "all",
            Kind::Bool,
            "End all sidecars of yours on this machine.",
        ),
        Flag::new(
            "force",
            Kind::Bool,
            "Kill at once instead of asking. Calls under way are lost.",
        ),
        Flag::new(
            "timeout",
            Kind::Duration,
            "How long to wait for the end before giving up.",
        )
        .default("20s"),
    ],
    positionals: Positionals::Anywhere,
};

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let wish = match Wish::try_new(&parsed) {
        Ok(wish) => wish,
        Err(message) => return crate::misused(&SPEC, &message),
    };
    match http::block_on(perform(&wish, process.api_token.as_deref(), output)) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("cannot begin: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn perform(wish: &Wish, token: Option<&str>, output: Output) -> ExitCode {
    if let Some(message) = wish.goal.missing_file() {
        complain(&message);
        return ExitCode::FAILURE;
    }
    let mut found = sidecars::find();
    if let Some(problem) = &found.problem {
        complain(&format!(
            "some sidecars may not be found: {}\n",
            printable(problem)
        ));
    }
    sidecars::ask(&mut found.sidecars, token).await;
    let chosen = |it: &Sidecar| wish.goal.is_meant(it);
    let plans = plans(&found.sidecars, chosen, plan::the_system);
    let unknown = wish.goal.unknown(&plans);
    complain(&unknown);
    if plans.is_empty() {
        complain(&wish.goal.perhaps(&found.sidecars));
    }
    if plans.is_empty() && unknown.is_empty() {
        return output.finish("No sidecars of yours run on this machine.\n");
    }
    let limits = Limits {
        whole: wish.limit,
        first_word: FIRST_WORD,
        word: WORD,
    };
    let told = report(&wish.goal, &plans);
    let outcomes = carry_out(plans, wish.force, limits).await;
    let failed = outcomes.iter().any(|it| it.is_err());
    let mut lines = String::new();
    for (outcome, success) in outcomes.into_iter().zip(told) {
        match outcome {
            Ok(()) => lines.push_str(&success),
            Err(failure) => complain(&failure),
        }
    }
    if matches!(wish.goal, Goal::File { .. }) && !failed && unknown.is_empty() {
        lines.push_str("Dapr and app processes stopped successfully\n");
    }
    let code = output.finish(&lines);
    if failed || !unknown.is_empty() {
        return ExitCode::FAILURE;
    }
    code
}

/// What to say of each when it is gone. Several of one id are told apart.
fn report(goal: &Goal, plans: &[Plan]) -> Vec<String> {
    let line = |plan: &Plan| {
        let id = printable(&plan.app_id);
        let alike = plans.iter().filter(|it| it.app_id == plan.app_id).count();
        let pid = plan.sidecar.pid();
        match alike {
            _ if matches!(goal, Goal::File { .. }) => String::new(),
            1 => format!("app stopped successfully: {id}\n"),
            _ => format!("app stopped successfully: {id} (sidecar {pid})\n"),
        }
    };
    plans.iter().map(line).collect()
}

/// Until there is something to say about the waiting.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// From then on.
const WORD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(SPEC.help().lines().all(|line| line.chars().count() <= 100));
    }
}
