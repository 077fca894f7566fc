//! Outgoing HTTP/2: connections, their pool, streams on them, and calls to other sidecars.

pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod end;
pub(crate) mod failure;
pub(crate) mod io;
pub(crate) mod keepalive;
pub(crate) mod message;
pub(crate) mod pool;
pub(crate) mod raw;
pub(crate) mod seldom;
pub(crate) mod upload;
