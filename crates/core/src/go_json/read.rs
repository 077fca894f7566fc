//! A text that is known to be JSON, read from front to back.

use std::borrow::Cow;

use super::{
    Raw, SyntaxError,
    raw::{string, string_end},
    scan::{self, is_space},
};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// `[…]`.
    Array,
    /// `{…}`.
    Object,
}

/// Stands in front of a value, a member or the end of an array or object. The caller asks for what
/// is there; [`kind`](Self::kind) says what that is.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of the first value in a text. What follows that value is not looked at.
    ///
    /// # Errors
    /// If there is no value, as Go tells it for a stream.
    pub fn try_new(text: &'a [u8]) -> Result<Self, SyntaxError> {
        let end = scan::first_value(text)?;
        Ok(Self::new(&text[..end]))
    }

    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// What the next value is.
    pub fn kind(&mut self) -> Kind {
        match self.peek() {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Steps into an array or object.
    pub fn enter(&mut self) {
        self.peek();
        self.at += 1;
    }

    /// Whether another element or member follows; if not, that was the end of the array or object.
    pub fn more(&mut self) -> bool {
        match self.peek() {
            b',' => {
                self.at += 1;
                true
            }
            b']' | b'}' => {
                self.at += 1;
                false
            }
            _ => self.at < self.text.len(),
        }
    }

    /// The name of a member; its value follows.
    pub fn name(&mut self) -> Cow<'a, str> {
        let name = self.string();
        self.peek();
        self.at += 1;
        name
    }

    /// A string.
    pub fn string(&mut self) -> Cow<'a, str> {
        self.peek();
        let rest = &self.text[self.at.min(self.text.len())..];
        let end = string_end(rest);
        self.at += end;
        string(&rest[..end])
    }

    /// Any value, as it was written.
    pub fn value(&mut self) -> Raw<'a> {
        self.peek();
        let raw = Raw::first(&self.text[self.at.min(self.text.len())..]);
        self.at += raw.text().len();
        raw
    }

    /// The next byte that is no white space; 0 at the end.
    fn peek(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(byte) if is_space(*byte) => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }
}
