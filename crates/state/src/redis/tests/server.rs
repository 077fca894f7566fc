//! A Redis server of a test's own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use outrider_trust::Connector;
use tempfile::TempDir;

use super::papers::Papers;

use crate::redis::{
    link::{Link, Wire},
    question::Question,
    settings::{Host, Login},
    value::Value,
};

/// A server on a port of its own. Killed when dropped.
pub(super) struct Server {
    child: Child,
    port: u16,
    password: String,
    tls: Option<Connector>,
    _folder: TempDir,
}

/// A port that nobody has just now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// A server without a password, unless none is installed.
    pub(super) fn start() -> Option<Self> {
        Self::start_somewhere(|port| Self::try_start(port, &[]))
    }

    /// A server on some port: somebody else may take a free one first.
    pub(super) fn start_somewhere(
        start: impl Fn(u16) -> Result<Option<Self>, Ended>,
    ) -> Option<Self> {
        let mut tries = (0..20).map(|_| start(free_port()));
        let started = tries.find_map(Result::ok);
        started.expect("one of so many ports is free")
    }

    /// A server with further arguments. `--requirepass` among them is used by [`Self::run`] too.
    pub(super) fn start_with(port: u16, more: &[&str]) -> Option<Self> {
        Self::try_start(port, more).expect("the server is there to stay")
    }

    /// Like [`Self::start_with`]; a server that can't have the port ends at once.
    pub(super) fn try_start(port: u16, more: &[&str]) -> Result<Option<Self>, Ended> {
        // A replica writes down what it is sent, whatever its settings say.
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command
            .current_dir(folder.path())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(more);
        let Some(child) = ready(command, "Ready to accept connections")? else {
            return Ok(None);
        };
        let mut password = more.iter().skip_while(|arg| **arg != "--requirepass");
        Ok(Some(Self {
            child,
            port,
            password: (*password.nth(1).unwrap_or(&"")).to_owned(),
            tls: None,
            _folder: folder,
        }))
    }

    /// A server that speaks TLS only, unless none is installed that can.
    pub(super) fn start_encrypted(papers: &Papers, more: &[&str]) -> Option<Self> {
        let start = |port| {
            let args = papers.args(port);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let args: Vec<&str> = args.into_iter().chain(more.iter().copied()).collect();
            let started = Self::try_start(0, &args)?;
            Ok(started.map(|mut server| {
                server.port = port;
                server.tls = Some(papers.connector(true));
                server
            }))
        };
        Self::start_somewhere(start)
    }

    /// A sentinel that watches `master` under the name `m`.
    pub(super) fn sentinel(
        master: u16,
        folder: &std::path::Path,
        papers: Option<&Papers>,
    ) -> Option<Self> {
        let port = free_port();
        let file = folder.join("sentinel.conf");
        let listen = match papers {
            None => format!("port {port}\n"),
            Some(papers) => papers.lines(port) + "port 0\ntls-replication yes\n",
        };
        let text = format!(
            "{listen}bind 127.0.0.1\nsentinel monitor m 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds m 300\nsentinel failover-timeout m 1000\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        let own = tempfile::tempdir().unwrap();
        command.current_dir(own.path());
        let child = ready(command, "+monitor").expect("the sentinel is there to stay")?;
        Some(Self {
            child,
            port,
            password: String::new(),
            tls: None,
            _folder: own,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it at once; what it held is gone.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `STOP` freezes it, `CONT` lets it go on.
    pub(super) fn signal(&self, name: &str) {
        let text = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &text])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Runs one command over a connection of its own.
    pub(super) async fn run(&self, words: &[&str]) -> Value {
        let host = Host {
            name: "127.0.0.1".into(),
            port: self.port,
        };
        let login = Login {
            username: String::new(),
            password: self.password.clone(),
        };
        let limit = Duration::from_secs(10);
        let wire = Wire {
            dial: limit,
            answer: Some(limit),
            tls: self.tls.clone(),
        };
        let link = Link::open(&host, &login, 0, &wire).await;
        let link = link.expect("the test's server answers");
        let replies = link.ask(&Question::of(words), Some(limit)).await;
        replies.unwrap().pop().unwrap()
    }

    /// The text of an answer, parts of it joined by spaces.
    pub(super) async fn say(&self, words: &[&str]) -> String {
        text(self.run(words).await)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn text(value: Value) -> String {
    match value {
        Value::Bulk(bytes) | Value::Word(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Value::Int(number) => number.to_string(),
        Value::Nil => "nil".into(),
        Value::Array(parts) => {
            let parts: Vec<String> = parts.into_iter().map(text).collect();
            parts.join(" ")
        }
        other => format!("{other:?}"),
    }
}

/// A server that ended when it had hardly begun.
#[derive(Debug)]
pub(super) struct Ended;

/// Starts a server and waits until it says that it is ready. None if there is none.
fn ready(mut command: Command, sign: &str) -> Result<Option<Child>, Ended> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(_) => {
            assert!(!under_ci(), "redis-server is not installed");
            println!("skipped: redis-server is not installed");
            return Ok(None);
        }
    };
    let stdout = child.stdout.take().unwrap();
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    while !line.contains(sign) {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            child.wait().unwrap();
            return Err(Ended);
        }
    }
    // Nobody reads on, and a server does not mind.
    child.stdout = Some(lines.into_inner());
    Ok(Some(child))
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no process entry to ask"
)]
fn under_ci() -> bool {
    std::env::var_os("CI").is_some()
}
