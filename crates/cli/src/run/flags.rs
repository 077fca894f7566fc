//! The command line of `outrider run`: the flags of `dapr run` (contract `cli.md` 3).

use outrider_config::flags::{Flag, Kind, Positionals, Spec, number, switch, text};

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider run",
    usage_tail: "[flags] [--] <command> [arguments]   or   outrider run -f <template>",
    about: "\
Runs your app and a sidecar beside it, and ends both together. The app is everything behind the \
flags; its own flags are left alone:

  outrider run --app-id cart --app-port 5000 python3 app.py --verbose

The app finds its sidecar through DAPR_HTTP_PORT and DAPR_GRPC_PORT. Without a command only the \
sidecar runs.

The exit code is the app's own, 128 and the number of the signal if one ended it, or 1 if the \
sidecar failed. Ctrl-C asks the app to end while its sidecar still serves it, then ends the \
sidecar; a second Ctrl-C kills both.

With -f several apps run side by side, as a template (dapr.yaml) describes them. Beyond Dapr's \
keys an app there may have dependsOn, a list of app ids to wait for, and restart: no, on-failure \
or always. The exit code is then 1 if any of them failed.",
    flags: FLAGS,
    positionals: Positionals::EndFlags,
};

/// Flags that keep their meaning beside `--run-file`.
pub(super) const WITH_TEMPLATE: [&str; 4] =
    ["run-file", "kubernetes", "runtime-path", "log-as-json"];

const APP: &str = "App";
const PORTS: &str = "Ports and addresses";
const FILES: &str = "Settings and resources";
const LOGGING: &str = "Logging";
const SEVERAL: &str = "Several apps";
const ACCEPTED: &str = "Accepted and ignored";

const fn port(name: &'static str, letter: char, help: &'static str) -> Flag {
    number(name, PORTS, help).short(letter).default("-1")
}

const FLAGS: &[Flag] = &[
    text(
        "app-id",
        APP,
        "The name others call this app by. Not given: the name of the folder.",
    )
    .short('a'),
    number(
        "app-port",
        APP,
        "Where the app listens. Not given: nothing is handed to the app, it only calls.",
    )
    .short('p')
    .default("-1"),
    text(
        "app-protocol",
        APP,
        "How to talk to the app: http, https, h2c, grpc or grpcs.",
    )
    .short('P')
    .default("http"),
    text("app-channel-address", APP, "The host the app listens on.").default("127.0.0.1"),
    number(
        "app-max-concurrency",
        APP,
        "How many calls the app gets at once. Less than 1: no limit.",
    )
    .default("-1"),
    switch(
        "enable-app-health-check",
        APP,
        "Ask the app at intervals whether it is well.",
    ),
    text(
        "app-health-check-path",
        APP,
        "The path asked. Not given: /healthz.",
    ),
    number(
        "app-health-probe-interval",
        APP,
        "Seconds between two questions. 0: 5.",
    ),
    number(
        "app-health-probe-timeout",
        APP,
        "Milliseconds to wait for an answer. 0: 500.",
    ),
    number(
        "app-health-threshold",
        APP,
        "How many failures in a row make the app unwell. 0: 3.",
    ),
    switch("app-ssl", APP, "Talk TLS to the app.").deprecated("use '--app-protocol https|grpcs'"),
    port(
        "dapr-http-port",
        'H',
        "The port of the HTTP API. Not given: a free one.",
    ),
    port(
        "dapr-grpc-port",
        'G',
        "The port of the gRPC API. Not given: a free one.",
    ),
    port(
        "dapr-internal-grpc-port",
        'I',
        "The port where other sidecars arrive. Not given: a free one.",
    ),
    port(
        "metrics-port",
        'M',
        "The port of numbers for Prometheus. Not given: a free one.",
    ),
    number(
        "profile-port",
        PORTS,
        "The port for profiling. Not given: a free one.",
    )
    .default("-1"),
    switch("enable-profiling", PORTS, "Open the port for profiling."),
    text(
        "dapr-listen-addresses",
        PORTS,
        "Addresses of both APIs, separated by commas. Not given: all addresses of the machine.",
    ),
    text(
        "unix-domain-socket",
        PORTS,
        "A folder. The APIs then listen on sockets in it, not on ports.",
    )
    .short('u'),
    text(
        "config",
        FILES,
        "A file with a Configuration. Not given: config.yaml of the Dapr folder, if it is there.",
    )
    .short('c'),
    Flag::new(
        "resources-path",
        Kind::StrSlice,
        "Folders with resources; may be given several times. Not given: the folder components of \
         the Dapr folder if it has YAML files, else a state store named statestore in a file of \
         yours.",
    )
    .group(FILES),
    text("components-path", FILES, "One folder with resources.")
        .short('d')
        .deprecated("use --resources-path"),
    text(
        "runtime-path",
        FILES,
        "The folder that holds the Dapr folder .dapr; also the variable DAPR_RUNTIME_PATH. Not \
         given: your home folder.",
    ),
    text("max-body-size", FILES, "The largest body of a request.").default("4Mi"),
    text(
        "read-buffer-size",
        FILES,
        "How large the head of a request may grow.",
    )
    .default("4Ki"),
    text(
        "log-level",
        LOGGING,
        "The least important kind of line of the sidecar shown: debug, info, warn, error or fatal.",
    )
    .default("info"),
    switch(
        "log-as-json",
        LOGGING,
        "Write every line, also those of the app, as a JSON object.",
    ),
    switch(
        "enable-api-logging",
        LOGGING,
        "Log each call that arrives at the API.",
    ),
    text(
        "run-file",
        SEVERAL,
        "A template, a folder with dapr.yaml in it, or - for standard input.",
    )
    .short('f'),
    switch(
        "kubernetes",
        SEVERAL,
        "Deploy the template to Kubernetes; outrider does not do that.",
    )
    .short('k'),
    text("placement-host-address", ACCEPTED, "For actors."),
    text("scheduler-host-address", ACCEPTED, "For jobs and actors."),
];

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, Parsed, parse};

    use super::*;

    fn parsed(line: &[&str]) -> Parsed {
        let line: Vec<String> = line.iter().map(|it| (*it).to_owned()).collect();
        match parse(&SPEC, &line).unwrap() {
            Outcome::Parsed(parsed) => parsed,
            Outcome::Help => panic!("help was not asked for"),
        }
    }

    #[test]
    fn the_first_word_of_the_command_ends_the_flags() {
        let with = ["-a", "cart", "-p5000", "python3", "app.py", "--app-id", "x"];
        let read = parsed(&with);
        assert_eq!(read.positionals, ["python3", "app.py", "--app-id", "x"]);
        assert_eq!(
            (read.str("app-id").as_str(), read.int("app-port")),
            ("cart", 5000)
        );
        let read = parsed(&["--app-id", "cart", "--", "-odd", "--", "x"]);
        assert_eq!(read.positionals, ["-odd", "--", "x"]);
    }

    #[test]
    fn every_letter_of_the_reference_is_there() {
        for (letter, name) in [
            ('a', "app-id"),
            ('p', "app-port"),
            ('P', "app-protocol"),
            ('H', "dapr-http-port"),
            ('G', "dapr-grpc-port"),
            ('I', "dapr-internal-grpc-port"),
            ('M', "metrics-port"),
            ('c', "config"),
            ('d', "components-path"),
            ('u', "unix-domain-socket"),
            ('f', "run-file"),
            ('k', "kubernetes"),
        ] {
            let flag = FLAGS.iter().find(|flag| flag.short == Some(letter));
            assert_eq!(flag.map(|flag| flag.name), Some(name));
        }
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(SPEC.help().lines().all(|line| line.chars().count() <= 100));
    }
}
