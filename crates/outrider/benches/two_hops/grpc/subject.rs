//! What carries the calls: nothing, two bare relays, two sidecars, two of the reference's.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use outrider_testkit::{free_ports, unique_id};
use tokio::time::sleep;

use super::app::LENGTH;
use super::client::Caller;
use super::message::framed;
use super::{gathered, relay};
use crate::client::Connection;
use crate::process::Running;
use crate::subject::Sidecar;

const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the gRPC app.
pub(crate) struct Subject {
    pub(super) name: &'static str,
    /// Where a client connects.
    pub(super) port: u16,
    /// The app that sidecars are asked for.
    pub(super) target: Option<String>,
    /// Caller's side first; none for the direct way.
    pub(super) processes: Vec<Running>,
    ends: Ends,
}

/// How the processes are asked to end.
#[derive(Clone, Copy, Debug)]
enum Ends {
    None,
    /// Over these HTTP APIs.
    Apis([u16; 2]),
    /// By a call to each of these.
    Relays([u16; 2]),
}

/// The app without anything between.
pub(super) fn direct(app: u16) -> Subject {
    Subject {
        name: "direct",
        port: app,
        target: None,
        processes: Vec::new(),
        ends: Ends::None,
    }
}

/// Two relays; `wrapped` has what stands before each one's command line.
pub(super) async fn relays(app: u16, wrapped: [&[String]; 2]) -> io::Result<Subject> {
    let [outer, inner] = free_ports()?;
    let bench = std::env::current_exe()?.display().to_string();
    let mut processes = Vec::new();
    for (wrapped, port, next) in [(wrapped[1], inner, app), (wrapped[0], outer, inner)] {
        let mut words = wrapped.to_vec();
        words.extend([bench.clone(), "--relay".to_owned()]);
        words.extend([port.to_string(), next.to_string()]);
        processes.push(Running::start(Command::new(&words[0]).args(&words[1..]))?);
    }
    processes.reverse();
    let mut subject = Subject {
        name: "relays",
        port: outer,
        processes,
        ends: Ends::Relays([outer, inner]),
        ..direct(app)
    };
    subject.ready().await?;
    Ok(subject)
}

/// Two sidecars that find each other through the same-host registry.
pub(super) async fn outrider(app: u16, caller: &Sidecar, callee: &Sidecar) -> io::Result<Subject> {
    sidecars("outrider", app, caller, callee).await
}

/// Two sidecars of the reference, which find each other by multicast.
pub(super) async fn daprd(app: u16, program: &str) -> io::Result<Subject> {
    let sidecar = Sidecar {
        program: Some(program.to_owned()),
        flags: vec!["--mode=standalone".to_owned()],
        ..Sidecar::default()
    };
    sidecars("daprd", app, &sidecar, &sidecar).await
}

async fn sidecars(
    name: &'static str,
    app: u16,
    caller: &Sidecar,
    callee: &Sidecar,
) -> io::Result<Subject> {
    let id = unique_id("callee");
    let mut callee = callee.clone();
    callee.flags.push("--app-protocol=grpc".to_owned());
    let (mut command, callee_ports) = callee.command(&id, Some(app))?;
    let callee = Running::start(&mut command)?;
    let (mut command, caller_ports) = caller.command(&unique_id("caller"), None)?;
    let caller = Running::start(&mut command)?;
    let mut subject = Subject {
        name,
        port: caller_ports.grpc,
        target: Some(id),
        processes: vec![caller, callee],
        ends: Ends::Apis([caller_ports.http, callee_ports.http]),
    };
    subject.ready().await?;
    Ok(subject)
}

impl Subject {
    /// CPU seconds of all processes so far.
    pub(super) fn cpu(&self) -> io::Result<f64> {
        self.processes.iter().map(Running::cpu).sum()
    }

    /// Resident memory of each process in MiB.
    pub(super) fn resident(&self) -> io::Result<Vec<f64>> {
        self.processes.iter().map(Running::resident).collect()
    }

    /// Asks the processes to end and waits until they have.
    pub(super) async fn shut_down(mut self) -> io::Result<()> {
        match self.ends {
            Ends::None => {}
            Ends::Apis(ports) => {
                for port in ports {
                    let request =
                        b"POST /v1.0/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
                    Connection::open(port).await?.call(request).await?;
                }
            }
            Ends::Relays(ports) => {
                for port in ports {
                    let mut send = gathered::connect(port, 65_535).await?;
                    let mut req = http::Request::new(());
                    *req.uri_mut() = http::Uri::from_static(relay::END_URI);
                    let sent = send.send_request(req, true).map_err(io::Error::other)?;
                    // No answer comes: the connection breaks.
                    let _ = sent.0.await;
                }
            }
        }
        for process in &mut self.processes {
            process.ended().await?;
        }
        Ok(())
    }

    /// Waits until calls come through.
    async fn ready(&mut self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.processes.iter_mut().try_for_each(Running::check)?;
            let called = async {
                let caller = Caller::open(self).await?;
                caller.unary(framed(&[b'x'; LENGTH])).await
            };
            let last = match tokio::time::timeout(PATIENCE, called).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "nothing".to_owned(),
            };
            if Instant::now() > until {
                let name = self.name;
                return Err(io::Error::other(format!("{name} does not answer: {last}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}
