//! A program, its lines, and its end.

use std::{
    io::{BufRead as _, BufReader, PipeReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Far more than anything here takes, the start of an interpreter on a busy machine included.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that runs; told to end when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        // One pipe, so that the order of lines is that of their writing.
        let (reader, writer) = std::io::pipe().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // The command holds ends of the pipe until these are replaced.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self {
            child,
            lines: read(reader),
            seen: Vec::new(),
        }
    }

    /// Reads on until a line has the text; `None` if the output ends before.
    pub(crate) fn line(&mut self, text: &str) -> Option<String> {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited in vain for {text:?} in {:#?}", self.seen)
                }
            }
        }
    }

    /// The same for a line that has to come.
    pub(crate) fn until(&mut self, text: &str) -> String {
        self.line(text)
            .unwrap_or_else(|| panic!("no line has {text:?} in {:#?}", self.seen))
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Reads to the end; the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.seen),
            }
        }
        self.child.wait().unwrap().code()
    }

    /// How many lines have the text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn read(reader: PipeReader) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
