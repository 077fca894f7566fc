//! How an app and its sidecar ended, in words and as an exit code.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// The end of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) name: String,
    pub(super) how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By itself.
    AppEnded(ExitStatus),
    /// Because we were told to end. Forced means that the app had to be killed.
    Stopped {
        app: Option<ExitStatus>,
        forced: bool,
    },
    /// We were told to end before it was its turn to start.
    NeverStarted,
    SidecarEnded {
        status: ExitStatus,
        cause: Option<String>,
        was_ready: bool,
        app: Option<ExitStatus>,
        forced: bool,
    },
    /// `ends_all`: a start that fails is a mistake of whoever started it.
    NotStarted { why: String, ends_all: bool },
}

impl Verdict {
    /// Something went wrong. After the wish to end, every way to end in time is a good one.
    pub(super) fn is_failure(&self) -> bool {
        match &self.how {
            How::AppEnded(status) => !is_clean(*status),
            How::Stopped { forced, .. } => *forced,
            How::NeverStarted => false,
            // A sidecar that was asked to end, by its API or a signal, ends well.
            How::SidecarEnded { status, forced, .. } => !status.success() || *forced,
            How::NotStarted { .. } => true,
        }
    }

    /// Those started with it can't work as intended, and end too.
    pub(super) fn is_failed_start(&self) -> bool {
        match &self.how {
            How::NotStarted { ends_all, .. } => *ends_all,
            How::SidecarEnded {
                status, was_ready, ..
            } => !status.success() && !was_ready,
            _ => false,
        }
    }

    /// The exit code if it was the only one.
    pub(super) fn code(&self) -> u8 {
        match &self.how {
            How::AppEnded(status) => code(*status),
            How::Stopped { app, .. } => app.map_or(0, code),
            How::NeverStarted => 0,
            How::NotStarted { .. } => 1,
            How::SidecarEnded { status, .. } if !status.success() => 1,
            // What our own request to end did to the app is not its failure.
            How::SidecarEnded { app, .. } => match app.map(|status| (status, code(status))) {
                None | Some((_, ASKED)) => 0,
                Some((_, code)) => code,
            },
        }
    }

    /// One line.
    pub(super) fn text(&self) -> String {
        let name = &self.name;
        match &self.how {
            How::AppEnded(status) => format!("{name} ended with {}", shown(*status)),
            How::Stopped { app: None, .. } => format!("{name} was stopped"),
            How::Stopped {
                app: Some(_),
                forced: true,
            } => format!("{name} did not end when asked to and was killed"),
            How::Stopped {
                app: Some(status), ..
            } => format!("{name} was stopped ({})", shown(*status)),
            How::NeverStarted => format!("{name} was not started"),
            How::SidecarEnded {
                status,
                cause,
                was_ready,
                ..
            } => sidecar_text(name, *status, cause.as_deref(), *was_ready),
            How::NotStarted { why, .. } => format!("{name} was not started: {why}"),
        }
    }
}

fn sidecar_text(name: &str, status: ExitStatus, cause: Option<&str>, was_ready: bool) -> String {
    if status.success() {
        return format!("the sidecar of {name} was told to end, and {name} with it");
    }
    let when = match was_ready {
        true => "",
        false => " before it was ready",
    };
    let text = format!("the sidecar of {name} ended{when} with {}", shown(status));
    // Who was killed did not say why.
    match cause.filter(|_| status.code().is_some()) {
        Some(cause) => format!("{text}: {cause}"),
        None => text,
    }
}

/// It succeeded, or somebody asked it to end and it did.
pub(super) fn is_clean(status: ExitStatus) -> bool {
    status.success() || was_asked(status)
}

/// Somebody, as `outrider stop` does, sent it a signal that asks for an end.
pub(super) fn was_asked(status: ExitStatus) -> bool {
    matches!(code(status), INTERRUPTED | HUNG_UP | ASKED)
}

/// As shells give it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(1)
}

/// `exit code 3`, or the signal.
pub(super) fn shown(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match NAMES.iter().find(|(number, _)| *number == signal) {
            Some((_, name)) => format!("signal {name}"),
            None => format!("signal {signal}"),
        },
        (None, None) => "no known status".to_owned(),
    }
}

/// Numbers that are the same everywhere.
const NAMES: [(i32, &str); 8] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (6, "ABRT"),
    (9, "KILL"),
    (11, "SEGV"),
    (13, "PIPE"),
    (15, "TERM"),
];

/// Apps that SIGHUP, SIGINT and SIGTERM ended.
const HUNG_UP: u8 = 128 + 1;
const INTERRUPTED: u8 = 128 + 2;
const ASKED: u8 = 128 + 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(how: How) -> Verdict {
        Verdict {
            name: "cart".into(),
            how,
        }
    }

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn sidecar(status: ExitStatus, app: Option<ExitStatus>) -> Verdict {
        verdict(How::SidecarEnded {
            status,
            cause: Some("port taken".into()),
            was_ready: false,
            app,
            forced: false,
        })
    }

    #[test]
    fn the_code_is_the_apps_own() {
        let term = ExitStatus::from_raw(15);
        let stopped = |app| verdict(How::Stopped { app, forced: false });
        for (verdict, expected, fails) in [
            (verdict(How::AppEnded(exit(0))), 0, false),
            (verdict(How::AppEnded(exit(7))), 7, true),
            (verdict(How::AppEnded(ExitStatus::from_raw(11))), 139, true),
            (stopped(None), 0, false),
            (stopped(Some(exit(4))), 4, false),
            (stopped(Some(term)), 143, false),
            (sidecar(exit(1), Some(exit(0))), 1, true),
            (sidecar(exit(0), Some(term)), 0, false),
            (sidecar(exit(0), Some(exit(5))), 5, false),
            (sidecar(exit(0), None), 0, false),
        ] {
            assert_eq!(verdict.code(), expected, "{verdict:?}");
            assert_eq!(verdict.is_failure(), fails, "{verdict:?}");
        }
    }

    #[test]
    fn signals_that_ask_for_an_end_are_no_failure() {
        for (status, asked) in [
            (ExitStatus::from_raw(15), true),
            (ExitStatus::from_raw(9), false),
            (exit(143), true),
            (exit(130), true),
            (exit(1), false),
            (exit(0), false),
        ] {
            assert_eq!(was_asked(status), asked, "{status:?}");
            assert_eq!(is_clean(status), asked || status.success());
        }
    }

    #[test]
    fn the_cause_of_a_sidecars_end_is_told_unless_it_was_killed() {
        assert_eq!(
            sidecar(exit(1), None).text(),
            "the sidecar of cart ended before it was ready with exit code 1: port taken"
        );
        assert_eq!(
            sidecar(ExitStatus::from_raw(9), None).text(),
            "the sidecar of cart ended before it was ready with signal KILL"
        );
        assert!(sidecar(exit(1), None).is_failed_start());
        assert!(!sidecar(exit(0), None).is_failed_start());
        let why = "there is no command x".to_owned();
        let not_started = verdict(How::NotStarted {
            why,
            ends_all: true,
        });
        assert_eq!(
            not_started.text(),
            "cart was not started: there is no command x"
        );
    }
}
