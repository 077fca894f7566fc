//! Apps, raw sockets and whole meshes for black-box tests of the sidecar.
//!
//! Everything here works on bytes: headers keep their order and case, chunked bodies are decoded by
//! hand, and nothing repairs what the other side wrote. It is a dev-dependency only, refuses to know
//! any of the product crates, and never leaves 127.0.0.1.
//!
//! Every wait is bounded ([`LIMIT`]); a wait that runs out is an error that names what was awaited.

mod app;
mod client;
pub mod grpc;
mod log;
mod mesh;
mod message;
mod network;
mod ports;
mod script;
mod sidecar;
mod wire;

use std::time::Duration;

pub use app::{AppBuilder, RawApp};
pub use client::{RawClient, request};
pub use grpc::{GrpcAnswer, GrpcApp, GrpcCall, GrpcClient, GrpcScript, GrpcStream};
pub use mesh::{Mesh, MeshBuilder};
pub use message::{Ending, Headers, RawRequest, RawResponse};
pub use network::in_own_network;
pub use ports::{free_ports, unique_id};
pub use script::{Gate, Script};
pub use sidecar::{Ports, Sidecar, SidecarBuilder, Signal};

/// How long any single wait of the kit lasts before it is given up.
pub const LIMIT: Duration = Duration::from_secs(20);
