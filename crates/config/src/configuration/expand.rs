//! `$NAME` and `${NAME}` in the text of a file, expanded before anything else reads it.
//!
//! The rules are those of Go's `os.Expand` (contract, configuration 3.1), the surprising ones
//! included: `$1` and `$$` are variables too, and there is no escape.

use std::collections::BTreeMap;

/// Replaces every variable; one that is not set becomes nothing.
#[must_use]
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let (name, length) = variable_name(behind);
        if length == 0 {
            // What follows is no name: the dollar stays.
            out.push('$');
        } else if let Some(value) = variables.get(name) {
            out.push_str(value);
        }
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}

/// The name behind a dollar and how many bytes it takes, braces included. An empty name of some
/// length is bad syntax, which vanishes.
fn variable_name(text: &str) -> (&str, usize) {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => ("", 0),
        Some(b'{') => {
            if let [_, special, b'}', ..] = bytes
                && is_special(*special)
            {
                return (&text[1..2], 3);
            }
            match text.find('}') {
                Some(end) => (&text[1..end], end + 1),
                None => ("", 1),
            }
        }
        Some(special) if is_special(*special) => (&text[..1], 1),
        Some(_) => {
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let end = bytes
                .iter()
                .position(|byte| !word(byte))
                .unwrap_or(bytes.len());
            (&text[..end], end)
        }
    }
}

fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let variables = [("APP_ID", "me"), ("A", "1"), ("NO SUCH", "x"), ("?", "q")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        expand(text, &variables.into())
    }

    #[test]
    fn names_end_at_the_first_other_character() {
        for (text, result) in [
            ("a$A-b", "a1-b"),
            ("${APP_ID}x", "mex"),
            ("$APP_IDx$A", "1"),
            ("$Aé", "1é"),
            ("${NO SUCH}", "x"),
            ("no variable", "no variable"),
        ] {
            assert_eq!(expanded(text), result, "{text}");
        }
    }

    #[test]
    fn single_characters_are_variables_too() {
        assert_eq!(expanded("a$1b$$c$?d$-e$_f${APP_ID}g${}h"), "abcqdemegh");
        assert_eq!(expanded("2${!}x${12}y${1a}$10"), "2xy0");
    }

    #[test]
    fn a_dollar_without_name_stays() {
        for text in ["i$", "$é", "$ x", "$\n", "$."] {
            assert_eq!(expanded(text), text);
        }
    }

    #[test]
    fn an_open_brace_reaches_to_the_next_closing_one() {
        assert_eq!(expanded("1${APP_ID\n 2${!}x"), "1x");
        assert_eq!(expanded("1${APP_ID"), "1APP_ID");
        assert_eq!(expanded("${"), "");
    }
}
