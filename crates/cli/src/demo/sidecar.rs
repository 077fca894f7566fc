//! The two sidecar processes: started, waited for, ended.
//!
//! Each is the program itself with its `sidecar` command, as a user would start it, and nothing of
//! the user's environment, so that a token or a setting there can't spoil the demo.

mod log;

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{CALLEE, CALLER, error::Error, folder::Folder, ports};
use crate::http::{self, Connection};
use log::Log;

/// Both sidecars.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) caller: Sidecar,
    pub(super) callee: Sidecar,
}

/// One sidecar process.
#[derive(Debug)]
pub(super) struct Sidecar {
    app_id: &'static str,
    namespace: String,
    executable: PathBuf,
    arguments: Vec<String>,
    http_port: u16,
    pid: u32,
    child: Child,
    log: Log,
    /// Set once its end was noticed.
    status: Option<ExitStatus>,
}

impl Pair {
    /// Starts both without waiting for them.
    pub(super) fn spawn(
        executable: &Path,
        app_port: u16,
        port: Option<u16>,
        folder: &Folder,
    ) -> Result<Self, Error> {
        if let Some(port) = port {
            ports::check(port).map_err(|cause| Error::Port { port, cause })?;
        }
        let [own, a, b, c, d, e, f, g] = ports::free().map_err(Error::Ports)?;
        let other_flags = [
            format!("--app-port={app_port}"),
            format!("--resources-path={}", folder.resources().display()),
        ];
        let own_ports = [port.unwrap_or(own), a, b, c];
        let caller = Sidecar::spawn(executable, CALLER, &[], own_ports)?;
        let callee = Sidecar::spawn(executable, CALLEE, &other_flags, [d, e, f, g])?;
        Ok(Self { caller, callee })
    }

    /// Waits until both are healthy.
    pub(super) async fn ready(&mut self) -> Result<(), Error> {
        tokio::try_join!(self.caller.ready(), self.callee.ready())?;
        Ok(())
    }

    /// Those that ended since this was last asked.
    pub(super) fn newly_ended(&mut self) -> impl Iterator<Item = &Sidecar> {
        [&mut self.caller, &mut self.callee]
            .into_iter()
            .filter_map(|sidecar| {
                let ended = sidecar.status.is_none() && sidecar.try_wait();
                ended.then_some(&*sidecar)
            })
    }

    /// Waits until one ends that ran so far.
    pub(super) async fn next_end(&mut self) -> &Sidecar {
        tokio::select! {
            () = self.caller.end_noticed() => &self.caller,
            () = self.callee.end_noticed() => &self.callee,
        }
    }

    /// Asks both to end, and makes them if they don't in time.
    pub(super) async fn end(mut self) {
        self.caller.terminate();
        self.callee.terminate();
        let until = Instant::now() + END_LIMIT;
        tokio::join!(
            self.caller.wait_or_kill(until),
            self.callee.wait_or_kill(until)
        );
        // What a killed one left in the registry is removed by whoever reads it next.
        let _ = outrider_lookup::Registry::new().list();
    }
}

impl Sidecar {
    /// The ports: HTTP, gRPC, other sidecars, metrics.
    fn spawn(
        executable: &Path,
        app_id: &'static str,
        flags: &[String],
        ports: [u16; 4],
    ) -> Result<Self, Error> {
        let namespace = format!("demo-{}", std::process::id());
        let arguments = arguments(app_id, flags, ports);
        let failed = |cause| Error::Spawn {
            path: executable.to_owned(),
            cause,
        };
        let mut child = Command::new(executable)
            .args(&arguments)
            .env_clear()
            .env("NAMESPACE", &namespace)
            .env("DAPR_HOST_IP", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in the terminal is for the demo, which then ends its sidecars in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self {
            app_id,
            namespace,
            executable: executable.to_owned(),
            arguments,
            http_port: ports[0],
            pid: child.id().expect("a child nobody waited for has a pid"),
            log: Log::of(&mut child),
            child,
            status: None,
        })
    }

    pub(super) fn app_id(&self) -> &'static str {
        self.app_id
    }

    pub(super) fn http_port(&self) -> u16 {
        self.http_port
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if that was noticed.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Its last lines.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.log.last_lines()
    }

    /// A line for a shell that starts it again.
    pub(super) fn command_line(&self) -> String {
        format!(
            "NAMESPACE={} DAPR_HOST_IP=127.0.0.1 {} {}",
            self.namespace,
            self.executable.display(),
            self.arguments.join(" ")
        )
    }

    /// Waits for health, as anything that starts a sidecar does.
    async fn ready(&mut self) -> Result<(), Error> {
        let until = Instant::now() + READY_LIMIT;
        while Instant::now() < until {
            if self.try_wait() {
                let status = self.child.wait().await.ok();
                return Err(self
                    .failed(&format!("ended before it was ready{}", shown(status)))
                    .await);
            }
            if matches!(
                timeout(ATTEMPT, healthy(self.http_port)).await,
                Ok(Ok(true))
            ) {
                return Ok(());
            }
            sleep(POLL).await;
        }
        let seconds = READY_LIMIT.as_secs();
        Err(self
            .failed(&format!("was not ready within {seconds}s"))
            .await)
    }

    /// The error with what the process said.
    async fn failed(&mut self, what: &str) -> Error {
        self.log.drained().await;
        Error::Sidecar {
            app_id: self.app_id,
            pid: self.pid,
            what: what.to_owned(),
            log: self.log.as_cause(),
        }
    }

    /// Whether it ended; notices that.
    fn try_wait(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// Comes back once, when it ends.
    async fn end_noticed(&mut self) {
        if self.status.is_some() {
            return std::future::pending().await;
        }
        match self.child.wait().await {
            Ok(status) => self.status = Some(status),
            Err(_) => std::future::pending().await,
        }
    }

    fn terminate(&mut self) {
        // A pid is ours until the child was waited for.
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    async fn wait_or_kill(&mut self, until: Instant) {
        if timeout_at(until, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// What stands behind the program's name.
fn arguments(app_id: &str, flags: &[String], ports: [u16; 4]) -> Vec<String> {
    let [http, grpc, internal, metrics] = ports;
    let mut arguments = vec!["sidecar".to_owned(), format!("--app-id={app_id}")];
    arguments.extend_from_slice(flags);
    arguments.extend([
        format!("--dapr-http-port={http}"),
        format!("--dapr-grpc-port={grpc}"),
        format!("--dapr-internal-grpc-port={internal}"),
        format!("--metrics-port={metrics}"),
        "--dapr-listen-addresses=127.0.0.1".to_owned(),
        "--dapr-internal-grpc-listen-address=127.0.0.1".to_owned(),
        "--metrics-listen-address=127.0.0.1".to_owned(),
        // Nothing leaves the machine, and no other namespace's app stands in for ours.
        "--mdns=false".to_owned(),
        "--dapr-graceful-shutdown-seconds=1".to_owned(),
        "--log-level=error".to_owned(),
    ]);
    arguments
}

async fn healthy(port: u16) -> Result<bool, http::Error> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut connection = Connection::new(stream);
    let request = "GET /v1.0/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    connection.send(request.as_bytes()).await?;
    let (head, _) = connection.response().await?;
    Ok(head.status == 204)
}

fn shown(status: Option<ExitStatus>) -> String {
    status.map_or_else(String::new, |status| format!(" ({status})"))
}

/// A sidecar tries for ten seconds to get a port that is in use, and then tells which it was.
const READY_LIMIT: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(5);
const ATTEMPT: Duration = Duration::from_secs(1);
const END_LIMIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sidecar_that_ends_at_once_is_told_with_its_last_words() {
        // Any program that refuses the flags of a sidecar.
        let folder = Folder::try_new().unwrap();
        let mut pair = Pair::spawn(Path::new("/bin/cat"), 1, None, &folder).unwrap();
        let error = pair.caller.ready().await.unwrap_err().to_string();
        pair.end().await;
        assert!(error.starts_with("the sidecar of orders (pid "), "{error}");
        assert!(
            error.contains("ended before it was ready (exit status: 1): "),
            "{error}"
        );
        assert!(error.contains("\nits last lines:\n  "), "{error}");
        assert!(error.contains("option"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_started_is_named() {
        let folder = Folder::try_new().unwrap();
        let executable = Path::new("/nowhere/outrider");
        let error = Pair::spawn(executable, 1, None, &folder).unwrap_err();
        let expected = "cannot start a sidecar from /nowhere/outrider: ";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
