//! State for clients, whatever door they come in by (contract `state.md` 3, 4, 8).
//!
//! Finds the store, makes whole keys, calls the store once and counts that, and says what went wrong
//! as a [`Fault`]. Decodes and encodes nothing. Tries nothing again: what a store refuses is told.

pub(crate) mod fault;
mod query;
mod refusal;

use std::{
    collections::HashMap,
    future::Future,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use outrider_core::calendar::civil_from_seconds;
use outrider_state::{Delete, Error, Get, Item, Operation, Session, Set};

pub(crate) use fault::{Fault, Kind, Refusal};

use crate::{
    lane::Lane,
    stores::{Loaded, Querying},
};

/// A store that a client has named, as this lane uses it.
pub(crate) struct State<'a> {
    lane: &'a Lane,
    loaded: Arc<Loaded>,
    session: Rc<dyn Session>,
}

/// What is done to a store, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Get,
    BulkGet,
    Set,
    Delete,
    BulkDelete,
    Transaction,
    Query,
}

impl Act {
    /// How many there are.
    pub(crate) const COUNT: usize = 7;

    /// The word in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::BulkGet => "bulk_get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::BulkDelete => "bulk_delete",
            Self::Transaction => "transaction",
            Self::Query => "query",
        }
    }
}

/// Each key once, and for each that was given the place of its like: a short request that names a
/// long value over and over must not make it be read over and over.
fn once_each(gets: Vec<Get>) -> (Vec<Get>, Vec<usize>) {
    let mut known = HashMap::with_capacity(gets.len());
    let mut once: Vec<Get> = Vec::with_capacity(gets.len());
    let mut places = Vec::with_capacity(gets.len());
    for get in gets {
        let at = *known.entry(get.key.clone()).or_insert(once.len());
        if at == once.len() {
            once.push(get);
        }
        places.push(at);
    }
    (once, places)
}

/// What was found under one of many keys.
pub(crate) type Found = Result<Option<Item>, Error>;

impl<'a> State<'a> {
    /// The store of that name.
    pub(crate) fn open(lane: &'a Lane, name: &str) -> Result<Self, Fault> {
        let stores = &lane.shared.stores;
        let Some(loaded) = stores.find(name) else {
            let (kind, what) = if stores.is_empty() {
                (Kind::NotConfigured, "configured")
            } else {
                (Kind::NotFound, "found")
            };
            return Err(Fault::new(
                kind,
                name,
                format!("state store {name} is not {what}"),
            ));
        };
        let session = lane.stores.with(&loaded);
        Ok(Self {
            lane,
            loaded,
            session,
        })
    }

    /// Reads one key.
    pub(crate) async fn get(&self, mut get: Get) -> Result<Option<Item>, Fault> {
        let whole = self.whole(&get.key)?;
        let key = std::mem::replace(&mut get.key, whole);
        let answer = self.session.get(get);
        self.counted(Act::Get, answer, Result::is_ok)
            .await
            .map_err(|error| {
                let store = &self.loaded.name;
                self.fault(
                    Kind::Get,
                    format!("fail to get {key} from state store {store}: {error}"),
                )
            })
    }

    /// Reads keys; what was found comes in their order.
    pub(crate) async fn get_many(&self, mut gets: Vec<Get>) -> Result<Vec<Found>, Fault> {
        for get in &mut gets {
            get.key = self.whole(&get.key)?;
        }
        if gets.is_empty() {
            return Ok(Vec::new());
        }
        let (gets, places) = once_each(gets);
        let answer = self.session.get_many(gets);
        let found = self.counted(Act::BulkGet, answer, |_| true).await;
        // A store that answers less than it was asked is no reason to end.
        let missing = || {
            Err(Error::failed(
                "the state store has not answered for this key",
            ))
        };
        let of = |at: usize| found.get(at).cloned().unwrap_or_else(missing);
        Ok(places.into_iter().map(of).collect())
    }

    /// Writes items in their order, each for itself. All of them are looked at before any is
    /// written.
    pub(crate) async fn save(&self, mut sets: Vec<Set>) -> Result<(), Fault> {
        for set in &mut sets {
            if set.key.is_empty() {
                return Err(self.fault(Kind::KeyMissing, "\"key\" is a required field"));
            }
            set.key = self.whole(&set.key)?;
        }
        self.save_whole(sets).await
    }

    /// The same for items whose keys are whole already ([`whole`](Self::whole)).
    pub(crate) async fn save_whole(&self, mut sets: Vec<Set>) -> Result<(), Fault> {
        let many = sets.len() > 1;
        let errors = match sets.pop() {
            None => return Ok(()),
            Some(set) if !many => {
                let answer = self.session.set(set);
                let answer = self.counted(Act::Set, answer, Result::is_ok).await;
                Vec::from_iter(answer.err())
            }
            Some(last) => {
                sets.push(last);
                let answer = self.session.set_many(sets);
                let all_ok = |answers: &Vec<Result<_, _>>| answers.iter().all(Result::is_ok);
                let answers = self.counted(Act::Set, answer, all_ok).await;
                answers.into_iter().filter_map(Result::err).collect()
            }
        };
        let what = format!("saving state in state store {}", self.loaded.name);
        self.refused(&errors, many, Kind::Save, &what)
    }

    /// Removes keys in their order, each for itself.
    pub(crate) async fn delete_many(&self, mut deletes: Vec<Delete>) -> Result<(), Fault> {
        for delete in &mut deletes {
            delete.key = self.whole(&delete.key)?;
        }
        if deletes.is_empty() {
            return Ok(());
        }
        let many = deletes.len() > 1;
        let answer = self.session.delete_many(deletes);
        let all_ok = |answers: &Vec<Result<_, _>>| answers.iter().all(Result::is_ok);
        let answers = self.counted(Act::BulkDelete, answer, all_ok).await;
        let errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        let what = format!("deleting state in state store {}", self.loaded.name);
        self.refused(&errors, many, Kind::DeleteMany, &what)
    }

    /// Removes a key.
    pub(crate) async fn delete(&self, mut delete: Delete) -> Result<(), Fault> {
        let whole = self.whole(&delete.key)?;
        let key = std::mem::replace(&mut delete.key, whole);
        let answer = self.session.delete(delete);
        let answer = self.counted(Act::Delete, answer, Result::is_ok).await;
        let what = format!("deleting state with key {key}");
        let errors = Vec::from_iter(answer.err());
        self.refused(&errors, false, Kind::Delete, &what)
    }

    /// Does all operations or none. Their keys are whole already ([`whole`](Self::whole)).
    pub(crate) async fn transact(&self, operations: Vec<Operation>) -> Result<(), Fault> {
        if operations.is_empty() {
            return Ok(());
        }
        let answer = self.session.transact(operations);
        self.counted(Act::Transaction, answer, Result::is_ok)
            .await
            .map_err(|error| {
                self.fault(
                    Kind::Transaction,
                    format!("error while executing state transaction: {error}"),
                )
            })
    }

    /// The fault of whoever wants to query.
    pub(crate) fn query(&self, query: &[u8]) -> Fault {
        let why = match self.loaded.querying {
            Querying::Unsupported => {
                let text = "state store does not support querying";
                return self.fault(Kind::QueryUnsupported, text);
            }
            Querying::Encrypted => "cannot query encrypted store".to_owned(),
            Querying::NoModule => match query::check(query) {
                Err(why) => format!("failed to parse JSON query body: {why}"),
                Ok(()) => {
                    let (name, took) = (&self.loaded.name, Duration::ZERO);
                    self.lane.metrics.state(name, Act::Query, false, took);
                    "redis-json server support is required for query capability".to_owned()
                }
            },
        };
        let text = format!("state store {} query failed: {why}", self.loaded.name);
        self.fault(Kind::Query, text)
    }

    /// The key as the store keeps it.
    pub(crate) fn whole(&self, key: &str) -> Result<String, Fault> {
        self.loaded.prefix.whole(key).map_err(|error| Fault {
            key: Some(key.to_owned()),
            ..self.fault(Kind::KeyIllegal, error.to_string())
        })
    }

    /// A fault that has to do with this store.
    pub(crate) fn fault(&self, kind: Kind, message: impl Into<String>) -> Fault {
        Fault::new(kind, &self.loaded.name, message)
    }

    /// The fault that the errors of a write come to, if there are any.
    fn refused(
        &self,
        errors: &[Error],
        many: bool,
        kind: fn(Refusal) -> Kind,
        what: &str,
    ) -> Result<(), Fault> {
        let Some(told) = refusal::of(errors, many) else {
            return Ok(());
        };
        let text = |error: &str| format!("failed {what}: {error}");
        Err(Fault {
            long_message: told.long.as_deref().map(text),
            ..self.fault(kind(told.refusal), text(&told.text))
        })
    }

    async fn counted<T>(
        &self,
        act: Act,
        answer: impl Future<Output = T>,
        is_success: impl FnOnce(&T) -> bool,
    ) -> T {
        let started = Instant::now();
        let answer = answer.await;
        let metrics = &self.lane.metrics;
        metrics.state(
            &self.loaded.name,
            act,
            is_success(&answer),
            started.elapsed(),
        );
        answer
    }
}

/// When an item ends, as clients are told: `2026-11-25T20:26:40Z`.
pub(crate) fn time_text(seconds: i64) -> String {
    let [year, month, day, hour, minute, second] = civil_from_seconds(seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
