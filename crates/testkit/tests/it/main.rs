//! The kit against itself: raw apps and raw clients, and processes that only look like sidecars.

mod app;
mod grpc;
mod process;
