//! One row each of the contract's tables.

use super::*;

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter()
        .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
        .collect()
}

/// The headers as `Name: value` and the trace context.
fn emitted(list: &[(&str, &str)]) -> Vec<String> {
    let fields = fields(list);
    let mut lines = Vec::new();
    to_http(&fields, |name, value| {
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        lines.push(format!("{name}: {value}"));
    });
    lines
}

#[test]
fn canonical_form_is_go_s() {
    for (name, canonical) in [
        ("http2-settings", "Http2-Settings"),
        ("traceparent", "Traceparent"),
        ("X-FORWARDED-FOR", "X-Forwarded-For"),
        ("Accept", "Accept"),
        ("x--a-", "X--A-"),
        ("-x", "-X"),
        ("x_a.b", "X_a.b"),
        ("", ""),
        (":path", ":path"),
        ("a b-c", "a b-c"),
        ("gr\u{fc}n-x", "gr\u{fc}n-x"),
        ("Weird name", "Weird name"),
    ] {
        let mut out = Vec::new();
        canonicalize(name.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), canonical);
        let mut in_place = name.as_bytes().to_vec();
        canonicalize_in_place(&mut in_place);
        assert_eq!(in_place, out);
        assert!(is_canonical(&out));
        assert_eq!(is_canonical(name.as_bytes()), name == canonical, "{name}");
    }
}

#[test]
fn a_very_long_name_is_canonical_too() {
    let mut out = Vec::new();
    canonicalize("ab-".repeat(100).as_bytes(), &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "Ab-".repeat(100));
}

#[test]
fn hop_by_hop_names_are_dropped_in_any_case() {
    for name in HOP_BY_HOP {
        assert!(is_hop_by_hop(name.as_bytes()));
        let upper = name.to_ascii_uppercase();
        assert!(is_hop_by_hop(upper.as_bytes()));
        assert!(emitted(&[(name, "x"), (&upper, "x")]).is_empty(), "{name}");
    }
    assert!(!is_hop_by_hop(b"trailers"));
}

#[test]
fn trace_context_is_kept_aside_first_value_wins() {
    let fields = fields(&[
        ("Traceparent", "p1"),
        ("traceparent", "p2"),
        ("TRACESTATE", "s1"),
        ("tracestate", "s2"),
        ("Grpc-Trace-Bin", "b1"),
        ("grpc-trace-bin", "b2"),
    ]);
    let trace = to_http(&fields, |name, _| panic!("emitted {name:?}"));
    assert_eq!(trace.traceparent, Some(&b"p1"[..]));
    assert_eq!(trace.tracestate, Some(&b"s1"[..]));
    assert_eq!(trace.grpc_trace_bin, Some(&b"b1"[..]));
    assert_eq!(to_http(&Fields::default(), |_, _| ()), Trace::default());
}

#[test]
fn names_with_their_own_place_are_dropped() {
    for name in [
        "destination-app-id",
        "Destination-App-Id",
        "content-type",
        "Content-Type",
        "content-length",
        "Content-Length",
        "x-data-bin",
        "X-Data-BIN",
        "-bin",
        "grpc-tags-bin",
    ] {
        assert!(emitted(&[(name, "x")]).is_empty(), "{name}");
    }
    assert_eq!(emitted(&[("bin", "x")]), ["Bin: x"]);
}

#[test]
fn baggage_keeps_its_first_value() {
    let list = [
        ("baggage", "a=1"),
        ("Baggage", "b=2"),
        ("Connection", "baggage"),
    ];
    assert_eq!(emitted(&list), ["Baggage: a=1"]);
}

#[test]
fn names_listed_by_connection_are_dropped() {
    let lines = emitted(&[
        ("X-One", "1"),
        ("connection", "close, x-one,,X-TWO "),
        ("x-two", "2"),
        ("CONNECTION", "grpc-x"),
        ("grpc-x", "3"),
        ("Close", "4"),
        ("X-Three", "5"),
    ]);
    assert_eq!(lines, ["X-Three: 5"]);
}

#[test]
fn many_listed_names_are_dropped_as_well() {
    let names: Vec<String> = (0..100).map(|i| format!("x-{i}")).collect();
    let all = names.join(",");
    let mut list = vec![("Connection", all.as_str()), ("X-Kept", "k")];
    list.extend(names.iter().map(|n| (n.as_str(), "v")));
    assert_eq!(emitted(&list), ["X-Kept: k"]);
}

#[test]
fn pseudo_and_grpc_names_are_renamed() {
    for (name, renamed) in [
        (":method", "Dapr-Method"),
        (":scheme", "Dapr-Scheme"),
        (":path", "Dapr-Path"),
        (":authority", "Dapr-Authority"),
        ("grpc-accept-encoding", "Dapr-Grpc-Accept-Encoding"),
        ("Grpc-Status", "Dapr-Grpc-Status"),
        ("grpc-", "Dapr-Grpc-"),
    ] {
        assert_eq!(emitted(&[(name, "v")]), [format!("{renamed}: v")]);
    }
    assert_eq!(emitted(&[("grpcx", "v")]), ["Grpcx: v"]);
}

#[test]
fn what_is_no_name_does_not_travel() {
    for name in [
        ":other",
        "x: 1\r\n\r\nGET /",
        "transfer-encoding ",
        "",
        "ä",
        "a\0b",
    ] {
        assert_eq!(emitted(&[(name, "v")]), [""; 0], "{name:?}");
    }
}

#[test]
fn the_rest_passes_with_all_values_in_order() {
    let list = [
        ("x-a", "1"),
        ("dapr-caller-app-id", "me"),
        ("X-A", "2"),
        ("Accept", ""),
    ];
    assert_eq!(
        emitted(&list),
        ["X-A: 1", "Dapr-Caller-App-Id: me", "X-A: 2", "Accept: "]
    );
}

#[test]
fn stripping_removes_hop_by_hop_and_listed_names() {
    let mut list = fields(&[
        ("Connection", "keep-alive, X-One"),
        ("Keep-Alive", "5"),
        ("x-one", "1"),
        ("Content-Length", "3"),
    ]);
    strip_hop_by_hop(&mut list);
    assert_eq!(list, fields(&[("Content-Length", "3")]));

    let mut list = fields(&[("Connection", "close"), ("Date", "now"), ("TE", "x")]);
    strip_hop_by_hop(&mut list);
    assert_eq!(list, fields(&[("Date", "now")]));

    let mut list = fields(&[("Connection", "close"), ("Close", "x")]);
    strip_hop_by_hop(&mut list);
    assert!(list.is_empty());
}
