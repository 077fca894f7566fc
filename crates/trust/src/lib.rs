//! TLS connections to servers: whom we trust, who we are, and what went wrong in words that tell
//! the cure.
//!
//! The only crate that names types of the TLS library; the others see a [`Connector`] and a
//! [`TlsStream`]. The library of cryptography is passed to every configuration, so there is no
//! process-wide default that somebody could set to another one. Resolves no names, dials nothing
//! and knows no protocol above TLS; whoever connects brings a socket and a time limit.

mod connector;
mod error;
mod material;
mod stream;
#[cfg(test)]
mod tests;
mod unverified;

pub use connector::Connector;
pub use error::TlsError;
pub use material::{Identity, MaterialError};
pub use stream::TlsStream;
