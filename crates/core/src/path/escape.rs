//! Percent signs in paths and form-style words, read and written as Go's `net/url` does.

use std::borrow::Cow;

/// A `%` that two hexadecimal digits do not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL escape {}", quoted(.0))]
pub struct BadEscape(Vec<u8>);

/// Why the path of a request cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Broken percent escape.
    #[error(transparent)]
    Escape(#[from] BadEscape),
    /// Methods travel to the peer as text, so other bytes could not be carried.
    #[error("path is not UTF-8 once its percent escapes are decoded; encode it as UTF-8")]
    NotUtf8,
}

/// The path with its percent escapes decoded, once. `+` stays `+`.
///
/// # Errors
/// If an escape is broken, or the result is not UTF-8.
pub fn decode_path(path: &str) -> Result<Cow<'_, str>, BadPath> {
    match percent_decode(path.as_bytes())? {
        // Nothing was decoded, so this is the text that came in.
        Cow::Borrowed(_) => Ok(Cow::Borrowed(path)),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|_| BadPath::NotUtf8),
    }
}

/// Bytes with their percent escapes decoded, once; borrowed if there is none.
///
/// # Errors
/// If a `%` is not followed by two hexadecimal digits.
pub fn percent_decode(bytes: &[u8]) -> Result<Cow<'_, [u8]>, BadEscape> {
    decode(bytes, |byte| byte)
}

/// Form decoding of one word: percent escapes, and `+` is a space.
///
/// # Errors
/// If a `%` is not followed by two hexadecimal digits.
pub fn query_unescape(bytes: &[u8]) -> Result<Cow<'_, [u8]>, BadEscape> {
    decode(bytes, |byte| if byte == b'+' { b' ' } else { byte })
}

/// Form decoding of a target id (contract, http-api 3): one that cannot be decoded is kept as it
/// is. Bytes that are no UTF-8 become U+FFFD, which no id has, so nothing is reached by mistake.
#[must_use]
pub fn query_unescape_or_keep(text: &str) -> Cow<'_, str> {
    match query_unescape(text.as_bytes()) {
        Ok(Cow::Owned(bytes)) => Cow::Owned(
            String::from_utf8(bytes)
                .unwrap_or_else(|other| String::from_utf8_lossy(other.as_bytes()).into_owned()),
        ),
        Ok(Cow::Borrowed(_)) | Err(BadEscape(_)) => Cow::Borrowed(text),
    }
}

fn decode(bytes: &[u8], plain: impl Fn(u8) -> u8) -> Result<Cow<'_, [u8]>, BadEscape> {
    let changes = |byte: &u8| *byte == b'%' || plain(*byte) != *byte;
    let Some(first) = bytes.iter().position(changes) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte != b'%' {
            out.push(plain(*byte));
            continue;
        }
        let pair = behind
            .first_chunk()
            .and_then(|[high, low]| Some((hex(*high)?, hex(*low)?)));
        let Some((high, low)) = pair else {
            let shown = [&b"%"[..], &behind[..behind.len().min(2)]].concat();
            return Err(BadEscape(shown));
        };
        out.push(high << 4 | low);
        rest = &behind[2..];
    }
    Ok(Cow::Owned(out))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::new();
    crate::quote::push_quoted_bytes(&mut out, bytes);
    out
}

/// Bytes that stand in a path as they are.
static BARE: [bool; 256] = alphanumeric_and(b"-_.~$&+,/:;=@");
/// Bytes that stand as they are only while no other byte of the path needs escaping.
static TOLERATED: [bool; 256] = alphanumeric_and(b"-_.~$&+,/:;=@!'()*[]");

/// A decoded path as it goes onto the wire (contract, http-api 4, step 4).
///
/// `%` becomes `%25`: the reference lets the app decode a second time what access rules have
/// already seen, we do not.
#[must_use]
pub fn escape_path(path: &str) -> Cow<'_, str> {
    if path.bytes().all(|byte| TOLERATED[usize::from(byte)]) {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::new();
    push_escaped_path(&mut out, path.as_bytes());
    Cow::Owned(String::from_utf8(out).expect("every byte above 0x7f is escaped"))
}

/// Appends a decoded path as it goes onto the wire; see [`escape_path`].
pub fn push_escaped_path(out: &mut Vec<u8>, path: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let bare = path
        .iter()
        .position(|byte| !BARE[usize::from(*byte)])
        .unwrap_or(path.len());
    let (start, rest) = path.split_at(bare);
    out.extend_from_slice(start);
    if rest.is_empty() {
        return;
    }
    // A percent sign alone is no reason to escape `*` and its like: in the reference's eyes it is
    // the start of an escape.
    let lenient = rest
        .iter()
        .all(|byte| *byte == b'%' || TOLERATED[usize::from(*byte)]);
    let kept = if lenient { &TOLERATED } else { &BARE };
    out.reserve(rest.len() + 16);
    for &byte in rest {
        if kept[usize::from(byte)] {
            out.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0xf));
            out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        }
    }
}

const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}
