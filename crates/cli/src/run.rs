//! `outrider run`: an app and its sidecar, or several of them from a template.
//!
//! Takes the flags and the templates of `dapr run` (contract `cli.md` 3 to 5). Reads no environment
//! itself and ends whatever it starts.

mod api;
mod arguments;
mod child;
mod copy;
mod dapr_folder;
mod descendants;
mod environment;
mod error;
mod flags;
mod halt;
mod leftovers;
mod log_file;
mod options;
mod plan;
mod ports;
mod program;
mod ready;
mod resources;
mod said;
mod screen;
mod store;
mod supervise;
mod template;
mod unit;
mod values;
mod verdict;

use std::process::ExitCode;

use outrider_config::flags::{self as parser, Outcome, Parsed};

use crate::{
    Process, USAGE,
    output::{Output, complain},
};
use environment::Variables;
use error::Error;
pub(crate) use flags::SPEC;
use options::Notes;
use plan::Origin;
use screen::Status;
use supervise::Start;
use template::Surroundings;

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match parser::parse(&SPEC, arguments) {
        Ok(Outcome::Parsed(parsed)) => parsed,
        Ok(Outcome::Help) => return output.finish(&SPEC.help()),
        Err(mut error) => {
            if error.message.contains("strconv.ParseInt") {
                error.message.push_str("; write a whole number");
            }
            complain(&error.render(&SPEC));
            return ExitCode::from(USAGE);
        }
    };
    if parsed.given_str("run-file").is_some_and(|it| it.is_empty()) {
        return crate::misused(&SPEC, "--run-file is empty; name a template or its folder");
    }
    if parsed.bool("kubernetes") {
        complain(KUBERNETES);
        return ExitCode::from(USAGE);
    }
    for notice in &parsed.notices {
        complain(&format!("{notice}\n"));
    }
    match prepared(process, &parsed).and_then(supervise::run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let json = parsed.bool("log-as-json");
            complain(&screen::last_words(json, &error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// What the command line and the template ask for.
fn prepared(process: &Process<'_>, parsed: &Parsed) -> Result<Start, Error> {
    let executable = process.executable.clone().ok_or(Error::NoExecutable)?;
    let variables: Variables = process.environment.iter().cloned().collect();
    let mut notes = Notes::new();
    let (members, origin) = match parsed.str("run-file") {
        file if file.is_empty() => {
            let member = options::member(parsed, &process.folder, &variables, &mut notes)?;
            (vec![member], Origin::Flags)
        }
        file => {
            notes.extend(ignored(parsed));
            let around = Surroundings {
                folder: &process.folder,
                variables: &variables,
                runtime_path: &parsed.str("runtime-path"),
                log_as_json: parsed.bool("log-as-json"),
            };
            template::load(&file, &around, &mut notes)?
        }
    };
    Ok(Start {
        members,
        origin,
        executable,
        variables,
        token: process.api_token.clone(),
        look: screen::look(parsed.bool("log-as-json"), process.no_color),
        notes,
    })
}

/// What stands beside `--run-file` and has no effect.
fn ignored(parsed: &Parsed) -> Option<(Status, String)> {
    let names = SPEC.flags.iter().map(|flag| flag.name);
    let without_effect = names.filter(|name| !flags::WITH_TEMPLATE.contains(name));
    let mut given: Vec<String> = without_effect
        .filter(|name| parsed.given(name))
        .map(|name| format!("--{name}"))
        .collect();
    given.extend(
        parsed
            .positionals
            .first()
            .map(|word| format!("the command {word}")),
    );
    let all = given.join(", ");
    let text = format!("ignored, because the template describes the apps: {all}");
    (!given.is_empty()).then_some((Status::Warning, text))
}

const KUBERNETES: &str = "\
outrider run starts apps on this machine and does not deploy to Kubernetes. Leave out -k to run the
template here, or use kubectl, or Dapr's own tool: dapr run -k -f <template>
outrider run: --kubernetes is not supported
";

#[cfg(test)]
mod tests {
    use super::plan::{Destination, Member, Restart, Sidecar};

    /// An app that nothing was said about.
    pub(super) fn member(id: &str) -> Member {
        Member {
            name: id.to_owned(),
            app_id: id.to_owned(),
            folder: "/".into(),
            command: vec!["true".to_owned()],
            variables: Default::default(),
            sidecar: Sidecar::default(),
            app_log: Destination::Console,
            sidecar_log: Destination::Console,
            depends_on: Vec::new(),
            restart: Restart::No,
        }
    }
}
