//! Several keys in one request: save, bulk, transaction.

use super::{STORES, State, error};
use crate::support::assert_error;

const MISMATCH: &str = "possible etag mismatch. error from state store";

#[tokio::test]
async fn items_are_saved_in_their_order_each_for_itself() {
    let state = State::start().await;
    for store in STORES {
        let items = r#"[{"key":"k","value":1},{"key":"k","value":2},{"key":"k","value":3}]"#;
        state.saved(store, items).await;
        assert_eq!(state.value(store, "k").await.as_deref(), Some("3"));
        let items = r#"[{"key":"x","value":1},{"key":"none","etag":"e"},{"key":"y","value":2}]"#;
        assert_eq!(state.save(store, items).await.status(), 409);
        assert_eq!(state.value(store, "x").await.as_deref(), Some("1"));
        assert_eq!(state.value(store, "y").await.as_deref(), Some("2"));
        assert_eq!(state.value(store, "none").await, None);
        for nothing in ["[]", "null"] {
            state.saved(store, nothing).await;
        }
    }
}

#[tokio::test]
async fn the_order_of_the_items_decides_what_is_told() {
    let state = State::start().await;
    let id = state.sidecar.app_id().to_owned();
    let missing = |key: &str| format!("{MISMATCH}: state not exist or expired for key={id}||{key}");
    let failed = |text: &str| format!("failed saving state in state store mem: {text}");
    let ttl = "strconv.Atoi: parsing \"x\": invalid syntax";
    for (items, status, message) in [
        (
            r#"[{"key":"a","etag":"1"},{"key":"b"},{"key":"c","etag":"2"}]"#,
            409,
            format!("{MISMATCH}: {}\n{}", missing("a"), missing("c")),
        ),
        (
            r#"[{"key":"t","metadata":{"ttlInSeconds":"x"}},{"key":"c","etag":"2"},{"key":"a","etag":"1"}]"#,
            409,
            missing("c"),
        ),
        (
            r#"[{"key":"t","metadata":{"ttlInSeconds":"x"}},{"key":"u","options":{"concurrency":"zz"}}]"#,
            500,
            format!("{ttl}\nunrecognized concurrency model 'zz'"),
        ),
    ] {
        for _ in 0..5 {
            let rsp = state.save("mem", items).await;
            let body = error("ERR_STATE_SAVE", &failed(&message));
            assert_error(items, &rsp, status, &body);
        }
    }
}

#[tokio::test]
async fn bulk_answers_in_the_order_of_the_request() {
    let state = State::start().await;
    for store in STORES {
        let items = r#"[{"key":"a","value":{"x":"<"}},{"key":"b"},{"key":"c","metadata":{"ttlInSeconds":"100"}}]"#;
        state.saved(store, items).await;
        let target = format!("/v1.0/state/{store}/bulk");
        let keys = r#"{"keys":["b","none","a","b"],"parallelism":1,"metadata":{"x":"y"}} trailing"#;
        let rsp = state.ask("POST", &target, keys).await;
        let (a, b) = (state.etag(store, "a").await, state.etag(store, "b").await);
        let expected = format!(
            "[{{\"key\":\"b\",\"data\":null,\"etag\":\"{b}\"}},{{\"key\":\"none\"}},\
             {{\"key\":\"a\",\"data\":{{\"x\":\"\\u003c\"}},\"etag\":\"{a}\"}},\
             {{\"key\":\"b\",\"data\":null,\"etag\":\"{b}\"}}]\n"
        );
        assert_error(store, &rsp, 200, &expected);
        let rsp = state.ask("PUT", &target, r#"{"keys":["c"]}"#).await;
        let ends = state.get(store, "c").await;
        let ends = ends.headers.get("metadata.ttlexpiretime").unwrap();
        let expected = format!("\"metadata\":{{\"ttlExpireTime\":\"{ends}\"}}");
        assert!(rsp.text().contains(&expected), "{}", rsp.text());
        for nothing in ["null", "{}", r#"{"keys":[]}"#] {
            let rsp = state.ask("POST", &target, nothing).await;
            assert_error(nothing, &rsp, 200, "[]\n");
        }
    }
}

#[tokio::test]
async fn a_transaction_is_done_as_a_whole_or_not_at_all() {
    let state = State::start().await;
    for store in STORES {
        let target = format!("/v1.0/state/{store}/transaction");
        state.saved(store, r#"[{"key":"old","value":1}]"#).await;
        let body = r#"{"operations":[
            {"operation":"upsert","request":{"key":"new","value":{"a": 1}}},
            {"operation":"delete","request":{"key":"old"}},
            {"operation":"upsert","request":{"key":"twice","value":1}},
            {"operation":"upsert","request":{"KEY":"twice","Value":2}}],
            "metadata":{"ttlInSeconds":"1"}}"#;
        let rsp = state.ask("POST", &target, body).await;
        assert_eq!((rsp.status(), rsp.body_len), (204, 0), "{}", rsp.text());
        assert_eq!(
            state.value(store, "new").await.as_deref(),
            Some("{\"a\":1}")
        );
        assert_eq!(state.value(store, "old").await, None);
        assert_eq!(state.value(store, "twice").await.as_deref(), Some("2"));
        let rsp = state.get(store, "new").await;
        assert!(
            !rsp.headers.has("metadata.ttlexpiretime"),
            "request metadata is no item's"
        );

        let body = r#"{"operations":[{"operation":"upsert","request":{"key":"new","value":2}},
            {"operation":"upsert","request":{"key":"twice","value":3,"etag":"wrong"}}]}"#;
        let rsp = state.ask("PUT", &target, body).await;
        assert_eq!(rsp.status(), 500, "an etag is no conflict here");
        let text = format!(
            "{{\"errorCode\":\"ERR_STATE_TRANSACTION\",\"message\":\"error while executing state \
             transaction: {MISMATCH}"
        );
        assert!(rsp.text().starts_with(&text), "{}", rsp.text());
        assert_eq!(
            state.value(store, "new").await.as_deref(),
            Some("{\"a\":1}")
        );

        let limited = format!("{target}?metadata.ttlInSeconds=100");
        let body = r#"{"operations":[{"operation":"upsert","request":{"key":"new"}}]}"#;
        assert_eq!(state.ask("POST", &limited, body).await.status(), 204);
        assert!(
            state
                .get(store, "new")
                .await
                .headers
                .has("metadata.ttlexpiretime")
        );
        for nothing in ["null", "{}", r#"{"operations":null}"#] {
            let rsp = state.ask("POST", &target, nothing).await;
            assert_eq!(rsp.status(), 204, "{nothing}");
        }
    }
}
