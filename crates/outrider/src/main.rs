//! `outrider`: one binary, several names. Called as `daprd` it is the sidecar, with that program's
//! command line; otherwise its first argument says what it is.

mod host;
mod sidecar;
mod starter;
mod wait;

use std::{ffi::OsString, path::Path, process::ExitCode};

use outrider_config::sidecar_flags::Form;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let is_daprd = Path::new(&name)
        .file_stem()
        .is_some_and(|stem| stem == "daprd");
    if is_daprd {
        return sidecar(Form::Daprd, &arguments);
    }
    match arguments.split_first() {
        Some((command, rest)) if command == "sidecar" => sidecar(Form::Outrider, rest),
        _ => outrider_cli::main(&outrider_cli::Process {
            arguments: &arguments,
            environment: &environment(),
            folder: std::env::current_dir().unwrap_or_default(),
            runtime_version: outrider_sidecar::RUNTIME_VERSION,
            executable: std::env::current_exe().ok(),
            no_color: no_color(),
            api_token: api_token(),
        }),
    }
}

fn sidecar(form: Form, arguments: &[String]) -> ExitCode {
    match starter::watch() {
        true => sidecar::main(form, arguments),
        // Nobody is left who wants it.
        false => ExitCode::SUCCESS,
    }
}

/// The user wants no colours (no-color.org), or has a terminal without them.
fn no_color() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process entry reads the environment"
    )]
    let variable = |name| std::env::var_os(name);
    variable("NO_COLOR").is_some_and(|value| !value.is_empty())
        || variable("TERM").is_some_and(|value| value == "dumb")
}

/// What the sidecars of this user ask for, if they do; an empty one is none (contract, cli 1).
fn api_token() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process entry reads the environment"
    )]
    let token = std::env::var("DAPR_API_TOKEN").ok();
    token.filter(|token| !token.is_empty())
}

/// All variables, which `run` hands on to apps.
fn environment() -> Vec<(OsString, OsString)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process entry reads the environment"
    )]
    std::env::vars_os().collect()
}
