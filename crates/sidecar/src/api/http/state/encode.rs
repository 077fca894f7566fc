//! Answers about state (contract `state.md` 3.4, 3.5).

use outrider_core::{
    go_json::{Escape, check_whole, push_compact},
    json::push_go_string,
};
use outrider_state::Item;

use super::Answer;
use crate::{
    call::Body,
    metrics::ErrorCode,
    state::{Fault, Found, Kind, fault::Detail, time_text},
};

/// The answer to a read: the bytes as they were stored, whatever they are.
pub(super) fn item(item: Option<Item>) -> Answer {
    let Some(item) = item else {
        return Answer::empty(204);
    };
    let mut answer = Answer::empty(200);
    answer.fields.push(b"Content-Type", b"application/json");
    if let Some(etag) = item.etag.filter(|etag| !etag.is_empty()) {
        answer.fields.push(b"Etag", etag.as_bytes());
    }
    if let Some(expires) = item.expires {
        let time = time_text(expires);
        answer
            .fields
            .push(b"Metadata.ttlexpiretime", time.as_bytes());
    }
    answer.body = Body::whole(item.value);
    answer
}

/// The answer to a bulk read, in the order of the request.
pub(super) fn items(keys: &[String], found: Vec<Found>) -> Answer {
    items_within(LONGEST_ANSWER, keys, found)
}

/// Bytes of an answer to a bulk read, from which on items are told without their values. Any
/// request can name a long value often.
const LONGEST_ANSWER: usize = 256 * 1024 * 1024;

fn items_within(limit: usize, keys: &[String], found: Vec<Found>) -> Answer {
    let mut out = b"[".to_vec();
    for (key, found) in keys.iter().zip(found) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        push_go_string(&mut out, key);
        match found {
            Ok(Some(item)) if out.len() + item.value.len() > limit => {
                let told = "the answer has no room left for this value; ask for fewer keys";
                push_member(&mut out, "error", told);
            }
            Ok(Some(item)) => push_item(&mut out, &item),
            Ok(None) => {}
            Err(error) => push_member(&mut out, "error", &error.to_string()),
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]\n");
    Answer::json(200, out)
}

fn push_item(out: &mut Vec<u8>, item: &Item) {
    match check_whole(&item.value) {
        _ if item.value.is_empty() => {}
        Ok(()) => {
            out.extend_from_slice(b",\"data\":");
            push_compact(out, &item.value, Escape::Html);
        }
        // The reference answers nothing at all then, not even the other items.
        Err(error) => push_member(out, "error", &format!("the value is not JSON: {error}")),
    }
    if let Some(etag) = item.etag.as_deref().filter(|etag| !etag.is_empty()) {
        push_member(out, "etag", etag);
    }
    if let Some(expires) = item.expires {
        out.extend_from_slice(b",\"metadata\":{\"ttlExpireTime\":");
        push_go_string(out, &time_text(expires));
        out.push(b'}');
    }
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    push_go_string(out, value);
}

/// The answer to a request that failed. `own_id` is our app's, if the client is to be told.
pub(super) fn fault(fault: &Fault, own_id: Option<&str>) -> Answer {
    let message = match fault.kind {
        // The reference lets the text of an inner error through on this door only.
        Kind::KeyIllegal => format!("api error: code = InvalidArgument desc = {}", fault.message),
        _ => fault.message.clone(),
    };
    let mut out = b"{\"errorCode\":".to_vec();
    push_go_string(&mut out, fault.kind.error_code());
    push_member(&mut out, "message", &message);
    let details = fault.kind.details();
    if !details.is_empty() {
        out.extend_from_slice(b",\"details\":[");
        for (at, detail) in details.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_detail(&mut out, *detail, fault, &message, own_id);
        }
        out.push(b']');
    }
    out.push(b'}');
    let mut answer = Answer::json(fault.kind.status(), out);
    answer.error = Some(ErrorCode {
        category: fault.kind.category(),
        name: fault.kind.error_code(),
    });
    answer
}

fn push_detail(
    out: &mut Vec<u8>,
    detail: Detail,
    fault: &Fault,
    message: &str,
    own_id: Option<&str>,
) {
    let name = match detail {
        Detail::BadRequest => "BadRequest",
        Detail::ResourceInfo => "ResourceInfo",
        Detail::ErrorInfo(_) => "ErrorInfo",
    };
    out.extend_from_slice(b"{\"@type\":\"type.googleapis.com/google.rpc.");
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    match detail {
        Detail::BadRequest => {
            out.extend_from_slice(b",\"field_violations\":[{");
            if let Some(key) = &fault.key {
                out.extend_from_slice(b"\"field\":");
                push_go_string(out, key);
                out.push(b',');
            }
            out.extend_from_slice(b"\"description\":");
            push_go_string(out, message);
            out.extend_from_slice(b"}]");
        }
        Detail::ResourceInfo => {
            out.extend_from_slice(b",\"description\":\"\",\"owner\":\"\"");
            push_member(out, "resource_name", &fault.store);
            push_member(out, "resource_type", "state");
        }
        Detail::ErrorInfo(reason) => {
            let names_id = matches!(fault.kind, Kind::NotConfigured | Kind::NotFound);
            out.extend_from_slice(b",\"domain\":\"dapr.io\",\"metadata\":");
            match own_id.filter(|_| names_id) {
                Some(id) => {
                    out.extend_from_slice(b"{\"appID\":");
                    push_go_string(out, id);
                    out.push(b'}');
                }
                None => out.extend_from_slice(b"null"),
            }
            push_member(out, "reason", reason);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use outrider_state::Error;

    use super::*;

    async fn body(answer: Answer) -> String {
        let body = answer.body.collect(usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn stored(value: &'static str) -> Item {
        Item {
            value: Bytes::from_static(value.as_bytes()),
            etag: Some("7".into()),
            expires: None,
        }
    }

    #[tokio::test]
    async fn an_item_is_told_as_it_is_stored() {
        let mut found = stored("not json");
        found.expires = Some(1_795_638_400);
        let answer = item(Some(found));
        assert_eq!(answer.status, 200);
        let fields: Vec<_> = answer.fields.iter().collect();
        assert_eq!(
            fields,
            [
                (&b"Content-Type"[..], &b"application/json"[..]),
                (b"Etag", b"7"),
                (b"Metadata.ttlexpiretime", b"2026-11-25T20:26:40Z"),
            ]
        );
        assert_eq!(body(answer).await, "not json");
        assert_eq!(item(None).status, 204);
        assert_eq!(item(None).fields.len(), 0);
    }

    #[tokio::test]
    async fn one_bad_item_does_not_hide_the_others() {
        let keys = ["a", "b", "<c>", "d", "e", "f"].map(String::from);
        let mut untagged = stored(r#" { "x" : "<" } "#);
        untagged.etag = None;
        untagged.expires = Some(0);
        let found = vec![
            Ok(Some(stored("null"))),
            Ok(None),
            Ok(Some(stored("hello"))),
            Err(Error::failed("no route to host")),
            Ok(Some(untagged)),
            Ok(Some(stored(""))),
        ];
        let expected = concat!(
            r#"[{"key":"a","data":null,"etag":"7"},{"key":"b"},{"key":"\u003cc\u003e","error":"#,
            r#""the value is not JSON: invalid character 'h' looking for beginning of value","etag":"7"},"#,
            r#"{"key":"d","error":"no route to host"},{"key":"e","data":{"x":"\u003c"},"metadata":"#,
            r#"{"ttlExpireTime":"1970-01-01T00:00:00Z"}},{"key":"f","etag":"7"}]"#,
            "\n"
        );
        assert_eq!(body(items(&keys, found)).await, expected);
        assert_eq!(body(items(&[], vec![])).await, "[]\n");
    }

    #[tokio::test]
    async fn an_answer_ends_before_the_memory_does() {
        let keys = ["a", "b"].map(String::from);
        let found = vec![Ok(Some(stored("1"))), Ok(Some(stored("2")))];
        let text = body(items_within(20, &keys, found)).await;
        assert!(text.starts_with(r#"[{"key":"a","data":1,"#), "{text}");
        let told = r#"{"key":"b","error":"the answer has no room"#;
        assert!(text.contains(told), "{text}");
    }

    #[tokio::test]
    async fn faults_have_their_details_in_order() {
        let missing = Fault::new(Kind::NotFound, "s", "state store s is not found");
        let answer = fault(&missing, Some("a"));
        assert_eq!(answer.status, 400);
        assert_eq!(
            body(answer).await,
            r#"{"errorCode":"ERR_STATE_STORE_NOT_FOUND","message":"state store s is not found","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":{"appID":"a"},"reason":"DAPR_STATE_NOT_FOUND"}]}"#
        );
        let illegal = Fault {
            key: Some("a||b".into()),
            ..Fault::new(Kind::KeyIllegal, "s", "no")
        };
        let answer = fault(&illegal, Some("a"));
        assert_eq!(
            body(answer).await,
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"api error: code = InvalidArgument desc = no","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{"field":"a||b","description":"api error: code = InvalidArgument desc = no"}]},{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"","resource_name":"s","resource_type":"state"},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":null,"reason":"DAPR_STATE_ILLEGAL_KEY"}]}"#
        );
        let plain = Fault::new(Kind::Malformed, "s", "EOF");
        assert_eq!(
            body(fault(&plain, None)).await,
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"EOF"}"#
        );
    }
}
