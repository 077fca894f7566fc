//! The life of one app and its sidecar, from both starts to both ends.
//!
//! App and sidecar start side by side. The app is ended first, while its sidecar still serves it;
//! the sidecar follows with the grace it gives itself. If the sidecar ends by itself, the app is
//! ended too: it could neither call nor be called.

mod end;
mod start;

use std::{process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    child::Child,
    halt::Halt,
    plan::{Member, Restart},
    ports::Reserved,
    said::Said,
    screen::Status,
    verdict::{How, Verdict, is_clean, shown, was_asked},
};
use start::Logs;
pub(super) use start::{Shared, Sources};

/// How far a unit is, for those that depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    /// Healthy.
    Ready,
    /// Ended; well or not.
    Ended {
        well: bool,
    },
}

/// An app and its sidecar.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) member: Member,
    pub(super) reserved: Reserved,
    pub(super) shared: Arc<Shared>,
    pub(super) sources: Sources,
    pub(super) stage: watch::Sender<Stage>,
    /// Those it depends on, by name.
    pub(super) needs: Vec<(String, watch::Receiver<Stage>)>,
    pub(super) halt: Halt,
}

/// Both processes. The app is not there for a sidecar alone, and between two starts.
struct Pair {
    app: Option<Child>,
    /// How the app ended that is to be started again.
    ended: Option<ExitStatus>,
    sidecar: Child,
    said: Said,
    was_ready: bool,
}

enum Event {
    App(ExitStatus),
    Sidecar(ExitStatus),
    Ready,
    Pause,
    Halt,
}

impl Unit {
    /// Lives until both ended, and tells how.
    pub(super) async fn run(mut self) -> Verdict {
        let how = match self.needs_are_met().await {
            Ok(()) => self.live().await,
            Err(how) => how,
        };
        let verdict = Verdict {
            name: self.member.name.clone(),
            how,
        };
        let well = !verdict.is_failure();
        self.stage.send_replace(Stage::Ended { well });
        verdict
    }

    /// Waits for the apps it depends on. One that did its work and ended counts as ready.
    async fn needs_are_met(&mut self) -> Result<(), How> {
        for (other, stage) in &mut self.needs {
            let reached = tokio::select! {
                biased;
                _ = self.halt.wanted() => return Err(How::NeverStarted),
                stage = stage.wait_for(|stage| *stage != Stage::Waiting) => {
                    stage.map_or(Stage::Ended { well: false }, |stage| *stage)
                }
            };
            if reached == (Stage::Ended { well: false }) {
                let why = format!("it depends on {other}, which failed");
                return Err(How::NotStarted {
                    why,
                    ends_all: false,
                });
            }
        }
        Ok(())
    }

    async fn live(&mut self) -> How {
        let (logs, mut pair) = match self.start().await {
            Ok(started) => started,
            Err(why) => {
                return How::NotStarted {
                    why,
                    ends_all: true,
                };
            }
        };
        let mut backoff = Backoff::default();
        let mut started = Instant::now();
        let mut pause = None;
        let mut ready = Some(Box::pin(self.becoming_ready(&logs, pair.app.as_ref())));
        loop {
            let event = tokio::select! {
                status = end_of(&mut pair.app) => Event::App(status),
                status = pair.sidecar.wait() => Event::Sidecar(status),
                () = done(&mut ready) => Event::Ready,
                () = done(&mut pause) => Event::Pause,
                _ = self.halt.wanted() => Event::Halt,
            };
            match event {
                Event::Ready => {
                    ready = None;
                    self.told_ready(&mut pair);
                }
                Event::App(status) if self.starts_again(status) => {
                    self.clear_away(&mut pair.app).await;
                    let wait = backoff.next(started.elapsed());
                    self.told_restart(status, wait);
                    pair.ended = Some(status);
                    pause = Some(Box::pin(sleep(wait)));
                    ready = None;
                }
                Event::Pause => {
                    pause = None;
                    pair.ended = None;
                    started = Instant::now();
                    pair.app = match self.start_app(&logs) {
                        Ok(app) => app,
                        Err(why) => return self.start_failed(pair, why).await,
                    };
                    ready = Some(Box::pin(self.becoming_ready(&logs, pair.app.as_ref())));
                }
                Event::App(status) => return self.app_ended(pair, status).await,
                Event::Sidecar(status) => return self.sidecar_ended(pair, status).await,
                Event::Halt => return self.halted(pair).await,
            }
        }
    }

    /// Both processes. The app starts at once, but for a moment in which the sidecar usually opens
    /// its ports: an app that calls first thing then finds it.
    async fn start(&mut self) -> Result<(Logs, Pair), String> {
        self.find_command()?;
        let logs = self.open_logs()?;
        // From here on the ports are for the sidecar to take.
        self.reserved.held.clear();
        let said = Said::default();
        let sidecar = self.start_sidecar(&logs, &said)?;
        let _ = timeout(HEAD_START, self.api().listens()).await;
        let pair = Pair {
            app: self.start_app(&logs)?,
            ended: None,
            sidecar,
            said,
            was_ready: false,
        };
        Ok((logs, pair))
    }

    fn starts_again(&self, status: ExitStatus) -> bool {
        let wanted = match self.member.restart {
            Restart::No => false,
            Restart::OnFailure => !is_clean(status),
            // Whoever stops it does not want it back.
            Restart::Always => !was_asked(status),
        };
        wanted && !self.halt.is_wanted()
    }

    fn told_restart(&self, status: ExitStatus, wait: Duration) {
        let (name, how) = (&self.member.name, shown(status));
        let seconds = wait.as_secs();
        let text = format!("{name} ended ({how}); it is started again in {seconds}s");
        self.shared.screen.tell(Status::Warning, text);
    }
}

/// The end of the app, if there is one.
async fn end_of(app: &mut Option<Child>) -> ExitStatus {
    match app {
        Some(app) => app.wait().await,
        None => std::future::pending().await,
    }
}

/// The end of what is under way, if anything is.
async fn done<F: Future<Output = ()>>(work: &mut Option<std::pin::Pin<Box<F>>>) {
    match work {
        Some(work) => work.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Pauses before the next start: each twice as long as the last, until the app runs for a while.
#[derive(Debug, Default)]
struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    fn next(&mut self, ran: Duration) -> Duration {
        let next = match self.last {
            Some(last) if ran < STEADY => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(next);
        next
    }
}

/// How long an app waits for its sidecar's ports before it starts all the same.
const HEAD_START: Duration = Duration::from_millis(30);
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// An app that ran this long does not fail at its start.
const STEADY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_the_app_runs_for_a_while() {
        let mut backoff = Backoff::default();
        let mut pauses = vec![];
        for ran in [0, 0, 0, 0, 0, 0, 0, 60, 0] {
            pauses.push(backoff.next(Duration::from_secs(ran)).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 1, 2]);
    }
}
