//! What is measured: the app itself, two HAProxy processes, two sidecars before it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use outrider_testkit::{free_ports, unique_id};
use tokio::time::sleep;

use crate::client::Connection;
use crate::process::Running;

/// The release binary.
pub(crate) const OUTRIDER: &str = env!("CARGO_BIN_EXE_outrider");

/// Files that a subject needs go here.
pub(crate) const FILES: &str = env!("CARGO_TARGET_TMPDIR");

const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the app.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Where a client connects.
    pub(crate) port: u16,
    /// What stands before the app's paths.
    prefix: String,
    /// Caller's side first; none for the direct way.
    pub(crate) processes: Vec<Running>,
    /// Ports of the HTTP APIs, for orderly ends.
    apis: Vec<u16>,
}

/// The app without anything between.
pub(crate) fn direct(app: u16) -> Subject {
    Subject {
        name: "direct",
        port: app,
        prefix: String::new(),
        processes: Vec::new(),
        apis: Vec::new(),
    }
}

/// What the installed HAProxy calls itself.
pub(crate) fn haproxy_version() -> Option<String> {
    let said = Command::new("haproxy").arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout);
    text.lines().next().map(str::to_owned)
}

/// Two HAProxy processes, one before the other, mode http.
pub(crate) async fn haproxy(app: u16) -> io::Result<Option<Subject>> {
    if haproxy_version().is_none() {
        return Ok(None);
    }
    let [outer, inner] = free_ports()?;
    let mut processes = Vec::new();
    let mut files = Vec::new();
    for (port, next) in [(outer, inner), (inner, app)] {
        let file = Path::new(FILES).join(unique_id("haproxy") + ".cfg");
        fs::write(&file, haproxy_config(port, next))?;
        let mut command = Command::new("haproxy");
        processes.push(Running::start(command.arg("-db").arg("-f").arg(&file))?);
        files.push(file);
    }
    let mut subject = Subject {
        name: "haproxy",
        port: outer,
        prefix: String::new(),
        processes,
        apis: Vec::new(),
    };
    let ready = subject.ready().await;
    // They are read at the start only.
    files.iter().try_for_each(fs::remove_file)?;
    ready.map(|()| Some(subject))
}

fn haproxy_config(port: u16, next: u16) -> String {
    format!(
        "global
  nbthread 2
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{next}
"
    )
}

/// How a sidecar is started: `wrapped` stands before the command line, for tools that watch it.
#[derive(Clone, Default)]
pub(crate) struct Sidecar {
    /// Another program than ours that takes the same flags.
    pub(crate) program: Option<String>,
    pub(crate) wrapped: Vec<String>,
    pub(crate) flags: Vec<String>,
}

/// Where a sidecar's APIs are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) grpc: u16,
}

impl Sidecar {
    /// The command line of a sidecar, and the ports of its APIs.
    pub(crate) fn command(&self, id: &str, app: Option<u16>) -> io::Result<(Command, Ports)> {
        let [http, grpc, internal, metrics, profile] = free_ports()?;
        let mut words = self.wrapped.clone();
        match &self.program {
            Some(program) => words.push(program.clone()),
            None => words.extend([OUTRIDER.to_owned(), "sidecar".to_owned()]),
        }
        words.extend([
            format!("--app-id={id}"),
            format!("--dapr-http-port={http}"),
            format!("--dapr-grpc-port={grpc}"),
            format!("--dapr-internal-grpc-port={internal}"),
            format!("--metrics-port={metrics}"),
            format!("--profile-port={profile}"),
            "--dapr-listen-addresses=127.0.0.1".to_owned(),
            "--dapr-internal-grpc-listen-address=127.0.0.1".to_owned(),
            "--metrics-listen-address=127.0.0.1".to_owned(),
            "--log-level=error".to_owned(),
        ]);
        words.extend(app.map(|port| format!("--app-port={port}")));
        words.extend(self.flags.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("DAPR_HOST_IP", "127.0.0.1");
        Ok((command, Ports { http, grpc }))
    }
}

/// Two sidecars that find each other through the same-host registry.
pub(crate) async fn outrider(app: u16, caller: &Sidecar, callee: &Sidecar) -> io::Result<Subject> {
    let id = unique_id("callee");
    let (mut command, callee_ports) = callee.command(&id, Some(app))?;
    let callee = Running::start(&mut command)?;
    let (mut command, caller_ports) = caller.command(&unique_id("caller"), None)?;
    let caller = Running::start(&mut command)?;
    let mut subject = Subject {
        name: "outrider",
        port: caller_ports.http,
        prefix: format!("/v1.0/invoke/{id}/method"),
        processes: vec![caller, callee],
        apis: vec![caller_ports.http, callee_ports.http],
    };
    subject.ready().await?;
    Ok(subject)
}

impl Subject {
    /// A request for `path` of the app; `fields` are header lines with their ends.
    pub(crate) fn request(&self, verb: &str, path: &str, fields: &str) -> Vec<u8> {
        let prefix = &self.prefix;
        format!("{verb} {prefix}{path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
    }

    /// CPU seconds of all processes so far.
    pub(crate) fn cpu(&self) -> io::Result<f64> {
        self.processes.iter().map(Running::cpu).sum()
    }

    /// Resident memory of the largest process in MiB.
    pub(crate) fn resident(&self) -> io::Result<f64> {
        let mut each = self.processes.iter().map(Running::resident);
        each.try_fold(0.0, |max, one| Ok(f64::max(max, one?)))
    }

    /// Asks the sidecars to end and waits until they have.
    pub(crate) async fn shut_down(mut self) -> io::Result<()> {
        for port in &self.apis {
            let request = b"POST /v1.0/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
            Connection::open(*port).await?.call(request).await?;
        }
        for process in &mut self.processes {
            process.ended().await?;
        }
        Ok(())
    }

    /// Waits until calls come through.
    async fn ready(&mut self) -> io::Result<()> {
        let request = self.request("GET", "/answer/1", "");
        let until = Instant::now() + PATIENCE;
        loop {
            self.processes.iter_mut().try_for_each(Running::check)?;
            let last = match Connection::open(self.port).await {
                Ok(mut connection) => match connection.call(&request).await {
                    Ok(200) => return Ok(()),
                    other => format!("{other:?}"),
                },
                Err(error) => error.to_string(),
            };
            if Instant::now() > until {
                let name = self.name;
                return Err(io::Error::other(format!("{name} does not answer: {last}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}
