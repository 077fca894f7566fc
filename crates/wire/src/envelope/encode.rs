//! Writes the envelope, gRPC prefix included, at the end of a buffer.
//!
//! A failed call leaves the buffer as it was. Within a message the body comes last, so that it can
//! be sent from where it lies, behind what the `…_header` functions write.

use bytes::{BufMut, BytesMut};

use super::group::{Values, for_each_name};
use super::write::{
    delimited_len, open, optional_len, put_delimited, put_delimiter, put_optional, put_varint,
    varint_len, varint_tag,
};
use super::{RequestHead, ResponseHead, VERSION};
use crate::fields::Fields;
use crate::grpc::frame::{PREFIX_LEN, prefix};
use crate::headers::canonicalize_in_place;

/// Why a message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Peers refuse strings that are not UTF-8 (contract `sidecar-protocol.md` 2).
    #[error("header {name:?} is not valid UTF-8, which the peer protocol requires")]
    NotUtf8 {
        /// The header, with what cannot be shown replaced.
        name: String,
    },
    /// gRPC writes lengths in 32 bits.
    #[error("a message of {len} bytes exceeds the 4 GiB that gRPC can frame: send it in pieces")]
    TooLong {
        /// Length of the message.
        len: usize,
    },
}

/// Writes the first message of a streamed call, with the first piece of the body if there is one.
pub fn encode_request(
    out: &mut BytesMut,
    head: &RequestHead<'_>,
    payload: Option<(u64, &[u8])>,
) -> Result<(), EncodeError> {
    request_header(out, head, payload.map(|(seq, data)| (seq, data.len())))?;
    out.extend_from_slice(payload.map_or(b"", |(_, data)| data));
    Ok(())
}

/// Writes the first message of a streamed call up to the bytes of the payload with that number and
/// length, which must follow.
pub fn request_header(
    out: &mut BytesMut,
    head: &RequestHead<'_>,
    payload: Option<(u64, usize)>,
) -> Result<(), EncodeError> {
    framed(out, payload.map_or(0, |(_, len)| len), |out| {
        let request = open(out, 1);
        put_request(out, head, None)?;
        request.close(out);
        put_payload_header(out, payload);
        Ok(())
    })
}

/// Writes a unary call.
pub fn encode_unary_request(
    out: &mut BytesMut,
    head: &RequestHead<'_>,
    body: &[u8],
) -> Result<(), EncodeError> {
    framed(out, 0, |out| put_request(out, head, Some(body)))
}

/// Writes the first message of a streamed answer, with the first piece of the body if there is one.
pub fn encode_response(
    out: &mut BytesMut,
    head: &ResponseHead<'_>,
    payload: Option<(u64, &[u8])>,
) -> Result<(), EncodeError> {
    response_header(out, head, payload.map(|(seq, data)| (seq, data.len())))?;
    out.extend_from_slice(payload.map_or(b"", |(_, data)| data));
    Ok(())
}

/// Writes the first message of a streamed answer up to the bytes of the payload with that number
/// and length, which must follow.
pub fn response_header(
    out: &mut BytesMut,
    head: &ResponseHead<'_>,
    payload: Option<(u64, usize)>,
) -> Result<(), EncodeError> {
    framed(out, payload.map_or(0, |(_, len)| len), |out| {
        let response = open(out, 1);
        put_response(out, head, None)?;
        response.close(out);
        put_payload_header(out, payload);
        Ok(())
    })
}

/// Writes a unary answer.
pub fn encode_unary_response(
    out: &mut BytesMut,
    head: &ResponseHead<'_>,
    body: &[u8],
) -> Result<(), EncodeError> {
    framed(out, 0, |out| put_response(out, head, Some(body)))
}

/// Writes a later message of either direction.
pub fn encode_payload(out: &mut BytesMut, seq: u64, data: &[u8]) -> Result<(), EncodeError> {
    payload_header(out, seq, data.len())?;
    out.extend_from_slice(data);
    Ok(())
}

/// Writes a later message of either direction up to its `len` bytes of data, which must follow.
pub fn payload_header(out: &mut BytesMut, seq: u64, len: usize) -> Result<(), EncodeError> {
    framed(out, len, |out| {
        put_payload_header(out, Some((seq, len)));
        Ok(())
    })
}

/// Writes a message with its prefix; `follows` bytes of it come after what `write` writes.
fn framed(
    out: &mut BytesMut,
    follows: usize,
    write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    if prefix(follows).is_none() {
        return Err(EncodeError::TooLong { len: follows });
    }
    let start = out.len();
    out.put_bytes(0, PREFIX_LEN);
    let written = write(out).and_then(|()| {
        let len = (out.len() - start - PREFIX_LEN) + follows;
        prefix(len).ok_or(EncodeError::TooLong { len })
    });
    match written {
        Ok(prefix) => {
            out[start..start + PREFIX_LEN].copy_from_slice(&prefix);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// The payload part up to its data. Present also when all of it is zero; data comes last.
fn put_payload_header(out: &mut BytesMut, payload: Option<(u64, usize)>) {
    let Some((seq, len)) = payload else {
        return;
    };
    let seq_len = if seq == 0 { 0 } else { 1 + varint_len(seq) };
    put_delimiter(out, 2, seq_len + optional_len(len));
    if seq != 0 {
        out.put_u8(varint_tag(2));
        put_varint(out, seq);
    }
    if len != 0 {
        put_delimiter(out, 1, len);
    }
}

fn put_request(
    out: &mut BytesMut,
    head: &RequestHead<'_>,
    body: Option<&[u8]>,
) -> Result<(), EncodeError> {
    let body_len = body.map_or(0, <[u8]>::len);
    out.reserve(room_for(head.fields) + head.method.len() + head.query.len() + 256 + body_len);
    out.put_u8(varint_tag(1));
    put_varint(out, VERSION as u64);

    let map = Map {
        field: 2,
        canonical: head.canonical,
    };
    for_each_name(head.fields, head.appended, head.extra, |name, values| {
        map.put_entry(out, name, values)
    })?;
    let as_is = Map {
        canonical: false,
        ..map
    };
    for (name, value) in head.extra {
        let pair = [(name.as_bytes(), value.as_bytes())];
        as_is.put_entry(out, name.as_bytes(), Values::Run(&pair))?;
    }

    // Negative numbers take the ten bytes that protobuf gives them.
    let verb = i64::from(head.verb).cast_unsigned();
    let verb_len = if verb == 0 { 0 } else { 1 + varint_len(verb) };
    let extension_len = verb_len + optional_len(head.query.len());
    let data = Data {
        type_url: head.type_url,
        value: body,
    };
    put_delimiter(
        out,
        3,
        optional_len(head.method.len())
            + data.encoded_len()
            + optional_len(head.content_type.len())
            + if head.http_extension {
                delimited_len(extension_len)
            } else {
                0
            },
    );
    put_optional(out, 1, head.method.as_bytes());
    data.put(out, 2);
    put_optional(out, 3, head.content_type.as_bytes());
    if head.http_extension {
        put_delimiter(out, 4, extension_len);
        if verb != 0 {
            out.put_u8(varint_tag(1));
            put_varint(out, verb);
        }
        put_optional(out, 2, head.query.as_bytes());
    }
    Ok(())
}

fn put_response(
    out: &mut BytesMut,
    head: &ResponseHead<'_>,
    body: Option<&[u8]>,
) -> Result<(), EncodeError> {
    out.reserve(room_for(head.fields) + 128 + body.map_or(0, <[u8]>::len));
    put_status(out, head);

    let map = Map {
        field: 2,
        canonical: head.canonical,
    };
    for_each_name(head.fields, &[], &[], |name, values| {
        map.put_entry(out, name, values)
    })?;
    if let Some(trailers) = head.trailers {
        let map = Map { field: 3, ..map };
        for_each_name(trailers, &[], &[], |name, values| {
            map.put_entry(out, name, values)
        })?;
    }

    let data = Data {
        type_url: head.type_url,
        value: body,
    };
    put_delimiter(
        out,
        4,
        data.encoded_len() + optional_len(head.content_type.len()),
    );
    data.put(out, 1);
    put_optional(out, 2, head.content_type.as_bytes());
    Ok(())
}

/// Present also when all of it is zero: the caller insists on it.
fn put_status(out: &mut BytesMut, head: &ResponseHead<'_>) {
    // Negative numbers travel with their sign extended to 64 bits.
    let code = i64::from(head.status).cast_unsigned();
    let code_len = if code == 0 { 0 } else { 1 + varint_len(code) };
    let any_len =
        |type_url: &str, value: &[u8]| optional_len(type_url.len()) + optional_len(value.len());
    let details_len: usize = head
        .details
        .iter()
        .map(|d| delimited_len(any_len(&d.type_url, &d.value)))
        .sum();
    put_delimiter(
        out,
        1,
        code_len + optional_len(head.status_message.len()) + details_len,
    );
    if code != 0 {
        out.put_u8(varint_tag(1));
        put_varint(out, code);
    }
    put_optional(out, 2, head.status_message.as_bytes());
    for detail in head.details {
        put_delimiter(out, 3, any_len(&detail.type_url, &detail.value));
        put_optional(out, 1, detail.type_url.as_bytes());
        put_optional(out, 2, &detail.value);
    }
}

/// `message.data`: left out of a streamed message without a type, always part of a unary one.
#[derive(Clone, Copy)]
struct Data<'a> {
    type_url: &'a str,
    /// The body of a unary message.
    value: Option<&'a [u8]>,
}

impl Data<'_> {
    fn content_len(self) -> Option<usize> {
        if self.type_url.is_empty() && self.value.is_none() {
            return None;
        }
        Some(optional_len(self.type_url.len()) + optional_len(self.value.map_or(0, <[u8]>::len)))
    }

    fn encoded_len(self) -> usize {
        self.content_len().map_or(0, delimited_len)
    }

    fn put(self, out: &mut BytesMut, field: u8) {
        if let Some(len) = self.content_len() {
            put_delimiter(out, field, len);
            put_optional(out, 1, self.type_url.as_bytes());
            put_optional(out, 2, self.value.unwrap_or_default());
        }
    }
}

/// A map from header name to values.
#[derive(Clone, Copy)]
struct Map {
    field: u8,
    canonical: bool,
}

impl Map {
    fn put_entry(
        self,
        out: &mut BytesMut,
        name: &[u8],
        values: Values<'_, '_>,
    ) -> Result<(), EncodeError> {
        let mut valid = std::str::from_utf8(name).is_ok();
        let mut values_len = 0;
        values.for_each(|value| {
            valid &= std::str::from_utf8(value).is_ok();
            values_len += delimited_len(value.len());
        });
        if !valid {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(EncodeError::NotUtf8 { name });
        }
        put_delimiter(
            out,
            self.field,
            delimited_len(name.len()) + delimited_len(values_len),
        );
        put_delimited(out, 1, name);
        if self.canonical {
            let key = out.len() - name.len();
            canonicalize_in_place(&mut out[key..]);
        }
        put_delimiter(out, 2, values_len);
        values.for_each(|value| put_delimited(out, 1, value));
        Ok(())
    }
}

/// Enough for most heads; longer ones grow the buffer.
fn room_for(fields: &Fields) -> usize {
    fields.text_len() + 16 * fields.len()
}
