//! gRPC calls that pass through two hops untouched, against two bare HTTP/2 relays.

mod app;
mod client;
mod gathered;
mod load;
mod message;
mod relay;
mod stalled;
mod streams;
mod subject;

use std::io;

pub(crate) use app::start as start_app;
pub(crate) use load::measure as load;
pub(crate) use relay::run as relay;
pub(crate) use stalled::measure as stalled;
pub(crate) use streams::measure as streams;

use crate::subject::Sidecar;
use client::Caller;
use subject::Subject;

/// The whole life of two sidecars that pass on so many calls.
pub(crate) async fn life(app: u16, sides: &[Sidecar; 2], calls: u32) -> io::Result<()> {
    let [caller, callee] = sides;
    let subject = subject::outrider(app, caller, callee).await?;
    called(subject, calls).await
}

/// The same of two relays.
pub(crate) async fn relays_life(app: u16, sides: &[Sidecar; 2], calls: u32) -> io::Result<()> {
    let wrapped = sides.each_ref().map(|side| side.wrapped.as_slice());
    let subject = subject::relays(app, wrapped).await?;
    called(subject, calls).await
}

async fn called(subject: Subject, calls: u32) -> io::Result<()> {
    let message = message::framed(&[b'x'; app::LENGTH]);
    let caller = Caller::open(&subject).await?;
    for _ in 0..calls {
        caller.unary(message.clone()).await?;
    }
    drop(caller);
    subject.shut_down().await
}
