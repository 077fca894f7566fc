//! The end of both processes: the app first, its sidecar after it.

use std::{process::ExitStatus, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Pair, Unit};
use crate::notice::with_notice;
use crate::run::{
    child::{Child, Group},
    halt::{Halt, Wish},
    screen::Status,
    verdict::How,
};

impl Unit {
    /// The app ended by itself, for good.
    pub(super) async fn app_ended(&mut self, mut pair: Pair, status: ExitStatus) -> How {
        self.clear_away(&mut pair.app).await;
        self.end_sidecar(&mut pair.sidecar).await;
        How::AppEnded(status)
    }

    /// An app that was to be started again can't be.
    pub(super) async fn start_failed(&mut self, mut pair: Pair, why: String) -> How {
        self.end_sidecar(&mut pair.sidecar).await;
        How::NotStarted {
            why,
            ends_all: false,
        }
    }

    /// The sidecar ended by itself.
    pub(super) async fn sidecar_ended(&mut self, mut pair: Pair, status: ExitStatus) -> How {
        // Its last words come before anything else is done.
        pair.sidecar.sweep(Duration::ZERO).await;
        let wish = Wish::End { by_terminal: false };
        let (app, forced) = self.end_app(&mut pair.app, wish).await;
        How::SidecarEnded {
            status,
            cause: pair.said.cause(),
            was_ready: pair.was_ready,
            app,
            forced,
        }
    }

    /// We were told to end.
    pub(super) async fn halted(&mut self, mut pair: Pair) -> How {
        let wish = self.halt.wanted().await;
        let (app, forced) = self.end_app(&mut pair.app, wish).await;
        self.end_sidecar(&mut pair.sidecar).await;
        // In the pause before the next start: nobody stopped the app, it had ended.
        if let Some(status) = pair.ended {
            return How::AppEnded(status);
        }
        How::Stopped { app, forced }
    }

    /// Ends what an ended app left running.
    pub(super) async fn clear_away(&mut self, app: &mut Option<Child>) {
        if let Some(mut app) = app.take() {
            sweep(&mut app, Instant::now() + GRACE, &mut self.halt).await;
        }
    }

    /// Asks the app to end and waits for it; kills it if it takes too long, which is then told.
    async fn end_app(&mut self, app: &mut Option<Child>, wish: Wish) -> (Option<ExitStatus>, bool) {
        let Some(mut app) = app.take() else {
            return (None, false);
        };
        let until = Instant::now() + GRACE;
        let ending = with_notice(asked_to_end(&mut app, wish, until), NOTICE, || {
            let text = format!(
                "waiting for {} to end, {} seconds at most; a second Ctrl-C kills it",
                self.member.name,
                GRACE.as_secs()
            );
            self.shared.screen.tell(Status::Info, text);
        });
        let ended = tokio::select! {
            // Whoever wants it killed does not want it asked.
            biased;
            () = self.halt.kill() => None,
            ended = ending => ended,
        };
        let status = match ended {
            Some(status) => status,
            None => {
                app.signal(Signal::KILL);
                app.wait().await
            }
        };
        sweep(&mut app, until, &mut self.halt).await;
        (Some(status), ended.is_none())
    }

    async fn end_sidecar(&mut self, sidecar: &mut Child) {
        sidecar.signal(Signal::TERM);
        let in_time = tokio::select! {
            ended = timeout(SIDECAR_GRACE, sidecar.wait()) => ended.is_ok(),
            () = self.halt.kill() => false,
        };
        if !in_time {
            sidecar.signal(Signal::KILL);
            sidecar.wait().await;
            let text = format!("the sidecar of {} had to be killed", self.member.name);
            self.shared.screen.tell(Status::Warning, text);
        }
        sidecar.sweep(Duration::ZERO).await;
    }
}

async fn asked_to_end(app: &mut Child, wish: Wish, until: Instant) -> Option<ExitStatus> {
    // Whoever shares our group got Ctrl-C from the terminal, too. To ask again at once could cut
    // its way to end short.
    let heard = wish == (Wish::End { by_terminal: true }) && app.group() == Group::Ours;
    if heard && let Ok(status) = timeout(HEARD, app.wait()).await {
        return Some(status);
    }
    app.signal(Signal::TERM);
    // One that was stopped could not act on it.
    app.signal(Signal::CONT);
    timeout_at(until, app.wait()).await.ok()
}

async fn sweep(app: &mut Child, until: Instant, halt: &mut Halt) {
    let grace = until.saturating_duration_since(Instant::now());
    let swept = tokio::select! {
        () = app.sweep(grace) => true,
        () = halt.kill() => false,
    };
    if !swept {
        app.signal(Signal::KILL);
        app.sweep(Duration::ZERO).await;
    }
}

/// An app that takes longer is told of.
const NOTICE: Duration = Duration::from_secs(1);
/// How long the app may take.
const GRACE: Duration = Duration::from_secs(5);
/// How long an app that heard of Ctrl-C by itself is left alone.
const HEARD: Duration = Duration::from_secs(2);
/// A sidecar ends itself after five seconds; this is for one that hangs.
const SIDECAR_GRACE: Duration = Duration::from_secs(10);
