//! What goes into a store and what comes out of it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

/// Request metadata, names in the exact case that stores look for (`ttlInSeconds`, `contentType`).
pub type Metadata = BTreeMap<String, String>;

/// A value to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// JSON text, without white space between tokens.
    Json(Bytes),
    /// Any bytes.
    Raw(Bytes),
}

impl Value {
    /// The bytes as a reader gets them back.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Json(bytes) | Self::Raw(bytes) => bytes,
        }
    }
}

/// How a write is to be done, in the client's words: what is none of the known ones is the store's
/// to refuse ([`Options::check`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `first-write`, `last-write` or nothing.
    pub concurrency: String,
    /// `strong`, `eventual` or nothing.
    pub consistency: String,
}

impl Options {
    /// Refuses words that mean nothing.
    ///
    /// # Errors
    /// The first unknown word, as the reference tells it.
    pub fn check(&self) -> Result<(), crate::Error> {
        if !matches!(&*self.concurrency, "" | "first-write" | "last-write") {
            let text = format!("unrecognized concurrency model '{}'", self.concurrency);
            return Err(crate::Error::Failed(text));
        }
        if !matches!(&*self.consistency, "" | "strong" | "eventual") {
            let text = format!("unrecognized consistency model '{}'", self.consistency);
            return Err(crate::Error::Failed(text));
        }
        Ok(())
    }
}

/// A key to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Get {
    /// The whole key.
    pub key: String,
    /// Request metadata, one and the same for all keys of a request: a copy for each would make a
    /// small request a large one.
    pub metadata: Arc<Metadata>,
}

/// A key to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The whole key.
    pub key: String,
    /// What is to be there.
    pub value: Value,
    /// The etag that must be there now; never empty.
    pub etag: Option<String>,
    /// Request metadata.
    pub metadata: Metadata,
    /// How.
    pub options: Options,
}

/// A key to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// The whole key.
    pub key: String,
    /// The etag that must be there now; never empty.
    pub etag: Option<String>,
    /// Request metadata.
    pub metadata: Metadata,
    /// How.
    pub options: Options,
}

/// Part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Write.
    Set(Set),
    /// Remove.
    Delete(Delete),
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The bytes as they were stored.
    pub value: Bytes,
    /// Its etag; none for data that other programs wrote in a form of their own.
    pub etag: Option<String>,
    /// When it ends, in seconds since 1970, if it does and the store tells.
    pub expires: Option<i64>,
}
