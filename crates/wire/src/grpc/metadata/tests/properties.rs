//! Any bytes in: no panic, and only what HTTP/2 and gRPC carry comes out.

use proptest::prelude::*;

use super::*;

/// Names that mean something, beside any others.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "content-type",
        "Content-Type",
        "Content-Length",
        "connection",
        "Transfer-Encoding",
        "te",
        "grpc-status",
        "Grpc-Timeout",
        "grpc-accept-encoding",
        "grpc-trace-bin",
        "Traceparent",
        "tracestate",
        "x-some-bin",
        "X-Some-Bin",
        "-bin",
        ":authority",
        ":",
        "destination-app-id",
        "Dapr-Api-Token",
        "dapr-http-status",
        "grpc-status-details-bin",
        "Host",
    ]);
    prop_oneof![
        4 => known.prop_map(|name| name.as_bytes().to_vec()),
        2 => "[a-zA-Z0-9_.-]{1,12}(-bin|-Bin)?".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,20}".prop_map(String::into_bytes),
        "[A-Za-z0-9+/]{0,12}={0,3}".prop_map(String::into_bytes),
        Just(PARENT.as_bytes().to_vec()),
        Just(b"application/grpc".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn any_fields() -> impl Strategy<Value = Fields> {
    prop::collection::vec((name(), value()), 0..24).prop_map(|list| {
        list.iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect()
    })
}

/// Any map that HTTP/2 can deliver.
fn any_headers() -> impl Strategy<Value = HeaderMap> {
    prop::collection::vec((name(), value()), 0..24).prop_map(|list| {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(&name),
                HeaderValue::from_bytes(&value),
            ) {
                map.append(name, value);
            }
        }
        map
    })
}

/// Metadata that may be sent as it is.
fn check_sendable(map: &HeaderMap) -> Result<(), TestCaseError> {
    for (name, value) in map {
        let name = name.as_str();
        let fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        prop_assert!(name.bytes().all(fit), "{}", name);
        prop_assert!(!is_transport(name.as_bytes()), "{}", name);
        prop_assert!(value.as_bytes().iter().all(|b| matches!(b, b' '..=b'~')));
        if name.ends_with(BIN) {
            prop_assert!(binary::decode(value.as_bytes()).is_some(), "{}", name);
            prop_assert!(!value.as_bytes().contains(&b'='));
        }
    }
    for once in [TRACEPARENT, TRACESTATE, TRACE_BIN] {
        prop_assert!(map.get_all(once).iter().count() <= 1);
    }
    prop_assert!(!map.contains_key("destination-app-id"));
    Ok(())
}

proptest! {
    #[test]
    fn whatever_a_map_holds_only_metadata_comes_out(
        map in any_fields(),
        status in prop::option::of(any::<u16>()),
        token in prop::option::of(".{0,8}"),
    ) {
        if let Ok(sent) = to_app(&map, token.as_deref()) {
            check_sendable(&sent)?;
            prop_assert_eq!(sent.get_all(TRACE_BIN).iter().count(), 1);
            if let Some(token) = token {
                let tokens: Vec<_> = sent.get_all("dapr-api-token").iter().collect();
                prop_assert_eq!(tokens, [token.as_str()]);
            }
        }
        let sent = to_caller(&map, status);
        check_sendable(&sent)?;
        prop_assert_eq!(sent.get_all(TRACE_BIN).iter().count(), 1);
        prop_assert!(!sent.contains_key("grpc-status-details-bin"));
        if let Some(status) = status {
            prop_assert_eq!(sent.get_all("dapr-http-status").iter().collect::<Vec<_>>(), [&*status.to_string()]);
        }
        for (name, value) in &to_caller_trailers(&map) {
            prop_assert!(!is_transport(name.as_str().as_bytes()));
            prop_assert!(can_carry(name.as_str().as_bytes(), value.as_bytes()));
        }
    }

    #[test]
    fn whatever_arrives_becomes_a_map(map in any_headers(), token in any::<bool>()) {
        for fields in [from_caller(&map, Some("a"), token), from_app(&map)] {
            for (name, value) in fields.iter() {
                prop_assert!(!name.iter().any(u8::is_ascii_uppercase));
                if name.ends_with(b"-bin") {
                    prop_assert!(value.len().is_multiple_of(4));
                    prop_assert!(binary::decode(value).is_some());
                }
            }
            prop_assert!(!fields.contains("te") && !fields.contains("grpc-status"));
        }
        prop_assert!(!token || !from_caller(&map, None, token).contains("dapr-api-token"));
    }

    #[test]
    fn binary_metadata_survives_both_ways(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let mut map = headers(&[("content-type", "application/grpc")]);
        for value in &values {
            map.append("x-data-bin", binary_value(value).unwrap());
        }
        let there = to_app(&from_caller(&map, None, false), None).unwrap();
        let back = to_caller(&from_app(&map), None);
        let trailing = to_caller_trailers(&from_app(&map));
        for got in [there, back, trailing] {
            let got: Vec<_> = got
                .get_all("x-data-bin")
                .iter()
                .map(|value| binary::decode(value.as_bytes()).unwrap())
                .collect();
            prop_assert_eq!(&got, &values);
        }
    }

    #[test]
    fn text_metadata_survives_both_ways(
        list in prop::collection::vec(("x-[a-z]{1,3}-text", "[ -~]{0,20}"), 0..8),
    ) {
        let mut map = headers(&[("content-type", "application/grpc")]);
        for (name, value) in &list {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let mut there = to_app(&from_caller(&map, None, false), None).unwrap();
        there.remove(TRACE_BIN);
        map.remove("content-type");
        prop_assert_eq!(there, map);
    }
}
