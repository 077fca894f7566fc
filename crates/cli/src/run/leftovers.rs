//! What apps left running outside of their process groups, such as daemons that made a session of
//! their own: ended when everything else has, and told by name.
//!
//! On Linux such a process comes to us when its parent ends. Whatever was below us before we
//! started anything is somebody else's, and left alone.

use std::{collections::HashSet, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::time::{Instant, sleep};

use super::{
    descendants::{Descendant, all_descendants},
    halt::Halt,
    screen::{Screen, Status},
};
use crate::output::printable;

/// Processes that are not ours to end.
#[derive(Debug)]
pub(super) struct Before(HashSet<Pid>);

impl Before {
    pub(super) fn now() -> Self {
        Self(all_descendants().into_iter().map(|it| it.pid).collect())
    }

    /// Ends all others below us; to be called when no child of ours is waited for any more.
    pub(super) async fn sweep(&self, halt: &Halt, screen: &Screen) {
        let started = Instant::now();
        let mut is_told = false;
        loop {
            let left = self.left();
            let waited = started.elapsed();
            if left.is_empty() || waited > GRACE + LAST {
                return;
            }
            if !is_told {
                screen.tell(Status::Info, told(&left));
                send(&left, Signal::TERM);
                // One that was stopped could not act on it.
                send(&left, Signal::CONT);
                is_told = true;
            } else if waited > GRACE || halt.is_kill() {
                send(&left, Signal::KILL);
            }
            sleep(POLL).await;
        }
    }

    /// Takes the exit status of those that ended and came to us.
    fn left(&self) -> Vec<Descendant> {
        let mut left = all_descendants();
        left.retain(|it| {
            let is_over = it.is_orphan_of_ours
                && matches!(waitpid(Some(it.pid), WaitOptions::NOHANG), Ok(Some(_)));
            !is_over && !self.0.contains(&it.pid)
        });
        left
    }
}

fn send(all: &[Descendant], signal: Signal) {
    for it in all {
        // It may have ended just now.
        let _ = kill_process(it.pid, signal);
    }
}

fn told(left: &[Descendant]) -> String {
    let name = |it: &Descendant| {
        let pid = it.pid.as_raw_nonzero();
        format!("{} (pid {pid})", printable(&it.name))
    };
    let names: Vec<String> = left.iter().map(name).collect();
    format!("ending what was left running: {}", names.join(", "))
}

const POLL: Duration = Duration::from_millis(10);
/// How long they may take.
const GRACE: Duration = Duration::from_secs(2);
/// How long the end of something killed may take.
const LAST: Duration = Duration::from_millis(500);
