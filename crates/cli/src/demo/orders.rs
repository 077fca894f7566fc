//! Sends one order after the other, and tells what became of each and of the sidecars.

use tokio::time::{Instant, sleep_until};

use super::{
    call::Caller, error::Error, options::Options, screen, sidecar::Pair, tally::Tally,
    visits::Visits,
};
use crate::output::Output;

/// How the demo's own orders are told from others.
pub(super) const USER_AGENT: &str = concat!("outrider-demo/", env!("CARGO_PKG_VERSION"));

/// Goes on after failures, until all are sent. May be dropped at any point.
pub(super) async fn send(
    options: &Options,
    pair: &mut Pair,
    visits: &Visits,
    tally: &mut Tally,
    output: Output,
) -> Result<(), Error> {
    let paint = output.paint();
    let mut caller = Caller::new(pair.caller.http_port());
    let mut id = 0;
    loop {
        id += 1;
        let started = Instant::now();
        let call = caller.order(id, visits).await;
        let ended: String = pair
            .newly_ended()
            .map(|sidecar| screen::ended(sidecar, paint))
            .collect();
        tally.add(&call);
        let line = ended + &screen::line(&call, paint);
        output.write(&line).map_err(Error::Output)?;
        if options.calls == Some(id) {
            return Ok(());
        }
        let next = started + options.interval;
        tokio::select! {
            () = sleep_until(next) => {}
            sidecar = pair.next_end() => {
                output.write(&screen::ended(sidecar, paint)).map_err(Error::Output)?;
                sleep_until(next).await;
            }
        }
    }
}
