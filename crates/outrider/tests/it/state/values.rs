//! What is saved comes back: values, keys, etags, time limits.

use super::{STORES, State, WHOLE};
use crate::support::{NO_TARGET, assert_error};

#[tokio::test]
async fn a_value_comes_back_as_its_client_wrote_it() {
    let state = State::start().await;
    for store in STORES {
        for (value, stored) in [
            (
                r#" { "b" : 1.50 , "a" : [ 1 , "x y" ] } "#,
                r#"{"b":1.50,"a":[1,"x y"]}"#,
            ),
            ("12345678901234567890", "12345678901234567890"),
            ("\"<&>\u{2028}\"", "\"<&>\u{2028}\""),
            (r#""\u003ca\u003e""#, r#""\u003ca\u003e""#),
            (r#""half \ud800""#, r#""half \ufffd""#),
            ("null", "null"),
            ("\"\"", "\"\""),
        ] {
            state
                .saved(store, &format!(r#"[{{"key":"k","value":{value}}}]"#))
                .await;
            let rsp = state.get(store, "k").await;
            assert_eq!((rsp.status(), &*rsp.text()), (200, stored), "{store}");
            assert_eq!(rsp.headers.exact("Content-Type"), Some("application/json"));
            assert_eq!(rsp.headers.exact("Etag").map(str::len), Some(36), "{store}");
            assert!(!rsp.headers.has("metadata.ttlexpiretime"));
        }
        state
            .saved(store, r#"[{"KEY":"k","zz":1e400}] trailing"#)
            .await;
        assert_eq!(state.value(store, "k").await.as_deref(), Some("null"));
        let rsp = state
            .ask("DELETE", &format!("/v1.0/state/{store}/k"), "")
            .await;
        assert_eq!((rsp.status(), rsp.body_len), (204, 0));
        let rsp = state.get(store, "k").await;
        assert_eq!((rsp.status(), rsp.body_len), (204, 0));
        assert!(!rsp.headers.has("etag") && !rsp.headers.has("content-type"));
        let rsp = state
            .ask("DELETE", &format!("/v1.0/state/{store}/k"), "")
            .await;
        assert_eq!(rsp.status(), 204, "a missing key is no error");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_become_replacement_characters() {
    let state = State::start().await;
    let body = b"[{\"key\":\"a\xff\",\"value\":\"\xfe\"}]";
    let rsp = state.sidecar.call("PUT", "/v1.0/state/mem", &[], body);
    assert_eq!(rsp.await.unwrap().status(), 204);
    let value = state.value("mem", "a%EF%BF%BD").await;
    assert_eq!(value.as_deref(), Some("\"\u{fffd}\""));
}

#[tokio::test]
async fn a_body_may_come_in_pieces_and_be_large() {
    let state = State::start().await;
    let value = "x".repeat(3 << 20);
    let body = format!(r#"[{{"key":"large","value":"{value}"}}]"#);
    for store in STORES {
        state.saved(store, &body).await;
        let rsp = state.get(store, "large").await;
        assert_eq!(rsp.body_len, value.len() as u64 + 2);
    }
    let mut client = state.sidecar.connect().await.unwrap();
    let head = "POST /v1.0/state/mem HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head).await.unwrap();
    client.send("9\r\n[{\"key\":\"\r\n").await.unwrap();
    client.send("5\r\nin\"}]\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status(), 204);
    assert_eq!(state.value("mem", "in").await.as_deref(), Some("null"));
}

#[tokio::test]
async fn store_and_key_are_one_segment_each_unescaped_once() {
    let state = State::start().await;
    for (segment, key) in [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%2Fb", "a/b"),
        ("a%2541", "a%41"),
        ("%2E%2E", ".."),
        ("%E2%82%AC", "€"),
        ("bulk", "bulk"),
        ("transaction", "transaction"),
        ("plain/", "plain"),
    ] {
        state
            .saved("mem", &format!(r#"[{{"key":"{key}","value":"{key}"}}]"#))
            .await;
        let value = state.value("mem", segment).await;
        assert_eq!(value, Some(format!("\"{key}\"")), "{segment}");
        let rsp = state
            .ask("DELETE", &format!("/v1.0/state/mem/{segment}"), "")
            .await;
        assert_eq!(rsp.status(), 204);
        assert_eq!(state.value("mem", segment).await, None, "{segment}");
    }
    state
        .saved("whole+%C3%A4", r#"[{"key":"k","value":1}]"#)
        .await;
    assert_eq!(
        state.value("whole%20%c3%a4", "k").await.as_deref(),
        Some("1")
    );
    assert_eq!(WHOLE, "whole ä");
}

#[tokio::test]
async fn anything_else_is_a_call_that_names_no_app() {
    let state = State::start().await;
    for (method, target) in [
        ("GET", "/v1.0/state/mem"),
        ("DELETE", "/v1.0/state/mem"),
        ("POST", "/v1.0/state/mem/key"),
        ("PATCH", "/v1.0/state/mem/key"),
        ("OPTIONS", "/v1.0/state/mem/key"),
        ("GET", "/v1.0/state/mem/a/b"),
        ("POST", "/v1.0/state/mem/b%75lk"),
        ("GET", "/v1.0-alpha1/state/mem/query"),
    ] {
        let rsp = state.ask(method, target, "").await;
        assert_error(target, &rsp, 404, NO_TARGET);
    }
}

#[tokio::test]
async fn an_etag_guards_a_write() {
    let state = State::start().await;
    for store in STORES {
        state.saved(store, r#"[{"key":"k","value":1}]"#).await;
        let old = state.etag(store, "k").await;
        state
            .saved(
                store,
                &format!(r#"[{{"key":"k","value":2,"etag":"{old}"}}]"#),
            )
            .await;
        let rsp = state
            .save(
                store,
                &format!(r#"[{{"key":"k","value":3,"etag":"{old}"}}]"#),
            )
            .await;
        assert_eq!(rsp.status(), 409);
        let text = format!(
            "\"errorCode\":\"ERR_STATE_SAVE\",\"message\":\"failed saving state in state store {store}: \
             possible etag mismatch. error from state store"
        );
        assert!(rsp.text().contains(&text), "{}", rsp.text());
        let first = r#"[{"key":"k","value":4,"options":{"concurrency":"first-write"}}]"#;
        assert_eq!(state.save(store, first).await.status(), 409);
        assert_eq!(state.value(store, "k").await.as_deref(), Some("2"));

        let target = format!("/v1.0/state/{store}/k");
        for etag in [&*old, "*", "\"1\""] {
            let rsp = state.delete(&target, etag).await;
            assert_eq!(rsp.status(), 409, "{etag}");
            let text = "failed deleting state with key k: possible etag mismatch";
            assert!(rsp.text().contains(text), "{}", rsp.text());
        }
        let new = state.etag(store, "k").await;
        assert_eq!(state.delete(&target, &new).await.status(), 204);
    }
}

#[tokio::test]
async fn a_time_limit_is_told_and_a_parameter_overrides_it() {
    let state = State::start().await;
    for store in STORES {
        let target =
            format!("/v1.0/state/{store}?metadata.ttlInSeconds=100&metadata.ttlInSeconds=x");
        let items = r#"[{"key":"a","value":1,"metadata":{"ttlInSeconds":"x"}},{"key":"b"}]"#;
        assert_eq!(state.ask("POST", &target, items).await.status(), 204);
        for key in ["a", "b"] {
            let rsp = state.get(store, key).await;
            let ends = rsp.headers.exact("Metadata.ttlexpiretime").unwrap();
            assert_eq!(ends.len(), "2026-11-25T20:26:40Z".len(), "{ends}");
            assert!(ends.starts_with("20") && ends.ends_with('Z'), "{ends}");
        }
        state.saved(store, r#"[{"key":"a","value":1}]"#).await;
        assert!(
            !state
                .get(store, "a")
                .await
                .headers
                .has("metadata.ttlexpiretime")
        );
    }
}
