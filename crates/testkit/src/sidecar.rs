//! A sidecar process: flags, ports, log lines, signals, end.
//!
//! Any binary that takes daprd's flags will do. The kit knows the process from outside only: its
//! ports, its output and its exit code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::client::RawClient;
use crate::grpc::GrpcClient;
use crate::log::Log;
use crate::ports::{free_ports, unique_id};
use crate::{LIMIT, RawResponse};

/// Starts are repeated this often when a port was taken between choosing and binding it.
const STARTS: usize = 4;
const POLL: Duration = Duration::from_millis(10);

/// Signals a sidecar understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM
    Term,
    /// SIGINT
    Int,
    /// SIGKILL
    Kill,
    /// SIGHUP
    Hup,
}

/// The ports given to one sidecar.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// HTTP API.
    pub http: u16,
    /// gRPC API.
    pub grpc: u16,
    /// Calls from other sidecars.
    pub internal: u16,
    /// Metrics page.
    pub metrics: u16,
    /// Profiling.
    pub profile: u16,
    /// Public API; only used if asked for.
    pub public: u16,
}

/// What to start and how.
#[derive(Debug, Clone)]
pub struct SidecarBuilder {
    binary: PathBuf,
    app_id: String,
    app_port: Option<u16>,
    flags: Vec<String>,
    env: Vec<(OsString, OsString)>,
    clear_env: bool,
    as_daprd: bool,
    public: bool,
}

impl SidecarBuilder {
    /// A sidecar for `binary`. A file called `daprd` gets the flags directly, any other name the
    /// `sidecar` command before them.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let binary = binary.into();
        Self {
            as_daprd: binary.file_name().is_some_and(|name| name == "daprd"),
            binary,
            app_id: unique_id("app"),
            app_port: None,
            flags: Vec::new(),
            env: Vec::new(),
            clear_env: false,
            public: false,
        }
    }

    /// Calls the program by the name `daprd` and leaves the `sidecar` command out.
    pub fn as_daprd(mut self) -> Self {
        self.as_daprd = true;
        self
    }

    /// This id instead of a random one.
    pub fn app_id(mut self, id: impl Into<String>) -> Self {
        self.app_id = id.into();
        self
    }

    /// The app beside it.
    pub fn app_port(mut self, port: u16) -> Self {
        self.app_port = Some(port);
        self
    }

    /// How the app speaks: `http`, `https`, `h2c`, `grpc` or `grpcs`.
    pub fn app_protocol(self, protocol: &str) -> Self {
        self.flag(format!("--app-protocol={protocol}"))
    }

    /// One more flag as it stands on the command line, after those of the kit.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Opens the public port too.
    pub fn public_port(mut self) -> Self {
        self.public = true;
        self
    }

    /// One more environment variable.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Inherits nothing from the environment of the test.
    pub fn clear_env(mut self) -> Self {
        self.clear_env = true;
        self
    }

    fn args(&self, ports: &Ports) -> Vec<String> {
        let mut args = Vec::new();
        if !self.as_daprd {
            args.push("sidecar".to_owned());
        }
        args.extend([
            format!("--app-id={}", self.app_id),
            format!("--dapr-http-port={}", ports.http),
            format!("--dapr-grpc-port={}", ports.grpc),
            format!("--dapr-internal-grpc-port={}", ports.internal),
            format!("--metrics-port={}", ports.metrics),
            format!("--profile-port={}", ports.profile),
            "--dapr-listen-addresses=127.0.0.1".to_owned(),
            "--dapr-internal-grpc-listen-address=127.0.0.1".to_owned(),
            "--metrics-listen-address=127.0.0.1".to_owned(),
            "--log-level=debug".to_owned(),
        ]);
        if let Some(port) = self.app_port {
            args.push(format!("--app-port={port}"));
        }
        if self.public {
            args.push(format!("--dapr-public-port={}", ports.public));
            args.push("--dapr-public-listen-address=127.0.0.1".to_owned());
        }
        args.extend(self.flags.iter().cloned());
        args
    }

    /// Starts the process without waiting for it.
    ///
    /// # Errors
    /// If no port is free or the binary cannot be run.
    pub fn spawn(&self) -> io::Result<Sidecar> {
        let [http, grpc, internal, metrics, profile, public] = free_ports()?;
        let ports = Ports {
            http,
            grpc,
            internal,
            metrics,
            profile,
            public,
        };
        let mut command = Command::new(&self.binary);
        if self.clear_env {
            command.env_clear();
        }
        if self.as_daprd {
            command.arg0("daprd");
        }
        command
            .args(self.args(&ports))
            .env("DAPR_HOST_IP", "127.0.0.1")
            // Tests send nothing to the network; those of mDNS have a network of their own.
            .env("OUTRIDER_MDNS", "false")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Signals this very pid, never a group or a name.
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|err| named(&self.binary, &err))?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("process ended before it had a pid"))?;
        let lines = Arc::new(Log::default());
        let stdout = child.stdout.take().map(|out| collect(out, &lines));
        let stderr = child.stderr.take().map(|err| collect(err, &lines));
        let readers = stdout.into_iter().chain(stderr).collect();
        Ok(Sidecar {
            app_id: self.app_id.clone(),
            ports,
            child,
            pid,
            lines,
            readers,
        })
    }

    /// Starts the process and waits until it is healthy; starts anew, on other ports, if one of
    /// its ports was taken meanwhile.
    ///
    /// # Errors
    /// As [`SidecarBuilder::spawn`] and [`Sidecar::wait_ready`].
    pub async fn start(&self) -> io::Result<Sidecar> {
        let mut attempt = 1;
        loop {
            let mut sidecar = self.spawn()?;
            match sidecar.wait_ready().await {
                Ok(()) => return Ok(sidecar),
                Err(_) if attempt < STARTS && sidecar.lost_a_port() => attempt += 1,
                Err(err) => return Err(err),
            }
        }
    }
}

/// A running sidecar; the process is killed when it is dropped.
#[derive(Debug)]
pub struct Sidecar {
    app_id: String,
    ports: Ports,
    child: Child,
    pid: Pid,
    lines: Arc<Log<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Sidecar {
    /// Its app id.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// A new connection to its gRPC API.
    ///
    /// # Errors
    /// As the connection attempt ends.
    pub async fn grpc(&self) -> io::Result<GrpcClient> {
        GrpcClient::connect(self.ports.grpc).await
    }

    /// A new connection to its HTTP API.
    ///
    /// # Errors
    /// As the connection attempt ends.
    pub async fn connect(&self) -> io::Result<RawClient> {
        RawClient::connect(self.ports.http).await
    }

    /// One request to the HTTP API on a connection of its own.
    ///
    /// # Errors
    /// As [`RawClient::call`].
    pub async fn call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<RawResponse> {
        self.connect()
            .await?
            .call(method, target, headers, body)
            .await
    }

    /// Waits until `GET /v1.0/healthz` answers 204.
    ///
    /// # Errors
    /// If it does not within [`LIMIT`], or the process ends; with the last log lines.
    pub async fn wait_ready(&mut self) -> io::Result<()> {
        let until = Instant::now() + LIMIT;
        let mut last = "never connected".to_owned();
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                self.drained().await;
                return Err(self.failed(&format!("ended before it was ready: {status}")));
            }
            let probe = self.call("GET", "/v1.0/healthz", &[], b"");
            match timeout(Duration::from_secs(1), probe).await {
                Ok(Ok(rsp)) if rsp.status() == 204 => return Ok(()),
                Ok(Ok(rsp)) => last = format!("{} {}", rsp.status_line, rsp.text()),
                Ok(Err(err)) => last = err.to_string(),
                Err(_) => "no answer to the health request".clone_into(&mut last),
            }
            sleep(POLL).await;
        }
        Err(self.failed(&format!("not ready in time, last: {last}")))
    }

    /// Output lines so far, both streams in one, in order of arrival.
    pub fn lines(&self) -> Vec<String> {
        self.lines.look(Clone::clone)
    }

    /// Waits for an output line that holds `text`, past ones included, and returns it.
    ///
    /// # Errors
    /// `TimedOut` if none came within [`LIMIT`].
    pub async fn wait_line(&self, text: &str) -> io::Result<String> {
        let what = format!("a log line with {text:?}");
        self.lines
            .wait(&what, |all| {
                all.iter().find(|line| line.contains(text)).cloned()
            })
            .await
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// If the process has ended and been waited for.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.child.id().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the process has ended",
            ));
        }
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Int => rustix::process::Signal::INT,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Hup => rustix::process::Signal::HUP,
        };
        Ok(kill_process(self.pid, signal)?)
    }

    /// Waits for the end of the process and all of its output; 128 + n if signal n ended it.
    ///
    /// # Errors
    /// `TimedOut` with the last log lines if it runs on.
    pub async fn wait_exit(&mut self) -> io::Result<i32> {
        match timeout(LIMIT, self.child.wait()).await {
            Ok(status) => {
                let code = code_of(status?);
                self.drained().await;
                Ok(code)
            }
            Err(_) => Err(self.failed("did not end in time")),
        }
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
            .ok_or_else(|| io::Error::other("no resident size in status"))
    }

    fn lost_a_port(&self) -> bool {
        let taken = |line: &String| line.to_lowercase().contains("address already in use");
        self.lines.look(|lines| lines.iter().any(taken))
    }

    async fn drained(&mut self) {
        for reader in self.readers.drain(..) {
            // A grandchild may hold the pipe open; the lines so far will do then.
            let _ = timeout(Duration::from_secs(1), reader).await;
        }
    }

    fn failed(&self, what: &str) -> io::Error {
        let lines = self.lines();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        io::Error::other(format!("sidecar {} {what}\n{tail}", self.app_id))
    }
}

fn named(binary: &Path, err: &io::Error) -> io::Error {
    io::Error::new(
        err.kind(),
        format!("cannot run {}: {err}", binary.display()),
    )
}

fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn collect(
    stream: impl AsyncRead + Unpin + Send + 'static,
    lines: &Arc<Log<Vec<String>>>,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .await
            .is_ok_and(|n| n > 0)
        {
            let text = String::from_utf8_lossy(&line);
            lines.change(|all| all.push(text.trim_end_matches(['\r', '\n']).to_owned()));
            line.clear();
        }
    })
}
