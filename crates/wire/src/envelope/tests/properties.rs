//! The codec against the generated types: what we write they read, what they write we read, and
//! both accept and refuse the same bytes.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::{request, unframed};
use crate::envelope::*;
use crate::fields::Fields;
use crate::r#gen::{common, google::protobuf::Any, internals};
use crate::headers::canonicalize;

type Map = BTreeMap<String, internals::ListStringValue>;

/// Few names, so that they repeat; cases differ; some are no tokens.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-cA-C]{1,2}(-[xX])?",
        4 => "[a-zA-Z0-9-]{1,20}",
        1 => "[a-b :é]{0,3}",
        1 => "dapr-caller-app-id|Dapr-Caller-App-Id",
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop_oneof![3 => vec((name(), ".{0,12}"), 0..20), 1 => vec((name(), ".{0,4}"), 50..160)]
}

fn map() -> impl Strategy<Value = Map> {
    let list = vec(".{0,8}", 0..4).prop_map(|values| internals::ListStringValue { values });
    prop_oneof![
        4 => btree_map(name(), list.clone(), 0..8),
        1 => btree_map("[a-z]{1,4}", list, 20..100),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![0..20i32, any::<i32>()]
}

fn any_message() -> impl Strategy<Value = Any> {
    (".{0,9}", bytes()).prop_map(|(type_url, value)| Any { type_url, value })
}

fn payload() -> impl Strategy<Value = common::StreamPayload> {
    (bytes(), prop_oneof![0..300u64, any::<u64>()])
        .prop_map(|(data, seq)| common::StreamPayload { data, seq })
}

fn unary_request() -> impl Strategy<Value = internals::InternalInvokeRequest> {
    let extension = (number(), ".{0,9}")
        .prop_map(|(verb, querystring)| common::HttpExtension { verb, querystring });
    let message = (
        ".{0,9}",
        option::of(any_message()),
        ".{0,9}",
        option::of(extension),
    )
        .prop_map(
            |(method, data, content_type, http_extension)| common::InvokeRequest {
                method,
                data,
                content_type,
                http_extension,
            },
        );
    let actor = (".{0,3}", ".{0,3}").prop_map(|(actor_type, actor_id)| internals::Actor {
        actor_type,
        actor_id,
    });
    (number(), map(), option::of(message), option::of(actor)).prop_map(
        |(ver, metadata, message, actor)| internals::InternalInvokeRequest {
            ver,
            metadata,
            message,
            actor,
        },
    )
}

fn stream_request() -> impl Strategy<Value = internals::InternalInvokeRequestStream> {
    (option::of(unary_request()), option::of(payload()))
        .prop_map(|(request, payload)| internals::InternalInvokeRequestStream { request, payload })
}

fn stream_response() -> impl Strategy<Value = internals::InternalInvokeResponseStream> {
    let status =
        (number(), ".{0,9}", vec(any_message(), 0..3)).prop_map(|(code, message, details)| {
            internals::Status {
                code,
                message,
                details,
            }
        });
    let message = (option::of(any_message()), ".{0,9}")
        .prop_map(|(data, content_type)| common::InvokeResponse { data, content_type });
    let response = (option::of(status), map(), map(), option::of(message)).prop_map(
        |(status, headers, trailers, message)| internals::InternalInvokeResponse {
            status,
            headers,
            trailers,
            message,
        },
    );
    (option::of(response), option::of(payload())).prop_map(|(response, payload)| {
        internals::InternalInvokeResponseStream { response, payload }
    })
}

/// A map has no order between keys.
fn sorted(fields: &Fields) -> Fields {
    let mut list: Vec<_> = fields.iter().collect();
    list.sort_by_key(|(name, _)| name.to_vec());
    list.into_iter().collect()
}

fn list(map: &Map) -> Fields {
    map.iter()
        .flat_map(|(key, list)| list.values.iter().map(|v| (key.as_bytes(), v.as_bytes())))
        .collect()
}

fn our_payload(payload: Option<common::StreamPayload>) -> Option<Payload> {
    payload.map(|p| Payload {
        data: p.data,
        seq: p.seq,
    })
}

fn our_request(theirs: internals::InternalInvokeRequest) -> RequestParts {
    let has_message = theirs.message.is_some();
    let message = theirs.message.unwrap_or_default();
    let has_http_extension = message.http_extension.is_some();
    let extension = message.http_extension.unwrap_or_default();
    let has_data = message.data.is_some();
    let data = message.data.unwrap_or_default();
    RequestParts {
        ver: theirs.ver,
        fields: list(&theirs.metadata),
        has_metadata: !theirs.metadata.is_empty(),
        has_message,
        method: message.method,
        content_type: message.content_type,
        has_http_extension,
        verb: extension.verb,
        query: extension.querystring,
        has_data,
        type_url: data.type_url,
        data_value: data.value,
    }
}

fn our_response(theirs: internals::InternalInvokeResponse) -> ResponseParts {
    let has_status = theirs.status.is_some();
    let status = theirs.status.unwrap_or_default();
    let has_message = theirs.message.is_some();
    let message = theirs.message.unwrap_or_default();
    let has_data = message.data.is_some();
    let data = message.data.unwrap_or_default();
    ResponseParts {
        has_status,
        status: status.code,
        status_message: status.message,
        details: status.details,
        fields: list(&theirs.headers),
        has_headers: !theirs.headers.is_empty(),
        trailers: list(&theirs.trailers),
        has_message,
        content_type: message.content_type,
        has_data,
        type_url: data.type_url,
        data_value: data.value,
    }
}

/// Both read the bytes alike. The one difference allowed: the generated types take a map whose
/// wire type is wrong for a map.
fn agree_on_request(bytes: &Bytes) -> Result<(), TestCaseError> {
    let theirs = internals::InternalInvokeRequestStream::decode(bytes.clone());
    match (decode_request(bytes), theirs) {
        (Ok(mut ours), Ok(theirs)) => {
            if let Some(head) = &mut ours.head {
                head.fields = sorted(&head.fields);
            }
            let head = theirs.request.map(our_request);
            prop_assert_eq!(
                ours,
                RequestMessage {
                    head,
                    payload: our_payload(theirs.payload)
                }
            );
        }
        (Err(DecodeError::WireType { .. }), _) | (Err(_), Err(_)) => {}
        (ours, theirs) => prop_assert!(false, "ours {ours:?}, theirs {theirs:?}"),
    }
    Ok(())
}

fn agree_on_response(bytes: &Bytes) -> Result<(), TestCaseError> {
    let theirs = internals::InternalInvokeResponseStream::decode(bytes.clone());
    match (decode_response(bytes), theirs) {
        (Ok(mut ours), Ok(theirs)) => {
            if let Some(head) = &mut ours.head {
                head.fields = sorted(&head.fields);
                head.trailers = sorted(&head.trailers);
            }
            let head = theirs.response.map(our_response);
            prop_assert_eq!(
                ours,
                ResponseMessage {
                    head,
                    payload: our_payload(theirs.payload)
                }
            );
        }
        (Err(DecodeError::WireType { .. }), _) | (Err(_), Err(_)) => {}
        (ours, theirs) => prop_assert!(false, "ours {ours:?}, theirs {theirs:?}"),
    }
    Ok(())
}

/// What a head must become, said as plainly as possible.
fn expected_map(pairs: &[(String, String)], extra: &[(&str, &str)], canonical: bool) -> Map {
    let mut spelling: BTreeMap<String, String> = BTreeMap::new();
    let mut map = Map::new();
    for (name, value) in pairs {
        let lower = name.to_ascii_lowercase();
        if extra.iter().any(|(key, _)| *key == lower) {
            continue;
        }
        let key = spelling.entry(lower).or_insert_with(|| {
            let mut key = Vec::new();
            canonicalize(name.as_bytes(), &mut key);
            if canonical {
                String::from_utf8(key).unwrap()
            } else {
                name.clone()
            }
        });
        map.entry(key.clone())
            .or_default()
            .values
            .push(value.clone());
    }
    for (key, value) in extra {
        let values = vec![(*value).to_owned()];
        map.insert((*key).to_owned(), internals::ListStringValue { values });
    }
    map
}

fn fields(pairs: &[(String, String)]) -> Fields {
    pairs
        .iter()
        .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
        .collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect()
}

/// Each edit replaces, inserts or removes a byte.
fn mutate(bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Bytes {
    let mut bytes = bytes;
    for &(at, byte, kind) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match kind % 4 {
            0 => bytes.insert(at, byte),
            1 => drop(bytes.remove(at)),
            2 => bytes[at] ^= 1 << (byte % 8),
            _ => bytes[at] = byte,
        }
    }
    bytes.into()
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    vec(any::<(usize, u8, u8)>(), 1..4)
}

proptest! {
    #[test]
    fn generated_types_read_our_requests(
        pairs in pairs(),
        appended in vec((name(), ".{0,5}"), 0..3),
        (canonical, http_extension) in any::<(bool, bool)>(),
        (method, query, content_type, type_url) in (".{0,40}", ".{0,200}", ".{0,9}", ".{0,9}"),
        verb in number(),
        piece in option::of((any::<u64>(), bytes())),
    ) {
        let fields = fields(&pairs);
        let appended_str = borrowed(&appended);
        let extra = [("dapr-caller-app-id", "me"), ("b", "")];
        let head = RequestHead {
            method: &method,
            verb,
            query: &query,
            http_extension,
            content_type: &content_type,
            type_url: &type_url,
            fields: &fields,
            canonical,
            appended: &appended_str,
            extra: &extra,
        };
        let written = request(&head, piece.as_ref().map(|(seq, data)| (*seq, &data[..])));
        let theirs = internals::InternalInvokeRequestStream::decode(written.clone()).unwrap();
        let all = [pairs, appended.clone()].concat();
        let call = common::InvokeRequest {
            method: method.clone(),
            data: (!type_url.is_empty())
                .then(|| Any { type_url: type_url.clone(), value: Bytes::new() }),
            content_type: content_type.clone(),
            http_extension: http_extension
                .then(|| common::HttpExtension { verb, querystring: query.clone() }),
        };
        let expected = internals::InternalInvokeRequestStream {
            request: Some(internals::InternalInvokeRequest {
                ver: 1,
                metadata: expected_map(&all, &extra, canonical),
                message: Some(call),
                actor: None,
            }),
            payload: piece.map(|(seq, data)| common::StreamPayload { data, seq }),
        };
        prop_assert_eq!(theirs, expected);
        agree_on_request(&written)?;

        let mut out = BytesMut::new();
        encode_unary_request(&mut out, &head, b"body").unwrap();
        let theirs = internals::InternalInvokeRequest::decode(unframed(out)).unwrap();
        let data = theirs.message.unwrap().data.unwrap();
        prop_assert_eq!((data.type_url, &data.value[..]), (type_url, &b"body"[..]));
    }

    #[test]
    fn generated_types_read_our_responses(
        (headers, trailers) in (pairs(), option::of(pairs())),
        canonical in any::<bool>(),
        (status, status_message, details) in (number(), ".{0,9}", vec(any_message(), 0..3)),
        (content_type, type_url) in (".{0,9}", ".{0,9}"),
        piece in option::of((any::<u64>(), bytes())),
    ) {
        let fields_list = fields(&headers);
        let trailer_list = trailers.as_deref().map(fields);
        let head = ResponseHead {
            status,
            status_message: &status_message,
            details: &details,
            content_type: &content_type,
            type_url: &type_url,
            fields: &fields_list,
            trailers: trailer_list.as_ref(),
            canonical,
        };
        let mut out = BytesMut::new();
        let borrowed_piece = piece.as_ref().map(|(seq, data)| (*seq, &data[..]));
        encode_response(&mut out, &head, borrowed_piece).unwrap();
        let written = unframed(out);
        let theirs = internals::InternalInvokeResponseStream::decode(written.clone()).unwrap();
        let expected = internals::InternalInvokeResponseStream {
            response: Some(internals::InternalInvokeResponse {
                status: Some(internals::Status { code: status, message: status_message, details }),
                headers: expected_map(&headers, &[], canonical),
                trailers: expected_map(&trailers.unwrap_or_default(), &[], canonical),
                message: Some(common::InvokeResponse {
                    data: (!type_url.is_empty()).then(|| Any { type_url, value: Bytes::new() }),
                    content_type,
                }),
            }),
            payload: piece.map(|(seq, data)| common::StreamPayload { data, seq }),
        };
        prop_assert_eq!(theirs, expected);
        agree_on_response(&written)?;
    }

    #[test]
    fn payloads_of_any_size_arrive(seq in any::<u64>(), data in bytes()) {
        let mut out = BytesMut::new();
        encode_payload(&mut out, seq, &data).unwrap();
        let message = unframed(out);
        let theirs = internals::InternalInvokeRequestStream::decode(message).unwrap();
        prop_assert_eq!(theirs.request, None);
        prop_assert_eq!(theirs.payload, Some(common::StreamPayload { data, seq }));
    }

    #[test]
    fn we_read_generated_requests(first in stream_request(), second in stream_request()) {
        agree_on_request(&first.encode_to_vec().into())?;
        // Two messages in a row are one message with repeated parts.
        agree_on_request(&[first.encode_to_vec(), second.encode_to_vec()].concat().into())?;
    }

    #[test]
    fn we_read_generated_responses(first in stream_response(), second in stream_response()) {
        agree_on_response(&first.encode_to_vec().into())?;
        agree_on_response(&[first.encode_to_vec(), second.encode_to_vec()].concat().into())?;
    }

    #[test]
    fn unary_forms_are_read_alike(theirs in unary_request()) {
        let mut ours = decode_unary_request(&theirs.encode_to_vec().into()).unwrap();
        ours.fields = sorted(&ours.fields);
        prop_assert_eq!(ours, our_request(theirs));
    }

    #[test]
    fn damaged_messages_are_refused_alike(
        (request, response) in (stream_request(), stream_response()),
        edits in edits(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (request, response) = (request.encode_to_vec(), response.encode_to_vec());
        agree_on_request(&request[..cut.index(request.len() + 1)].to_vec().into())?;
        agree_on_response(&response[..cut.index(response.len() + 1)].to_vec().into())?;
        agree_on_request(&mutate(request, &edits))?;
        agree_on_response(&mutate(response, &edits))?;
    }

    #[test]
    fn garbage_is_refused_alike(garbage in vec(any::<u8>(), 0..80)) {
        let garbage = Bytes::from(garbage);
        agree_on_request(&garbage)?;
        agree_on_response(&garbage)?;
        let _ = decode_unary_request(&garbage);
        let _ = decode_unary_response(&garbage);
    }
}
