//! What only the memory store does; the rest is in the tests of all stores.

use super::*;
use crate::clock::tests::Hands;
use crate::tests::{Asking as _, delete, get, set};
use crate::{Metadata, Value};

fn store() -> (Hands, Memory) {
    let hands = Hands::default();
    let memory = Memory::with_clock(hands.clock());
    (hands, memory)
}

fn counts(memory: &Memory) -> (usize, usize) {
    memory.shared.lock().counts()
}

#[tokio::test]
async fn mismatches_tell_why() {
    let (_, memory) = store();
    let session = memory.session();
    let refusal = session.set(set("k", "1").etag("x")).await.unwrap_err();
    let text = "state not exist or expired for key=k";
    assert_eq!(refusal, Error::EtagMismatch(text.into()));
    session.set(set("k", "1")).await.unwrap();
    let etag = session.get(get("k")).await.unwrap().unwrap().etag.unwrap();
    let refusal = session.set(set("k", "1").etag("x")).await.unwrap_err();
    let text = format!("state etag not match for key=k: current={etag}, expect=x");
    assert_eq!(refusal, Error::EtagMismatch(text));
    let refusal = session.delete(delete("k").first_write()).await.unwrap_err();
    let text = "item already exists and no etag was passed";
    assert_eq!(refusal, Error::EtagMismatch(text.into()));
}

#[tokio::test]
async fn lives_are_any_whole_number() {
    let (_, memory) = store();
    let session = memory.session();
    for (text, expires) in [
        ("", None),
        ("0", None),
        ("-5", None),
        ("600", Some(Hands::START + 600)),
        ("99999999999", Some(Hands::START + 99_999_999_999)),
        ("9223372036854775807", Some(253_402_300_799)),
    ] {
        session.set(set("k", "1").ttl(text)).await.unwrap();
        let item = session.get(get("k")).await.unwrap().unwrap();
        assert_eq!(item.expires, expires, "{text}");
    }
    let refusal = session.set(set("k", "1").ttl("abc")).await.unwrap_err();
    let text = r#"strconv.Atoi: parsing "abc": invalid syntax"#;
    assert_eq!(refusal, Error::failed(text));
}

#[tokio::test]
async fn ended_items_are_removed_by_the_calls_that_come() {
    let (hands, memory) = store();
    let session = memory.session();
    for n in 0..40 {
        let key = format!("k{n}");
        session.set(set(&key, "1").ttl("10")).await.unwrap();
    }
    session.set(set("stays", "1")).await.unwrap();
    assert_eq!(counts(&memory), (41, 40));
    hands.forward(10_000);
    for left in [25, 9, 1, 1] {
        assert_eq!(session.get(get("k39")).await.unwrap(), None);
        assert_eq!(counts(&memory), (left, left - 1));
    }
}

#[tokio::test]
async fn a_write_forgets_the_old_end() {
    let (hands, memory) = store();
    let session = memory.session();
    session.set(set("k", "1").ttl("10")).await.unwrap();
    session.set(set("k", "2").ttl("10")).await.unwrap();
    session.set(set("k", "3").ttl("20")).await.unwrap();
    assert_eq!(counts(&memory), (1, 1));
    session.set(set("k", "4")).await.unwrap();
    assert_eq!(counts(&memory), (1, 0));
    hands.forward(60_000);
    assert!(session.get(get("k")).await.unwrap().is_some());
    session.set(set("k", "5").ttl("10")).await.unwrap();
    session.delete(delete("k")).await.unwrap();
    assert_eq!(counts(&memory), (0, 0));
}

#[tokio::test]
async fn a_value_does_not_keep_the_body_it_was_cut_from() {
    let (_, memory) = store();
    let session = memory.session();
    let body = Bytes::from(vec![b'1'; 1 << 20]);
    let value = Value::Json(body.slice(..4));
    let set = Set {
        value,
        ..set("k", "")
    };
    session.set(set).await.unwrap();
    assert!(body.is_unique());
    let many = session.get_many(vec![get("k"), get("none")]).await;
    assert_eq!(many[0].as_ref().unwrap().as_ref().unwrap().value, "1111");
    assert_eq!(many[1], Ok(None));
}

#[tokio::test]
async fn a_transaction_compares_with_what_was_there_before() {
    let (_, memory) = store();
    let session = memory.session();
    let first = |key: &str| Operation::Set(set(key, "1").first_write());
    let both = vec![first("k"), first("k")];
    session.transact(both).await.unwrap();
    let odd = Delete {
        options: Options {
            concurrency: "odd".into(),
            consistency: String::new(),
        },
        metadata: Metadata::new(),
        ..delete("k")
    };
    session
        .transact(vec![Operation::Delete(odd)])
        .await
        .unwrap();
    assert_eq!(session.get(get("k")).await, Ok(None));
}
