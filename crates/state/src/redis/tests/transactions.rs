//! All or nothing.

use super::*;

fn put(set: Set) -> Operation {
    Operation::Set(set)
}

fn remove(key: &str, etag: &str) -> Operation {
    Operation::Delete(delete(key, etag))
}

#[tokio::test]
async fn all_is_done_or_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    s.set(set("old", "1")).await.unwrap();
    let refused = s
        .transact(vec![
            put(set("a", "1")),
            remove("old", ""),
            put(set_with("b", "", "")),
            put(set_with("old2", "", "")),
            remove("old", ""),
            put(ttl(set("c", "1"), "600")),
            put(set_with("a", "7", "")),
            put(set("d", "1")),
        ])
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "possible etag mismatch. error from state store: failed to set key a: the etag is 1, not 7"
    );
    assert_eq!(server.say(&["KEYS", "*"]).await, "old");
    s.transact(vec![put(ttl(set("a", "1"), "600")), remove("old", "1")])
        .await
        .unwrap();
    assert_eq!(server.say(&["HGETALL", "a"]).await, "version 1 data 1");
    assert!(server.say(&["TTL", "a"]).await.parse::<i64>().unwrap() > 590);
    assert_eq!(server.say(&["KEYS", "*"]).await, "a");
}

#[tokio::test]
async fn one_key_may_come_several_times() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    s.transact(vec![
        put(set("k", "1")),
        put(set_with("k", "1", "")),
        put(set_with("k", "2", "")),
        remove("k", "3"),
        put(set("k", "last")),
    ])
    .await
    .unwrap();
    assert_eq!(seen(s.get(get("k")).await), pair("last", "1"));
    let refused = s.transact(vec![remove("k", ""), put(set("x", "1")), remove("x", "9")]);
    assert!(refused.await.unwrap_err().is_etag());
    assert_eq!(seen(s.get(get("k")).await), pair("last", "1"));
}

#[tokio::test]
async fn what_cannot_be_sent_stops_everything() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    for bad in [set_with("b", "abc", ""), ttl(set("b", "1"), "abc")] {
        let refused = s.transact(vec![put(set("a", "1")), put(bad)]).await;
        assert!(refused.is_err());
    }
    server
        .run(&["HSET", "odd", "data", "1", "version", "x"])
        .await;
    let refused = s.transact(vec![put(set("a", "1")), put(set("odd", "1"))]);
    let text = refused.await.unwrap_err().to_string();
    assert!(
        text.starts_with("ERR hash value is not an integer"),
        "{text}"
    );
    assert_eq!(server.say(&["KEYS", "*"]).await, "odd");
    s.transact(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn options_are_not_looked_at_but_a_first_write_is_kept() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    let mut odd = set_with("k", "", "first-write");
    odd.options.consistency = "maybe".into();
    s.transact(vec![put(odd)]).await.unwrap();
    assert_eq!(server.say(&["HGETALL", "k"]).await, "version 1 data \"v\"");
    s.set(set_with("k", "1", "first-write")).await.unwrap();
    let refused = s.transact(vec![put(set("k", "1"))]).await;
    assert!(refused.unwrap_err().is_etag());
    s.transact(vec![put(set_with("k", "2", ""))]).await.unwrap();
    assert_eq!(server.say(&["HGET", "k", "first-write"]).await, "0");
    s.transact(vec![remove("k", ""), put(set("k", "1"))])
        .await
        .unwrap();
    assert_eq!(server.say(&["HGETALL", "k"]).await, "version 1 data 1");
}

#[tokio::test]
async fn keys_of_other_types_give_way() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    server.run(&["RPUSH", "list", "1"]).await;
    server.run(&["SET", "text", "1"]).await;
    s.transact(vec![
        put(set_with("list", "5", "")),
        put(set("list", "2")),
        remove("text", "9"),
    ])
    .await
    .unwrap();
    assert_eq!(seen(s.get(get("list")).await), pair("2", "2"));
    assert_eq!(s.get(get("text")).await, Ok(None));
}

#[tokio::test]
async fn a_version_that_cannot_be_counted_up_stops_everything() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    let no_number = "hash value is not an integer";
    for (version, why) in [
        ("0012", no_number),
        ("-0", no_number),
        ("+1", no_number),
        (" 3", no_number),
        ("", no_number),
        ("99999999999999999999", no_number),
        ("9223372036854775808", no_number),
        ("-9223372036854775809", no_number),
        (
            "9223372036854775807",
            "increment or decrement would overflow",
        ),
    ] {
        server.run(&["HSET", "old", "data", "1"]).await;
        let fields = ["HSET", "odd", "data", "1", "version", version];
        server.run(&fields).await;
        let steps = vec![remove("old", ""), put(set("a", "1")), put(set("odd", "2"))];
        let refused = s.transact(steps).await;
        let text = format!("ERR {why}: version of odd");
        assert_eq!(refused, Err(Error::Failed(text)), "{version}");
        assert_eq!(server.say(&["EXISTS", "old"]).await, "1", "{version}");
        assert_eq!(server.say(&["EXISTS", "a"]).await, "0", "{version}");
        // The same as when it is written by itself.
        let text = format!("failed to set key odd: ERR {why}");
        assert_eq!(s.set(set("odd", "2")).await, Err(Error::Failed(text)));
    }
}

#[tokio::test]
async fn versions_are_counted_exactly() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    for (version, next) in [
        ("0", "1"),
        ("9", "10"),
        ("1099", "1100"),
        ("-1", "0"),
        ("-10", "-9"),
        ("-2100", "-2099"),
        ("9007199254740993", "9007199254740994"),
        ("9223372036854775805", "9223372036854775806"),
        ("-9223372036854775808", "-9223372036854775807"),
    ] {
        let fields = ["HSET", "k", "data", "1", "version", version];
        server.run(&fields).await;
        // The second knows what the first will have made of it. (No etag can ask for zero.)
        if next != "0" {
            let wrong = s.transact(vec![put(set("k", "2")), put(set_with("k", "5", ""))]);
            assert!(wrong.await.unwrap_err().is_etag(), "{version}");
            let last = remove("k", next);
            s.transact(vec![put(set("k", "2")), last]).await.unwrap();
            server.run(&fields).await;
        }
        s.transact(vec![put(set("k", "\"v\""))]).await.unwrap();
        assert_eq!(server.say(&["HGET", "k", "version"]).await, next);
    }
    let fields = ["HSET", "k", "data", "1", "version", "9223372036854775806"];
    server.run(&fields).await;
    let twice = s.transact(vec![put(set("k", "2")), put(set("k", "3"))]);
    let text = twice.await.unwrap_err().to_string();
    assert_eq!(
        text,
        "ERR increment or decrement would overflow: version of k"
    );
    let kept = server.say(&["HGET", "k", "data"]).await;
    assert_eq!(kept, "1");
}
