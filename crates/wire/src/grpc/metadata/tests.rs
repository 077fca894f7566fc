//! The contract's facts about metadata, then properties that stand in for a fuzzer.

use super::*;

mod properties;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    map
}

/// Sorted, so that the map's order does not matter.
fn listed(map: &HeaderMap) -> Vec<(&str, &str)> {
    let mut list: Vec<_> = map
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    list.sort_unstable();
    list
}

fn binary_of_parent() -> String {
    binary::encode(&trace::to_binary(PARENT.as_bytes()).unwrap())
}

#[test]
fn a_caller_s_metadata_becomes_lower_case_fields() {
    let map = headers(&[
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "5S"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "gzip"),
        ("host", "other"),
        ("transfer-encoding", "chunked"),
        ("user-agent", "grpc-go/1"),
        ("dapr-app-id", "b"),
        ("dapr-api-token", "secret"),
        ("x-bin", "AQIDBA"),
        ("x-bin", "AQ==, Ag"),
        ("x-bin", "!"),
    ]);
    let kept = fields(&[
        (":authority", "here:1"),
        ("content-type", "application/grpc"),
        ("grpc-accept-encoding", "gzip"),
        ("user-agent", "grpc-go/1"),
        ("dapr-app-id", "b"),
        ("x-bin", "AQIDBA=="),
        ("x-bin", "AQ=="),
        ("x-bin", "Ag=="),
    ]);
    assert_eq!(from_caller(&map, Some("here:1"), true), kept);
    let with_token = from_caller(&map, None, false);
    assert_eq!(with_token.get("dapr-api-token"), Some(&b"secret"[..]));
    assert_eq!(with_token.get(":authority"), Some(&b"other"[..]));
}

#[test]
fn an_app_s_metadata_keeps_details_and_content_type() {
    let map = headers(&[
        ("content-type", "application/grpc"),
        ("grpc-status", "5"),
        ("grpc-message", "no"),
        ("grpc-encoding", "identity"),
        ("grpc-status-details-bin", "AQI"),
        ("x-one", "1"),
    ]);
    let kept = fields(&[
        ("content-type", "application/grpc"),
        ("grpc-status-details-bin", "AQI="),
        ("x-one", "1"),
    ]);
    assert_eq!(from_app(&map), kept);
}

#[test]
fn an_http_caller_s_fields_are_renamed_for_an_app() {
    let map = fields(&[
        ("Accept", "x/y"),
        ("Content-Type", "a/b"),
        ("Content-Length", "4"),
        ("Connection", "close"),
        ("Cookie", "c=1"),
        ("User-Agent", "curl"),
        ("Accept-Encoding", "gzip"),
        ("Grpc-Timeout", "5S"),
        ("Grpc-Status", "5"),
        ("Te", "trailers"),
        ("X-B-Bin", "AQID"),
        ("destination-app-id", "b"),
        ("dapr-caller-app-id", "a"),
        ("X-Forwarded-For", "1"),
        ("Dapr-Content-Type", "own"),
    ]);
    let sent = to_app(&map, None).unwrap();
    let wanted = [
        ("accept-encoding", "gzip"),
        ("dapr-accept", "x/y"),
        ("dapr-caller-app-id", "a"),
        ("dapr-connection", "close"),
        ("dapr-content-length", "4"),
        ("dapr-content-type", "a/b"),
        ("dapr-content-type", "own"),
        ("dapr-cookie", "c=1"),
        ("grpc-trace-bin", ""),
        // The app sees the bytes `AQID`.
        ("x-b-bin", "QVFJRA"),
        ("x-forwarded-for", "1"),
    ];
    assert_eq!(listed(&sent), wanted);
}

#[test]
fn a_grpc_caller_s_metadata_keeps_its_names() {
    let map = fields(&[
        (":authority", "here"),
        ("content-type", "application/grpc+proto"),
        ("user-agent", "grpc-go/1"),
        ("grpc-accept-encoding", "gzip"),
        ("accept", "q"),
        ("date", "now"),
        ("upgrade", "u"),
        ("x-b-bin", "AQID"),
        ("x-b-bin", "AQ=="),
        ("x-b-bin", "no base64"),
        ("Forwarded", "for=1"),
    ]);
    let sent = to_app(&map, None).unwrap();
    let wanted = [
        ("accept", "q"),
        ("date", "now"),
        ("forwarded", "for=1"),
        ("grpc-trace-bin", ""),
        ("x-b-bin", "AQ"),
        ("x-b-bin", "AQID"),
    ];
    assert_eq!(listed(&sent), wanted);
}

#[test]
fn the_app_s_token_replaces_the_caller_s() {
    let map = fields(&[("Dapr-Api-Token", "theirs"), ("dapr-api-token", "too")]);
    let sent = to_app(&map, Some("ours")).unwrap();
    let tokens: Vec<_> = sent.get_all("dapr-api-token").iter().collect();
    assert_eq!(tokens, ["ours"]);
    assert!(tokens[0].is_sensitive());
    let sent = to_app(&map, None).unwrap();
    assert_eq!(sent.get_all("dapr-api-token").iter().count(), 2);
    let none = to_app(&Fields::default(), None).unwrap();
    assert!(!none.contains_key("dapr-api-token"));
    assert!(to_app(&map, Some("bad\n")).is_err());
}

#[test]
fn what_grpc_cannot_carry_is_refused_in_the_reference_s_words() {
    for (name, value, text) in [
        (
            "X-U",
            "ü",
            "header key \"x-u\" contains value with non-printable ASCII characters",
        ),
        (
            "Cookie",
            "a\tb",
            "header key \"dapr-cookie\" contains value with non-printable ASCII characters",
        ),
        (
            "x!bang",
            "1",
            "header key \"x!bang\" contains illegal characters not in [0-9a-z-_.]",
        ),
        ("", "1", "there is an empty key in the header"),
    ] {
        let error = to_app(&fields(&[(name, value)]), None).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(!can_carry(name.as_bytes(), value.as_bytes()));
    }
    assert!(to_app(&fields(&[("X-U-Bin", "ü")]), None).is_ok());
}

#[test]
fn a_trace_of_http_origin_goes_on_in_both_forms() {
    let binary = binary_of_parent();
    let map = fields(&[
        ("Traceparent", PARENT),
        ("Tracestate", "k=v"),
        ("Grpc-Trace-Bin", "AQID"),
    ]);
    let sent = to_app(&map, None).unwrap();
    let wanted = [
        ("grpc-trace-bin", binary.as_str()),
        ("traceparent", PARENT),
        ("tracestate", "k=v"),
    ];
    assert_eq!(listed(&sent), wanted);
    let invalid = fields(&[("Traceparent", "zz"), ("Tracestate", "k=v")]);
    let sent = to_app(&invalid, None).unwrap();
    assert_eq!(listed(&sent), [("grpc-trace-bin", "")]);
}

#[test]
fn a_trace_of_grpc_origin_is_the_binary_one() {
    let grpc = ("content-type", "application/grpc");
    let binary = binary_of_parent();
    let other = PARENT.replace("00-0a", "00-1a");
    let both = fields(&[grpc, ("grpc-trace-bin", &binary), ("traceparent", &other)]);
    let sent = to_app(&both, None).unwrap();
    assert_eq!(
        listed(&sent),
        [("grpc-trace-bin", binary.as_str()), ("traceparent", PARENT)]
    );
    let lone = to_app(&fields(&[grpc, ("traceparent", PARENT)]), None).unwrap();
    assert_eq!(lone, sent);
    // Bytes that are no context pass as they came.
    let odd = to_app(&fields(&[grpc, ("grpc-trace-bin", "AQID")]), None).unwrap();
    assert_eq!(listed(&odd), [("grpc-trace-bin", "AQID")]);
}

#[test]
fn an_http_app_s_headers_come_with_its_status() {
    let map = fields(&[
        ("Content-Type", "a/b"),
        ("date", "now"),
        ("X-One", "1"),
        ("x-some-bin", "AQID"),
        ("Dapr-Http-Status", "9"),
        ("Grpc-Status", "5"),
        ("Grpc-Status-Details-Bin", "AQID"),
        ("User-Agent", "ua"),
        ("x!bang", "1"),
        ("X-U", "ü"),
        ("Destination-App-Id", "x"),
        ("Baggage", "a=1"),
        ("traceparent", PARENT),
    ]);
    let binary = binary_of_parent();
    let wanted = [
        ("baggage", "a=1"),
        ("dapr-content-type", "a/b"),
        ("dapr-date", "now"),
        ("dapr-http-status", "418"),
        ("grpc-trace-bin", binary.as_str()),
        ("traceparent", PARENT),
        ("x-one", "1"),
        ("x-some-bin", "QVFJRA"),
    ];
    assert_eq!(listed(&to_caller(&map, Some(418))), wanted);
    let bare = to_caller(&Fields::default(), Some(200));
    assert_eq!(
        listed(&bare),
        [("dapr-http-status", "200"), ("grpc-trace-bin", "")]
    );
}

#[test]
fn a_grpc_app_s_metadata_comes_unchanged() {
    let map = fields(&[
        ("content-type", "application/grpc"),
        ("accept", "a"),
        ("x-init", "1"),
        ("x-init", "2"),
        ("x-init-bin", "AQID/w=="),
        ("dapr-http-status", "9"),
    ]);
    let wanted = [
        ("accept", "a"),
        ("dapr-http-status", "9"),
        ("grpc-trace-bin", ""),
        ("x-init", "1"),
        ("x-init", "2"),
        ("x-init-bin", "AQID/w"),
    ];
    assert_eq!(listed(&to_caller(&map, None)), wanted);
}

#[test]
fn trailers_keep_details_and_get_the_trace() {
    let map = fields(&[
        ("content-type", "application/grpc"),
        ("date", "d"),
        ("grpc-status-details-bin", "AQI="),
        ("connection", "close"),
        ("x-t-bin", "bad base64"),
    ]);
    let mut sent = to_caller_trailers(&map);
    assert_eq!(
        listed(&sent),
        [("date", "d"), ("grpc-status-details-bin", "AQI")]
    );
    copy_trace(&headers(&[("grpc-trace-bin", ""), ("x", "1")]), &mut sent);
    copy_trace(&headers(&[("grpc-trace-bin", "AQ")]), &mut sent);
    assert_eq!(sent["grpc-trace-bin"], "");
    assert!(!sent.contains_key("x"));
}

#[test]
fn more_fields_than_a_header_map_holds_are_no_panic() {
    let mut map = Fields::default();
    for i in 0..70_000 {
        map.push(format!("x-{i}").as_bytes(), b"1");
    }
    assert!(to_app(&map, Some("t")).is_ok());
    assert!(to_caller(&map, Some(200)).len() > 20_000);
    assert!(to_caller_trailers(&map).len() > 20_000);
}
