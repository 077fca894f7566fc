//! `outrider demo` and `outrider list` as a person starts them.

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use serde_json::Value;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A demo and its lines; told to end when dropped.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrider"))
            .arg("demo")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Reads on until a line begins so.
    fn until(&mut self, begin: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(LIMIT) else {
                panic!("no line begins with {begin:?} in {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            if line.trim_start().starts_with(begin) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads to the end; the exit code.
    fn end(&mut self) -> Option<i32> {
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.seen.push(line);
        }
        self.child.wait().unwrap().code()
    }

    /// The sidecars' process ids: of the called app, of the caller, as the opening has them.
    fn pids(&self) -> Vec<Pid> {
        let kills = self
            .seen
            .iter()
            .filter_map(|it| it.trim().strip_prefix("kill "));
        let pids = kills.filter_map(|it| it.split_whitespace().next()?.parse().ok());
        pids.filter_map(Pid::from_raw).collect()
    }

    fn orders(&self) -> Vec<&String> {
        let is_order = |line: &&String| line.starts_with("order ");
        self.seen.iter().filter(is_order).collect()
    }

    /// The folders with its store; more than one never.
    fn folders(&self) -> Vec<PathBuf> {
        let user = geteuid().as_raw();
        let begin = format!("demo-{}-", self.child.id());
        let all = std::fs::read_dir(Path::new("/tmp").join(format!("outrider-{user}")));
        let paths = all.into_iter().flatten().flatten().map(|it| it.path());
        paths
            .filter(|it| {
                it.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with(&begin)
            })
            .collect()
    }

    /// Asks the first address of the opening that ends so; the status line and the body.
    fn get(&self, end: &str) -> (String, String) {
        let mut words = self.seen.iter().flat_map(|it| it.split_whitespace());
        let url = words.find(|it| it.starts_with("http://") && it.ends_with(end));
        get(url.unwrap())
    }

    /// Nothing of it is left: no process, no entry in the registry, no folder.
    fn assert_gone(&self) {
        let pids = self.pids();
        assert_eq!(pids.len(), 2, "{:#?}", self.seen);
        for pid in pids {
            assert!(test_kill_process(pid).is_err(), "{pid:?} runs on");
        }
        assert!(sidecars_of(self.child.id()).is_empty());
        assert_eq!(self.folders(), Vec::<PathBuf>::new());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn get(url: &str) -> (String, String) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// What `outrider list --json` has of a demo's namespace.
fn sidecars_of(demo: u32) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(["list", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    all.retain(|it| it["namespace"] == format!("demo-{demo}"));
    all
}

#[test]
fn a_counted_demo_ends_by_itself_and_leaves_nothing() {
    let mut demo = Demo::start(&["--calls", "3", "--interval", "50ms"]);
    assert_eq!(demo.end(), Some(0), "{:#?}", demo.seen);
    let orders = demo.orders();
    assert_eq!(orders.len(), 3, "{:#?}", demo.seen);
    for (line, id) in orders.iter().zip(1..) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = format!("{id}");
        assert_eq!(words[..3], ["order", number.as_str(), "200"], "{line}");
    }
    let last = demo.seen.last().unwrap();
    assert!(last.starts_with("3 calls, none failed; "), "{last}");
    demo.assert_gone();
}

#[test]
fn list_shows_the_sidecars_while_they_run() {
    let mut demo = Demo::start(&["--interval", "50ms"]);
    demo.until("order 1 ");
    let sidecars = sidecars_of(demo.child.id());
    let ids: Vec<&Value> = sidecars.iter().map(|it| &it["appId"]).collect();
    assert_eq!(ids, ["nodeapp", "orders"]);
    for (sidecar, pid) in sidecars.iter().zip(demo.pids()) {
        assert_eq!(sidecar["pid"], pid.as_raw_nonzero().get());
        assert!(sidecar["httpPort"].is_u64(), "{sidecar}");
    }
    demo.signal(Signal::INT);
    assert_eq!(demo.end(), Some(0), "{:#?}", demo.seen);
    demo.assert_gone();
}

#[test]
fn the_order_is_found_through_the_state_api() {
    let mut demo = Demo::start(&["--interval", "1h"]);
    demo.until("order 1 ");
    for end in ["/v1.0/state/statestore/order", "/method/order"] {
        let (status, body) = demo.get(end);
        assert!(status.contains(" 200 "), "{end}: {status}");
        let order: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(order, serde_json::json!({ "orderId": 1 }), "{end}");
    }
    assert_eq!(demo.folders().len(), 1);
    demo.signal(Signal::INT);
    assert_eq!(demo.end(), Some(0), "{:#?}", demo.seen);
    demo.assert_gone();
}

#[test]
fn a_killed_sidecar_is_told_and_fails_the_demo() {
    let mut demo = Demo::start(&["--interval", "50ms"]);
    demo.until("order 1 ");
    let called = demo.pids()[0];
    kill_process(called, Signal::KILL).unwrap();
    let ended = demo.until("the sidecar of nodeapp ");
    assert!(ended.contains("it stays dead"), "{ended}");
    let failed = loop {
        let line = demo.until("order ");
        if !line.contains(" 200 ") {
            break line;
        }
    };
    assert!(failed.contains(" 500 "), "{failed}");
    assert!(failed.contains("ERR_DIRECT_INVOKE"), "{failed}");
    assert!(failed.contains("Outrider-Fault: "), "{failed}");
    // The app itself lives, without its store.
    let app = demo
        .seen
        .iter()
        .find(|it| it.trim().starts_with("nodeapp "));
    let app = app.unwrap().split_whitespace().nth(1).unwrap();
    let (status, body) = get(&format!("{app}/order"));
    assert!(status.contains(" 500 "), "{status}");
    assert!(
        body.contains("the state store statestore can't be had"),
        "{body}"
    );
    demo.signal(Signal::TERM);
    assert_eq!(demo.end(), Some(1), "{:#?}", demo.seen);
    demo.assert_gone();
}

#[test]
fn a_port_in_use_is_told_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(["demo", "--calls=1", "--port", &port])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains(&format!("port {port} of 127.0.0.1 can't be used")),
        "{told}"
    );
    assert!(told.contains("choose another --port"), "{told}");
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .arg("dmeo")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("Did you mean 'outrider demo'?"), "{told}");
}
