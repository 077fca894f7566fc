//! Text that stands in quotes of Go, taken out of them.
//!
//! Values from secrets and variables lose such quotes, because that is what the reference does with
//! every value (contract, configuration 5.2).

use std::borrow::Cow;

/// What stands between the quotes; the text itself if it is not quoted the way Go would read.
#[must_use]
pub fn unquote(text: &str) -> Cow<'_, str> {
    inner(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn inner(text: &str) -> Option<String> {
    let quote = text
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let body = text.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' {
        return (!body.contains('`')).then(|| body.replace('\r', ""));
    }
    let bytes = bytes(body, quote)?;
    let value = String::from_utf8(bytes).ok()?;
    (quote == '"' || value.chars().count() == 1).then_some(value)
}

fn bytes(body: &str, quote: char) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(character) = rest.chars().next() {
        if character == quote || character == '\n' {
            return None;
        }
        rest = &rest[character.len_utf8()..];
        if character == '\\' {
            rest = escape(rest, quote, &mut out)?;
        } else {
            push(&mut out, character);
        }
    }
    Some(out)
}

/// Reads what follows a backslash; gives what follows that.
fn escape<'t>(text: &'t str, quote: char, out: &mut Vec<u8>) -> Option<&'t str> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    let simple = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        _ if kind == quote => quote as u8,
        'x' => return digits(rest, 2, 16, |value| one_byte(out, value)),
        'u' => return digits(rest, 4, 16, |value| character(out, value)),
        'U' => return digits(rest, 8, 16, |value| character(out, value)),
        '0'..='7' => return digits(text, 3, 8, |value| one_byte(out, value)),
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

fn digits(
    text: &str,
    count: usize,
    base: u32,
    take: impl FnOnce(u32) -> Option<()>,
) -> Option<&str> {
    let number = text.get(..count)?;
    if !number.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    take(u32::from_str_radix(number, base).ok()?)?;
    Some(&text[count..])
}

fn one_byte(out: &mut Vec<u8>, value: u32) -> Option<()> {
    out.push(u8::try_from(value).ok()?);
    Some(())
}

fn character(out: &mut Vec<u8>, value: u32) -> Option<()> {
    push(out, char::from_u32(value)?);
    Some(())
}

fn push(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_of_go_are_taken_off() {
        for (text, value) in [
            (r#""abc""#, "abc"),
            (r#""a\n\"\x41\101\u00e9\U0001F600""#, "a\n\"AAé😀"),
            ("`a\\n`", "a\\n"),
            ("'a'", "a"),
            (r"'\''", "'"),
            (r#""""#, ""),
        ] {
            assert_eq!(unquote(text), value, "{text}");
        }
    }

    #[test]
    fn what_go_would_not_read_stays() {
        for text in [
            "",
            "a",
            "\"",
            "\"a",
            "a\"",
            "''",
            "'ab'",
            "\"a\"b\"",
            r#""\q""#,
            r#""\u12""#,
            "\"\n\"",
            r#""\777""#,
            r#""\'""#,
            r#""\/""#,
            "`a`b`",
            r#""\xff""#,
            r#""\ud800""#,
        ] {
            assert_eq!(unquote(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[\"'`]?(\\PC|\\\\[abnxuU0-7'\"]|[0-9a-f])*[\"'`]?") {
            let _ = unquote(&text);
        }

        #[test]
        fn what_is_quoted_comes_back(text in "\\PC*") {
            let quoted = outrider_core::quote::quote(&text);
            prop_assert_eq!(unquote(&quoted), text);
        }
    }
}
