//! `outrider run` as a person starts it: apps are small shell scripts and this very test program.

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

mod end;
mod output;
mod single;
mod start;
mod support;
mod template;
