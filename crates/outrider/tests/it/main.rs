//! The sidecar from outside: real processes, raw sockets, apps that do as the test says.
//!
//! One subject a file. Every expectation is of the contract (`http-api.md`, `grpc-api.md`,
//! `sidecar-protocol.md`, `lifecycle.md`) or of `docs/differences.md`; nothing here looks inside the
//! sidecar.

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

mod addressing;
mod api;
mod app_limits;
mod app_protocols;
mod as_callee;
mod as_caller;
mod bad_peer;
mod broken;
mod cancellation;
mod components;
mod cors;
mod failover;
mod framing;
mod grpc_api;
mod grpc_app;
mod grpc_app_ends;
mod grpc_bad_answers;
mod grpc_failover;
mod grpc_proxy;
mod grpc_proxy_ends;
mod grpc_proxy_many;
mod grpc_support;
mod h2c;
mod http1;
mod load;
mod paths;
mod peer;
mod request_headers;
mod resolvers;
mod response_headers;
mod retries;
mod starting;
mod state;
mod statuses;
mod stopping;
mod streaming;
mod support;
mod verbs;
