//! `outrider list`: the sidecars of this user on this machine, as the same-host registry has them.
//!
//! Asks no sidecar anything, so a hung one is shown like the others.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outrider_config::flags::{Flag, Kind, Positionals, Spec};
use outrider_lookup::{Registry, registry::Entry};
use serde::Serialize;

use crate::{
    columns,
    output::{Output, complain, printable},
};

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider list",
    usage_tail: "[--json]",
    about: "\
Shows the sidecars on this machine: those of your user and in this network namespace (a container \
usually has its own) that run with the same-host registry, which is the default. One that was \
killed disappears by itself.

HTTP and GRPC are the ports your app calls, APP PORT is where the sidecar calls your app, and \
METRICS is the port of the metrics page.",
    flags: &[Flag::new(
        "json",
        Kind::Bool,
        "Print a JSON array with one object for each sidecar instead of columns.",
    )],
    positionals: Positionals::Refused,
};

pub(crate) fn main(arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let entries = match Registry::new().list() {
        Ok(entries) => entries,
        Err(error) => {
            complain(&format!("cannot list the sidecars: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    if parsed.bool("json") {
        return output.finish(&json(&entries));
    }
    if entries.is_empty() {
        complain(NOBODY);
        return ExitCode::SUCCESS;
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    output.finish(&text(&entries, now))
}

/// The columns. `now` is the time since 1970.
fn text(entries: &[Entry], now: Duration) -> String {
    let head = [
        "APP ID",
        "NAMESPACE",
        "HTTP",
        "GRPC",
        "APP PORT",
        "METRICS",
        "PID",
        "AGE",
        "VERSION",
    ];
    let row = |entry: &Entry| {
        [
            or_dash(printable(&entry.app_id)),
            or_dash(printable(&entry.namespace)),
            match &entry.http_socket {
                Some(path) => printable(path),
                None => port(entry.http_port),
            },
            port(entry.grpc_port),
            port(entry.app_port),
            port(entry.metrics_port),
            entry.pid.to_string(),
            age(now.saturating_sub(Duration::from_millis(entry.started_unix_ms))),
            or_dash(printable(&entry.version)),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    columns::table(head, &rows)
}

fn port(number: Option<u16>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// The largest unit of the age, as in `3m`.
fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// What scripts may rely on; the files of the registry may change behind it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    app_id: &'a str,
    namespace: &'a str,
    http_port: Option<u16>,
    http_socket: Option<&'a str>,
    grpc_port: Option<u16>,
    app_port: Option<u16>,
    metrics_port: Option<u16>,
    /// Where other sidecars reach it.
    address: &'a str,
    pid: u32,
    started_unix_ms: u64,
    version: &'a str,
}

impl<'a> Row<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            app_id: &entry.app_id,
            namespace: &entry.namespace,
            http_port: entry.http_port,
            http_socket: entry.http_socket.as_deref(),
            grpc_port: entry.grpc_port,
            app_port: entry.app_port,
            metrics_port: entry.metrics_port,
            address: &entry.address,
            pid: entry.pid,
            started_unix_ms: entry.started_unix_ms,
            version: &entry.version,
        }
    }
}

fn json(entries: &[Entry]) -> String {
    let rows: Vec<Row<'_>> = entries.iter().map(Row::of).collect();
    let text = serde_json::to_string_pretty(&rows);
    text.expect("strings and numbers always make JSON") + "\n"
}

const NOBODY: &str = "\
No sidecars of yours run on this machine. Start one, or see two at work:
  outrider sidecar --app-id shop --app-port 3000
  outrider demo
";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            app_id: "nodeapp".into(),
            namespace: "default".into(),
            pid: 77,
            address: "127.0.0.1:50002".into(),
            http_port: Some(3500),
            grpc_port: Some(50001),
            started_unix_ms: 1_000,
            version: "1.18.3".into(),
            ..Entry::default()
        }
    }

    #[test]
    fn each_sidecar_is_a_line() {
        assert_eq!(
            text(&[entry()], Duration::from_secs(191)),
            "APP ID   NAMESPACE  HTTP  GRPC   APP PORT  METRICS  PID  AGE  VERSION\n\
             nodeapp  default    3500  50001  -         -        77   3m   1.18.3\n"
        );
    }

    #[test]
    fn a_socket_stands_for_the_port() {
        let entry = Entry {
            http_socket: Some("/run/a\n.socket".into()),
            namespace: String::new(),
            ..entry()
        };
        let text = text(&[entry], Duration::ZERO);
        assert!(
            text.contains("nodeapp  -          /run/a\\n.socket  50001"),
            "{text}"
        );
        // A clock that was set back makes nobody older than it is.
        assert!(text.contains("  0s  "), "{text}");
    }

    #[test]
    fn ages_have_one_unit() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_600, "1h"),
            (90_000, "1d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn json_has_an_object_for_each_sidecar_and_null_for_what_is_not_there() {
        assert_eq!(json(&[]), "[]\n");
        let rows: serde_json::Value = serde_json::from_str(&json(&[entry()])).unwrap();
        assert_eq!(rows[0]["appId"], "nodeapp");
        assert_eq!(rows[0]["httpPort"], 3500);
        assert!(rows[0]["appPort"].is_null());
        assert_eq!(rows[0]["startedUnixMs"], 1000);
    }
}
