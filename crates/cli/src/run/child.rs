//! A process with everything it started: output copied, ended as a whole, never left behind.
//!
//! Usually it leads a process group of its own, which can be signalled as one. An app that reads
//! the terminal must stay in our group, or the terminal would stop it; then whatever descends from
//! it within our group is found through `/proc`.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, kill_process_group, test_kill_process_group, waitpgid,
    waitpid,
};
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    copy::{Route, copy},
    descendants::descendants,
    screen::Stream,
};

/// Which process group it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// One of its own, which it leads.
    Own,
    /// Ours, which has the terminal.
    Ours,
}

#[derive(Debug)]
pub(super) struct Child {
    inner: tokio::process::Child,
    pid: Pid,
    group: Group,
    copies: JoinSet<()>,
    status: Option<ExitStatus>,
    /// Nothing of it is left.
    is_gone: bool,
}

impl Child {
    /// Starts it. What it reads is the business of the command.
    pub(super) fn spawn(mut command: Command, group: Group, route: Route) -> io::Result<Self> {
        if group == Group::Own {
            command.process_group(0);
        }
        let mut inner = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut copies = JoinSet::new();
        if let Some(out) = inner.stdout.take() {
            copies.spawn(copy(out, Stream::Out, route.clone()));
        }
        if let Some(err) = inner.stderr.take() {
            copies.spawn(copy(err, Stream::Err, route));
        }
        let id = inner.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw);
        Ok(Self {
            inner,
            pid: pid.expect("a child nobody waited for has a pid"),
            group,
            copies,
            status: None,
            is_gone: false,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// Waits for the process itself. May be dropped and called again.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        if let Some(status) = self.status {
            return status;
        }
        // An error means that somebody else waited for it: it ended, nobody knows how.
        let status = self.inner.wait().await;
        let status = status.unwrap_or_else(|_| ExitStatus::from_raw(1 << 8));
        self.status = Some(status);
        status
    }

    /// Signals everything that belongs to it.
    pub(super) fn signal(&self, signal: Signal) {
        // Each may have ended just now.
        match self.group {
            Group::Own => {
                let _ = kill_process_group(self.pid, signal);
            }
            Group::Ours => {
                // A pid is ours until the child was waited for.
                if self.status.is_none() {
                    let _ = kill_process(self.pid, signal);
                }
                for process in descendants() {
                    if process.pid != self.pid {
                        let _ = kill_process(process.pid, signal);
                    }
                }
            }
        }
    }

    /// Ends what a process that ended by itself left running, within the time, and waits for the
    /// last of its output.
    pub(super) async fn sweep(&mut self, grace: Duration) {
        let until = Instant::now() + grace;
        let mut wanted = Some(Signal::TERM);
        while self.something_is_left() {
            if let Some(signal) = wanted.take() {
                self.signal(signal);
            } else if Instant::now() >= until + LAST {
                break;
            } else if Instant::now() >= until {
                self.signal(Signal::KILL);
            }
            sleep(POLL).await;
        }
        self.is_gone = true;
        self.drained().await;
    }

    /// Waits for the last of its output, which comes at once if nobody holds the streams open.
    pub(super) async fn drained(&mut self) {
        let all = async { while self.copies.join_next().await.is_some() {} };
        let _ = timeout(REST, all).await;
    }

    /// To be asked after the process itself was waited for. Takes the exit status of those whose
    /// parent died before them, which came to us.
    fn something_is_left(&self) -> bool {
        match self.group {
            Group::Own => {
                while matches!(waitpgid(self.pid, WaitOptions::NOHANG), Ok(Some(_))) {}
                test_kill_process_group(self.pid).is_ok()
            }
            Group::Ours => {
                let mut is_left = false;
                for process in descendants() {
                    let reaped = process.is_orphan_of_ours
                        && matches!(waitpid(Some(process.pid), WaitOptions::NOHANG), Ok(Some(_)));
                    is_left |= !reaped;
                }
                is_left
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_gone {
            self.signal(Signal::KILL);
        }
    }
}

const POLL: Duration = Duration::from_millis(10);
/// How long the end of something killed may take.
const LAST: Duration = Duration::from_millis(500);
/// How long the rest of the output of an ended process may take.
const REST: Duration = Duration::from_secs(1);
