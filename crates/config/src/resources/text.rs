//! The characters of a file. UTF-8 is what everybody writes; UTF-16 with a byte order mark is what
//! YAML allows beside it, and what some editors save.

use std::borrow::Cow;

/// The file as UTF-8 without a byte order mark. Bytes that are none stay as they are, to be told
/// about where they stand; halves of UTF-16 characters become U+FFFD.
pub(super) fn utf8(content: &[u8]) -> Cow<'_, [u8]> {
    match content {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => Cow::Borrowed(content),
    }
}

fn utf16(content: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, [u8]> {
    let (pairs, half) = content.as_chunks();
    let units = pairs.iter().map(|pair| unit(*pair));
    let half = half.first().map(|_| char::REPLACEMENT_CHARACTER);
    let characters =
        char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER));
    let text: String = characters.chain(half).collect();
    Cow::Owned(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_say_how_to_read() {
        for (content, text) in [
            (&b"a\xc3\xa4"[..], "aä"),
            (b"\xef\xbb\xbfa", "a"),
            (b"\xff\xfea\0\xe4\0=\xd8\0\xde", "aä😀"),
            (b"\xfe\xff\0a\0\xe4\xd8=\xde\0", "aä😀"),
            (b"\xff\xfe=\xd8a\0a", "\u{fffd}a\u{fffd}"),
            (b"\xff\xfe", ""),
            (b"", ""),
        ] {
            assert_eq!(utf8(content), text.as_bytes(), "{content:?}");
        }
        assert_eq!(&*utf8(b"\xffa"), b"\xffa");
    }
}
