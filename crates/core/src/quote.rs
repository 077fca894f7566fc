//! Text between double quotes as Go's `%q` writes it, and when a log value needs them.
//!
//! Go's idea of a printable character is letters, marks, numbers, punctuation, symbols and the
//! plain space. The standard library of Rust keeps the same idea, of a newer Unicode version: a
//! character that Unicode gained after 15.0 is written as it is where Go 1.26 writes `\U…`.

/// Something that text can be appended to: a `String`, or bytes on their way out.
pub trait Sink {
    /// Appends the text.
    fn put(&mut self, text: &str);
}

impl Sink for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// Appends the byte as two lower-case hexadecimal digits.
pub(crate) fn push_hex(out: &mut impl Sink, byte: u8) {
    const DIGITS: &str = "0123456789abcdef";
    for digit in [usize::from(byte >> 4), usize::from(byte & 0xf)] {
        out.put(&DIGITS[digit..=digit]);
    }
}

/// Whether a log value must be quoted (contract, observability 9.1). An empty one stays bare.
#[must_use]
pub fn needs_quoting(text: &str) -> bool {
    !text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'/' | b'@' | b'^' | b'+')
    })
}

/// The text in quotes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

/// Appends the text in quotes.
pub fn push_quoted(out: &mut impl Sink, text: &str) {
    out.put("\"");
    push_inner(out, text);
    out.put("\"");
}

/// Appends bytes in quotes; one that is no UTF-8 becomes `\xNN`.
pub fn push_quoted_bytes(out: &mut impl Sink, bytes: &[u8]) {
    out.put("\"");
    for chunk in bytes.utf8_chunks() {
        push_inner(out, chunk.valid());
        for &byte in chunk.invalid() {
            push_byte(out, byte);
        }
    }
    out.put("\"");
}

fn push_inner(out: &mut impl Sink, text: &str) {
    let mut done = 0;
    for (at, character) in text.char_indices() {
        if stays(character) {
            continue;
        }
        out.put(&text[done..at]);
        push_escape(out, character);
        done = at + character.len_utf8();
    }
    out.put(&text[done..]);
}

fn stays(character: char) -> bool {
    match character {
        '"' | '\\' => false,
        ' '..='~' => true,
        _ if character.is_ascii() => false,
        _ => is_printable(character),
    }
}

/// Asks the standard library's own escaping, which hides its table of printable characters behind
/// it. The leading letter matters: a combining mark is escaped only where it stands first.
fn is_printable(character: char) -> bool {
    let mut buffer = [b'x', 0, 0, 0, 0];
    let width = character.encode_utf8(&mut buffer[1..]).len();
    str::from_utf8(&buffer[..=width])
        .is_ok_and(|pair| pair.escape_debug().nth(1) == Some(character))
}

fn push_escape(out: &mut impl Sink, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => return push_number(out, character),
    };
    out.put(short);
}

fn push_number(out: &mut impl Sink, character: char) {
    let [top, high, middle, low] = u32::from(character).to_be_bytes();
    if character.is_ascii() {
        return push_byte(out, low);
    }
    let digits: &[u8] = if high == 0 {
        out.put("\\u");
        &[middle, low]
    } else {
        out.put("\\U");
        &[top, high, middle, low]
    };
    for &byte in digits {
        push_hex(out, byte);
    }
}

fn push_byte(out: &mut impl Sink, byte: u8) {
    out.put("\\x");
    push_hex(out, byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        let table = [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a\rb", r#""a\rb""#),
            ("say \"hi\" c:\\x 'y'", r#""say \"hi\" c:\\x 'y'""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1}\u{1b}\u{1f}\u{7f}", r#""\x00\x01\x1b\x1f\x7f""#),
            ("\u{80}\u{9f}\u{a0}\u{ad}", r#""\u0080\u009f\u00a0\u00ad""#),
            (
                "\u{200b}\u{2028}\u{3000}\u{feff}",
                r#""\u200b\u2028\u3000\ufeff""#,
            ),
            (
                "\u{e000}\u{f8ff}\u{ffff}\u{fffd}",
                "\"\\ue000\\uf8ff\\uffff\u{fffd}\"",
            ),
            ("\u{e0001}\u{10ffff}", r#""\U000e0001\U0010ffff""#),
            ("é€漢😀", "\"é€漢😀\""),
            ("\u{301}e\u{301}", "\"\u{301}e\u{301}\""),
        ];
        for (text, expected) in table {
            assert_eq!(quote(text), expected, "{text:?}");
            let mut bytes = Vec::new();
            push_quoted_bytes(&mut bytes, text.as_bytes());
            assert_eq!(bytes, expected.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_shown_as_numbers() {
        let table: [(&[u8], &str); 4] = [
            (b"a\xffb", r#""a\xffb""#),
            (b"\xe2\x82", r#""\xe2\x82""#),
            (b"\xed\xa0\x80", r#""\xed\xa0\x80""#),
            (b"\xc0\xaf\xc3\xa9", "\"\\xc0\\xafé\""),
        ];
        for (bytes, expected) in table {
            let mut out = String::new();
            push_quoted_bytes(&mut out, bytes);
            assert_eq!(out, expected, "{bytes:?}");
        }
    }

    #[test]
    fn only_plain_values_stay_bare() {
        for bare in ["", "abc", "A-Z", "0.9_/@^+", "dapr.runtime"] {
            assert!(!needs_quoting(bare), "{bare}");
        }
        for quoted in ["a b", "a=b", "a:b", "é", "\n", "\"", "{x}", ","] {
            assert!(needs_quoting(quoted), "{quoted}");
        }
    }
}
