//! HTTP/1.1 served over a [`Socket`](crate::io::Socket): one task per connection, requests in turn.

mod incoming;
mod respond;
mod server;

pub(crate) use incoming::Incoming;
pub(crate) use respond::{Date, Sent};
pub(crate) use server::{Ended, Handler, Limits, Request, Response, Served, Sizing, serve};
