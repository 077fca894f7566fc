//! From a decoded path to target and method, and the rules a method must keep.

use super::clean::{clean, is_settled};
use super::escape::query_unescape_or_keep;
use crate::quote::quote;
use std::borrow::Cow;

/// A method that must not be called. The texts are pinned (contract, http-api 4 and security 6.3);
/// the caller puts its status in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMethod {
    /// `#`, `?` and NUL would end the path early.
    #[error("method contains forbidden character: {}", quote(.method))]
    Forbidden {
        /// The whole method.
        method: String,
    },
    /// Control characters could break out of a request line.
    #[error("method contains control character at position {position}: {}", quote(.method))]
    Control {
        /// Byte index of the first one.
        position: usize,
        /// The whole method.
        method: String,
    },
}

/// Target and raw method of `/v1.0/invoke/<id>/method/<m>` (contract, http-api 3, form 3), from
/// the decoded path before any cleaning: double slashes inside an id that is a URL must survive.
///
/// Nothing if the path has another form. The id is query-unescaped once more, as the contract
/// says; the method still has to go through [`method_of_invoke_path`].
#[must_use]
pub fn invoke_path(path: &str) -> Option<(Cow<'_, str>, &str)> {
    const BETWEEN: &[u8] = b"/method/";
    let rest = below(below(path, "v1.0")?, "invoke")?.trim_start_matches('/');
    let cut = rest
        .as_bytes()
        .windows(BETWEEN.len())
        .position(|window| window == BETWEEN)?;
    Some((
        query_unescape_or_keep(&rest[..cut]),
        &rest[cut + BETWEEN.len()..],
    ))
}

/// What follows the first segment, from its slash on, if that segment has this name.
fn below<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    path.trim_start_matches('/')
        .strip_prefix(name)
        .filter(|rest| rest.starts_with('/'))
}

/// The method of an invoke URL: cleaned, then checked, so that what `..` removes is never seen.
///
/// # Errors
/// If a forbidden byte is left after cleaning.
pub fn method_of_invoke_path(method: &str) -> Result<Cow<'_, str>, InvalidMethod> {
    match clean_borrowed(method) {
        Some(same) => Ok(Cow::Borrowed(same)),
        None => owned(&clean(method)),
    }
}

/// The method of a call whose target a header names: the whole decoded path, cleaned, without one
/// leading slash, then checked.
///
/// # Errors
/// If a forbidden byte is left after cleaning.
pub fn method_of_path(path: &str) -> Result<Cow<'_, str>, InvalidMethod> {
    if let Some(method) = path.strip_prefix('/').filter(|rest| !rest.starts_with('/'))
        && let Some(same) = clean_borrowed(method)
    {
        return Ok(Cow::Borrowed(same));
    }
    let cleaned = clean(path);
    owned(cleaned.strip_prefix('/').unwrap_or(&cleaned))
}

/// A method as callers and callees hold it: bytes checked first, then cleaned, leading `../`
/// dropped, `.` and `..` empty. Calls that arrive over gRPC get this and nothing before it.
///
/// # Errors
/// If it holds `#`, `?` or a control character, wherever that stands.
pub fn normalize_method(method: &str) -> Result<Cow<'_, str>, InvalidMethod> {
    match clean_borrowed(method) {
        Some(same) => Ok(Cow::Borrowed(same)),
        None => owned(method),
    }
}

/// The common case of all three: allowed and clean already, one scan.
fn clean_borrowed(method: &str) -> Option<&str> {
    is_settled(method, is_allowed).then_some(method)
}

fn is_allowed(byte: u8) -> bool {
    !matches!(byte, 0..0x20 | 0x7f | b'#' | b'?')
}

fn owned<'a>(method: &str) -> Result<Cow<'a, str>, InvalidMethod> {
    check(method)?;
    let mut cleaned = clean(method).into_owned();
    let climbs = cleaned
        .split('/')
        .take_while(|segment| *segment == "..")
        .count();
    cleaned.drain(..cleaned.len().min(3 * climbs));
    if cleaned == "." {
        cleaned.clear();
    }
    Ok(Cow::Owned(cleaned))
}

fn check(method: &str) -> Result<(), InvalidMethod> {
    let bytes = method.as_bytes();
    if bytes.iter().any(|byte| matches!(byte, b'#' | b'?' | 0)) {
        return Err(InvalidMethod::Forbidden {
            method: method.to_owned(),
        });
    }
    match bytes.iter().position(|byte| !is_allowed(*byte)) {
        Some(position) => Err(InvalidMethod::Control {
            position,
            method: method.to_owned(),
        }),
        None => Ok(()),
    }
}
