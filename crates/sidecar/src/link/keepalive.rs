//! Signs of life of an HTTP/2 connection, and the end of one that nobody needs
//! (contract `sidecar-protocol.md` 9, `grpc-api.md` 1).

use std::{
    cell::Cell,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::io::Gathered;

/// A connection is looked at this often; so long, too, a sign of life may take that was asked for.
const TICK: Duration = Duration::from_secs(5);

/// After so many silent ticks a sign of life is asked for.
const SILENT_TICKS: u32 = 2;

/// Why a connection is given up whose peer gives no sign of life.
pub(crate) const DEAD: &str = "keep-alive ping not answered within 5 s";

/// Why a connection is given up that nobody needs.
pub(crate) const IDLE: &str = "idle";

/// Notices a peer that has vanished, and a connection nobody needs.
pub(crate) struct Keepalive {
    pings: Option<h2::PingPong>,
    gathered: Gathered,
    ticks: Interval,
    /// Set by whoever uses the connection.
    used: Rc<Cell<bool>>,
    /// Without calls for so long, it is to be given up.
    idle_limit: Duration,
    idle_ticks: u32,
    silent_ticks: u32,
    awaiting: bool,
}

impl Keepalive {
    /// Watches the connection whose stream that is; `used` is set with each call. Without `pings` the far side is not asked for
    /// signs of life.
    pub(crate) fn new(
        pings: Option<h2::PingPong>,
        gathered: Gathered,
        used: Rc<Cell<bool>>,
        idle_limit: Duration,
    ) -> Self {
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            pings,
            gathered,
            ticks,
            used,
            idle_limit,
            idle_ticks: 0,
            silent_ticks: 0,
            awaiting: false,
        }
    }

    /// Ready with the reason once the connection is to be given up: [`DEAD`] or [`IDLE`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, idle: bool) -> Poll<&'static str> {
        while self.ticks.poll_tick(cx).is_ready() {
            let used = self.used.replace(false);
            self.idle_ticks = if idle && !used {
                self.idle_ticks + 1
            } else {
                0
            };
            if TICK * self.idle_ticks >= self.idle_limit {
                self.idle_ticks = 0;
                return Poll::Ready(IDLE);
            }
            if self.gathered.take_active() {
                (self.awaiting, self.silent_ticks) = (false, 0);
                continue;
            }
            if self.awaiting {
                return Poll::Ready(DEAD);
            }
            self.silent_ticks += 1;
            if self.silent_ticks >= SILENT_TICKS
                && let Some(pings) = &mut self.pings
            {
                self.awaiting = pings.send_ping(h2::Ping::opaque()).is_ok();
            }
        }
        if let Some(pings) = &mut self.pings {
            // Takes the answer off, so that the next ping may be sent.
            let _ = pings.poll_pong(cx);
        }
        Poll::Pending
    }
}
