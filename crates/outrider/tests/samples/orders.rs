//! `examples/orders`: one app sends orders by name, the other keeps the last one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use outrider_testkit::{free_ports, unique_id};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::{
    BIN,
    needs::{self, Need},
    process::Process,
    redis::Redis,
    repository,
};

const ORDERS: usize = 5;

/// A copy of the example with a home and a namespace of its own, so that several may run.
struct Example {
    root: TempDir,
    namespace: String,
    app_port: u16,
}

impl Example {
    fn new() -> Self {
        let example = Self {
            root: tempfile::tempdir().unwrap(),
            namespace: unique_id("orders"),
            app_port: free_ports::<1>().unwrap()[0],
        };
        copy(&repository("examples/orders"), &example.path("orders"));
        example
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Puts something else where a file of the copy has `old`.
    fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.path("orders").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} has no {old:?}: {text}");
        fs::write(path, text.replace(old, new)).unwrap();
    }

    /// `outrider run` in a folder of the copy.
    fn run(&self, folder: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(BIN);
        command
            .arg("run")
            .args(arguments)
            .current_dir(self.path("orders").join(folder))
            .env("HOME", self.path("home"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("NAMESPACE", &self.namespace)
            .env("DAPR_HOST_IP", "127.0.0.1")
            // Sidecars find each other in the registry, and nothing goes to the network.
            .env("OUTRIDER_MDNS", "false")
            .env("ORDERS", ORDERS.to_string())
            .env("PAUSE", "0")
            .env_remove("DAPR_RUNTIME_PATH")
            .env_remove("DAPR_API_TOKEN")
            .env_remove("STATE_STORE_NAME");
        Process::start(&mut command)
    }

    /// What the embedded store has under a key.
    fn kept(&self, key: &str) -> String {
        let file = self.path("data/outrider/state.db");
        let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let query = "SELECT value FROM state WHERE key = ?";
        store.query_row(query, [key], |row| row.get(0)).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        // Logs of those who tried the example.
        if entry.file_name() == ".dapr" {
            continue;
        } else if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All orders were answered well.
#[track_caller]
fn assert_sent(run: &Process) {
    for number in 1..=ORDERS {
        let line = format!("order {number}: 200");
        assert_eq!(run.count(&line), 1, "{line} in {:#?}", run.seen);
    }
}

#[test]
fn the_template_runs_both_apps_and_the_embedded_store_keeps_the_orders() {
    let name = "the_template_runs_both_apps_and_the_embedded_store_keeps_the_orders";
    if !needs::all(name, &[Need::Node, Need::Python]) {
        return;
    }
    let example = Example::new();
    let port = format!("appPort: {}", example.app_port);
    example.replace("dapr.yaml", "appPort: 3000", &port);
    let mut run = example.run(".", &["-f", "."]);
    run.until("pythonapp ended");
    // The other app takes orders until it is told to end.
    run.terminate();
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    assert_sent(&run);
    assert_eq!(run.count("statestore is the file"), 1, "{:#?}", run.seen);
    assert_eq!(example.kept("nodeapp||order"), r#"{"orderId":5}"#);
}

#[test]
fn two_runs_share_nothing_but_names_and_redis_keeps_the_orders() {
    let name = "two_runs_share_nothing_but_names_and_redis_keeps_the_orders";
    if !needs::all(name, &[Need::Node, Need::Python, Need::Redis]) {
        return;
    }
    let example = Example::new();
    let redis = Redis::start();
    let address = format!("127.0.0.1:{}", redis.port);
    example.replace("resources/statestore.yaml", "localhost:6379", &address);
    let port = example.app_port.to_string();
    let flags = [
        "--app-id=nodeapp",
        "--resources-path=../resources",
        "--app-port",
        &port,
        "--",
    ];
    let mut node = example.run("node", &[&flags[..], &["node", "app.js"]].concat());
    node.until("nodeapp is up and running");
    let mut python = example.run("python", &["--app-id=pythonapp", "--", "python3", "app.py"]);
    assert_eq!(python.end(), Some(0), "{:#?}", python.seen);
    assert_sent(&python);
    let wanted = [("data", r#"{"orderId":5}"#), ("version", "5")];
    let wanted = wanted.map(|(field, text)| (field.to_owned(), text.to_owned()));
    let mut found = redis.hash("nodeapp||order");
    found.sort();
    assert_eq!(found, wanted);
    node.terminate();
    assert_eq!(node.end(), Some(0), "{:#?}", node.seen);
}
