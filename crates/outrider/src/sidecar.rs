//! The sidecar as a process: arguments, log, settings, life, exit code (contract `lifecycle.md` 9).

use std::{io::Write, process::ExitCode};

use outrider_config::{
    env::Env,
    settings::{Draft, Error, Host, Log, LogLevel, Settings},
    sidecar_flags::{self, Command, Form, RawFlags},
};
use outrider_sidecar::{End, RUNTIME_VERSION};
use outrider_telemetry::log::{self, Format, Level, Options, Sink, scope};

use crate::{host, wait};

/// A command line that can't be read.
const USAGE: u8 = 2;

/// Runs the command line.
pub(crate) fn main(form: Form, arguments: &[String]) -> ExitCode {
    let invocation = match sidecar_flags::parse(form, arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            tell(&error.render(&form.spec()));
            return ExitCode::from(USAGE);
        }
    };
    for notice in &invocation.notices {
        tell(&format!("{notice}\n"));
    }
    match invocation.command {
        Command::Help(text) => {
            tell(&text);
            ExitCode::SUCCESS
        }
        Command::Version => say(&format!("{RUNTIME_VERSION}\n")),
        Command::BuildInfo => say(&format!(
            "Version: {RUNTIME_VERSION}\nGit Commit: outrider {}\nGit Version: v{RUNTIME_VERSION}\n",
            env!("CARGO_PKG_VERSION")
        )),
        Command::Wait { http_port } => wait::until_outbound_ready(&http_port),
        Command::Run(flags) => run(&flags),
    }
}

/// Lives, and lives again after SIGHUP with everything read anew.
fn run(flags: &RawFlags) -> ExitCode {
    let facts = host::facts();
    host::raise_open_files();
    let mut installed = false;
    loop {
        #[expect(
            clippy::disallowed_methods,
            reason = "the process entry reads the environment"
        )]
        let env = Env::new(std::env::vars_os().map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        }));
        let address = host::address(&env);
        let read = settings(flags, &env, &facts, &address, &mut installed);
        let (settings, variables) = match read {
            Ok(read) => read,
            Err(why) => return fatal(flags, &facts, installed, &why),
        };
        tracing::info!(target: scope::RUNTIME, "Enabled features: {}", settings.features.join(" "));
        tracing::info!(target: scope::RUNTIME_DIAGNOSTICS, "metric spec: {}", settings.metrics.spec.to_json());
        tracing::info!(target: scope::RUNTIME, "{} mode configured", settings.discovery.mode.as_str());
        tracing::info!(target: scope::RUNTIME, "app id: {}", settings.app.id);
        for line in settings.effective().lines() {
            tracing::debug!(target: scope::RUNTIME, "setting {line}");
        }
        let plan = outrider_sidecar::assemble(&settings, variables, host::cpus());
        let host = outrider_sidecar::Host {
            address,
            name: facts.hostname.clone(),
        };
        match outrider_sidecar::live(plan, host) {
            End::Stopped => return ExitCode::SUCCESS,
            End::Exit(code) => return ExitCode::from(code),
            End::Restart => {}
        }
    }
}

/// Reads and checks everything. The log is installed as soon as it is known how. Also gives the
/// variables that files may refer to.
fn settings(
    flags: &RawFlags,
    env: &Env,
    facts: &Host,
    address: &str,
    installed: &mut bool,
) -> Result<(Settings, Env), Error> {
    let draft = Draft::try_new(flags.clone(), env, facts)?;
    if !*installed {
        install(draft.log(), draft.app_id().as_str(), facts);
        *installed = true;
        tracing::info!(
            target: scope::RUNTIME,
            "Starting Dapr Runtime -- version {RUNTIME_VERSION} -- commit outrider-{}", env!("CARGO_PKG_VERSION")
        );
        tracing::info!(target: scope::RUNTIME, "Log level set to: {}", draft.log().level.as_str());
    }
    let internal_port = draft.listen().internal_port.number();
    let variables = Env::new(draft.expansion(address, internal_port));
    Ok((draft.load(address, internal_port)?, variables))
}

fn install(log: &Log, app_id: &str, facts: &Host) {
    let options = Options {
        level: match log.level {
            LogLevel::Debug => Level::Debug,
            LogLevel::Info => Level::Info,
            LogLevel::Warn => Level::Warn,
            LogLevel::Error => Level::Error,
            LogLevel::Fatal => Level::Fatal,
        },
        format: if log.json { Format::Json } else { Format::Text },
        app_id: app_id.to_owned(),
        instance: facts.hostname.clone(),
        version: RUNTIME_VERSION.to_owned(),
        sink: log
            .file
            .as_ref()
            .map_or(Sink::Stdout, |file| Sink::File(file.into())),
        ..Options::default()
    };
    if let Err(error) = log::install(options) {
        tell(&format!("{error}\n"));
    }
}

/// One fatal line, and the exit code that goes with it.
fn fatal(flags: &RawFlags, facts: &Host, installed: bool, why: &Error) -> ExitCode {
    if !installed {
        let log = Log::try_new(flags).unwrap_or(Log {
            level: LogLevel::Info,
            json: flags.log_as_json,
            file: None,
        });
        install(&log, &flags.app_id, facts);
    }
    tracing::error!(target: scope::RUNTIME, fatal = true, "{why}");
    ExitCode::FAILURE
}

/// To stdout.
fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// To stderr; there is nobody to tell if that fails.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
