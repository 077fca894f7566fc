//! What a sidecar tells about itself: log lines and the metrics page, both in the layout that
//! tools written for the reference already read.
//!
//! Nothing here opens a socket, reads the environment, starts a task or decides when to record:
//! values come in as arguments and whoever serves the page asks for its text.

pub mod log;
pub mod metrics;
pub mod process;

mod go_float;
