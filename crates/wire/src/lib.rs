//! What travels between processes: header fields, HTTP/1.1 framing, the peer envelope, gRPC framing
//! and the generated protobuf types. Nothing here opens a socket or waits.

pub mod fields;

pub use fields::Fields;
