//! Requests that are refused, and in which words.

use outrider_testkit::RawResponse;

use super::{State, error};
use crate::support::{assert_error, sidecar};

const MALFORMED: &str = "ERR_MALFORMED_REQUEST";

/// Requests that need no body, or whose body is never looked at.
const ANY: [(&str, &str); 5] = [
    ("POST", ""),
    ("POST", "/bulk"),
    ("PUT", "/transaction"),
    ("GET", "/k"),
    ("DELETE", "/k"),
];

fn info(code: &str, message: &str, metadata: &str, reason: &str) -> String {
    format!(
        r#"{{"errorCode":"{code}","message":"{message}","details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":{metadata},"reason":"{reason}"}}]}}"#
    )
}

#[tokio::test]
async fn without_any_store_nothing_is_configured() {
    let sidecar = sidecar().start().await.unwrap();
    let id = format!(r#"{{"appID":"{}"}}"#, sidecar.app_id());
    let body = |metadata: &str| {
        let message = "state store s t is not configured";
        let code = "ERR_STATE_STORE_NOT_CONFIGURED";
        info(code, message, metadata, "DAPR_STATE_NOT_CONFIGURED")
    };
    for (method, path) in ANY {
        let target = format!("/v1.0/state/s+t{path}");
        let rsp = sidecar.call(method, &target, &[], b"").await.unwrap();
        assert_error(path, &rsp, 500, &body(&id));
    }
    let target = "/v1.0-alpha1/state/s+t/query";
    let rsp = sidecar.call("POST", target, &[], b"").await.unwrap();
    assert_error("query", &rsp, 500, &body("null"));
}

#[tokio::test]
async fn an_unknown_store_is_told_before_the_body_is_looked_at() {
    let state = State::start().await;
    let id = format!(r#"{{"appID":"{}"}}"#, state.sidecar.app_id());
    let body = |metadata: &str| {
        let message = "state store none is not found";
        info(
            "ERR_STATE_STORE_NOT_FOUND",
            message,
            metadata,
            "DAPR_STATE_NOT_FOUND",
        )
    };
    for (method, path) in ANY {
        let rsp = state
            .ask(method, &format!("/v1.0/state/none{path}"), "")
            .await;
        assert_error(path, &rsp, 400, &body(&id));
    }
    let rsp = state.ask("PUT", "/v1.0-alpha1/state/none/query", "").await;
    assert_error("query", &rsp, 400, &body("null"));
}

#[tokio::test]
async fn a_save_that_can_not_be_read_is_told_in_gos_words() {
    let state = State::start().await;
    let deep = "[".repeat(10_001);
    for (body, message) in [
        ("", "EOF"),
        (" \n", "EOF"),
        ("[", "unexpected EOF"),
        ("]", "invalid character ']' looking for beginning of value"),
        (
            "[{\"key\":\"a\",}]",
            "invalid character '}' looking for beginning of object key string",
        ),
        (
            "[{\"key\" \"a\"}]",
            "invalid character '\"' after object key",
        ),
        ("[\"\\x\"]", "invalid character 'x' in string escape code"),
        (
            "\u{feff}[]",
            "invalid character 'ï' looking for beginning of value",
        ),
        (&*deep, "invalid character '[' exceeded max depth"),
        (
            "{}",
            "json: cannot unmarshal object into Go value of type []state.SetRequest",
        ),
        (
            "[5]",
            "json: cannot unmarshal number into Go value of type state.SetRequest",
        ),
        (
            r#"[{"key":"a","etag":5}]"#,
            "json: cannot unmarshal number into Go struct field SetRequest.etag of type string",
        ),
        (
            r#"[{"key":"a","metadata":{"a":5}}]"#,
            "json: cannot unmarshal number into Go struct field SetRequest.metadata of type string",
        ),
        (
            r#"[{"key":"a","options":{"concurrency":[]}}]"#,
            "json: cannot unmarshal array into Go struct field SetStateOption.options.Concurrency of type string",
        ),
        (
            r#"[{"key":"a","value":1e400}]"#,
            "json: cannot unmarshal number 1e400 into Go struct field SetRequest.value of type float64",
        ),
        (r#"[{"value":1}]"#, "\"key\" is a required field"),
        (
            r#"[{"key":"ok"},{"key":""},{"key":"a||b"}]"#,
            "\"key\" is a required field",
        ),
    ] {
        let rsp = state.save("mem", body).await;
        assert_error(
            &body[..body.len().min(50)],
            &rsp,
            400,
            &error(MALFORMED, message),
        );
    }
    assert_eq!(
        state.value("mem", "ok").await,
        None,
        "all are looked at before any is saved"
    );
}

#[tokio::test]
async fn bulk_and_transaction_say_more_about_it() {
    let state = State::start().await;
    let upsert = |request: &str| {
        format!(r#"{{"operations":[{{"operation":"upsert","request":{request}}}]}}"#)
    };
    for (path, body, message) in [
        ("bulk", String::new(), "EOF"),
        (
            "bulk",
            r#"{"keys":[5]}"#.into(),
            "json: cannot unmarshal number into Go struct field BulkGetRequest.keys of type string",
        ),
        (
            "bulk",
            r#"{"parallelism":1.5}"#.into(),
            "json: cannot unmarshal number 1.5 into Go struct field BulkGetRequest.parallelism of type int",
        ),
        ("transaction", "{".into(), "unexpected EOF"),
        (
            "transaction",
            r#"{"operations":{}}"#.into(),
            "json: cannot unmarshal object into Go struct field stateTransactionRequestBody.operations \
             of type []http.stateTransactionRequestBodyOperation",
        ),
        (
            "transaction",
            upsert("[]"),
            "'' expected a map, got 'slice'",
        ),
        (
            "transaction",
            upsert(r#"{"key":["K",{"a":1e6}],"etag":2}"#),
            "2 error(s) decoding:\n\n\
             * 'ETag' expected type 'string', got unconvertible type 'float64', value: '2'\n\
             * 'Key' expected type 'string', got unconvertible type '[]interface {}', value: '[K map[a:1e+06]]'",
        ),
    ] {
        let rsp = state
            .ask("POST", &format!("/v1.0/state/mem/{path}"), &body)
            .await;
        let message = format!("failed deserializing HTTP body: {message}");
        assert_error(&body, &rsp, 400, &error(MALFORMED, &message));
    }
}

#[tokio::test]
async fn an_operation_that_there_is_not_stops_all_of_them() {
    let state = State::start().await;
    let body =
        r#"{"operations":[{"operation":"upsert","request":{"key":"a"}},{"operation":"UPSERT"}]}"#;
    let rsp = state.ask("POST", "/v1.0/state/mem/transaction", body).await;
    let expected = error(
        "ERR_NOT_SUPPORTED_STATE_OPERATION",
        "operation type UPSERT not supported",
    );
    assert_error(body, &rsp, 400, &expected);
    assert_eq!(state.value("mem", "a").await, None);
}

#[tokio::test]
async fn the_separator_is_in_no_key() {
    let state = State::start().await;
    let message =
        "api error: code = InvalidArgument desc = input key/keyPrefix 'a||b' can't contain '||'";
    let expected = |field: &str| {
        format!(
            r#"{{"errorCode":"{MALFORMED}","message":"{message}","details":[{{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{{{field}"description":"{message}"}}]}},{{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"","resource_name":"mem","resource_type":"state"}},{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":null,"reason":"DAPR_STATE_ILLEGAL_KEY"}}]}}"#
        )
    };
    let named = expected(r#""field":"a||b","#);
    let transaction = r#"{"operations":[{"operation":"delete","request":{"key":"a||b"}}]}"#;
    for (method, path, body, expected) in [
        ("POST", "", r#"[{"key":"a||b"}]"#, &named),
        ("GET", "/a%7C%7Cb", "", &named),
        ("DELETE", "/a||b", "", &named),
        ("POST", "/bulk", r#"{"keys":["a","a||b"]}"#, &named),
        ("POST", "/transaction", transaction, &expected("")),
    ] {
        let rsp = state
            .ask(method, &format!("/v1.0/state/mem{path}"), body)
            .await;
        assert_error(path, &rsp, 400, expected);
    }
}

#[tokio::test]
async fn what_a_store_refuses_is_500() {
    let state = State::start().await;
    let ttl = r#"[{"key":"a","metadata":{"ttlInSeconds":"x"}}]"#;
    let message =
        "failed saving state in state store mem: strconv.Atoi: parsing \"x\": invalid syntax";
    let rsp = state.save("mem", ttl).await;
    assert_error("save", &rsp, 500, &error("ERR_STATE_SAVE", message));
    let rsp = state
        .ask("DELETE", "/v1.0/state/sql/a?concurrency=zz", "")
        .await;
    let message = "failed deleting state with key a: unrecognized concurrency model 'zz'";
    assert_error("delete", &rsp, 500, &error("ERR_STATE_DELETE", message));
    let rsp = state
        .ask("GET", "/v1.0/state/sql/a?consistency=zz", "")
        .await;
    assert_eq!(rsp.status(), 204, "nobody looks at that");
}

#[tokio::test]
async fn no_store_can_be_queried() {
    let state = State::start().await;
    let rsp = state
        .ask("POST", "/v1.0-alpha1/state/sql/query", "no json")
        .await;
    let expected = r#"{"errorCode":"ERR_STATE_STORE_NOT_SUPPORTED","message":"state store does not support querying","details":[{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"","resource_name":"sql","resource_type":"state"},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":null,"reason":"DAPR_STATE_QUERYING_NOT_SUPPORTED"}]}"#;
    assert_error("query", &rsp, 500, expected);
}

#[tokio::test]
async fn a_body_that_is_too_long_closes_the_connection() {
    let state = State::start_as(|builder| builder.flag("--max-body-size=1Ki")).await;
    let body = format!("[{}", " ".repeat(1024));
    let refused = |rsp: RawResponse, code: &str, message: &str| {
        assert_error(message, &rsp, 400, &error(code, message));
        assert_eq!(rsp.headers.get("connection"), Some("close"), "{message}");
    };
    let rsp = state.save("mem", &body).await;
    refused(rsp, MALFORMED, "stream too large");
    for path in ["bulk", "transaction"] {
        let rsp = state
            .ask("POST", &format!("/v1.0/state/mem/{path}"), &body)
            .await;
        refused(
            rsp,
            MALFORMED,
            "failed deserializing HTTP body: stream too large",
        );
    }
    let rsp = state
        .ask("POST", "/v1.0-alpha1/state/mem/query", &body)
        .await;
    refused(
        rsp,
        "ERR_BODY_READ",
        "failed to read request body: stream too large",
    );
    state.saved("mem", &format!("[]{}", " ".repeat(1022))).await;
}
