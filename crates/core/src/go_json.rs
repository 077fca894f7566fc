//! JSON as Go's `encoding/json` reads it: what it lets pass, what it refuses, and in which words
//! (contract `state.md` 3.2, 3.5).
//!
//! The first value of a text is checked as a whole ([`Decoder::try_new`]), then read from front to
//! back into the reader's own types. No tree is built, and a value that only passes through keeps
//! its client's spelling ([`Raw`]). Nothing here recurses, so that depth costs no stack.

mod decode;
mod raw;
mod read;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use decode::{Decoder, Place, TypeError};
pub use raw::{Escape, Raw, push_compact};
pub use read::{Kind, Reader};
pub use scan::check_whole;

/// Why a text can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// There is nothing but white space.
    #[error("EOF")]
    Nothing,
    /// The text ends inside a value.
    #[error("unexpected EOF")]
    CutOff,
    /// A character that can't be there.
    #[error("invalid character {} {place}", quoted(*.character))]
    Character {
        /// The byte, which Go shows as if it were a character.
        character: u8,
        /// Where it stood, or what was expected instead.
        place: String,
    },
}

/// Why a text can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It is JSON of another form.
    #[error(transparent)]
    Type(#[from] TypeError),
}

/// The name of a member as names are compared: case does not matter, and neither do the two other
/// characters that Unicode folds to an ASCII letter.
#[must_use]
pub fn fold(name: &str) -> Cow<'_, str> {
    if name
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(name);
    }
    let fold = |character| match character {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => char::to_ascii_lowercase(&other),
    };
    Cow::Owned(name.chars().map(fold).collect())
}

fn quoted(character: u8) -> String {
    match character {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        other => {
            let text = crate::quote::quote(char::from(other).encode_utf8(&mut [0; 4]));
            format!("'{}'", &text[1..text.len() - 1])
        }
    }
}
