//! The state API over gRPC: what differs from HTTP, and what every unary call has (contract
//! `state.md` 4, `grpc-api.md` 1).

use bytes::Bytes;
use outrider_wire::r#gen::{common, runtime};
use prost::Message;

use super::State;
use crate::peer::{Answer, framed, open};
use crate::support::{ConfigFile, eventually};

const INTERNAL: i32 = 13;

impl State {
    /// Calls a method with one message, which has its frame already.
    async fn call(&self, method: &str, headers: &[(&'static str, &str)], message: Bytes) -> Answer {
        let port = self.sidecar.ports().grpc;
        let path = format!("/dapr.proto.runtime.v1.Dapr/{method}");
        let mut call = open(port, &path, headers).await;
        call.send.send_data(message, true).unwrap();
        call.answer().await
    }

    async fn save_over_grpc(&self, store: &str, states: &[common::StateItem]) -> (i32, String) {
        let request = runtime::SaveStateRequest {
            store_name: store.to_owned(),
            states: states.to_vec(),
        };
        let message = framed(&request.encode_to_vec());
        told(self.call("SaveState", &[], message).await)
    }
}

fn told(answer: Answer) -> (i32, String) {
    (answer.code.unwrap(), answer.text)
}

fn item(key: &str, value: &'static str, metadata: &[(&str, &str)]) -> common::StateItem {
    let metadata = metadata.iter();
    common::StateItem {
        key: key.to_owned(),
        value: Bytes::from_static(value.as_bytes()),
        metadata: metadata
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Default::default()
    }
}

const JSON: &[(&str, &str)] = &[("contentType", "application/json")];

#[tokio::test]
async fn errors_of_several_kinds_are_all_told() {
    let state = State::start().await;
    let tagged = common::StateItem {
        etag: Some(common::Etag { value: "e".into() }),
        ..item("a", "1", &[])
    };
    let items = [item("b", "2", &[("ttlInSeconds", "x")]), tagged];
    let (code, text) = state.save_over_grpc("sql", &items).await;
    assert_eq!(code, 10);
    assert_eq!(
        text,
        "failed saving state in state store sql: error parsing TTL: incorrect value for metadata \
         'ttlInSeconds': strconv.ParseInt: parsing \"x\": invalid syntax\npossible etag mismatch. \
         error from state store"
    );
}

#[tokio::test]
async fn the_first_item_that_is_wrong_is_told() {
    let state = State::start().await;
    let (empty, pipes) = (item("", "1", &[]), item("a||b", "1", &[]));
    let (cut, huge) = (item("k", "{", JSON), item("k", "[1e400]", JSON));
    let no_key = "state key cannot be empty";
    let illegal = "input key/keyPrefix 'a||b' can't contain '||'";
    let infinite = "json: cannot unmarshal number 1e400 into Go value of type float64";
    let good = item("good", "1", &[]);
    for (items, code, text) in [
        ([&empty, &pipes], 3, no_key),
        ([&pipes, &empty], 3, illegal),
        ([&cut, &empty], 2, "unexpected end of JSON input"),
        ([&good, &huge], 2, infinite),
    ] {
        let items = items.map(common::StateItem::clone);
        let refused = state.save_over_grpc("mem", &items).await;
        assert_eq!(refused, (code, text.to_owned()));
    }
    assert_eq!(state.value("mem", "good").await, None);
    let kept = item("k", " { \"a\" : 1.50 } ", JSON);
    assert_eq!(state.save_over_grpc("mem", &[kept]).await.0, 0);
    let kept = state.value("mem", "k").await;
    assert_eq!(kept.as_deref(), Some(r#"{"a":1.50}"#));
}

#[tokio::test]
async fn messages_that_cannot_be_read_say_why() {
    let state = State::start().await;
    let mut packed = framed(b"x").to_vec();
    packed[0] = 1;
    let packed = Bytes::from(packed);
    let no_text = framed(b"\x0a\x02\xff\xfe");
    let no_message = framed(b"\xff\xff\xff");
    let reading = "grpc: error unmarshalling request: ";
    let decompressor = "grpc: Decompressor is not installed for grpc-encoding \"snappy\"";
    for (headers, message, code, text) in [
        (
            &[("grpc-encoding", "snappy")][..],
            &packed,
            12,
            decompressor.to_owned(),
        ),
        (
            &[("grpc-encoding", "gzip")],
            &packed,
            INTERNAL,
            "grpc: failed to decompress the received message: unexpected end of file".to_owned(),
        ),
        (
            &[],
            &packed,
            INTERNAL,
            "grpc: compressed flag set with identity or empty encoding".to_owned(),
        ),
        (
            &[],
            &no_text,
            INTERNAL,
            format!("{reading}string field contains invalid UTF-8"),
        ),
        (
            &[],
            &no_message,
            INTERNAL,
            format!("{reading}proto: cannot parse invalid wire-format data"),
        ),
    ] {
        let answer = state.call("GetState", headers, message.clone()).await;
        assert_eq!(told(answer), (code, text));
    }
}

#[tokio::test]
async fn an_answer_longer_than_a_message_may_be_is_refused() {
    let state = State::start_as(|builder| builder.flag("--max-body-size=1Mi")).await;
    let value = "x".repeat(600_000);
    state
        .saved("mem", &format!(r#"[{{"key":"k","value":"{value}"}}]"#))
        .await;
    let get = |times| {
        let request = runtime::GetBulkStateRequest {
            store_name: "mem".into(),
            keys: vec!["k".into(); times],
            ..Default::default()
        };
        framed(&request.encode_to_vec())
    };
    let answer = state.call("GetBulkState", &[], get(1)).await;
    assert_eq!(answer.code, Some(0));
    let (code, text) = told(state.call("GetBulkState", &[], get(2)).await);
    assert_eq!(code, 8);
    let text = text.strip_prefix("grpc: trying to send message larger than max (1200");
    assert!(text.unwrap().ends_with(" vs. 1048576)"), "{text:?}");
}

#[tokio::test]
async fn errors_are_counted_under_their_own_names() {
    let config = ConfigFile::new("  metrics:\n    enabled: true\n    recordErrorCodes: true");
    let state = State::start_as(|builder| builder.flag(config.flag())).await;
    for key in ["", "a||b"] {
        state.save_over_grpc("mem", &[item(key, "1", &[])]).await;
    }
    let delete = runtime::DeleteBulkStateRequest {
        store_name: "mem".into(),
        states: vec![common::StateItem {
            etag: Some(common::Etag { value: "e".into() }),
            ..item("k", "", &[])
        }],
    };
    state
        .call("DeleteBulkState", &[], framed(&delete.encode_to_vec()))
        .await;
    let invoke = framed(&runtime::InvokeServiceRequest::default().encode_to_vec());
    let (code, _) = told(state.call("InvokeService", &[], invoke).await);
    assert_eq!(code, INTERNAL);
    let expected = [
        ("service-invocation", "ERR_DIRECT_INVOKE"),
        ("state", "ERR_MALFORMED_REQUEST"),
        ("state", "ERR_STATE_BULK_DELETE"),
        ("state", "ERR_STATE_SAVE"),
    ]
    .map(|(category, code)| format!("category=\"{category}\",error_code=\"{code}\"}} 1"));
    eventually("counts", async || {
        let series = state.error_codes().await;
        series.len() == expected.len()
            && series
                .iter()
                .zip(&expected)
                .all(|(found, end)| found.ends_with(end))
    })
    .await;
}
