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
mod heads;
mod life;
mod mdns;
mod pair;
