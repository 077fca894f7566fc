//! The internal port: calls from other sidecars.

mod answer;
pub(crate) mod connection;
pub(crate) mod server;
mod streamed;
