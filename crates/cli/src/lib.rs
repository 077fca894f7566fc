//! Commands for people: an overview, the demo, and what one does with sidecars from a shell.
//!
//! They know sidecars through their APIs, the same-host registry and the system's table of
//! processes only, and never look inside one. Whatever they need of their own process (arguments,
//! executable, settings of the environment) comes in as a [`Process`].

mod columns;
mod completions;
mod demo;
mod grpc;
mod http;
mod invoke;
mod list;
mod log_line;
mod logs;
mod notice;
mod output;
mod overview;
mod private_folder;
mod procfs;
mod run;
mod sidecars;
mod stop;
mod suggest;
mod version;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use outrider_config::flags::{self, Outcome, Parsed, Positionals, Spec};
use outrider_config::sidecar_flags::Form;

use output::{Output, complain};

/// What the process entry knows and the commands need.
#[derive(Debug)]
pub struct Process<'a> {
    /// The arguments behind the program's name.
    pub arguments: &'a [String],
    /// The version of Dapr's runtime API that the sidecar serves.
    pub runtime_version: &'a str,
    /// The file this process runs, if the system tells; the demo starts its sidecars from it.
    pub executable: Option<PathBuf>,
    /// The environment asks for no colours (<https://no-color.org>).
    pub no_color: bool,
    /// The environment, for what is started.
    pub environment: &'a [(OsString, OsString)],
    /// The working folder.
    pub folder: PathBuf,
    /// The token that the sidecars of this user ask for, if they do (`DAPR_API_TOKEN`).
    pub api_token: Option<String>,
}

/// A command, in the order of the overview. What is listed here is helped with, suggested and
/// completed.
struct Command {
    name: &'static str,
    /// What it does, in a line of the overview.
    summary: &'static str,
    spec: Spec,
    /// The arguments are those behind the command's name.
    main: fn(&Process<'_>, &[String], Output) -> ExitCode,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        summary: "See it work: two small apps, a sidecar beside each, an order a second",
        spec: demo::SPEC,
        main: demo::main,
    },
    Command {
        name: "sidecar",
        summary: "Run a sidecar beside your app; takes the flags of daprd",
        spec: Form::Outrider.spec(),
        main: |_, _, output| output.finish(&Form::Outrider.spec().help()),
    },
    Command {
        name: "run",
        summary: "Run an app and its sidecar, or several of them from a template",
        spec: run::SPEC,
        main: run::main,
    },
    Command {
        name: "list",
        summary: "Show the sidecars on this machine",
        spec: list::SPEC,
        main: list::main,
    },
    Command {
        name: "stop",
        summary: "End an app and its sidecar, in order",
        spec: stop::SPEC,
        main: stop::main,
    },
    Command {
        name: "invoke",
        summary: "Call an app through a sidecar",
        spec: invoke::SPEC,
        main: invoke::main,
    },
    Command {
        name: "logs",
        summary: "Show what an app or its sidecar wrote",
        spec: logs::SPEC,
        main: logs::main,
    },
    Command {
        name: "version",
        summary: "Tell the versions of this program and of the runtime API",
        spec: version::SPEC,
        main: version::main,
    },
    Command {
        name: "completions",
        summary: "Make your shell complete commands, flags and app ids",
        spec: completions::SPEC,
        main: completions::main,
    },
    Command {
        name: "help",
        summary: "Explain a command, as 'outrider <command> --help' does",
        spec: HELP,
        main: help,
    },
];

const HELP: Spec = Spec {
    usage_name: "outrider help",
    usage_tail: "[command]",
    about: "Explains a command.",
    flags: &[],
    positionals: Positionals::Anywhere,
};

/// Runs the command line behind `outrider`. `outrider sidecar` never comes here.
pub fn main(process: &Process<'_>) -> ExitCode {
    let output = Output::new(process.no_color);
    let Some((name, rest)) = process.arguments.split_first() else {
        return output.finish(&overview::text());
    };
    match name.as_str() {
        "--help" | "-h" => output.finish(&overview::text()),
        "--version" => output.finish(&overview::version(process.runtime_version)),
        name => match command(name) {
            Some(command) => (command.main)(process, rest, output),
            None => {
                complain(&overview::unknown(name));
                ExitCode::from(USAGE)
            }
        },
    }
}

/// The command of that name; `completion` is how the dapr CLI spells it.
fn command(name: &str) -> Option<&'static Command> {
    let name = if name == "completion" {
        "completions"
    } else {
        name
    };
    COMMANDS.iter().find(|command| command.name == name)
}

/// `outrider help [command]`.
fn help(_: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let text = match arguments.first().map(String::as_str) {
        None | Some("help" | "--help" | "-h") => overview::text(),
        Some(name) => match command(name) {
            Some(command) => command.spec.help(),
            None => {
                complain(&overview::unknown(name));
                return ExitCode::from(USAGE);
            }
        },
    };
    output.finish(&text)
}

/// Reads a command's arguments; help and mistakes are answered here, with the exit code to end with.
fn read(spec: &Spec, arguments: &[String], output: Output) -> Result<Parsed, ExitCode> {
    match flags::parse(spec, arguments) {
        Ok(Outcome::Parsed(parsed)) => {
            // Those behind `--` come through the parser.
            let refused = spec.positionals == Positionals::Refused;
            if !refused || parsed.positionals.is_empty() {
                return Ok(parsed);
            }
            let word = outrider_core::quote::quote(&parsed.positionals[0]);
            Err(misused(spec, &format!("unexpected argument {word}")))
        }
        Ok(Outcome::Help) => Err(output.finish(&spec.help())),
        Err(error) => {
            complain(&error.render(spec));
            Err(ExitCode::from(USAGE))
        }
    }
}

/// Tells of a value that can't be used, in the form of the parser's own errors.
fn misused(spec: &Spec, message: &str) -> ExitCode {
    let error = flags::UsageError {
        message: message.to_owned(),
        suggestion: None,
        notices: Vec::new(),
    };
    complain(&error.render(spec));
    ExitCode::from(USAGE)
}

/// Exit code for a command line that can't be read.
const USAGE: u8 = 2;
