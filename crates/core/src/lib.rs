//! Words that every part of outrider shares. Nothing here does I/O or knows HTTP or gRPC.

pub mod base64;
pub mod calendar;
pub mod duration;
pub mod go_json;
pub mod host;
pub mod ids;
pub mod json;
pub mod path;
pub mod quantity;
pub mod quote;
pub mod sniff;
pub mod sqlite_dsn;
pub mod words;
