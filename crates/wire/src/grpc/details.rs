//! Details of a gRPC status: `grpc-status-details-bin` on the wire, and the JSON that an HTTP caller
//! gets for a gRPC app's error (contract `grpc-api.md` 4.5, `http-api.md` 10).
//!
//! JSON is made by descriptor, so it knows every message of `protos/` and the well-known types and
//! no other. This is an error path: descriptors are read at its first use and kept. What an app
//! nests is bounded, because each level would cost stack.

use std::sync::LazyLock;

use http::HeaderValue;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, SerializeOptions, Value};

use super::binary;
use crate::r#gen::{DESCRIPTORS, google::protobuf::Any, internals};

/// The name under which details travel, in trailers.
pub const DETAILS: &str = "grpc-status-details-bin";

/// Why details have no JSON. The text is what an HTTP caller is told beside `ERR_MALFORMED_RESPONSE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnresolvedDetail {
    /// A message of a type that is not ours to know.
    #[error("proto: google.protobuf.Any: unable to resolve {0:?}: not found")]
    Unknown(String),
    /// Bytes of no type.
    #[error("proto: google.protobuf.Any: type_url is not set")]
    Untyped,
    /// Bytes that are no message of their type.
    #[error("proto: google.protobuf.Any: unable to unmarshal {url:?}: {why}")]
    Malformed {
        /// The type.
        url: String,
        /// What is wrong with the bytes.
        why: &'static str,
    },
    /// A message that JSON has no form for: a value out of range, or nested too deeply.
    #[error("proto: google.protobuf.Any: {0:?} is out of range or nested too deeply for JSON")]
    NoJson(String),
}

/// The value of `grpc-status-details-bin` for a status with details; `None` without any, because
/// code and message then travel by themselves.
pub fn encode(code: i32, message: &str, details: &[Any]) -> Option<HeaderValue> {
    if details.is_empty() {
        return None;
    }
    let status = internals::Status {
        code,
        message: message.to_owned(),
        details: details.to_vec(),
    };
    HeaderValue::try_from(binary::encode(&status.encode_to_vec())).ok()
}

/// Reads a `grpc-status-details-bin`, padded or not; `None` if it is no status.
pub fn decode(value: &[u8]) -> Option<internals::Status> {
    internals::Status::decode(&*binary::decode(value)?).ok()
}

/// The JSON of a status: `{"code":5,"message":"…","details":[{"@type":"…",…}]}`, unset fields left
/// out, nothing escaped beyond what JSON asks for.
///
/// # Errors
///
/// If a detail cannot be shown; the reference then answers 500 with the error's text.
pub fn status_json(code: i32, message: &str, details: &[Any]) -> Result<String, UnresolvedDetail> {
    let mut members = Vec::with_capacity(3);
    if code != 0 {
        members.push(format!(r#""code":{code}"#));
    }
    if !message.is_empty() {
        members.push(format!(r#""message":{}"#, quoted(message)));
    }
    if !details.is_empty() {
        let details: Result<Vec<_>, _> = details.iter().map(detail_json).collect();
        members.push(format!(r#""details":[{}]"#, details?.join(",")));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// Read once; no descriptor ever changes.
pub(super) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS).expect("checked-in descriptors are whole")
});

/// How deep messages may be wrapped as bytes. Within one of them the decoder bounds the depth.
const MAX_WRAPPED: usize = 4;

fn detail_json(detail: &Any) -> Result<String, UnresolvedDetail> {
    let url = &detail.type_url;
    if url.is_empty() && detail.value.is_empty() {
        return Ok("{}".to_owned());
    }
    let message = resolve(url, &detail.value)?;
    check_nested(&message, url, MAX_WRAPPED)?;
    let inner = json(&message).ok_or_else(|| UnresolvedDetail::NoJson(url.clone()))?;
    let name = message.descriptor();
    let at_type = quoted(url);
    Ok(if has_own_json(name.full_name()) {
        format!(r#"{{"@type":{at_type},"value":{inner}}}"#)
    } else if inner == "{}" {
        format!(r#"{{"@type":{at_type}}}"#)
    } else {
        // The members of the object follow the type.
        format!(r#"{{"@type":{at_type},{}"#, &inner[1..])
    })
}

/// The message of that type in `bytes`.
fn resolve(url: &str, bytes: &[u8]) -> Result<DynamicMessage, UnresolvedDetail> {
    if url.is_empty() {
        return Err(UnresolvedDetail::Untyped);
    }
    let name = url.rsplit('/').next().unwrap_or(url);
    let known = POOL.get_message_by_name(name);
    let known = known.ok_or_else(|| UnresolvedDetail::Unknown(url.to_owned()))?;
    DynamicMessage::decode(known, bytes).map_err(|error| UnresolvedDetail::Malformed {
        url: url.to_owned(),
        // The decoder has only texts to tell its faults apart.
        why: if error.to_string().contains("UTF-8") {
            "string field contains invalid UTF-8"
        } else {
            "cannot parse invalid wire-format data"
        },
    })
}

/// Whether every message that `message` carries as bytes can be shown too.
fn check_nested(message: &DynamicMessage, url: &str, left: usize) -> Result<(), UnresolvedDetail> {
    if message.descriptor().full_name() == "google.protobuf.Any" {
        let left = left
            .checked_sub(1)
            .ok_or_else(|| UnresolvedDetail::NoJson(url.to_owned()))?;
        let any: Any = message.transcode_to().unwrap_or_default();
        let inner = resolve(&any.type_url, &any.value)?;
        return check_nested(&inner, &any.type_url, left);
    }
    message
        .fields()
        .try_for_each(|(_, value)| check_value(value, url, left))
}

/// Looks for messages in a field. Lists and maps hold no further lists and maps.
fn check_value(value: &Value, url: &str, left: usize) -> Result<(), UnresolvedDetail> {
    match value {
        Value::Message(message) => check_nested(message, url, left),
        Value::List(list) => list.iter().try_for_each(|v| check_value(v, url, left)),
        Value::Map(map) => map.values().try_for_each(|v| check_value(v, url, left)),
        _ => Ok(()),
    }
}

fn json(message: &DynamicMessage) -> Option<String> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .ok()?;
    String::from_utf8(out).ok()
}

/// True for a type whose JSON is not an object of its fields.
fn has_own_json(name: &str) -> bool {
    let Some(name) = name.strip_prefix("google.protobuf.") else {
        return false;
    };
    name.ends_with("Value")
        || matches!(
            name,
            "Any" | "Duration" | "Empty" | "FieldMask" | "Struct" | "Timestamp"
        )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
