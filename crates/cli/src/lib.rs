//! Commands for people: an overview, the demo, the list of sidecars.
//!
//! They know sidecars through their APIs and the same-host registry only, and never look inside
//! one. Whatever they need of the process (arguments, executable, settings of the environment)
//! comes in as a [`Process`].

mod columns;
mod demo;
mod list;
mod output;
mod overview;
mod suggest;

use std::{path::PathBuf, process::ExitCode};

use outrider_config::flags::{self, Outcome, Parsed, Spec};

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
}

/// Runs the command line behind `outrider`. `outrider sidecar` never comes here.
pub fn main(process: &Process<'_>) -> ExitCode {
    let output = Output::new(process.no_color);
    let Some((command, rest)) = process.arguments.split_first() else {
        return output.finish(&overview::text());
    };
    match command.as_str() {
        "demo" => demo::main(process, rest, output),
        "list" => list::main(rest, output),
        "help" => help(rest, output),
        "--help" | "-h" => output.finish(&overview::text()),
        "--version" | "version" => output.finish(&overview::version(process.runtime_version)),
        unknown => {
            complain(&overview::unknown(unknown));
            ExitCode::from(USAGE)
        }
    }
}

/// `outrider help [command]`.
fn help(arguments: &[String], output: Output) -> ExitCode {
    let text = match arguments.first().map(String::as_str) {
        None | Some("help") => overview::text(),
        Some("demo") => demo::SPEC.help(),
        Some("list") => list::SPEC.help(),
        Some("sidecar") => outrider_config::sidecar_flags::Form::Outrider.spec().help(),
        Some(unknown) => {
            complain(&overview::unknown(unknown));
            return ExitCode::from(USAGE);
        }
    };
    output.finish(&text)
}

/// Reads a command's arguments; help and mistakes are answered here, with the exit code to end with.
fn read(spec: &Spec, arguments: &[String], output: Output) -> Result<Parsed, ExitCode> {
    match flags::parse(spec, arguments) {
        Ok(Outcome::Parsed(parsed)) if parsed.positionals.is_empty() => Ok(parsed),
        Ok(Outcome::Parsed(parsed)) => {
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
