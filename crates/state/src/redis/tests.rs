//! Against a real server. Without one installed these tests say so and pass, but not under CI.

mod broken;
mod cluster;
mod cut;
mod encrypted;
mod etags;
mod failover;
mod impatient;
mod layout;
mod papers;
mod server;
mod start;
mod strong;
mod transactions;

use std::rc::Rc;

use bytes::Bytes;

use super::Redis;
use crate::{
    Delete, Error, Get, Item, Metadata, Operation, Options, Properties, Session, Set, Store, Value,
};
use server::Server;

/// A store on that server; further metadata as told.
async fn open(server: &Server, more: &[(&str, &str)]) -> Result<Redis, String> {
    let host = server.host();
    let items = [("redisHost", host.as_str())];
    let items = items.iter().chain(more);
    let items = items.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let properties = Properties::try_new(items).unwrap();
    Redis::open(&properties).await.map_err(|error| error.0)
}

async fn session(server: &Server) -> Rc<dyn Session> {
    open(server, &[]).await.unwrap().session()
}

fn set(key: &str, value: &str) -> Set {
    Set {
        key: key.into(),
        value: Value::Json(Bytes::copy_from_slice(value.as_bytes())),
        etag: None,
        metadata: Metadata::new(),
        options: Options::default(),
    }
}

/// A set with an etag, if it is not empty, and a concurrency word.
fn set_with(key: &str, etag: &str, concurrency: &str) -> Set {
    Set {
        etag: Some(etag.to_owned()).filter(|etag| !etag.is_empty()),
        options: Options {
            concurrency: concurrency.into(),
            consistency: String::new(),
        },
        ..set(key, "\"v\"")
    }
}

fn ttl(mut set: Set, ttl: &str) -> Set {
    set.metadata = [("ttlInSeconds".to_owned(), ttl.to_owned())].into();
    set
}

fn get(key: &str) -> Get {
    Get {
        key: key.into(),
        ..Get::default()
    }
}

fn delete(key: &str, etag: &str) -> Delete {
    Delete {
        key: key.into(),
        etag: Some(etag.to_owned()).filter(|etag| !etag.is_empty()),
        ..Delete::default()
    }
}

/// The value and the etag, as text.
fn seen(item: Result<Option<Item>, Error>) -> Option<(String, String)> {
    item.unwrap().map(|item| {
        let value = String::from_utf8(item.value.to_vec()).unwrap();
        (value, item.etag.unwrap_or_default())
    })
}

fn pair(value: &str, etag: &str) -> Option<(String, String)> {
    Some((value.to_owned(), etag.to_owned()))
}
