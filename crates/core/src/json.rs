//! Strings written into JSON exactly as Go's `encoding/json` writes them.
//!
//! Error bodies and log lines are compared byte for byte by people who came from the reference, so
//! the spelling of every escape counts: `<`, `>` and `&` too, which JSON itself would allow bare.
//! Whole documents are not built here.

use crate::quote::{Sink, push_hex};

/// Appends the text as a JSON string, with its quotes.
pub fn push_go_string(out: &mut impl Sink, text: &str) {
    out.put("\"");
    push_inner(out, text);
    out.put("\"");
}

/// Appends bytes as a JSON string, with its quotes; each byte that is no UTF-8 becomes `\ufffd`.
pub fn push_go_bytes(out: &mut impl Sink, bytes: &[u8]) {
    out.put("\"");
    for chunk in bytes.utf8_chunks() {
        push_inner(out, chunk.valid());
        for _ in chunk.invalid() {
            out.put("\\ufffd");
        }
    }
    out.put("\"");
}

/// The text as a JSON string, with its quotes.
#[must_use]
pub fn go_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_go_string(&mut out, text);
    out
}

fn push_inner(out: &mut impl Sink, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let Some(width) = escaped_width(byte, &bytes[at..]) else {
            at += 1;
            continue;
        };
        out.put(&text[done..at]);
        push_escape(out, byte, bytes[at + width - 1]);
        at += width;
        done = at;
    }
    out.put(&text[done..]);
}

/// How many bytes the character to be escaped takes; nothing if this one stays as it is.
fn escaped_width(byte: u8, rest: &[u8]) -> Option<usize> {
    match byte {
        0..=0x1f | b'"' | b'\\' | b'<' | b'>' | b'&' => Some(1),
        // U+2028 and U+2029 end a line in JavaScript, so Go never leaves them bare.
        0xe2 if matches!(rest, [_, 0x80, 0xa8 | 0xa9, ..]) => Some(3),
        _ => None,
    }
}

fn push_escape(out: &mut impl Sink, first: u8, last: u8) {
    let short = match first {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        0xe2 if last == 0xa8 => "\\u2028",
        0xe2 => "\\u2029",
        _ => {
            out.put("\\u00");
            push_hex(out, first);
            return;
        }
    };
    out.put(short);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_spelled_as_go_spells_it() {
        let table = [
            ("", r#""""#),
            ("plain text", r#""plain text""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            (
                "<a href='x'>&</a>",
                r#""\u003ca href='x'\u003e\u0026\u003c/a\u003e""#,
            ),
            ("\u{8}\u{c}\n\r\t", r#""\b\f\n\r\t""#),
            (
                "\0\u{1}\u{b}\u{1b}\u{1f}\u{7f}",
                "\"\\u0000\\u0001\\u000b\\u001b\\u001f\u{7f}\"",
            ),
            (
                "a\u{2027}\u{2028}b\u{2029}\u{202a}",
                "\"a\u{2027}\\u2028b\\u2029\u{202a}\"",
            ),
            ("€ 😀 \u{fffd} \u{80}", "\"€ 😀 \u{fffd} \u{80}\""),
        ];
        for (text, expected) in table {
            assert_eq!(go_string(text), expected, "{text:?}");
            let mut bytes = Vec::new();
            push_go_bytes(&mut bytes, text.as_bytes());
            assert_eq!(bytes, expected.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn each_byte_that_is_no_utf8_becomes_a_replacement_escape() {
        let table: [(&[u8], &str); 5] = [
            (b"a\xffb", r#""a\ufffdb""#),
            (b"\xe2\x82", r#""\ufffd\ufffd""#),
            (b"\xed\xa0\x80<", r#""\ufffd\ufffd\ufffd\u003c""#),
            (b"\xf0\x9f\x98x", r#""\ufffd\ufffd\ufffdx""#),
            (b"\xe2\x80\"", r#""\ufffd\ufffd\"""#),
        ];
        for (bytes, expected) in table {
            let mut out = String::new();
            push_go_bytes(&mut out, bytes);
            assert_eq!(out, expected, "{bytes:?}");
        }
    }

    #[test]
    fn appends_behind_what_is_there() {
        let mut out = b"{\"message\":".to_vec();
        push_go_string(&mut out, "x");
        assert_eq!(out, b"{\"message\":\"x\"");
    }
}
