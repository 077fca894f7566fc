//! A place with a home of its own, runs in it, and apps for them.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Far more than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A folder to run in, with a home whose Configuration keeps sidecars off the network.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self::with_all_sources();
        place.write(
            "home/.dapr/config.yaml",
            "spec:\n  nameResolution:\n    component: static\n    configuration:\n      apps: {}\n",
        );
        place
    }

    /// Sidecars announce themselves by multicast; for tests in a network of their own.
    pub(crate) fn with_all_sources() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `outrider` with these arguments, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env("HOME", self.path("home"))
            .env("DAPR_HOST_IP", "127.0.0.1")
            .env("OUTRIDER_MDNS", "false")
            .env("HELPER", std::env::current_exe().unwrap());
        for name in [
            "XDG_DATA_HOME",
            "DAPR_RUNTIME_PATH",
            "DAPR_API_TOKEN",
            "NAMESPACE",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let arguments = [&["run"], arguments].concat();
        Run::start(self.command(&arguments).stdin(Stdio::null()))
    }

    /// A shell script as the app; `id` is its app id.
    pub(crate) fn shell(&self, id: &str, flags: &[&str], script: &str) -> Run {
        let id = format!("--app-id={id}");
        let arguments = [&[id.as_str()], flags, &["--", "sh", "-c", script]].concat();
        self.run(&arguments)
    }
}

/// The binary under test. Whoever started the tests may have the end of the terminal ignored, as
/// `nohup` does, and that is inherited; here it is to count.
fn program() -> Command {
    let outrider = env!("CARGO_BIN_EXE_outrider");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    if ignored.unwrap_or(0) & 1 == 0 {
        return Command::new(outrider);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", outrider]);
    command
}

/// A run and its lines; told to end when dropped.
pub(crate) struct Run {
    pub(crate) child: Child,
    lines: Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Run {
    pub(crate) fn start(command: &mut Command) -> Self {
        // One pipe, so that the order of lines is that of their writing.
        let (reader, writer) = std::io::pipe().unwrap();
        let child = command
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        // The command holds ends of the pipe until these are replaced.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (send, lines) = channel();
        read(reader, send);
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The first line that holds the text, read already or still to come.
    pub(crate) fn until(&mut self, text: &str) -> String {
        self.nth(1, text)
    }

    /// The nth such line.
    pub(crate) fn nth(&mut self, n: usize, text: &str) -> String {
        self.find(n, text, |line| line.contains(text))
    }

    pub(crate) fn find(&mut self, n: usize, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut all = self.seen.iter().filter(|line| wanted(line));
        let mut missing = n;
        while missing > 0 {
            match all.next() {
                Some(line) if missing == 1 => return line.clone(),
                Some(_) => missing -= 1,
                None => break,
            }
        }
        drop(all);
        loop {
            let Ok(line) = self.lines.recv_timeout(LIMIT) else {
                panic!("no line has {what:?} {n} times in {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            missing -= usize::from(wanted(&line));
            if missing == 0 {
                return line;
            }
        }
    }

    /// What stands behind the text in the first line that has it.
    pub(crate) fn after(&mut self, text: &str) -> String {
        let line = self.until(text);
        let (_, rest) = line.split_once(text).unwrap();
        rest.trim().to_owned()
    }

    /// A process id behind the text.
    pub(crate) fn pid_after(&mut self, text: &str) -> Pid {
        let pid = self.after(text).parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends it again and again.
    pub(crate) fn signal_until_it_ends(&mut self, signal: Signal) {
        while matches!(self.child.try_wait(), Ok(None)) {
            self.signal(signal);
            std::thread::yield_now();
        }
    }

    /// Reads to the end; the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.seen.push(line);
        }
        self.child.wait().unwrap().code()
    }

    /// Whether a line holds the text.
    pub(crate) fn said(&self, text: &str) -> bool {
        self.seen.iter().any(|line| line.contains(text))
    }

    pub(crate) fn last(&self) -> &str {
        self.seen.last().unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn read(stream: impl Read + Send + 'static, send: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            if send.send(text.trim_end_matches('\n').to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// The process is no more. One that was killed just now may take a moment.
#[track_caller]
pub(crate) fn assert_gone(pid: Pid) {
    let until = Instant::now() + LIMIT;
    while test_kill_process(pid).is_ok() && !has_ended(pid) {
        assert!(Instant::now() < until, "{pid:?} runs on");
        std::thread::yield_now();
    }
}

/// It has ended, and whoever is its parent now has not asked for its status yet.
fn has_ended(pid: Pid) -> bool {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let stat = fs::read_to_string(path).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Status and body of a request to a port of this machine.
pub(crate) fn ask(port: u16, verb: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let head = format!(
        "{verb} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut text = body.to_owned();
    if head.contains("chunked") {
        // Short answers are one chunk.
        let (_, chunk) = body.split_once("\r\n").unwrap();
        text = chunk.split("\r\n").next().unwrap_or_default().to_owned();
    }
    (head[9..12].parse().unwrap(), text)
}

/// The metadata that was put at a sidecar.
pub(crate) fn extended(port: u16) -> Value {
    let (status, body) = ask(port, "GET", "/v1.0/metadata", "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["extended"].take()
}

/// An app that is this test program: see [`helper`].
pub(crate) fn helper_command(role: &str) -> String {
    format!("ROLE={role} exec \"$HELPER\" --ignored --exact support::helper --nocapture")
}

/// Not a test: apps run this program with this as its only test, and a role.
#[test]
#[ignore = "an app for other tests"]
fn helper() {
    let variable = |name: &str| {
        #[expect(
            clippy::disallowed_methods,
            reason = "an app is told by its environment"
        )]
        std::env::var(name).unwrap_or_default()
    };
    let sidecar = || variable("DAPR_HTTP_PORT").parse().unwrap();
    match variable("ROLE").as_str() {
        // Says what its sidecar answers.
        "ask" => {
            let (status, body) = ask(sidecar(), "GET", &variable("ASK"), "");
            println!("\nanswer {status} {body}");
        }
        // Listens; a path below /call/ is called through its sidecar.
        "serve" => {
            let port: u16 = variable("APP_PORT").parse().unwrap();
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            println!("\nserving {}", std::process::id());
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let target = target(&mut stream);
                let said = match target.strip_prefix("/call/") {
                    Some(id) => {
                        let through = format!("/v1.0/invoke/{id}/method/hello");
                        ask(sidecar(), "GET", &through, "").1
                    }
                    None => format!("{} was asked for {target}", variable("APP_ID")),
                };
                let length = said.len();
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
                let _ = stream.write_all(format!("{head} {length}\r\n\r\n{said}").as_bytes());
            }
        }
        role => panic!("no role {role:?}"),
    }
}

/// What a request without body asks for.
fn target(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A port nobody has at the moment.
pub(crate) fn free_port() -> u16 {
    let [port] = outrider_testkit::free_ports().unwrap();
    port
}
