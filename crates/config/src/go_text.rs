//! Numbers and truth values as Go's `strconv` reads them, with its error texts.
//!
//! Only what flags need: bases are recognised by prefix in [`int`] and [`uint`], and never in
//! [`atoi`].

use outrider_core::{quote::quote, words::go_bool};

/// Reads a truth value (contract, configuration 1.1).
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    go_bool(text).ok_or_else(|| failure("ParseBool", text, SYNTAX))
}

/// Reads a signed number in the base its prefix names.
pub(crate) fn int(text: &str) -> Result<i64, String> {
    let (negative, magnitude) = split_sign(text);
    let value = based(magnitude).map_err(|why| failure("ParseInt", text, why))?;
    signed(negative, value).ok_or_else(|| failure("ParseInt", text, RANGE))
}

/// Reads an unsigned number in the base its prefix names; no sign is allowed.
pub(crate) fn uint(text: &str) -> Result<u64, String> {
    based(text).map_err(|why| failure("ParseUint", text, why))
}

/// Reads a decimal number.
pub(crate) fn atoi(text: &str) -> Result<i64, String> {
    let (negative, magnitude) = split_sign(text);
    let value = digits(magnitude, 10).map_err(|why| failure("Atoi", text, why))?;
    signed(negative, value).ok_or_else(|| failure("Atoi", text, RANGE))
}

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

fn failure(function: &str, text: &str, why: &str) -> String {
    format!("strconv.{function}: parsing {}: {why}", quote(text))
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

fn based(text: &str) -> Result<u64, &'static str> {
    let (base, rest) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    let prefixed = rest.len() < text.len();
    if !rest.contains('_') {
        return digits(rest, base);
    }
    if !underscores_separate(rest, prefixed) {
        return Err(SYNTAX);
    }
    digits(&rest.replace('_', ""), base)
}

/// An underscore stands between two digits, or between a base prefix and a digit.
fn underscores_separate(text: &str, prefixed: bool) -> bool {
    let mut after_digit = prefixed;
    for character in text.chars() {
        if character == '_' && !after_digit {
            return false;
        }
        after_digit = character != '_';
    }
    after_digit
}

fn digits(text: &str, base: u32) -> Result<u64, &'static str> {
    if text.is_empty() || !text.chars().all(|c| c.is_digit(base)) {
        return Err(SYNTAX);
    }
    u64::from_str_radix(text, base).map_err(|_| RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_their_prefix() {
        for (text, value) in [
            ("0", 0),
            ("+5", 5),
            ("-1", -1),
            ("0x1F", 31),
            ("0X1f", 31),
            ("0b11", 3),
            ("0B1", 1),
            ("0o17", 15),
            ("0O7", 7),
            ("017", 15),
            ("1_000", 1000),
            ("0x_1", 1),
            ("0_7", 7),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(int(text), Ok(value), "{text}");
        }
        assert_eq!(uint("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(atoi("017"), Ok(17));
    }

    #[test]
    fn bad_numbers_get_gos_words() {
        for text in [
            "", "x", "1__0", "_1", "1_", "09", " 1", "--10", "0x", "0b2", "+-1", "é",
        ] {
            let expected = format!("strconv.ParseInt: parsing {}: invalid syntax", quote(text));
            assert_eq!(int(text), Err(expected));
        }
        for text in [
            "99999999999999999999",
            "-9223372036854775809",
            "9223372036854775808",
        ] {
            let expected = format!("strconv.ParseInt: parsing \"{text}\": value out of range");
            assert_eq!(int(text), Err(expected));
        }
        for text in ["-1", "+1", ""] {
            let expected = format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
            assert_eq!(uint(text), Err(expected));
        }
        for text in ["0x1", "1_0", ""] {
            let expected = format!("strconv.Atoi: parsing \"{text}\": invalid syntax");
            assert_eq!(atoi(text), Err(expected));
        }
    }

    #[test]
    fn only_gos_words_are_truth_values() {
        assert_eq!(boolean("T"), Ok(true));
        assert_eq!(boolean("False"), Ok(false));
        assert_eq!(
            boolean("yes").expect_err("yes is no truth value"),
            "strconv.ParseBool: parsing \"yes\": invalid syntax"
        );
    }
}
