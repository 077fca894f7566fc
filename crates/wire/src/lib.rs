//! What travels between processes: header fields, HTTP/1.1 framing, the peer envelope, gRPC framing
//! and the generated protobuf types. Nothing here opens a socket or waits.

pub mod envelope;
pub mod fields;
pub mod r#gen;
pub mod grpc;
pub mod headers;
pub mod http1;

pub use fields::Fields;
