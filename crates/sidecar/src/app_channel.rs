//! The way to the app beside this sidecar: HTTP/1.1 over a pool of kept connections.

mod body;
pub(crate) mod config;
mod connection;
mod error;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod wait;

pub(crate) use error::AppError;
pub(crate) use http::{AppRequest, Channel};
