//! gRPC, and HTTP/2 without TLS, down to the frame: an app, a client, and what both write.
//!
//! Messages are bytes and metadata is what stood on the wire. Nothing here knows protobuf, retries,
//! or hides a reset.

mod app;
mod client;
mod connection;
mod frame;
mod metadata;
mod refusal;
mod running;
mod script;
mod tls;

pub use app::{GrpcApp, GrpcAppBuilder, GrpcCall};
pub use client::{GrpcAnswer, GrpcClient, GrpcReceiver, GrpcSender, GrpcStream};
pub use frame::{framed, messages_of};
pub use metadata::{bin_values, from_base64, percent_decoded, to_base64, values};
pub use refusal::Refusal;
pub use script::GrpcScript;
pub use tls::{Handshake, TlsFront};

/// Connections never run out of window, whoever reads them how slowly: only streams do.
pub(crate) const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
