//! `outrider logs`: the log files that `run -f` writes for an app and its sidecar (contract, cli
//! 4.6 and 5.3).
//!
//! Reads files only. What went to a terminal is nowhere to be read again, and that is said.

mod files;
mod tail;

use std::{path::PathBuf, process::ExitCode};

use outrider_config::flags::{Flag, Kind, Parsed, Positionals, Spec};

use crate::{
    Process, http,
    output::{Output, complain, printable},
    sidecars,
};
use files::Which;
use tail::Tail;

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider logs",
    usage_tail: "<app-id> [--app | --sidecar] [--follow]",
    about: "\
Shows what an app and its sidecar wrote, if 'run -f' put it into files. Of an app that runs these \
are the files its sidecar tells of; of one that does not, the newest below .dapr/logs, here or in \
a folder beside.

  outrider logs shop
  outrider logs shop --sidecar --tail 20 --follow",
    flags: &[
        Flag::new("app-id", Kind::Str, "The app; the same as the id alone.").short('a'),
        Flag::new("app", Kind::Bool, "What the app wrote, alone."),
        Flag::new("sidecar", Kind::Bool, "What the sidecar wrote, alone."),
        Flag::new(
            "follow",
            Kind::Bool,
            "Go on with what is written from now on, until Ctrl-C.",
        )
        .short('f'),
        Flag::new(
            "tail",
            Kind::Uint,
            "Begin with that many last lines of each file. Not given: all.",
        ),
        Flag::new(
            "dir",
            Kind::Str,
            "Where to look for the files of an app that does not run.",
        )
        .default("."),
    ],
    positionals: Positionals::Anywhere,
};

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    app_id: String,
    which: Which,
    follow: bool,
    last_lines: Option<u64>,
    folder: PathBuf,
}

impl Options {
    /// The error is a sentence for the person who typed it.
    fn try_new(parsed: &Parsed) -> Result<Self, String> {
        let mut ids = parsed.positionals.clone();
        ids.extend(parsed.given_str("app-id"));
        let app_id = match &ids[..] {
            [id] if !id.is_empty() => id.clone(),
            [] | [_] => return Err("name an app id".to_owned()),
            _ => return Err("name one app id only".to_owned()),
        };
        let which = match (parsed.bool("app"), parsed.bool("sidecar")) {
            (true, false) => Which::App,
            (false, true) => Which::Sidecar,
            _ => Which::Both,
        };
        Ok(Self {
            app_id,
            which,
            follow: parsed.bool("follow"),
            last_lines: parsed.given("tail").then(|| parsed.uint("tail")),
            folder: parsed.str("dir").into(),
        })
    }
}

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let options = match Options::try_new(&parsed) {
        Ok(options) => options,
        Err(message) => return crate::misused(&SPEC, &message),
    };
    let work = perform(&options, process.api_token.as_deref());
    let message = match http::block_on(work) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(message)) => message,
        Err(error) => format!("cannot begin: {error}"),
    };
    complain(&format!("{message}\n"));
    ExitCode::FAILURE
}

/// The error is for stderr.
async fn perform(options: &Options, token: Option<&str>) -> Result<(), String> {
    let mut sidecars = sidecars::find().sidecars;
    sidecars.retain(|it| it.app_id == options.app_id);
    sidecars::ask(&mut sidecars, token).await;
    // The newest last.
    let instance = sidecars.last();
    if sidecars.len() > 1 {
        let (id, pid) = (printable(&options.app_id), instance.map(|it| it.pid));
        let pid = pid.unwrap_or_default();
        complain(&format!(
            "several instances of {id} run; these are the logs of the newest (sidecar {pid})\n"
        ));
    }
    let told = instance.and_then(|it| it.metadata());
    let logs = match told {
        Some(told) => files::told(told, options.which),
        None => files::newest(&options.folder, &options.app_id, options.which),
    };
    if logs.is_empty() {
        return Err(nothing(options, instance));
    }
    let mut tails = Vec::new();
    for log in &logs {
        let title = (logs.len() > 1).then(|| log.title());
        tails.push(Tail::try_new(log.path(), title, options.last_lines)?);
    }
    tail::show(tails, options.follow).await
}

/// Why there is nothing to show, and what would help.
fn nothing(options: &Options, instance: Option<&sidecars::Sidecar>) -> String {
    let id = printable(&options.app_id);
    let Some(instance) = instance else {
        let folder = options.folder.display().to_string();
        return format!(
            "no sidecar of {id} runs, and neither {0}/.dapr/logs nor {0}/*/.dapr/logs has log \
             files of it; --dir looks elsewhere",
            printable(&folder)
        );
    };
    if instance.metadata().is_none() {
        return format!(
            "the sidecar of {id} (pid {}) does not tell where it logs; 'outrider list' says why",
            instance.pid
        );
    }
    let place = match instance.cli_pid() {
        Some(pid) => format!("the console of process {pid}"),
        None => "the console it was started in".to_owned(),
    };
    let who = match options.which {
        Which::App => format!("the app {id}"),
        Which::Sidecar => format!("the sidecar of {id}"),
        Which::Both => format!("{id} and its sidecar"),
    };
    format!(
        "nothing of {who} is in a file, it goes to {place}; 'run -f' writes files where \
         appLogDestination or daprdLogDestination is file or fileAndConsole"
    )
}

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, parse};

    use super::*;
    use crate::sidecars::{Answer, Metadata, Sidecar};

    fn read(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&SPEC, &words) {
            Ok(Outcome::Parsed(parsed)) => Options::try_new(&parsed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_app_is_named_either_way() {
        assert_eq!(read("shop").unwrap().app_id, "shop");
        let options = read("-a shop -f --tail 3 --app").unwrap();
        assert!(options.follow);
        assert_eq!((options.last_lines, options.which), (Some(3), Which::App));
        assert_eq!(read("").unwrap_err(), "name an app id");
        assert_eq!(read("a b").unwrap_err(), "name one app id only");
    }

    #[test]
    fn an_app_on_a_console_is_told_as_such() {
        let sidecar = Sidecar {
            answer: Answer::Told(Box::new(Metadata {
                cli_pid: Some(7),
                ..Metadata::default()
            })),
            ..Sidecar::default()
        };
        let text = nothing(&read("shop --app").unwrap(), Some(&sidecar));
        assert!(
            text.starts_with(
                "nothing of the app shop is in a file, it goes to the console of process 7;"
            ),
            "{text}"
        );
        let text = nothing(&read("shop").unwrap(), None);
        assert!(text.starts_with("no sidecar of shop runs"), "{text}");
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(SPEC.help().lines().all(|line| line.chars().count() <= 100));
    }
}
