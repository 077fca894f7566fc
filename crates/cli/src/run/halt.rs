//! The wish to end: asked for by signals, heard by everybody who runs something.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

/// What is wanted; only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    GoOn,
    /// In order. By the terminal means that everybody in our process group was told as well.
    End {
        by_terminal: bool,
    },
    /// At once.
    Kill,
}

#[derive(Clone, Copy, Debug)]
struct State {
    wish: Wish,
    /// When the first signal came, if it was one that asked for the end.
    asked: Option<Instant>,
}

/// Where the wish is made.
#[derive(Clone, Debug)]
pub(super) struct Wisher(watch::Sender<State>);

/// Where it is heard.
#[derive(Clone, Debug)]
pub(super) struct Halt(watch::Receiver<State>);

/// The signals, read until dropped.
#[derive(Debug)]
pub(super) struct Signals {
    _tasks: JoinSet<()>,
}

pub(super) fn channel() -> (Wisher, Halt) {
    let (send, receive) = watch::channel(State {
        wish: Wish::GoOn,
        asked: None,
    });
    (Wisher(send), Halt(receive))
}

impl Wisher {
    /// An end in order, if none is wanted yet.
    pub(super) fn end(&self) {
        self.change(|state| {
            if state.wish == Wish::GoOn {
                state.wish = Wish::End { by_terminal: false };
            }
        });
    }

    /// The first signal asks for an end, the second kills. One that comes right after the first is
    /// the same wish again: `timeout` signals its child, and then the child's group.
    fn next(&self, by_terminal: bool, now: Instant) {
        self.change(|state| match (state.wish, state.asked) {
            (Wish::GoOn, _) => {
                state.wish = Wish::End { by_terminal };
                state.asked = Some(now);
            }
            (_, Some(asked)) if now.saturating_duration_since(asked) < SAME_WISH => {}
            _ => state.wish = Wish::Kill,
        });
    }

    /// Whatever was wanted before.
    fn kill(&self) {
        self.change(|state| state.wish = Wish::Kill);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = state.wish;
            change(state);
            state.wish != before
        });
    }
}

impl Halt {
    /// Waits until something else is wanted than to go on.
    pub(super) async fn wanted(&mut self) -> Wish {
        self.reaches(Wish::End { by_terminal: false }).await
    }

    /// Waits until everything has to end at once.
    pub(super) async fn kill(&mut self) {
        self.reaches(Wish::Kill).await;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.borrow().wish != Wish::GoOn
    }

    pub(super) fn is_kill(&self) -> bool {
        self.0.borrow().wish == Wish::Kill
    }

    async fn reaches(&mut self, least: Wish) -> Wish {
        // The guard must not live until another wait.
        let wish = self
            .0
            .wait_for(|state| state.wish >= least)
            .await
            .map(|state| state.wish);
        match wish {
            Ok(wish) => wish,
            // Nobody is left who could wish for anything.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Signals {
    /// From here on Ctrl-C, a request to end, or the terminal going away no longer end the process
    /// by themselves; nor does Ctrl-\, which kills what we started instead of leaving it. The
    /// terminal going away is ignored if it was when we were started: that is what `nohup` is for.
    /// A script's `&` makes SIGINT ignored, too, but whoever sends that means it.
    pub(super) fn listen(wisher: &Wisher) -> io::Result<Self> {
        let ignored = ignored();
        let mut tasks = JoinSet::new();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ] {
            if kind == SignalKind::hangup() && is_in(ignored, kind.as_raw_value()) {
                continue;
            }
            let mut signals = signal(kind)?;
            let wisher = wisher.clone();
            let by_terminal = kind != SignalKind::terminate();
            tasks.spawn(async move {
                while signals.recv().await.is_some() {
                    match kind == SignalKind::quit() {
                        true => wisher.kill(),
                        false => wisher.next(by_terminal, Instant::now()),
                    }
                }
            });
        }
        Ok(Self { _tasks: tasks })
    }
}

/// Nobody presses Ctrl-C twice within this time.
const SAME_WISH: Duration = Duration::from_millis(300);

/// The set of ignored signals, if the system tells.
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| ignored_in(&status))
        .unwrap_or(0)
}

fn ignored_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn is_in(set: u64, signal: i32) -> bool {
    let bit = u32::try_from(signal - 1).ok();
    bit.and_then(|bit| set.checked_shr(bit)).unwrap_or(0) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_asks_and_the_second_kills() {
        let (wisher, mut halt) = channel();
        assert!(!halt.is_wanted());
        let now = Instant::now();
        wisher.next(true, now);
        assert_eq!(halt.wanted().await, Wish::End { by_terminal: true });
        wisher.end();
        assert_eq!(halt.wanted().await, Wish::End { by_terminal: true });
        wisher.next(false, now + SAME_WISH);
        halt.kill().await;
    }

    #[tokio::test]
    async fn a_wish_that_arrives_twice_at_once_is_one() {
        let (wisher, mut halt) = channel();
        let now = Instant::now();
        wisher.next(false, now);
        wisher.next(false, now + Duration::from_millis(1));
        assert_eq!(halt.wanted().await, Wish::End { by_terminal: false });
        wisher.kill();
        halt.kill().await;
        assert!(halt.is_kill());
    }

    #[tokio::test]
    async fn an_end_for_our_own_reasons_can_still_be_hurried() {
        let (wisher, mut halt) = channel();
        wisher.end();
        assert_eq!(halt.wanted().await, Wish::End { by_terminal: false });
        wisher.next(true, Instant::now());
        halt.kill().await;
    }

    #[test]
    fn ignored_signals_are_read_from_the_system() {
        let set = ignored_in("Name:\tx\nSigIgn:\t0000000000000001\n").unwrap();
        assert!(is_in(set, 1));
        assert!(!is_in(set, 2) && !is_in(set, 15) && !is_in(set, 65) && !is_in(set, 0));
        assert_eq!(ignored_in("SigIgn:\tx"), None);
    }
}
