//! A process that may be signalled: one that was looked at before, and not another that got its
//! id since.

use std::io;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

use crate::procfs;

/// A process as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pid: u32,
    /// When it started, where the system tells.
    started: Option<u64>,
    /// It leads a process group, whose members are signalled with it.
    leads_group: bool,
}

impl Found {
    /// The process of that id, if there is one.
    pub(super) fn new(pid: u32) -> Option<Self> {
        let stat = procfs::stat(pid);
        let found = Self {
            pid,
            started: stat.as_ref().map(|it| it.started_ticks),
            leads_group: stat.is_some_and(|it| it.group == pid),
        };
        found.runs().then_some(found)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// It has not ended. One that nobody asked for its exit code yet has.
    pub(super) fn runs(&self) -> bool {
        if let Some(started) = self.started {
            let now = procfs::stat(self.pid);
            return now.is_some_and(|it| it.started_ticks == started && !it.has_ended);
        }
        match self.raw().map(test_kill_process) {
            Some(Ok(())) => true,
            // It is there, only not ours.
            Some(Err(error)) => error == rustix::io::Errno::PERM,
            None => false,
        }
    }

    /// Signals the process alone. One that has ended is as good as signalled.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        self.send(|pid| kill_process(pid, signal))
    }

    /// Signals the process with its group, if it leads one.
    pub(super) fn signal_all(&self, signal: Signal) -> io::Result<()> {
        if self.leads_group {
            return self.send(|pid| kill_process_group(pid, signal));
        }
        self.signal(signal)
    }

    fn send(&self, kill: impl FnOnce(Pid) -> rustix::io::Result<()>) -> io::Result<()> {
        let Some(pid) = self.raw().filter(|_| self.runs()) else {
            return Ok(());
        };
        match kill(pid) {
            Err(error) if error != rustix::io::Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn raw(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_runs_until_it_ended_even_if_nobody_asked_how() {
        let mut child = Command::new("/bin/cat")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let found = Found::new(child.id()).unwrap();
        assert!(found.runs());
        found.signal(Signal::KILL).unwrap();
        if procfs::is_there() {
            while found.runs() {
                std::thread::yield_now();
            }
            assert_eq!(Found::new(child.id()), None);
        }
        child.wait().unwrap();
        assert!(!found.runs());
        found.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn no_process_has_impossible_ids() {
        assert_eq!(Found::new(0), None);
        assert_eq!(Found::new(u32::MAX), None);
    }
}
