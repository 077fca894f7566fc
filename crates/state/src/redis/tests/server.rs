//! A Redis server of a test's own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis::Value;
use tempfile::TempDir;

use crate::redis::{
    link::Link,
    settings::{Host, Login},
};

/// A server on a port of its own. Killed when dropped.
pub(super) struct Server {
    child: Child,
    port: u16,
    password: String,
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
        Self::start_with(free_port(), &[])
    }

    /// A server with further arguments. `--requirepass` among them is used by [`Self::run`] too.
    pub(super) fn start_with(port: u16, more: &[&str]) -> Option<Self> {
        // A replica writes down what it is sent, whatever its settings say.
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command
            .current_dir(folder.path())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(more);
        let child = ready(command, "Ready to accept connections")?;
        let mut password = more.iter().skip_while(|arg| **arg != "--requirepass");
        Some(Self {
            child,
            port,
            password: (*password.nth(1).unwrap_or(&"")).to_owned(),
            _folder: folder,
        })
    }

    /// A sentinel that watches `master` under the name `m`.
    pub(super) fn sentinel(master: u16, folder: &std::path::Path) -> Option<Self> {
        let port = free_port();
        let file = folder.join("sentinel.conf");
        let text =
            format!("port {port}\nbind 127.0.0.1\nsentinel monitor m 127.0.0.1 {master} 1\n");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        let own = tempfile::tempdir().unwrap();
        command.current_dir(own.path());
        let child = ready(command, "+monitor")?;
        Some(Self {
            child,
            port,
            password: String::new(),
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
        let link = Link::open(&host, &login, 0, limit, Some(limit)).await;
        let link = link.ok().expect("the test's server answers");
        let mut cmd = redis::Cmd::new();
        for word in words {
            cmd.arg(*word);
        }
        link.ask(&cmd, Some(limit)).await.unwrap()
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
        Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
        Value::SimpleString(text) => text,
        Value::Int(number) => number.to_string(),
        Value::Okay => "OK".into(),
        Value::Nil => "nil".into(),
        Value::Array(parts) => {
            let parts: Vec<String> = parts.into_iter().map(text).collect();
            parts.join(" ")
        }
        other => format!("{other:?}"),
    }
}

/// Starts a server and waits until it says that it is ready.
fn ready(mut command: Command, sign: &str) -> Option<Child> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(_) => {
            assert!(!under_ci(), "redis-server is not installed");
            println!("skipped: redis-server is not installed");
            return None;
        }
    };
    let stdout = child.stdout.take().unwrap();
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    while !line.contains(sign) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the server ended");
    }
    // Nobody reads on, and a server does not mind.
    child.stdout = Some(lines.into_inner());
    Some(child)
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no process entry to ask"
)]
fn under_ci() -> bool {
    std::env::var_os("CI").is_some()
}
