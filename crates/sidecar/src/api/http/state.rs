//! State over HTTP: requests decoded, answers encoded (contract `state.md` 3).
//!
//! The store is looked for before the body is read. What becomes of the data is not known here.

mod bodies;
mod encode;
mod go_print;
mod query;
mod transaction;

use std::{mem, sync::Arc};

use bytes::Bytes;
use outrider_state::{Delete, Get, Metadata, Operation, Options};

use super::{Answer, Asked};
use crate::{
    call::{Body, BodyError},
    lane::Lane,
    state::{Fault, Kind, State},
};

/// What is asked of a store. Keys are unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Save,
    Get(String),
    Delete(String),
    Bulk,
    Transaction,
    Query,
}

/// A fault, and whether it has left the connection in the middle of a body.
struct Refused {
    fault: Fault,
    close: bool,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            close: false,
        }
    }
}

/// Answers a request about the store of that name.
pub(super) async fn state(lane: &Lane, asked: &mut Asked, store: &str, wish: Wish) -> Answer {
    let own_id = (wish != Wish::Query).then(|| lane.shared.plan.app_id.as_str());
    let answered = match State::open(lane, store) {
        Ok(state) => answer(&state, asked, wish).await,
        Err(fault) => Err(fault.into()),
    };
    answered.unwrap_or_else(|Refused { fault, close }| {
        let mut answer = encode::fault(&fault, own_id);
        answer.close = close;
        answer
    })
}

async fn answer(state: &State<'_>, asked: &mut Asked, wish: Wish) -> Result<Answer, Refused> {
    let Asked { req, query, .. } = asked;
    let body = mem::take(&mut req.body);
    let metadata = query::metadata(query);
    let consistency = || query::first(query, "consistency").unwrap_or_default();
    match wish {
        Wish::Get(key) => {
            let get = Get {
                key,
                metadata: metadata.into(),
            };
            return Ok(encode::item(state.get(get).await?));
        }
        Wish::Delete(key) => {
            let etag = req.head.fields.get("if-match").unwrap_or_default();
            let etag = String::from_utf8_lossy(etag).into_owned();
            let delete = Delete {
                key,
                etag: Some(etag).filter(|etag| !etag.is_empty()),
                metadata,
                options: Options {
                    concurrency: query::first(query, "concurrency").unwrap_or_default(),
                    consistency: consistency(),
                },
            };
            state.delete(delete).await?;
        }
        Wish::Save => save(state, body, &metadata).await?,
        Wish::Bulk => return bulk(state, body, metadata).await,
        Wish::Transaction => transact(state, body, &metadata).await?,
        Wish::Query => {
            let before = "failed to read request body: ";
            let body = collect(state, body, Kind::BodyUnread, before).await?;
            return Err(state.query(&body).into());
        }
    }
    Ok(Answer::empty(204))
}

async fn save(state: &State<'_>, body: Body, metadata: &Metadata) -> Result<(), Refused> {
    let body = collect(state, body, Kind::Malformed, "").await?;
    let mut sets =
        bodies::sets(&body).map_err(|error| state.fault(Kind::Malformed, error.to_string()))?;
    for set in &mut sets {
        override_with(&mut set.metadata, metadata);
    }
    drop(body);
    Ok(state.save(sets).await?)
}

/// What stands before the reason why the body of a bulk request or transaction can't be read.
const UNREADABLE: &str = "failed deserializing HTTP body: ";

fn unreadable(state: &State<'_>, error: impl std::fmt::Display) -> Fault {
    state.fault(Kind::Malformed, format!("{UNREADABLE}{error}"))
}

async fn bulk(state: &State<'_>, body: Body, metadata: Metadata) -> Result<Answer, Refused> {
    let body = collect(state, body, Kind::Malformed, UNREADABLE).await?;
    let mut bulk = bodies::bulk(&body).map_err(|error| unreadable(state, error))?;
    override_with(&mut bulk.metadata, &metadata);
    let metadata = Arc::new(bulk.metadata);
    let gets = bulk.keys.iter().map(|key| Get {
        key: key.clone(),
        metadata: Arc::clone(&metadata),
    });
    let found = state.get_many(gets.collect()).await?;
    Ok(encode::items(&bulk.keys, found))
}

async fn transact(state: &State<'_>, body: Body, metadata: &Metadata) -> Result<(), Refused> {
    let body = collect(state, body, Kind::Malformed, UNREADABLE).await?;
    let wanted = transaction::read(&body).map_err(|error| unreadable(state, error))?;
    let mut operations = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let Some(operation) = wanted.operation(&body) else {
            let text = format!("operation type {} not supported", wanted.operation);
            return Err(state.fault(Kind::OperationUnknown, text).into());
        };
        let mut operation = operation.map_err(|error| unreadable(state, error))?;
        let (key, its_metadata) = match &mut operation {
            Operation::Set(set) => (&mut set.key, &mut set.metadata),
            Operation::Delete(delete) => (&mut delete.key, &mut delete.metadata),
        };
        // Clients are not told here which key it is, as with the reference.
        *key = state
            .whole(key)
            .map_err(|fault| Fault { key: None, ..fault })?;
        override_with(its_metadata, metadata);
        operations.push(operation);
    }
    drop(body);
    Ok(state.transact(operations).await?)
}

/// What a query parameter says counts more than what the body says.
fn override_with(metadata: &mut Metadata, query: &Metadata) {
    for (name, value) in query {
        metadata.insert(name.clone(), value.clone());
    }
}

/// The whole body. How long it may be is settled where it is received.
async fn collect(
    state: &State<'_>,
    body: Body,
    kind: Kind,
    before: &str,
) -> Result<Bytes, Refused> {
    body.collect(usize::MAX).await.map_err(|error| {
        let error = error.err().unwrap_or(BodyError::TooLarge);
        Refused {
            fault: state.fault(kind, format!("{before}{error}")),
            close: true,
        }
    })
}
