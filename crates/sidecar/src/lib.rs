//! The sidecar process: the API its app calls, calls to other sidecars, calls from them to the
//! app, and the life around it. `ARCHITECTURE.md` tells the way of a call through these files.

mod api;
mod app_channel;
mod assemble;
mod bind;
mod call;
mod components;
mod control;
mod http1;
mod inbound;
mod io;
mod lane;
mod lanes;
mod life;
mod link;
mod listen;
mod metadata;
mod metrics;
mod outbound;
mod plan;
mod proxy;
mod ready;
mod reflection;
mod shared;
mod state;
mod stores;
mod workers;

pub use assemble::{RUNTIME_VERSION, plan as assemble};
pub use life::{End, Host, live};
pub use plan::Plan;
