//! `outrider list`: the sidecars on this machine, started by either tool (contract, cli 7).
//!
//! A hung sidecar is shown like the others; what only it knows is left out, and that is said.

mod formats;
mod rows;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outrider_config::flags::{Flag, Kind, Parsed, Positionals, Spec};
use outrider_core::quote::quote;

use crate::{
    Process, columns, http,
    output::{Output, complain, printable},
    sidecars::{self, LIMIT, Sidecar},
};
use formats::{json, yaml};
use rows::Row;

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider list",
    usage_tail: "[-o table|json|yaml]",
    about: "\
Shows the sidecars on this machine, whether outrider or the dapr CLI started them: those that run \
with the same-host registry, which is the default, and all other processes called daprd in this \
network namespace (a container usually has its own). One that was killed disappears by itself.

HTTP and GRPC are the ports your app calls, APP PORT is where the sidecar calls your app, and \
METRICS is the port of the metrics page. COMMAND, CLI PID and APP PID are known where 'run' \
started app and sidecar together. If your sidecars ask for a token, set DAPR_API_TOKEN.

  outrider list
  outrider list -o json",
    flags: &[
        Flag::new(
            "output",
            Kind::Str,
            "What to print: table, json or yaml. The keys of the last two are those of 'dapr \
             list', and some more.",
        )
        .short('o')
        .default("table"),
        Flag::new("json", Kind::Bool, "The same as -o json."),
    ],
    positionals: Positionals::Refused,
};

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Table,
    Json,
    Yaml,
    /// For shells that complete app ids; asks no sidecar anything.
    Ids,
}

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let form = match form(&parsed) {
        Ok(form) => form,
        Err(message) => return crate::misused(&SPEC, &message),
    };
    let mut found = sidecars::find();
    if let Some(problem) = &found.problem {
        complain(&format!(
            "the list may be incomplete: {}\n",
            printable(problem)
        ));
    }
    if form == Form::Ids {
        return output.finish(&ids(&found.sidecars));
    }
    let token = process.api_token.as_deref();
    if let Err(error) = http::block_on(sidecars::ask(&mut found.sidecars, token)) {
        complain(&format!("cannot ask the sidecars: {error}\n"));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    show(&found.sidecars, form, now, output)
}

fn form(parsed: &Parsed) -> Result<Form, String> {
    if parsed.bool("json") && !parsed.given("output") {
        return Ok(Form::Json);
    }
    match &*parsed.str("output") {
        "table" => Ok(Form::Table),
        "json" => Ok(Form::Json),
        "yaml" => Ok(Form::Yaml),
        "ids" => Ok(Form::Ids),
        other => Err(format!(
            "--output is {}; it must be table, json or yaml",
            quote(other)
        )),
    }
}

fn show(sidecars: &[Sidecar], form: Form, now: Duration, output: Output) -> ExitCode {
    let rows: Vec<Row> = sidecars.iter().map(|it| Row::of(it, now)).collect();
    match form {
        Form::Json => return output.finish(&json(&rows)),
        Form::Yaml => return output.finish(&yaml(&rows)),
        Form::Table | Form::Ids => {}
    }
    if sidecars.is_empty() {
        complain(NOBODY);
        return ExitCode::SUCCESS;
    }
    let code = output.finish(&table(sidecars, now));
    complain(&silent(sidecars));
    code
}

/// Each id once.
fn ids(sidecars: &[Sidecar]) -> String {
    let mut ids: Vec<&str> = sidecars.iter().map(|it| &*it.app_id).collect();
    ids.dedup();
    ids.into_iter().map(|id| printable(id) + "\n").collect()
}

/// The columns; those that the CLIs fill only if they did for any. `now` is the time since 1970.
fn table(sidecars: &[Sidecar], now: Duration) -> String {
    let mut head = vec![
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
    let mut rows: Vec<Vec<String>> = sidecars.iter().map(|it| usual(it, now)).collect();
    for (name, cell) in OPTIONAL {
        let cells: Vec<String> = sidecars.iter().map(cell).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            head.push(name);
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(or_dash(cell));
            }
        }
    }
    let rows: Vec<&[String]> = rows.iter().map(Vec::as_slice).collect();
    columns::lines(&head, &rows)
}

fn usual(it: &Sidecar, now: Duration) -> Vec<String> {
    let told = it.metadata().map(|it| &*it.runtime_version);
    let version = it.version.as_deref().or(told).unwrap_or_default();
    vec![
        or_dash(printable(&it.app_id)),
        or_dash(printable(it.namespace.as_deref().unwrap_or_default())),
        match &it.http_socket {
            Some(path) => printable(path),
            None => port(it.http_port),
        },
        port(it.grpc_port),
        port(it.app_port),
        port(it.metrics_port.filter(|_| it.metrics_enabled)),
        it.pid.to_string(),
        rows::age(rows::since(it, now)),
        or_dash(printable(version)),
    ]
}

type Column = (&'static str, fn(&Sidecar) -> String);

const OPTIONAL: [Column; 3] = [
    ("COMMAND", |it| {
        let command = it.metadata().map(|it| &*it.app_command);
        rows::cut(&printable(command.unwrap_or_default()))
    }),
    ("CLI PID", |it| pid(it.cli_pid())),
    ("APP PID", |it| pid(it.metadata().and_then(|it| it.app_pid))),
];

fn pid(pid: Option<u32>) -> String {
    pid.map(|pid| pid.to_string()).unwrap_or_default()
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

/// Who did not tell about itself, and why.
fn silent(sidecars: &[Sidecar]) -> String {
    let lines = sidecars::silent(sidecars);
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\nNo metadata, so some columns may be missing (each had {LIMIT:?} to answer):\n{lines}"
    )
}

const NOBODY: &str = "\
No sidecars run on this machine. Start one, or see two at work:
  outrider run --app-id shop --app-port 3000 python3 shop.py
  outrider demo
";

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, parse};

    use super::*;
    use crate::sidecars::{Answer, Metadata};

    fn sidecar() -> Sidecar {
        Sidecar {
            app_id: "nodeapp".into(),
            namespace: Some("default".into()),
            pid: 77,
            http_port: Some(3500),
            grpc_port: Some(50001),
            started_unix_ms: 1_000,
            version: Some("1.18.3".into()),
            ..Sidecar::default()
        }
    }

    #[test]
    fn each_sidecar_is_a_line() {
        assert_eq!(
            table(&[sidecar()], Duration::from_secs(191)),
            "APP ID   NAMESPACE  HTTP  GRPC   APP PORT  METRICS  PID  AGE  VERSION\n\
             nodeapp  default    3500  50001  -         -        77   3m   1.18.3\n"
        );
    }

    #[test]
    fn columns_of_the_cli_come_with_the_first_that_has_them() {
        let run = Sidecar {
            answer: Answer::Told(Box::new(Metadata {
                cli_pid: Some(7),
                app_command: "python -m a.very.long.module".into(),
                ..Metadata::default()
            })),
            ..sidecar()
        };
        let text = table(&[sidecar(), run], Duration::ZERO);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("VERSION  COMMAND                  CLI PID"));
        assert!(lines[1].ends_with("1.18.3   -                        -"));
        assert!(lines[2].ends_with("1.18.3   python -m a.very.lon...  7"));
    }

    #[test]
    fn a_socket_stands_for_the_port() {
        let sidecar = Sidecar {
            http_socket: Some("/run/a\n.socket".into()),
            namespace: None,
            ..sidecar()
        };
        let text = table(&[sidecar], Duration::ZERO);
        assert!(
            text.contains("nodeapp  -          /run/a\\n.socket  50001"),
            "{text}"
        );
        // A clock that was set back makes nobody older than it is.
        assert!(text.contains("  0s  "), "{text}");
    }

    #[test]
    fn who_is_silent_is_told() {
        let refused = Sidecar {
            answer: Answer::Refused,
            is_own: true,
            ..sidecar()
        };
        assert_eq!(silent(&[sidecar()]), "");
        let text = silent(&[sidecar(), refused]);
        assert!(
            text.ends_with("nodeapp (pid 77): it asks for a token: set DAPR_API_TOKEN\n"),
            "{text}"
        );
    }

    #[test]
    fn ids_are_told_once() {
        assert_eq!(ids(&[sidecar(), sidecar()]), "nodeapp\n");
    }

    #[test]
    fn forms_have_the_names_of_the_dapr_cli() {
        let read = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            match parse(&SPEC, &words) {
                Ok(Outcome::Parsed(parsed)) => form(&parsed),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read(""), Ok(Form::Table));
        assert_eq!(read("--json"), Ok(Form::Json));
        assert_eq!(read("-o yaml"), Ok(Form::Yaml));
        assert_eq!(
            read("--output=xml").unwrap_err(),
            "--output is \"xml\"; it must be table, json or yaml"
        );
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(SPEC.help().lines().all(|line| line.chars().count() <= 100));
    }
}
