//! A Redis of our own, and how to look into it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::Command,
};

use outrider_testkit::free_ports;
use tempfile::TempDir;

use crate::process::Process;

/// Starts are repeated this often when the port was taken between choosing and binding it.
const STARTS: usize = 4;

/// A server that keeps nothing; it ends when dropped.
pub(crate) struct Redis {
    pub(crate) port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let mut seen = Vec::new();
        for _ in 0..STARTS {
            let [port] = free_ports().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new("redis-server");
            command
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(folder.path());
            let mut process = Process::start(&mut command);
            if process.line("Ready to accept connections").is_some() {
                return Self {
                    port,
                    _process: process,
                    _folder: folder,
                };
            }
            seen = std::mem::take(&mut process.seen);
        }
        panic!("redis-server does not start: {seen:#?}");
    }

    /// The fields of a hash and what they hold; none may have a line break.
    pub(crate) fn hash(&self, key: &str) -> Vec<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(format!("HGETALL {key}\r\n").as_bytes())
            .unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut next = || lines.next().unwrap().unwrap();
        let head = next();
        let count: usize = head.strip_prefix('*').unwrap().parse().unwrap();
        // Each text stands on a line of its own, below its length.
        let mut text = || {
            next();
            next()
        };
        (0..count / 2).map(|_| (text(), text())).collect()
    }
}
