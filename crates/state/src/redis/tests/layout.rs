//! What stands in the database afterwards, and what others have put there.

use super::*;

#[tokio::test]
async fn a_key_is_a_hash_of_data_and_version() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    s.set(set("a||k", r#"{"x":1}"#)).await.unwrap();
    let hash = server.say(&["HGETALL", "a||k"]).await;
    assert_eq!(hash, r#"version 1 data {"x":1}"#);
    server.run(&["HSET", "a||k", "other", "kept"]).await;
    s.set(set_with("a||k", "1", "first-write")).await.unwrap();
    s.set(set_with("a||k", "2", "")).await.unwrap();
    let hash = server.say(&["HGETALL", "a||k"]).await;
    assert_eq!(hash, "version 3 data \"v\" other kept first-write 0");
    assert_eq!(server.say(&["KEYS", "*"]).await, "a||k");
}

#[tokio::test]
async fn bytes_come_back_as_they_were() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    let big = Bytes::from(vec![0xfe; 4 << 20]);
    for value in [Bytes::new(), Bytes::from_static(b"\r\n\0\xff$5"), big] {
        let mut write = set("k", "");
        write.value = Value::Raw(value.clone());
        s.set(write).await.unwrap();
        assert_eq!(s.get(get("k")).await.unwrap().unwrap().value, value);
    }
    s.set(set("", "1")).await.unwrap();
    s.set(set("grün \n", "2")).await.unwrap();
    assert_eq!(seen(s.get(get("")).await), pair("1", "1"));
    assert_eq!(seen(s.get(get("grün \n")).await), pair("2", "1"));
}

#[tokio::test]
async fn what_others_wrote_is_read_if_it_can_be() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    assert_eq!(s.get(get("none")).await, Ok(None));
    server.run(&["SET", "text", "plain"]).await;
    assert_eq!(seen(s.get(get("text")).await), pair("plain", ""));
    assert_eq!(s.get(get("text")).await.unwrap().unwrap().etag, None);
    server.run(&["HSET", "half", "data", "1"]).await;
    server.run(&["RPUSH", "list", "1"]).await;
    let error = async |key| s.get(get(key)).await.unwrap_err().to_string();
    assert_eq!(
        error("half").await,
        "required hash field 'data' or 'version' was not found"
    );
    assert_eq!(
        error("list").await,
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    );
}

#[tokio::test]
async fn what_others_wrote_is_written_over() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    server.run(&["RPUSH", "list", "1"]).await;
    server.run(&["HSET", "half", "data", "1"]).await;
    server
        .run(&["HSET", "odd", "data", "1", "version", "x"])
        .await;
    for key in ["list", "half"] {
        s.set(set(key, "2")).await.unwrap();
        assert_eq!(seen(s.get(get(key)).await), pair("2", "1"), "{key}");
    }
    let error = s.set(set("odd", "2")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to set key odd: ERR hash value is not an integer"
    );
    assert_eq!(seen(s.get(get("odd")).await), pair("1", "x"));
    server.run(&["RPUSH", "list2", "1"]).await;
    s.delete(delete("list2", "9")).await.unwrap();
    assert_eq!(server.say(&["EXISTS", "list2"]).await, "0");
}

#[tokio::test]
async fn expiry_is_set_kept_and_taken_away() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    let left = async || server.say(&["TTL", "k"]).await.parse::<i64>().unwrap();
    s.set(ttl(set("k", "1"), "600")).await.unwrap();
    assert!(left().await > 590);
    s.set(set("k", "2")).await.unwrap();
    s.set(ttl(set("k", "2"), "")).await.unwrap();
    assert!(left().await > 590, "a write without a word keeps it");
    assert_eq!(s.get(get("k")).await.unwrap().unwrap().expires, None);
    s.set(ttl(set("k", "3"), "-1")).await.unwrap();
    assert_eq!(left().await, -1);
    let error = s.set(ttl(set("k", "4"), "abc")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to parse ttl from metadata: strconv.ParseInt: parsing \"abc\": invalid syntax"
    );
    let much = i64::MAX / 1000 - 100_000_000_000;
    s.set(ttl(set("k", "5"), &much.to_string())).await.unwrap();
    assert_eq!(seen(s.get(get("k")).await), pair("5", "5"));
    let error = s.set(ttl(set("k", "6"), &(much + 1).to_string())).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .ends_with("in 'expire' command")
    );
    assert_eq!(seen(s.get(get("k")).await), pair("5", "5"));
    let s = open(&server, &[("ttlInSeconds", "300")])
        .await
        .unwrap()
        .session();
    s.set(set("k", "7")).await.unwrap();
    assert!((290..=300).contains(&left().await));
    s.set(ttl(set("k", "8"), "0")).await.unwrap();
    assert_eq!(left().await, -1);
}

#[tokio::test]
async fn many_are_read_and_written_in_their_order() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    let sets = vec![
        set("a", "1"),
        set_with("b", "abc", ""),
        set("a", "2"),
        ttl(set("b", "3"), "x"),
        set_with("a", "9", ""),
        set("a", "4"),
    ];
    let ends = s.set_many(sets).await;
    let good: Vec<bool> = ends.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, false, true]);
    assert!(matches!(ends[1], Err(Error::EtagInvalid(_))));
    assert!(matches!(ends[4], Err(Error::EtagMismatch(_))));
    server.run(&["SET", "text", "plain"]).await;
    server.run(&["RPUSH", "list", "1"]).await;
    let gets = ["none", "a", "list", "text", "a"].map(get).to_vec();
    let mut items = s.get_many(gets).await;
    assert!(items.remove(2).is_err());
    let items: Vec<_> = items.into_iter().map(seen).collect();
    let a = pair("4", "3");
    assert_eq!(items, [None, a.clone(), pair("plain", ""), a]);
    assert!(s.get_many(Vec::new()).await.is_empty());
    assert!(s.set_many(Vec::new()).await.is_empty());
    assert_eq!(s.set_many(vec![set_with("b", "abc", "")]).await.len(), 1);
}

#[tokio::test]
async fn many_are_removed_in_their_order_and_in_one_go() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    s.set_many(vec![set("a", "1"), set("b", "1"), set("c", "1")])
        .await;
    server.run(&["SCRIPT", "FLUSH"]).await;
    server.run(&["CONFIG", "RESETSTAT"]).await;
    let mut odd = delete("c", "");
    odd.options.concurrency = "never".into();
    let ends = s
        .delete_many(vec![
            delete("none", ""),
            odd,
            delete("a", "7"),
            delete("b", "1"),
            delete("b", "1"),
            delete("a", ""),
            delete("a", "7"),
        ])
        .await;
    let good: Vec<bool> = ends.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, true, true, true, true]);
    assert!(matches!(ends[1], Err(Error::Failed(_))));
    assert!(matches!(ends[2], Err(Error::EtagMismatch(_))));
    assert_eq!(server.say(&["KEYS", "*"]).await, "c");
    let stats = server.say(&["INFO", "commandstats"]).await;
    let calls = |name: &str| stats.lines().any(|line| line.starts_with(name));
    assert!(calls("cmdstat_eval:calls=1,"), "{stats}");
    assert!(calls("cmdstat_evalsha:calls=3,"), "{stats}");
    assert!(s.delete_many(Vec::new()).await.is_empty());
    let mut odd = delete("c", "");
    odd.options.consistency = "maybe".into();
    assert!(s.delete_many(vec![odd]).await[0].is_err());
}

#[tokio::test]
async fn each_operation_is_one_command() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    s.set(ttl(set("k", "1"), "60")).await.unwrap();
    s.delete(delete("k", "1")).await.unwrap();
    s.transact(vec![Operation::Set(set("k", "1"))])
        .await
        .unwrap();
    server.run(&["CONFIG", "RESETSTAT"]).await;
    for etag in 1..=3 {
        s.set(ttl(set("k", "1"), "60")).await.unwrap();
        s.get(get("k")).await.unwrap();
        let step = ttl(set_with("k", &(2 * etag).to_string(), ""), "60");
        s.transact(vec![Operation::Set(step)]).await.unwrap();
        s.delete(delete("none", "1")).await.unwrap();
    }
    let stats = server.say(&["INFO", "commandstats"]).await;
    let calls = |name: &str| stats.lines().any(|line| line.starts_with(name));
    assert!(calls("cmdstat_evalsha:calls=9,"), "{stats}");
    assert!(calls("cmdstat_hgetall:calls=3,"), "{stats}");
    assert!(!calls("cmdstat_eval:") && !calls("cmdstat_get:"), "{stats}");
}
