//! Rows of the contract and hostile messages; properties against the generated types are below.

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::*;
use crate::r#gen::{common, internals};
use crate::grpc::FrameReader;

mod properties;

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter()
        .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
        .collect()
}

/// The one message in the buffer, without its prefix.
pub(super) fn unframed(out: BytesMut) -> Bytes {
    let mut reader = FrameReader::new();
    reader.push(out.freeze());
    let message = reader
        .next_frame(usize::MAX)
        .expect("well framed")
        .expect("whole");
    assert!(!reader.is_mid_message());
    message
}

pub(super) fn request(head: &RequestHead<'_>, payload: Option<(u64, &[u8])>) -> Bytes {
    let mut out = BytesMut::new();
    encode_request(&mut out, head, payload).expect("valid head");
    unframed(out)
}

/// `name: value, value` per entry.
fn entries(map: &std::collections::BTreeMap<String, internals::ListStringValue>) -> Vec<String> {
    map.iter()
        .map(|(key, list)| format!("{key}: {}", list.values.join(", ")))
        .collect()
}

fn metadata(head: &RequestHead<'_>) -> Vec<String> {
    let message = internals::InternalInvokeRequestStream::decode(request(head, None)).unwrap();
    entries(&message.request.unwrap().metadata)
}

#[test]
fn an_empty_body_is_one_message_without_payload_and_data() {
    let fields = fields(&[("accept", "a")]);
    let head = RequestHead::new("neworder", Verb::Post, &fields);
    let message = internals::InternalInvokeRequestStream::decode(request(&head, None)).unwrap();
    assert_eq!(message.payload, None);
    let request = message.request.unwrap();
    assert_eq!(request.ver, VERSION);
    let call = request.message.unwrap();
    assert_eq!(call.data, None);
    assert_eq!(call.method, "neworder");
    assert_eq!(call.http_extension.unwrap().verb, 3);
}

#[test]
fn http_names_are_canonical_and_extra_names_stay() {
    let fields = fields(&[
        ("x-one", "1"),
        ("DAPR-CALLER-APP-ID", "forged"),
        ("http2-settings", "s"),
        ("weird name", "w"),
        ("X-ONE", "2"),
        ("x-forwarded-for", "client"),
    ]);
    let head = RequestHead {
        appended: &[("X-Forwarded-For", "me"), ("Forwarded", "for=me")],
        extra: &[("dapr-caller-app-id", "caller")],
        ..RequestHead::new("m", Verb::Get, &fields)
    };
    let expected = [
        "Forwarded: for=me",
        "Http2-Settings: s",
        "X-Forwarded-For: client, me",
        "X-One: 1, 2",
        "dapr-caller-app-id: caller",
        "weird name: w",
    ];
    assert_eq!(metadata(&head), expected);
    let as_is = RequestHead {
        canonical: false,
        ..head
    };
    assert!(metadata(&as_is).contains(&"x-one: 1, 2".to_owned()));
}

#[test]
fn text_that_is_no_utf8_is_refused_and_nothing_is_written() {
    for (name, value) in [(&b"X-Bad"[..], &b"\xff"[..]), (b"\xffx", b"v")] {
        let fields: Fields = [(&b"Accept"[..], &b"a"[..]), (name, value)]
            .into_iter()
            .collect();
        let mut out = BytesMut::from(&b"before"[..]);
        let head = RequestHead::new("m", Verb::Get, &fields);
        let error = encode_request(&mut out, &head, Some((0, b"x"))).unwrap_err();
        let name = String::from_utf8_lossy(name).into_owned();
        assert_eq!(error, EncodeError::NotUtf8 { name });
        assert_eq!(out, &b"before"[..]);
    }
}

#[test]
fn a_message_that_grpc_cannot_frame_is_refused() {
    let mut out = BytesMut::new();
    let error = payload_header(&mut out, 0, usize::MAX).unwrap_err();
    assert!(matches!(error, EncodeError::TooLong { .. }));
    assert!(out.is_empty());
}

#[test]
fn status_and_payload_are_present_when_zero() {
    let none = Fields::default();
    let mut out = BytesMut::new();
    encode_response(&mut out, &ResponseHead::new(0, &none), Some((0, b""))).unwrap();
    let message = unframed(out);
    assert_eq!(message, &[0x0a, 4, 0x0a, 0, 0x22, 0, 0x12, 0][..]);
    let decoded = decode_response(&message).unwrap();
    assert_eq!(decoded.payload, Some(Payload::default()));
    let head = decoded.head.unwrap();
    assert!(head.has_status && head.has_message && head.is_leading());
    assert!(!head.has_headers);

    let mut out = BytesMut::new();
    encode_payload(&mut out, 0, b"").unwrap();
    assert_eq!(out, &[0, 0, 0, 0, 2, 0x12, 0][..]);
}

#[test]
fn payload_bytes_come_last_and_are_not_copied_on_receipt() {
    let mut out = BytesMut::new();
    payload_header(&mut out, 300, 5).unwrap();
    assert_eq!(out, &[0, 0, 0, 0, 12, 0x12, 10, 0x10, 0xac, 2, 0x0a, 5][..]);
    out.extend_from_slice(b"hello");
    let message = unframed(out);
    let payload = decode_request(&message).unwrap().payload.unwrap();
    assert_eq!((payload.seq, &payload.data[..]), (300, &b"hello"[..]));
    assert_eq!(payload.data.as_ptr(), message[message.len() - 5..].as_ptr());
}

#[test]
fn a_unary_body_travels_in_data() {
    let fields = fields(&[("a", "b")]);
    let head = RequestHead {
        type_url: "t",
        ..RequestHead::new("m", Verb::Put, &fields)
    };
    let mut out = BytesMut::new();
    encode_unary_request(&mut out, &head, b"body").unwrap();
    let parts = decode_unary_request(&unframed(out)).unwrap();
    assert_eq!(
        (&parts.type_url[..], &parts.data_value[..]),
        ("t", &b"body"[..])
    );

    let mut out = BytesMut::new();
    encode_unary_response(&mut out, &ResponseHead::new(204, &fields), b"").unwrap();
    let parts = decode_unary_response(&unframed(out)).unwrap();
    assert!(parts.has_data && parts.data_value.is_empty());
    assert_eq!(parts.status, 204);
}

#[test]
fn an_empty_response_in_a_later_message_is_not_leading() {
    let message = decode_response(&Bytes::from_static(&[0x0a, 0])).unwrap();
    assert!(!message.head.unwrap().is_leading());
    let message = decode_request(&Bytes::from_static(&[0x0a, 0])).unwrap();
    assert!(!message.head.unwrap().is_leading());
    assert_eq!(
        decode_request(&Bytes::new()).unwrap(),
        RequestMessage::default()
    );
}

#[test]
fn map_entries_may_lack_key_or_values() {
    let parts = |bytes: &'static [u8]| decode_unary_request(&Bytes::from_static(bytes)).unwrap();
    let empty = parts(&[0x12, 0]);
    assert!(empty.has_metadata && empty.fields.is_empty());
    let no_values = parts(&[0x12, 5, 0x0a, 1, b'k', 0x12, 0]);
    assert!(no_values.has_metadata && no_values.fields.is_empty());
    let no_key = parts(&[0x12, 5, 0x12, 3, 0x0a, 1, b'v']);
    assert_eq!(no_key.fields, fields(&[("", "v")]));
    let value_first = parts(&[0x12, 8, 0x12, 3, 0x0a, 1, b'v', 0x0a, 1, b'k']);
    assert_eq!(value_first.fields, fields(&[("k", "v")]));
    let joined = parts(&[
        0x12, 13, 0x12, 3, 0x0a, 1, b'v', 0x0a, 1, b'k', 0x12, 3, 0x0a, 1, b'w',
    ]);
    assert_eq!(joined.fields, fields(&[("k", "v"), ("k", "w")]));
}

#[test]
fn a_key_that_comes_twice_keeps_its_last_entry() {
    for distinct in [0, 10, 200] {
        let mut bytes = Vec::new();
        let mut expected = Fields::default();
        let mut entry = |key: &str, value: &str| {
            let list = internals::ListStringValue {
                values: vec![value.into(), "x".into()],
            };
            let metadata = [(key.to_owned(), list)].into();
            let request = internals::InternalInvokeRequest {
                metadata,
                ..Default::default()
            };
            request.encode(&mut bytes).unwrap();
        };
        entry("twice", "old");
        for i in 0..distinct {
            entry(&format!("k{i}"), "v");
            expected.push(format!("k{i}").as_bytes(), b"v");
            expected.push(format!("k{i}").as_bytes(), b"x");
        }
        entry("twice", "new");
        entry("Twice", "other key");
        for (name, value) in [
            ("twice", "new"),
            ("twice", "x"),
            ("Twice", "other key"),
            ("Twice", "x"),
        ] {
            expected.push(name.as_bytes(), value.as_bytes());
        }
        let parts = decode_unary_request(&bytes.into()).unwrap();
        assert_eq!(parts.fields, expected, "{distinct}");
    }
}

#[test]
fn faults_are_named() {
    for (bytes, error) in [
        (&[0x0a][..], DecodeError::Truncated),
        (&[0x0a, 5, 0], DecodeError::Truncated),
        (
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            DecodeError::Truncated,
        ),
        (
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
            ],
            DecodeError::Number,
        ),
        (&[0x08, 1], DecodeError::WireType { field: 1 }),
        (&[0x0a, 4, 0x12, 2, 0x12, 9], DecodeError::Truncated),
        (&[0x02, 0], DecodeError::Tag(2)),
        (&[0x0f], DecodeError::Tag(15)),
        (&[0x1c], DecodeError::Group),
        (&[0x1b, 0x24], DecodeError::Group),
        (&[0x1b], DecodeError::Truncated),
        (&[0x0a, 5, 0x1a, 3, 0x0a, 1, 0xff], DecodeError::NotUtf8),
    ] {
        let message = Bytes::copy_from_slice(bytes);
        assert_eq!(decode_request(&message), Err(error), "{bytes:?}");
        assert!(
            internals::InternalInvokeRequestStream::decode(message).is_err(),
            "{bytes:?}"
        );
    }
    let deep = Bytes::from(vec![0x1b; 100_000]);
    assert_eq!(decode_request(&deep), Err(DecodeError::Group));
}

#[test]
fn unknown_fields_are_passed_over() {
    let bytes = [
        0x1b, 0x08, 1, 0x1c, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x32, 1, 9, 0x12, 0,
    ];
    let message = decode_request(&Bytes::copy_from_slice(&bytes)).unwrap();
    assert_eq!(message.payload, Some(Payload::default()));
}

#[test]
fn a_small_message_cannot_stand_for_a_huge_head() {
    let entry = |key: String, values: Vec<String>| {
        let metadata = [(key, internals::ListStringValue { values })].into();
        let request = internals::InternalInvokeRequest {
            metadata,
            ..Default::default()
        };
        Bytes::from(request.encode_to_vec())
    };
    let bomb = entry("k".repeat(100_000), vec![String::new(); 1000]);
    assert_eq!(decode_unary_request(&bomb), Err(DecodeError::HeadTooLarge));
    let bomb = entry("k".to_owned(), vec![String::new(); 70_000]);
    assert_eq!(decode_unary_request(&bomb), Err(DecodeError::HeadTooLarge));
    let bomb = Bytes::from([0x12, 0].repeat(70_000));
    assert_eq!(decode_unary_request(&bomb), Err(DecodeError::HeadTooLarge));
}

#[test]
fn thousands_of_headers_are_grouped_in_good_time() {
    let mut many = Fields::default();
    for i in 0..30_000 {
        many.push(format!("x-{}", i % 20_000).as_bytes(), b"v");
    }
    let message = request(&RequestHead::new("m", Verb::Get, &many), None);
    let parts = decode_request(&message).unwrap().head.unwrap();
    assert_eq!(parts.fields.len(), 30_000);
    assert_eq!(parts.fields.get_all(b"X-9999").count(), 2);
}

#[test]
fn responses_carry_grpc_status_and_trailers() {
    let headers = fields(&[("content-type", "application/grpc")]);
    let trailers = fields(&[("x-t", "1"), ("X-T", "2")]);
    let details = [Any {
        type_url: "t".to_owned(),
        value: Bytes::from_static(b"v"),
    }];
    let head = ResponseHead {
        status_message: "no",
        details: &details,
        trailers: Some(&trailers),
        canonical: false,
        type_url: "type",
        content_type: "c",
        ..ResponseHead::new(-5, &headers)
    };
    let mut out = BytesMut::new();
    encode_response(&mut out, &head, None).unwrap();
    let message = unframed(out);
    let theirs = internals::InternalInvokeResponseStream::decode(message.clone()).unwrap();
    let theirs = theirs.response.unwrap();
    assert_eq!(
        theirs.status.unwrap(),
        internals::Status {
            code: -5,
            message: "no".to_owned(),
            details: details.to_vec()
        }
    );
    assert_eq!(entries(&theirs.headers), ["content-type: application/grpc"]);
    assert_eq!(entries(&theirs.trailers), ["x-t: 1, 2"]);
    let data = Any {
        type_url: "type".to_owned(),
        value: Bytes::new(),
    };
    assert_eq!(
        theirs.message.unwrap(),
        common::InvokeResponse {
            data: Some(data),
            content_type: "c".to_owned()
        }
    );
    let ours = decode_response(&message).unwrap().head.unwrap();
    assert_eq!(
        (ours.status, &ours.status_message[..], &ours.details[..]),
        (-5, "no", &details[..])
    );
    assert_eq!(ours.trailers.len(), 2);
}
