//! Our sidecar and a real daprd, as caller and as callee of each other.
//!
//! Run by `OUTRIDER_TEST_DAPRD=/path/to/daprd cargo test -p outrider --test real_daprd -- --ignored`.
//! But for `mdns`, the two find each other without multicast: ours reads the same-host registry, where the test
//! announces daprd, and daprd has an address given by its configuration.
//! What daprd itself does wrong is not asserted (contract `sidecar-protocol.md`, "Weakness").

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

mod bodies;
mod breaks;
mod grpc;
// What a gRPC call is made of is the same as between two of ours.
#[allow(dead_code, reason = "the mesh in it is for the other suite")]
#[path = "../it/grpc_support.rs"]
mod grpc_support;
mod heads;
mod life;
mod mdns;
mod pair;

/// Where the shared part looks for the binary.
mod support {
    pub(crate) use crate::pair::OURS as BIN;
}
