//! What every store of this crate that needs no server must do, and helpers for the tests of each.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::tests::Hands;
use crate::memory::Memory;
use crate::sqlite::tests::TempStore;
use crate::{Delete, Error, Get, Item, Metadata, Operation, Options, Session, Set, Store, Value};

mod model;

pub(crate) fn get(key: &str) -> Get {
    Get {
        key: key.to_owned(),
        ..Get::default()
    }
}

pub(crate) fn set(key: &str, json: &str) -> Set {
    Set {
        key: key.to_owned(),
        value: Value::Json(Bytes::copy_from_slice(json.as_bytes())),
        etag: None,
        metadata: Metadata::new(),
        options: Options::default(),
    }
}

pub(crate) fn delete(key: &str) -> Delete {
    Delete {
        key: key.to_owned(),
        ..Delete::default()
    }
}

/// Conditions of a write.
pub(crate) trait Asking: Sized {
    fn parts(&mut self) -> (&mut Option<String>, &mut Metadata, &mut Options);

    fn etag(mut self, etag: &str) -> Self {
        *self.parts().0 = Some(etag.to_owned());
        self
    }

    fn ttl(mut self, seconds: &str) -> Self {
        let name = "ttlInSeconds".to_owned();
        self.parts().1.insert(name, seconds.to_owned());
        self
    }

    fn concurrency(mut self, word: &str) -> Self {
        word.clone_into(&mut self.parts().2.concurrency);
        self
    }

    fn first_write(self) -> Self {
        self.concurrency("first-write")
    }
}

impl Asking for Set {
    fn parts(&mut self) -> (&mut Option<String>, &mut Metadata, &mut Options) {
        (&mut self.etag, &mut self.metadata, &mut self.options)
    }
}

impl Asking for Delete {
    fn parts(&mut self) -> (&mut Option<String>, &mut Metadata, &mut Options) {
        (&mut self.etag, &mut self.metadata, &mut self.options)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Which {
    Memory,
    Sqlite,
}

/// Runs a test with each store.
fn on_both<F: Future<Output = ()>>(test: impl Fn(Which, Arc<dyn Store>, Hands) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let hands = Hands::default();
    let memory = Arc::new(Memory::with_clock(hands.clock()));
    runtime.block_on(test(Which::Memory, memory, hands));
    let hands = Hands::default();
    let sqlite = runtime.block_on(TempStore::open(hands.clock(), &[]));
    runtime.block_on(test(Which::Sqlite, Arc::clone(&sqlite.store), hands));
}

pub(crate) async fn found(session: &dyn Session, key: &str) -> Option<Item> {
    session.get(get(key)).await.unwrap()
}

async fn value(session: &dyn Session, key: &str) -> Option<String> {
    let item = found(session, key).await?;
    Some(String::from_utf8(item.value.to_vec()).unwrap())
}

async fn etag(session: &dyn Session, key: &str) -> String {
    found(session, key).await.unwrap().etag.unwrap()
}

fn is_mismatch(answer: &Result<(), Error>) -> bool {
    matches!(answer, Err(Error::EtagMismatch(_)))
}

#[test]
fn writes_keep_to_the_etag_table() {
    on_both(|which, store, _| async move {
        let session = &*store.session();
        // Contract state.md 5.4, row by row.
        assert!(is_mismatch(&session.set(set("none", "1").etag("x")).await));
        session.set(set("k", "1")).await.unwrap();
        for wrong in ["x", "0", "1"] {
            assert!(is_mismatch(&session.set(set("k", "2").etag(wrong)).await));
        }
        let last = set("k", "2").etag("x").concurrency("last-write");
        assert!(is_mismatch(&session.set(last).await));
        assert!(is_mismatch(&session.set(set("k", "2").first_write()).await));
        session.set(set("new", "1").first_write()).await.unwrap();
        session.set(set("new", "2")).await.unwrap();
        assert!(is_mismatch(&session.delete(delete("none").etag("x")).await));
        assert!(is_mismatch(&session.delete(delete("k").etag("x")).await));
        let first = session.delete(delete("new").first_write()).await;
        assert_eq!(is_mismatch(&first), which == Which::Memory);
        assert_eq!(value(session, "k").await.as_deref(), Some("1"));
        // And what succeeds.
        let old = etag(session, "k").await;
        session.set(set("k", "3").etag(&old)).await.unwrap();
        assert!(is_mismatch(&session.set(set("k", "4").etag(&old)).await));
        let new = etag(session, "k").await;
        assert!(uuid::Uuid::parse_str(&new).is_ok_and(|id| id.get_version_num() == 4));
        session.delete(delete("k").etag(&new)).await.unwrap();
        assert_eq!(found(session, "k").await, None);
        session.delete(delete("k")).await.unwrap();
    });
}

#[test]
fn an_ended_item_counts_as_absent_at_once() {
    on_both(|_, store, hands| async move {
        let session = &*store.session();
        for key in ["a", "b", "c", "d"] {
            session.set(set(key, "1").ttl("10")).await.unwrap();
        }
        let item = found(session, "a").await.unwrap();
        assert_eq!(item.expires, Some(Hands::START + 10));
        hands.forward(9_900);
        assert!(found(session, "a").await.is_some());
        let (b, d) = (etag(session, "b").await, etag(session, "d").await);
        hands.forward(100);
        assert_eq!(found(session, "a").await, None);
        session.set(set("a", "2").first_write()).await.unwrap();
        assert_eq!(found(session, "a").await.unwrap().expires, None);
        assert!(is_mismatch(&session.set(set("b", "2").etag(&b)).await));
        session.set(set("c", "2")).await.unwrap();
        assert!(is_mismatch(&session.delete(delete("d").etag(&d)).await));
        let many = session.get_many(vec![get("d"), get("c"), get("c")]).await;
        let many: Vec<_> = many.into_iter().map(|r| r.unwrap().is_some()).collect();
        assert_eq!(many, [false, true, true]);
    });
}

#[test]
fn unknown_words_are_refused() {
    on_both(|_, store, _| async move {
        let session = &*store.session();
        let text = "unrecognized concurrency model 'x'";
        let refused = Err(Error::failed(text));
        assert_eq!(session.set(set("k", "1").concurrency("x")).await, refused);
        let odd = delete("k").concurrency("x");
        assert_eq!(session.delete(odd).await, refused);
        let operations = vec![
            Operation::Set(set("a", "1")),
            Operation::Set(set("k", "1").concurrency("x")),
        ];
        assert_eq!(session.transact(operations).await, refused);
        assert_eq!(found(session, "a").await, None);
        let mut eventual = set("k", "1");
        eventual.options.consistency = "EVENTUAL".into();
        let text = "unrecognized consistency model 'EVENTUAL'";
        assert_eq!(session.set(eventual).await, Err(Error::failed(text)));
    });
}

#[test]
fn any_bytes_come_back() {
    on_both(|_, store, _| async move {
        let session = &*store.session();
        for bytes in [&b""[..], b"\0\xff", b"null", b"Zg=="] {
            let raw = Value::Raw(Bytes::from_static(bytes));
            let set = Set {
                value: raw,
                ..set("k\0\u{1F980}", "")
            };
            session.set(set).await.unwrap();
            let item = found(session, "k\0\u{1F980}").await.unwrap();
            assert_eq!(item.value, bytes);
        }
    });
}

#[test]
fn several_writes_are_each_for_themselves() {
    on_both(|_, store, _| async move {
        let session = &*store.session();
        session.set(set("b", "1")).await.unwrap();
        let answers = session
            .set_many(vec![
                set("a", "1"),
                set("b", "2").etag("x"),
                set("c", "1").ttl("abc"),
                set("a", "2"),
            ])
            .await;
        let faults: Vec<_> = answers.iter().map(Result::is_err).collect();
        assert_eq!(faults, [false, true, true, false]);
        assert!(is_mismatch(&answers[1]));
        assert_eq!(value(session, "a").await.as_deref(), Some("2"));
        assert_eq!(value(session, "b").await.as_deref(), Some("1"));
        assert!(session.set_many(vec![]).await.is_empty());
        assert!(session.get_many(vec![]).await.is_empty());
    });
}

#[test]
fn several_deletes_are_each_for_themselves() {
    on_both(|_, store, _| async move {
        let session = &*store.session();
        for key in ["a", "b", "c"] {
            session.set(set(key, "1")).await.unwrap();
        }
        let b = etag(session, "b").await;
        let answers = session
            .delete_many(vec![
                delete("a").etag("x"),
                delete("b").etag(&b),
                delete("b").etag(&b),
                delete("none"),
                delete("a").concurrency("x"),
                delete("c"),
            ])
            .await;
        let faults: Vec<_> = answers.iter().map(Result::is_err).collect();
        assert_eq!(faults, [true, false, true, false, true, false]);
        assert!(is_mismatch(&answers[0]) && is_mismatch(&answers[2]));
        assert_eq!(value(session, "a").await.as_deref(), Some("1"));
        assert_eq!(found(session, "b").await, None);
        assert_eq!(found(session, "c").await, None);
        assert!(session.delete_many(vec![]).await.is_empty());
    });
}

#[test]
fn transactions_are_all_or_nothing_and_in_order() {
    on_both(|_, store, _| async move {
        let session = &*store.session();
        session.transact(vec![]).await.unwrap();
        session.set(set("a", "1")).await.unwrap();
        let broken = vec![
            Operation::Delete(delete("a")),
            Operation::Set(set("b", "1")),
            Operation::Set(set("c", "1").etag("x")),
            Operation::Set(set("d", "1")),
        ];
        assert!(is_mismatch(&session.transact(broken).await));
        assert_eq!(value(session, "a").await.as_deref(), Some("1"));
        for key in ["b", "c", "d"] {
            assert_eq!(found(session, key).await, None);
        }
        let good = vec![
            Operation::Set(set("b", "1")),
            Operation::Delete(delete("b")),
            Operation::Set(set("b", "2")),
            Operation::Delete(delete("a")),
        ];
        session.transact(good).await.unwrap();
        assert_eq!(found(session, "a").await, None);
        assert_eq!(value(session, "b").await.as_deref(), Some("2"));
    });
}

#[test]
fn threads_that_count_with_etags_lose_nothing() {
    on_both(|which, store, _| async move {
        let (threads, rounds) = match which {
            Which::Memory => (8, 200),
            Which::Sqlite => (4, 25),
        };
        store.session().set(set("n", "0")).await.unwrap();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| count(&*store, rounds));
            }
        });
        let expected = (threads * rounds).to_string();
        let session = store.session();
        assert_eq!(value(&*session, "n").await, Some(expected));
    });
}

/// Adds one so many times, as a client does that repeats what was refused.
fn count(store: &dyn Store, rounds: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let session = store.session();
    runtime.block_on(async {
        for _ in 0..rounds {
            loop {
                let item = found(&*session, "n").await.unwrap();
                let n: usize = str::from_utf8(&item.value).unwrap().parse().unwrap();
                let next = set("n", &(n + 1).to_string()).etag(&item.etag.unwrap());
                match session.set(next).await {
                    Ok(()) => break,
                    Err(error) => assert!(error.is_etag(), "{error}"),
                }
            }
        }
    });
}
