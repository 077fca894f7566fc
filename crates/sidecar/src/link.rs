//! Calls to other sidecars: connections, their pool, the protocol of one call.

pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod io;
pub(crate) mod message;
pub(crate) mod pool;
pub(crate) mod upload;
