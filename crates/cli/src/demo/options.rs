//! What the demo can be told.

use std::time::Duration;

use outrider_config::flags::{Flag, Kind, Parsed, Positionals, Spec};

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider demo",
    usage_tail: "[--calls <number>] [--interval <duration>] [--port <number>]",
    about: "\
Shows service invocation at work. Two small apps run in this process, and beside each a real \
sidecar process. The app orders sends an order a second to its own sidecar, by the name of the \
other app:

  POST http://127.0.0.1:<port>/v1.0/invoke/nodeapp/method/neworder

and nodeapp, behind the other sidecar, keeps it there through the state API, in memory. Each call \
is one line: its id, its status, the whole time, and the times of its way, saving included. \
Nothing is needed and nothing is left behind: free ports of 127.0.0.1, no network, no files that \
stay.

Ctrl-C ends it. The exit code is 0, or 1 if a call failed.",
    flags: &[
        Flag::new(
            "calls",
            Kind::Uint,
            "How many orders to send before it ends by itself. Not given: until Ctrl-C.",
        ),
        Flag::new(
            "interval",
            Kind::Duration,
            "The time from one order to the next; 0s sends each as soon as the last is answered.",
        )
        .default("1s"),
        Flag::new(
            "port",
            Kind::Uint,
            "The port of the HTTP API that orders calls, the sidecar's. Not given: a free one.",
        ),
    ],
    positionals: Positionals::Refused,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Without it there is no end.
    pub(super) calls: Option<u64>,
    pub(super) interval: Duration,
    /// Without it a free one is taken.
    pub(super) port: Option<u16>,
}

impl Options {
    /// The error is a sentence for the person who typed the value.
    pub(super) fn try_new(parsed: &Parsed) -> Result<Self, String> {
        let calls = parsed.given("calls").then(|| parsed.uint("calls"));
        if calls == Some(0) {
            return Err("--calls is 0; it must be at least 1".to_owned());
        }
        let interval = parsed.duration("interval");
        let Some(interval) = interval.to_std() else {
            return Err(format!("--interval is {interval}; it must not be negative"));
        };
        let port = match parsed.uint("port") {
            0 if !parsed.given("port") => None,
            port => match u16::try_from(port) {
                Ok(port @ 1..) => Some(port),
                _ => return Err(format!("--port is {port}; it must be from 1 to 65535")),
            },
        };
        Ok(Self {
            calls,
            interval,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, parse};

    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&SPEC, &arguments) {
            Ok(Outcome::Parsed(parsed)) => Options::try_new(&parsed),
            Ok(Outcome::Help) => Err("help".to_owned()),
            Err(error) => Err(error.message),
        }
    }

    #[test]
    fn nothing_given_means_an_order_a_second_without_end() {
        let options = Options {
            calls: None,
            interval: Duration::from_secs(1),
            port: None,
        };
        assert_eq!(read(""), Ok(options));
    }

    #[test]
    fn values_are_taken() {
        let options = Options {
            calls: Some(3),
            interval: Duration::ZERO,
            port: Some(3500),
        };
        assert_eq!(read("--calls 3 --interval=0s --port 3500"), Ok(options));
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        for (line, message) in [
            ("--calls 0", "--calls is 0; it must be at least 1"),
            (
                "--interval=-1s",
                "--interval is -1s; it must not be negative",
            ),
            ("--port 0", "--port is 0; it must be from 1 to 65535"),
            (
                "--port 70000",
                "--port is 70000; it must be from 1 to 65535",
            ),
            ("again", "unexpected argument \"again\""),
        ] {
            assert_eq!(read(line), Err(message.to_owned()));
        }
        assert!(read("--interval fast").is_err());
        assert!(read("--calls -1").is_err());
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(SPEC.help().lines().all(|line| line.chars().count() <= 100));
    }
}
