//! State stores behind one small trait: Redis, SQLite and memory (contract `state.md`).
//!
//! A [`Store`] belongs to a process and may be used from any thread. Each thread that calls it takes
//! a [`Session`] of its own, so that a connection never wakes another thread. Keys are whole by the
//! time they come here ([`prefix`] makes them whole). Knows neither HTTP nor gRPC, and answers
//! nothing that it has not got from, or brought to, the place where the data is kept.

mod clock;
pub mod encrypted;
mod error;
mod item;
mod memory;
mod open;
pub mod prefix;
pub mod properties;
mod redis;
mod sqlite;
mod ttl;

use std::{fmt::Debug, future::Future, pin::Pin, rc::Rc};

pub use encrypted::Encrypted;
pub use error::Error;
pub use item::{Delete, Get, Item, Metadata, Operation, Options, Set, Value};
pub use open::{Kind, OpenError};
pub use prefix::{IllegalKey, KeyPrefix};
pub use properties::Properties;

/// An operation under way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A place where state is kept.
pub trait Store: Send + Sync + Debug {
    /// What it can do, in the words and the order that `/v1.0/metadata` has them in.
    fn capabilities(&self) -> &'static [&'static str];

    /// The store as one thread uses it. Connects when first used.
    fn session(&self) -> Rc<dyn Session>;
}

/// A store as one thread uses it. Dropping an answer gives the operation up; whether it happened is
/// then unknown.
pub trait Session {
    /// Reads one key; none if there is nothing, or nothing any more.
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>>;

    /// Reads keys; answers in their order, an error for itself each.
    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(gets.len());
            for get in gets {
                answers.push(self.get(get).await);
            }
            answers
        })
    }

    /// Writes one key.
    fn set(&self, set: Set) -> Answer<'_, Result<(), Error>>;

    /// Writes keys in their order, each for itself: an error stops none of the others.
    fn set_many(&self, sets: Vec<Set>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(sets.len());
            for set in sets {
                answers.push(self.set(set).await);
            }
            answers
        })
    }

    /// Removes one key; a missing one is no error.
    fn delete(&self, delete: Delete) -> Answer<'_, Result<(), Error>>;

    /// Removes keys in their order, each for itself: an error stops none of the others.
    fn delete_many(&self, deletes: Vec<Delete>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(deletes.len());
            for delete in deletes {
                answers.push(self.delete(delete).await);
            }
            answers
        })
    }

    /// Does all operations in their order, or none of them.
    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>>;
}

#[cfg(test)]
mod tests;
