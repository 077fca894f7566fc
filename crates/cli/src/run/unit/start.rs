//! The start of both processes, and word of it.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    path::Path,
    process::Stdio,
    time::Duration,
};

use outrider_config::env::OUTRIDER_END_WITH;
use tokio::process::Command;

use super::{Pair, Stage, Unit};
use crate::notice::with_notice;
use crate::run::{
    api::Api,
    arguments,
    child::{Child, Group},
    copy::{Route, Shown},
    environment::{self, Variables},
    log_file::LogFile,
    plan::{Destination, Origin},
    program::Program,
    ready::{self, Keys},
    said::Said,
    screen::{Screen, Source, Status},
};

/// What all units have in common.
#[derive(Debug)]
pub(in crate::run) struct Shared {
    pub(in crate::run) program: Program,
    pub(in crate::run) variables: Variables,
    pub(in crate::run) origin: Origin,
    pub(in crate::run) screen: Screen,
    /// What the API of a sidecar wants to see.
    pub(in crate::run) token: Option<String>,
}

/// Who writes.
#[derive(Clone, Debug)]
pub(in crate::run) struct Sources {
    pub(in crate::run) app: Source,
    pub(in crate::run) sidecar: Source,
}

/// The log files there are.
#[derive(Debug)]
pub(super) struct Logs {
    app: Option<LogFile>,
    sidecar: Option<LogFile>,
}

impl Unit {
    pub(super) fn open_logs(&self) -> Result<Logs, String> {
        let member = &self.member;
        let open = |to: Destination, kind: &str| {
            let file = to
                .has_file()
                .then(|| LogFile::create(&member.folder, &member.name, kind));
            file.transpose().map_err(|error| {
                let folder = member.folder.display();
                format!("no log file can be written in {folder}/.dapr/logs: {error}")
            })
        };
        let app = match member.command.is_empty() {
            true => None,
            false => open(member.app_log, "app")?,
        };
        let sidecar = open(member.sidecar_log, "daprd")?;
        if let Some(log) = sidecar.as_ref().or(app.as_ref())
            && let Some(folder) = log.path().parent()
        {
            let text = format!("{}: log files are in {}", member.name, folder.display());
            self.shared.screen.tell(Status::Info, text);
        }
        Ok(Logs { app, sidecar })
    }

    /// Says so if the app's program is not there, before anything is started.
    pub(super) fn find_command(&self) -> Result<(), String> {
        let member = &self.member;
        let Some(program) = member.command.first() else {
            return Ok(());
        };
        let variables = environment::of_app(&self.shared.variables, member, &self.reserved.ports);
        let path = variables.get(OsStr::new("PATH"));
        let is_there = match path {
            Some(path) if !program.contains('/') => std::env::split_paths(path)
                .any(|folder| member.folder.join(folder).join(program).exists()),
            // The system has a PATH of its own if there is none.
            None if !program.contains('/') => true,
            _ => member.folder.join(program).exists(),
        };
        match is_there {
            true => Ok(()),
            false => Err(no_start(
                program,
                &member.folder,
                &io::ErrorKind::NotFound.into(),
            )),
        }
    }

    /// Nothing for a sidecar alone.
    pub(super) fn start_app(&self, logs: &Logs) -> Result<Option<Child>, String> {
        let member = &self.member;
        let Some((program, arguments)) = member.command.split_first() else {
            return Ok(None);
        };
        // One app may be typed to; several could not share what is typed.
        let (stdin, group) = match self.shared.origin {
            Origin::Flags if io::stdin().is_terminal() => (Stdio::inherit(), Group::Ours),
            Origin::Flags => (Stdio::inherit(), Group::Own),
            Origin::Template { .. } => (Stdio::null(), Group::Own),
        };
        let variables = &self.shared.variables;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&member.folder)
            .env_clear()
            .envs(environment::of_app(variables, member, &self.reserved.ports))
            .stdin(stdin);
        let shown = match member.app_log.has_console() {
            true => Shown::All,
            false => Shown::None,
        };
        let route = Route {
            screen: self.shared.screen.clone(),
            source: self.sources.app.clone(),
            shown,
            file: logs.app.clone(),
            said: None,
        };
        let failed = |error| no_start(program, &member.folder, &error);
        Child::spawn(command, group, route)
            .map(Some)
            .map_err(failed)
    }

    pub(super) fn start_sidecar(&self, logs: &Logs, said: &Said) -> Result<Child, String> {
        let member = &self.member;
        let mut command = self.shared.program.command();
        command
            .args(arguments::of(member, &self.reserved.ports))
            .current_dir(&member.folder)
            .envs(environment::of_sidecar(
                &self.shared.variables,
                &self.shared.origin,
            ))
            .env(OUTRIDER_END_WITH, std::process::id().to_string())
            .stdin(Stdio::null());
        let shown = match member.sidecar_log.has_console() {
            true => Shown::All,
            false => Shown::Errors,
        };
        let route = Route {
            screen: self.shared.screen.clone(),
            source: self.sources.sidecar.clone(),
            shown,
            file: logs.sidecar.clone(),
            said: Some(said.clone()),
        };
        // A group of its own: Ctrl-C in the terminal is for us, who end it after the app.
        Child::spawn(command, Group::Own, route).map_err(|error| {
            let path = self.shared.program.path().display();
            format!("a sidecar can't be started from {path}: {error}")
        })
    }

    /// Until the pair can call and be called. Leaves the metadata as soon as it can be left.
    pub(super) fn becoming_ready(
        &self,
        logs: &Logs,
        app: Option<&Child>,
    ) -> impl Future<Output = ()> + use<> {
        let api = self.api();
        let keys = self.keys(logs, app);
        let screen = self.shared.screen.clone();
        let name = self.member.name.clone();
        let late = match self.member.sidecar.app_port {
            Some(port) => {
                format!("{name}: waiting until the app is well and listens on port {port}")
            }
            None => format!("{name}: waiting for the sidecar"),
        };
        async move {
            ready::outbound(&api).await;
            for why in ready::put(&api, &keys).await {
                let text = format!("{name}: the sidecar's metadata was not set, {why}");
                screen.tell(Status::Warning, text);
            }
            let told = || screen.tell(Status::Info, late);
            with_notice(ready::inbound(&api), LATE, told).await;
        }
    }

    pub(super) fn told_ready(&self, pair: &mut Pair) {
        self.stage.send_replace(Stage::Ready);
        let first = !std::mem::replace(&mut pair.was_ready, true);
        let member = &self.member;
        let (name, ports) = (&member.name, &self.reserved.ports);
        let api = self.api();
        let (place, grpc) = (api.place(), ports.grpc);
        let mut text = match member.sidecar.unix_domain_socket.as_str() {
            "" => format!("{name} is up and running; its sidecar: {place}, gRPC port {grpc}"),
            _ => format!("{name} is up and running; its sidecar: {place}"),
        };
        if first && self.shared.origin == Origin::Flags {
            let (curl, id) = (api.curl(), &member.app_id);
            text.push_str(&match member.sidecar.app_port {
                Some(_) => format!("\nto call it: {curl}/v1.0/invoke/{id}/method/<path>"),
                None => format!(
                    "\nto call others: {curl}/v1.0/invoke/<app id>/method/<path>\n\
                     others can't call {id}: no --app-port was given"
                ),
            });
        }
        self.shared.screen.tell(Status::Success, text);
    }

    pub(super) fn api(&self) -> Api {
        Api::of(
            &self.member,
            &self.reserved.ports,
            self.shared.token.clone(),
        )
    }

    /// What `list` and `stop` of both tools look for.
    fn keys(&self, logs: &Logs, app: Option<&Child>) -> Keys {
        let mut keys = vec![("cliPID", std::process::id().to_string())];
        if let Origin::Template { path, name } = &self.shared.origin {
            let path = path.as_ref().map(|path| path.display().to_string());
            keys.extend(path.map(|path| ("runTemplatePath", path)));
            keys.push(("runTemplateName", name.clone()));
            let path = |log: &LogFile| log.path().display().to_string();
            keys.extend(logs.app.as_ref().map(|log| ("appLogPath", path(log))));
            keys.extend(logs.sidecar.as_ref().map(|log| ("daprdLogPath", path(log))));
        }
        if let Some(app) = app {
            keys.push(("appPID", app.pid().to_string()));
            keys.push(("appCommand", self.member.command.join(" ")));
        }
        keys
    }
}

/// An app that takes longer to be ready is told of.
const LATE: Duration = Duration::from_secs(3);

/// The system says "no such file" for a program and for the folder alike.
fn no_start(program: &str, folder: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if !folder.is_dir() => {
            format!(
                "there is no folder {} to run {program} in",
                folder.display()
            )
        }
        io::ErrorKind::NotFound if program.contains(' ') => format!(
            "there is no command of the name {}; without quotes its words are a command and its \
             arguments: {}",
            outrider_core::quote::quote(program),
            program.trim()
        ),
        io::ErrorKind::NotFound => format!(
            "there is no command {program}; check its spelling, or PATH, or name it with its folder"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("{program} can't be run: {error}; is it a program (chmod +x)?")
        }
        _ => format!("{program} can't be run: {error}"),
    }
}
