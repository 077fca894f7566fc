//! Where the instances of an app are: a table fed by sources and read by calls, the choice among
//! several instances, and the first source, the same-host registry.
//!
//! A call never asks a source. It reads [`Table`], and waits only for an id that nobody has seen
//! yet. Sources (same-host registry, mDNS, static lists and so on) run on the control thread and
//! write what they know through a [`SourceHandle`]. Nothing here opens a connection to a peer or
//! knows HTTP or gRPC.

pub mod instance;
pub mod mdns;
pub mod registry;
pub mod resolvers;
pub mod table;

pub use instance::{InFlightGuard, Instance, Instances};
pub use registry::Registry;
pub use table::{Asked, Cause, Listing, NotFound, Query, Snapshot, SourceHandle, Table};
