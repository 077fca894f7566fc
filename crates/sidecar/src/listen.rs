//! The internal port: calls from other sidecars.

mod answer;
pub(crate) mod connection;
mod proxied;
pub(crate) mod server;
mod streamed;
