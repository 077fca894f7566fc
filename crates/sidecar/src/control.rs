//! Everything that is not a call: one more thread beside the lanes.

pub(crate) mod app;
pub(crate) mod mdns;
pub(crate) mod metrics_page;
pub(crate) mod registry;
pub(crate) mod resolvers;
pub(crate) mod signals;
