//! The public API.

pub(crate) mod cors;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod trace;
