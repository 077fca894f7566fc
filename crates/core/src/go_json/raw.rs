//! Values that pass through, and the strings inside.

use std::borrow::Cow;

use super::{
    Kind, Reader,
    scan::{is_space, plain},
};

/// A value as its client wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    text: &'a [u8],
    /// Nothing in it has to be changed before it is kept.
    compact: bool,
    huge: Option<&'a [u8]>,
}

/// Which characters of strings are written as escapes though they need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// None.
    Keep,
    /// What could end an HTML element or a line of JavaScript.
    Html,
}

impl<'a> Raw<'a> {
    /// The value at the beginning of a text that is known to be JSON.
    pub(super) fn first(text: &'a [u8]) -> Self {
        let mut raw = Self {
            text,
            compact: true,
            huge: None,
        };
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(&byte) = text.get(at) {
            match byte {
                b'"' => at += raw.string(&text[at..]),
                b'{' | b'[' => {
                    depth += 1;
                    at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    at += 1;
                }
                b',' | b':' => at += 1,
                _ if is_space(byte) => {
                    raw.compact = false;
                    at += 1;
                    continue;
                }
                _ => at += raw.word(&text[at..]),
            }
            if depth == 0 {
                break;
            }
        }
        raw.text = &text[..at];
        raw.compact &= str::from_utf8(raw.text).is_ok();
        raw
    }

    /// The value's text.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.reader().kind()
    }

    /// Reads it.
    #[must_use]
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.text)
    }

    /// The first number in it that is beyond all floating point numbers.
    #[must_use]
    pub fn huge(&self) -> Option<&'a [u8]> {
        self.huge
    }

    /// The text without white space between tokens, valid UTF-8, and without halves of characters:
    /// borrowed if it is like that already.
    #[must_use]
    pub fn compact(&self) -> Cow<'a, [u8]> {
        if self.compact {
            return Cow::Borrowed(self.text);
        }
        let mut out = Vec::with_capacity(self.text.len());
        push_compact(&mut out, self.text, Escape::Keep);
        Cow::Owned(out)
    }

    /// Steps over a string.
    fn string(&mut self, text: &[u8]) -> usize {
        let mut at = 1;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => {
                    let escape = unescape(&text[at..]);
                    self.compact &= escape.0.is_some();
                    at += escape.1;
                }
                _ => at += plain(&text[at..]).max(1),
            }
        }
        text.len()
    }

    /// Steps over a number or literal.
    fn word(&mut self, text: &'a [u8]) -> usize {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':') || is_space(*byte);
        let length = text.iter().position(ends).unwrap_or(text.len()).max(1);
        let word = &text[..length];
        // Only an exponent or very many digits can lead out of range.
        let long = length > 300 || word.iter().any(|byte| matches!(byte, b'e' | b'E'));
        if self.huge.is_none() && long && !matches!(word[0], b't' | b'f' | b'n') {
            let number = str::from_utf8(word)
                .ok()
                .and_then(|word| word.parse::<f64>().ok());
            self.huge = number.filter(|number| number.is_infinite()).map(|_| word);
        }
        length
    }
}

/// Where the string at the beginning of a text ends, behind its quotes.
pub(super) fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += plain(&text[at..]).max(1),
        }
    }
    text.len()
}

/// The text of a string. Bytes that are no UTF-8 and halves of characters become U+FFFD.
pub(super) fn string(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default();
    if !inner.contains(&b'\\') {
        return lossy(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        if byte == b'\\' {
            let (character, width) = unescape(&inner[at..]);
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += width;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(lossy(error.as_bytes()).into_owned()),
    }
}

/// One U+FFFD for each byte that is no UTF-8.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// The character that an escape stands for, none for half a one, and the width of the escape.
fn unescape(text: &[u8]) -> (Option<char>, usize) {
    let simple = match text.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(text),
        Some(other) => char::from(*other),
        None => return (None, 1),
    };
    (Some(simple), 2)
}

fn unescape_unicode(text: &[u8]) -> (Option<char>, usize) {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(first) = unit(text) else {
        return (None, 2);
    };
    if let 0xd800..0xdc00 = first
        && let Some(second @ 0xdc00..0xe000) = text.get(6..).and_then(unit)
    {
        let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(point), 12);
    }
    (char::from_u32(first), 6)
}

/// Appends a text that is known to be JSON, without white space between tokens. Bytes that are no
/// UTF-8 become U+FFFD, and so do escapes that stand for half a character.
pub fn push_compact(out: &mut Vec<u8>, text: &[u8], escape: Escape) {
    match str::from_utf8(text) {
        Ok(text) => push_valid(out, text, escape),
        Err(_) => push_valid(out, &lossy(text), escape),
    }
}

fn push_valid(out: &mut Vec<u8>, text: &str, escape: Escape) {
    let text = text.as_bytes();
    let (mut at, mut done, mut in_string) = (0, 0, false);
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        let (width, instead): (usize, Option<&[u8]>) = match byte {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' => match unescape(rest) {
                (None, width) => (width, Some(b"\\ufffd")),
                (Some(_), width) => (width, None),
            },
            _ if !in_string => (1, is_space(byte).then_some(b"")),
            b'<' if escape == Escape::Html => (1, Some(b"\\u003c")),
            b'>' if escape == Escape::Html => (1, Some(b"\\u003e")),
            b'&' if escape == Escape::Html => (1, Some(b"\\u0026")),
            0xe2 if escape == Escape::Html => match rest {
                [_, 0x80, 0xa8, ..] => (3, Some(b"\\u2028")),
                [_, 0x80, 0xa9, ..] => (3, Some(b"\\u2029")),
                _ => (1, None),
            },
            _ => (1, None),
        };
        if let Some(instead) = instead {
            out.extend_from_slice(&text[done..at]);
            out.extend_from_slice(instead);
            done = at + width;
        }
        at += width;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
}
