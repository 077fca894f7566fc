//! Reads the envelope from a message without its gRPC prefix.
//!
//! As lenient as protobuf is: any order, unknown fields, parts that come twice (later ones add to
//! or replace earlier ones). Data is handed out as views of the message.

use std::mem;

use bytes::Bytes;

use super::map::MapReader;
use super::read::{DecodeError, Reader};
use super::{Payload, RequestMessage, RequestParts, ResponseMessage, ResponseParts};
use crate::r#gen::google::protobuf::Any;

/// Reads a message of a streamed call.
pub fn decode_request(message: &Bytes) -> Result<RequestMessage, DecodeError> {
    let mut head = None;
    let mut payload = None;
    let mut reader = Reader::new(message);
    while let Some(tag) = reader.next_tag()? {
        match tag.field {
            1 => {
                let part = reader.message(tag)?;
                head.get_or_insert_with(|| RequestReader::new(message))
                    .read(part)?;
            }
            2 => read_payload(
                payload.get_or_insert_default(),
                message,
                reader.message(tag)?,
            )?,
            _ => reader.skip(tag)?,
        }
    }
    Ok(RequestMessage {
        head: head.as_mut().map(RequestReader::finish),
        payload,
    })
}

/// Reads a unary call.
pub fn decode_unary_request(message: &Bytes) -> Result<RequestParts, DecodeError> {
    let mut head = RequestReader::new(message);
    head.read(Reader::new(message))?;
    Ok(head.finish())
}

/// Reads a message of a streamed answer.
pub fn decode_response(message: &Bytes) -> Result<ResponseMessage, DecodeError> {
    let mut head = None;
    let mut payload = None;
    let mut reader = Reader::new(message);
    while let Some(tag) = reader.next_tag()? {
        match tag.field {
            1 => {
                let part = reader.message(tag)?;
                head.get_or_insert_with(|| ResponseReader::new(message))
                    .read(part)?;
            }
            2 => read_payload(
                payload.get_or_insert_default(),
                message,
                reader.message(tag)?,
            )?,
            _ => reader.skip(tag)?,
        }
    }
    Ok(ResponseMessage {
        head: head.as_mut().map(ResponseReader::finish),
        payload,
    })
}

/// Reads a unary answer.
pub fn decode_unary_response(message: &Bytes) -> Result<ResponseParts, DecodeError> {
    let mut head = ResponseReader::new(message);
    head.read(Reader::new(message))?;
    Ok(head.finish())
}

fn read_payload(
    payload: &mut Payload,
    message: &Bytes,
    mut reader: Reader<'_>,
) -> Result<(), DecodeError> {
    while let Some(tag) = reader.next_tag()? {
        match tag.field {
            1 => payload.data = message.slice_ref(reader.delimited(tag)?),
            2 => payload.seq = reader.varint(tag)?,
            _ => reader.skip(tag)?,
        }
    }
    Ok(())
}

/// A request while it is read.
struct RequestReader<'a> {
    message: &'a Bytes,
    parts: RequestParts,
    metadata: MapReader<'a>,
}

impl<'a> RequestReader<'a> {
    fn new(message: &'a Bytes) -> Self {
        Self {
            message,
            parts: RequestParts::default(),
            metadata: MapReader::new(message.len()),
        }
    }

    fn finish(&mut self) -> RequestParts {
        RequestParts {
            has_metadata: self.metadata.any(),
            fields: self.metadata.finish(),
            ..mem::take(&mut self.parts)
        }
    }

    fn read(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        while let Some(tag) = reader.next_tag()? {
            match tag.field {
                1 => self.parts.ver = reader.int32(tag)?,
                2 => {
                    let entry = reader.message(tag)?;
                    self.metadata.read(entry, reader.remaining())?;
                }
                3 => {
                    self.parts.has_message = true;
                    self.read_message(reader.message(tag)?)?;
                }
                4 => check_actor(reader.message(tag)?)?,
                _ => reader.skip(tag)?,
            }
        }
        Ok(())
    }

    fn read_message(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        let parts = &mut self.parts;
        while let Some(tag) = reader.next_tag()? {
            match tag.field {
                1 => set(&mut parts.method, reader.string(tag)?),
                2 => {
                    parts.has_data = true;
                    let data = (&mut parts.type_url, &mut parts.data_value);
                    read_any(data, self.message, reader.message(tag)?)?;
                }
                3 => set(&mut parts.content_type, reader.string(tag)?),
                4 => {
                    parts.has_http_extension = true;
                    read_extension(parts, reader.message(tag)?)?;
                }
                _ => reader.skip(tag)?,
            }
        }
        Ok(())
    }
}

fn read_extension(parts: &mut RequestParts, mut reader: Reader<'_>) -> Result<(), DecodeError> {
    while let Some(tag) = reader.next_tag()? {
        match tag.field {
            1 => parts.verb = reader.int32(tag)?,
            2 => set(&mut parts.query, reader.string(tag)?),
            _ => reader.skip(tag)?,
        }
    }
    Ok(())
}

/// Actors are refused before anyone looks at which one; only the form is checked.
fn check_actor(mut reader: Reader<'_>) -> Result<(), DecodeError> {
    while let Some(tag) = reader.next_tag()? {
        match tag.field {
            1 | 2 => drop(reader.string(tag)?),
            _ => reader.skip(tag)?,
        }
    }
    Ok(())
}

/// An answer while it is read.
struct ResponseReader<'a> {
    message: &'a Bytes,
    parts: ResponseParts,
    headers: MapReader<'a>,
    /// HTTP apps have none.
    trailers: Option<MapReader<'a>>,
}

impl<'a> ResponseReader<'a> {
    fn new(message: &'a Bytes) -> Self {
        Self {
            message,
            parts: ResponseParts::default(),
            headers: MapReader::new(message.len()),
            trailers: None,
        }
    }

    fn finish(&mut self) -> ResponseParts {
        ResponseParts {
            has_headers: self.headers.any(),
            fields: self.headers.finish(),
            trailers: self
                .trailers
                .as_mut()
                .map(MapReader::finish)
                .unwrap_or_default(),
            ..mem::take(&mut self.parts)
        }
    }

    fn read(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        while let Some(tag) = reader.next_tag()? {
            match tag.field {
                1 => {
                    self.parts.has_status = true;
                    self.read_status(reader.message(tag)?)?;
                }
                2 => {
                    let entry = reader.message(tag)?;
                    self.headers.read(entry, reader.remaining())?;
                }
                3 => {
                    let entry = reader.message(tag)?;
                    self.trailers
                        .get_or_insert_with(|| MapReader::new(self.message.len()))
                        .read(entry, reader.remaining())?;
                }
                4 => {
                    self.parts.has_message = true;
                    self.read_message(reader.message(tag)?)?;
                }
                _ => reader.skip(tag)?,
            }
        }
        Ok(())
    }

    fn read_status(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        let parts = &mut self.parts;
        while let Some(tag) = reader.next_tag()? {
            match tag.field {
                1 => parts.status = reader.int32(tag)?,
                2 => set(&mut parts.status_message, reader.string(tag)?),
                3 => {
                    let mut detail = Any::default();
                    let any = (&mut detail.type_url, &mut detail.value);
                    read_any(any, self.message, reader.message(tag)?)?;
                    parts.details.push(detail);
                }
                _ => reader.skip(tag)?,
            }
        }
        Ok(())
    }

    fn read_message(&mut self, mut reader: Reader<'a>) -> Result<(), DecodeError> {
        let parts = &mut self.parts;
        while let Some(tag) = reader.next_tag()? {
            match tag.field {
                1 => {
                    parts.has_data = true;
                    let data = (&mut parts.type_url, &mut parts.data_value);
                    read_any(data, self.message, reader.message(tag)?)?;
                }
                2 => set(&mut parts.content_type, reader.string(tag)?),
                _ => reader.skip(tag)?,
            }
        }
        Ok(())
    }
}

fn read_any(
    (type_url, value): (&mut String, &mut Bytes),
    message: &Bytes,
    mut reader: Reader<'_>,
) -> Result<(), DecodeError> {
    while let Some(tag) = reader.next_tag()? {
        match tag.field {
            1 => set(type_url, reader.string(tag)?),
            2 => *value = message.slice_ref(reader.delimited(tag)?),
            _ => reader.skip(tag)?,
        }
    }
    Ok(())
}

/// Later values replace earlier ones.
fn set(text: &mut String, value: &str) {
    text.clear();
    text.push_str(value);
}
