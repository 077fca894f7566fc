//! One call, whatever door it came in by: what is asked for, the body, the reply, the fault.
//!
//! Everything else in this crate uses these types; they use nothing of it.

pub(crate) mod body;
pub(crate) mod early;
pub(crate) mod fault;
pub(crate) mod grpc;
pub(crate) mod request;
pub(crate) mod target;
pub(crate) mod until;

pub(crate) use body::{Body, BodyError, BodyStream};
pub(crate) use fault::{Fault, Kind};
pub(crate) use request::{Call, Reply, Status};
pub(crate) use target::Target;
