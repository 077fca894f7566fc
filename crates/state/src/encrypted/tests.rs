//! Values through the wrapper, and as they lie in the store below.

use super::*;
use crate::memory::Memory;
use crate::tests::{Asking as _, get, set};

fn key(name: &str, digit: &str, digits: usize) -> Key {
    Key {
        name: name.to_owned(),
        hex: digit.repeat(digits),
    }
}

/// The store below and the one above.
fn stores(primary: Key, secondary: Option<Key>) -> (Arc<dyn Store>, Arc<dyn Store>) {
    let below: Arc<dyn Store> = Arc::new(Memory::new());
    let above = Encrypted::wrap(Arc::clone(&below), primary, secondary).unwrap();
    (below, above)
}

async fn value(store: &Arc<dyn Store>, key: &str) -> Result<Bytes, Error> {
    let item = store.session().get(get(key)).await?;
    Ok(item.unwrap().value)
}

#[tokio::test]
async fn values_come_back_and_lie_encrypted() {
    let (below, above) = stores(key("k1", "5a", 16), None);
    let session = above.session();
    for (json, back) in [
        (r#""value1""#, "value1"),
        (r#""a\u00e9\n\"""#, "a\u{e9}\n\""),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        ("[\"x\"]", "[\"x\"]"),
        ("null", "null"),
        ("1.50", "1.50"),
        (r#""\ud800""#, r#""\ud800""#),
    ] {
        session.set(set("k", json)).await.unwrap();
        assert_eq!(value(&above, "k").await.unwrap(), back);
        let stored = value(&below, "k").await.unwrap();
        let text = str::from_utf8(&stored).unwrap();
        let sealed = base64::decode(text.strip_suffix("||k1").unwrap().as_bytes()).unwrap();
        assert_eq!(sealed.len(), 12 + back.len() + 16);
    }
    for raw in [&b"\0\xff"[..], b"", b"\"quoted\""] {
        let value_of = Value::Raw(Bytes::copy_from_slice(raw));
        let set = Set {
            value: value_of,
            ..set("r", "")
        };
        session.set(set).await.unwrap();
        assert_eq!(value(&above, "r").await.unwrap(), raw);
    }
}

#[tokio::test]
async fn all_ways_of_writing_and_reading_encrypt() {
    let (below, above) = stores(key("k1", "5a", 24), None);
    let session = above.session();
    session
        .set_many(vec![set("a", "\"A\""), set("b", "\"B\"")])
        .await;
    let changes = vec![
        Operation::Set(set("c", "\"C\"")),
        Operation::Delete(Delete {
            key: "b".to_owned(),
            ..Delete::default()
        }),
    ];
    session.transact(changes).await.unwrap();
    let found = session.get_many(vec![get("a"), get("b"), get("c")]).await;
    let found: Vec<_> = found
        .into_iter()
        .map(|f| f.unwrap().map(|i| i.value))
        .collect();
    assert_eq!(found, [Some("A".into()), None, Some("C".into())]);
    for key in ["a", "c"] {
        assert!(value(&below, key).await.unwrap().ends_with(b"||k1"));
    }
    let item = session.get(get("a")).await.unwrap().unwrap();
    session
        .set(set("a", "1").etag(&item.etag.unwrap()))
        .await
        .unwrap();
    assert!(
        session
            .set(set("a", "1").etag("x"))
            .await
            .unwrap_err()
            .is_etag()
    );
    assert_eq!(above.capabilities(), below.capabilities());
}

#[tokio::test]
async fn what_cannot_be_encrypted_stops_nothing_else() {
    let below = Memory::new();
    let session = below.session();
    let refused = Err(Error::failed("no"));
    let sealed = vec![
        Ok(set("a", "1")),
        Err(Error::failed("no")),
        Ok(set("b", "1").etag("x")),
        Ok(set("c", "1")),
    ];
    let answers = write_sealed(&*session, sealed).await;
    assert_eq!((&answers[0], &answers[1]), (&Ok(()), &refused));
    assert!(answers[2].as_ref().is_err_and(Error::is_etag));
    assert_eq!(answers[3], Ok(()));
    assert!(session.get(get("c")).await.unwrap().is_some());
    let answers = write_sealed(&*session, vec![Err(Error::failed("no"))]).await;
    assert_eq!(answers, [refused]);
}

#[tokio::test]
async fn old_values_are_read_with_the_secondary_key() {
    let (below, old) = stores(key("old", "0f", 32), None);
    old.session().set(set("k", "1")).await.unwrap();
    let new = |secondary| Encrypted::wrap(Arc::clone(&below), key("new", "5A", 32), secondary);
    let both = new(Some(key("old", "0F", 32))).unwrap();
    assert_eq!(value(&both, "k").await.unwrap(), "1");
    both.session().set(set("k2", "2")).await.unwrap();
    let only_new = new(None).unwrap();
    assert_eq!(value(&only_new, "k2").await.unwrap(), "2");
    let text = "could not decrypt the value: encryption key 'old' is neither the primary nor the secondary";
    assert_eq!(value(&only_new, "k").await, Err(Error::failed(text)));
    let same_name = Encrypted::wrap(Arc::clone(&below), key("old", "11", 32), None).unwrap();
    let text =
        "could not decrypt the value: it was changed, or written with another key named 'old'";
    assert_eq!(value(&same_name, "k").await, Err(Error::failed(text)));
}

#[tokio::test]
async fn what_was_never_encrypted_is_refused() {
    let (below, above) = stores(key("k1", "5a", 16), None);
    let session = below.session();
    let unnamed = "could not decrypt the value: it names no encryption key";
    let changed =
        "could not decrypt the value: it was changed, or written with another key named 'k1'";
    for (stored, text) in [
        ("plain", unnamed),
        ("|", unnamed),
        ("||k1", changed),
        ("*||k1", changed),
    ] {
        session.set(set("k", stored)).await.unwrap();
        assert_eq!(
            value(&above, "k").await,
            Err(Error::failed(text)),
            "{stored}"
        );
    }
    session.set(set("k", "")).await.unwrap();
    assert_eq!(value(&above, "k").await.unwrap(), "");
}

#[test]
fn keys_that_are_none_are_refused_without_showing_them() {
    let wrap = |primary, secondary| {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        Encrypted::wrap(store, primary, secondary).unwrap_err().0
    };
    let good = key("k1", "5a", 16);
    for (bad, found) in [
        (key("s", "5a", 15), "15 bytes"),
        (key("s", "", 0), "0 bytes"),
        (key("s", "zz", 16), "something else"),
        (key("s", "5", 33), "something else"),
    ] {
        let end =
            format!("must be 16, 24 or 32 bytes as hexadecimal digits: secret 's' has {found}");
        assert_eq!(
            wrap(bad.clone(), None),
            format!("primaryEncryptionKey {end}")
        );
        assert_eq!(
            wrap(good.clone(), Some(bad)),
            format!("secondaryEncryptionKey {end}")
        );
    }
    assert!(wrap(key("", "5a", 16), None).contains("secretKeyRef"));
    assert_eq!(format!("{good:?}"), r#"Key { name: "k1", .. }"#);
}
