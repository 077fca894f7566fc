//! Texts are what the reference answers, byte for byte, unless a test says otherwise.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::r#gen::{common, google::protobuf::Duration, google::rpc};

const PREFIX: &str = "type.googleapis.com/";

fn detail_of(name: &str, value: impl Into<Vec<u8>>) -> Any {
    Any {
        type_url: format!("{PREFIX}{name}"),
        value: value.into().into(),
    }
}

fn info(reason: &str) -> Any {
    let info = rpc::ErrorInfo {
        reason: reason.to_owned(),
        ..rpc::ErrorInfo::default()
    };
    detail_of("google.rpc.ErrorInfo", info.encode_to_vec())
}

fn one(detail: Any) -> Result<String, UnresolvedDetail> {
    let json = status_json(0, "", &[detail])?;
    let detail = json
        .strip_prefix(r#"{"details":["#)
        .and_then(|j| j.strip_suffix("]}"));
    Ok(detail.unwrap().to_owned())
}

fn text(detail: Any) -> String {
    one(detail).unwrap_err().to_string()
}

#[test]
fn a_status_without_details_shows_what_is_set() {
    let json = status_json(5, "no <such> & \"thing\"", &[]).unwrap();
    assert_eq!(json, r#"{"code":5,"message":"no <such> & \"thing\""}"#);
    assert_eq!(status_json(0, "", &[]).unwrap(), "{}");
    assert_eq!(status_json(-1, "", &[]).unwrap(), r#"{"code":-1}"#);
}

#[test]
fn error_details_are_shown_with_their_type() {
    let labels = [("b", "2"), ("a", "1")];
    let own = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
    let info = rpc::ErrorInfo {
        reason: "r".to_owned(),
        domain: "d".to_owned(),
        metadata: labels.into_iter().map(own).collect::<BTreeMap<_, _>>(),
    };
    let json = status_json(
        5,
        "m",
        &[detail_of("google.rpc.ErrorInfo", info.encode_to_vec())],
    );
    let wanted = r#"{"code":5,"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"r","domain":"d","metadata":{"a":"1","b":"2"}}]}"#;
    // A map has no order.
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parsed(&json.unwrap()), parsed(wanted));

    let retry = rpc::RetryInfo {
        retry_delay: Some(Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
    };
    let quota = rpc::QuotaFailure {
        violations: vec![rpc::quota_failure::Violation {
            subject: "s".to_owned(),
            description: "d".to_owned(),
            api_service: "api".to_owned(),
            quota_value: 5,
            ..rpc::quota_failure::Violation::default()
        }],
    };
    let debug = rpc::DebugInfo {
        stack_entries: vec!["x".to_owned()],
        detail: "d".to_owned(),
    };
    let help = rpc::Help {
        links: vec![rpc::help::Link {
            description: "d".to_owned(),
            url: "http://x/?a=1&b=2".to_owned(),
        }],
    };
    for (name, bytes, wanted) in [
        (
            "RetryInfo",
            retry.encode_to_vec(),
            r#""retryDelay":"1.500s""#,
        ),
        (
            "QuotaFailure",
            quota.encode_to_vec(),
            r#""violations":[{"subject":"s","description":"d","apiService":"api","quotaValue":"5"}]"#,
        ),
        (
            "DebugInfo",
            debug.encode_to_vec(),
            r#""stackEntries":["x"],"detail":"d""#,
        ),
        (
            "Help",
            help.encode_to_vec(),
            r#""links":[{"description":"d","url":"http://x/?a=1&b=2"}]"#,
        ),
    ] {
        let name = format!("google.rpc.{name}");
        let json = one(detail_of(&name, bytes)).unwrap();
        assert_eq!(json, format!(r#"{{"@type":"{PREFIX}{name}",{wanted}}}"#));
    }
}

#[test]
fn well_known_types_have_a_value() {
    for (name, bytes, wanted) in [
        ("Empty", vec![], "{}"),
        ("Duration", vec![16, 3], r#""0.000000003s""#),
        ("Timestamp", vec![8, 1], r#""1970-01-01T00:00:01Z""#),
        ("Int64Value", vec![8, 7], r#""7""#),
        ("BytesValue", vec![10, 2, 1, 2], r#""AQI=""#),
        ("Value", vec![26, 1, b'v'], r#""v""#),
        (
            "FieldMask",
            vec![10, 5, b'a', b'_', b'b', b'.', b'c'],
            r#""aB.c""#,
        ),
        (
            "Struct",
            vec![10, 7, 10, 1, b'b', 18, 2, 8, 0],
            r#"{"b":null}"#,
        ),
    ] {
        let name = format!("google.protobuf.{name}");
        let json = one(detail_of(&name, bytes)).unwrap();
        let wanted = format!(r#"{{"@type":"{PREFIX}{name}","value":{wanted}}}"#);
        assert_eq!(json, wanted);
    }
}

#[test]
fn messages_of_dapr_are_known_and_nest() {
    let request = common::InvokeRequest {
        method: "m".to_owned(),
        data: Some(info("in")),
        http_extension: Some(common::HttpExtension {
            verb: 3,
            ..common::HttpExtension::default()
        }),
        ..common::InvokeRequest::default()
    };
    let name = "dapr.proto.common.v1.InvokeRequest";
    let json = one(detail_of(name, request.encode_to_vec())).unwrap();
    assert_eq!(
        json,
        r#"{"@type":"type.googleapis.com/dapr.proto.common.v1.InvokeRequest","method":"m","data":{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"in"},"httpExtension":{"verb":"POST"}}"#
    );
}

#[test]
fn only_the_last_part_of_a_type_url_counts() {
    for url in ["google.rpc.ErrorInfo", "x.example/a/google.rpc.ErrorInfo"] {
        let detail = Any {
            type_url: url.to_owned(),
            ..Any::default()
        };
        assert_eq!(one(detail).unwrap(), format!(r#"{{"@type":"{url}"}}"#));
    }
    assert_eq!(one(Any::default()).unwrap(), "{}");
}

#[test]
fn what_cannot_be_shown_is_named() {
    assert_eq!(
        text(detail_of("a.B", [8, 1])),
        r#"proto: google.protobuf.Any: unable to resolve "type.googleapis.com/a.B": not found"#
    );
    assert_eq!(
        text(detail_of("google.rpc.ErrorInfo", [10, 200])),
        r#"proto: google.protobuf.Any: unable to unmarshal "type.googleapis.com/google.rpc.ErrorInfo": cannot parse invalid wire-format data"#
    );
    assert_eq!(
        text(detail_of("google.rpc.ErrorInfo", [10, 1, 255])),
        r#"proto: google.protobuf.Any: unable to unmarshal "type.googleapis.com/google.rpc.ErrorInfo": string field contains invalid UTF-8"#
    );
    let untyped = Any {
        value: vec![10, 1].into(),
        ..Any::default()
    };
    assert_eq!(
        text(untyped),
        "proto: google.protobuf.Any: type_url is not set"
    );
    let nested = detail_of("google.protobuf.Any", detail_of("a.B", []).encode_to_vec());
    assert!(text(nested).contains(r#"unable to resolve "type.googleapis.com/a.B""#));
}

#[test]
fn deep_nesting_is_refused_before_it_costs_stack() {
    let mut detail = info("deep");
    for _ in 0..3 {
        detail = detail_of("google.protobuf.Any", detail.encode_to_vec());
    }
    assert!(one(detail.clone()).unwrap().contains("deep"));
    for _ in 0..2000 {
        detail = detail_of("google.protobuf.Any", detail.encode_to_vec());
    }
    assert!(text(detail).contains("nested too deeply"));
}

#[test]
fn the_deepest_allowed_message_fits_a_small_stack() {
    // A struct in a value in a struct, nearly as deep as the decoder takes it.
    let mut bytes = Vec::new();
    for _ in 0..30 {
        let mut entry = vec![10, 1, b'a', 18];
        let mut value = vec![42];
        prost::encoding::encode_varint(bytes.len() as u64, &mut value);
        value.extend(&bytes);
        prost::encoding::encode_varint(value.len() as u64, &mut entry);
        entry.extend(value);
        bytes = vec![10];
        prost::encoding::encode_varint(entry.len() as u64, &mut bytes);
        bytes.extend(entry);
    }
    let mut detail = detail_of("google.protobuf.Struct", bytes);
    for _ in 0..MAX_WRAPPED {
        detail = detail_of("google.protobuf.Any", detail.encode_to_vec());
    }
    let shown = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || one(detail))
        .unwrap()
        .join()
        .unwrap();
    assert!(shown.unwrap().contains(r#"{"a":{"a":"#));
}

#[test]
fn descriptors_name_every_service() {
    let methods = |name: &str| {
        let service = POOL.get_service_by_name(name).unwrap();
        service.methods().count()
    };
    assert_eq!(methods("dapr.proto.runtime.v1.Dapr"), 11);
    assert_eq!(methods("dapr.proto.runtime.v1.AppCallback"), 1);
    assert_eq!(methods("dapr.proto.runtime.v1.AppCallbackHealthCheck"), 1);
    assert_eq!(methods("dapr.proto.internals.v1.ServiceInvocation"), 5);
    assert_eq!(methods("grpc.reflection.v1.ServerReflection"), 1);
    assert_eq!(methods("grpc.reflection.v1alpha.ServerReflection"), 1);
}

#[test]
fn details_travel_without_padding_and_are_read_with_it() {
    let status = internals::Status {
        code: 5,
        message: "no".to_owned(),
        details: vec![info("r")],
    };
    let value = encode(5, "no", &status.details).unwrap();
    assert_eq!(encode(5, "no", &[]), None);
    assert!(!value.as_bytes().contains(&b'='));
    assert_eq!(decode(value.as_bytes()), Some(status.clone()));
    let mut padded = value.as_bytes().to_vec();
    while !padded.len().is_multiple_of(4) {
        padded.push(b'=');
    }
    assert_eq!(decode(&padded), Some(status));
    assert_eq!(decode(b"!"), None);
    assert_eq!(decode(b"/w"), None);
}

proptest! {
    #[test]
    fn no_detail_panics_and_all_json_parses(
        name in prop::sample::select(vec![
            "google.rpc.ErrorInfo",
            "google.rpc.RetryInfo",
            "google.rpc.QuotaFailure",
            "google.protobuf.Any",
            "google.protobuf.Duration",
            "google.protobuf.Struct",
            "google.protobuf.Timestamp",
            "google.protobuf.FieldMask",
            "google.protobuf.Value",
            "dapr.proto.internals.v1.InternalInvokeRequest",
            "none",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..24),
        message in ".{0,8}",
    ) {
        let detail = detail_of(name, bytes);
        if let Ok(json) = status_json(3, &message, &[detail]) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        }
    }

    #[test]
    fn any_bytes_as_details_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode(&bytes);
        let _ = decode(binary::encode(&bytes).as_bytes());
    }
}
