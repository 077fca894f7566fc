//! A text read into types of ours. As in Go, a value of the wrong type does not stop the reading,
//! and the first one is told in the end.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Error, Kind, Raw, Reader, SyntaxError};

/// Where a value belongs, in Go's words: `Go struct field SetRequest.key`, `Go value`.
pub type Place = &'static str;

/// A value that is not of the type that its place has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into {place} of type {expected}")]
pub struct TypeError {
    found: String,
    place: Place,
    expected: &'static str,
}

/// Reads a value into whatever its caller has for it.
#[derive(Debug)]
pub struct Decoder<'a> {
    reader: Reader<'a>,
    error: Option<TypeError>,
}

impl<'a> Decoder<'a> {
    /// Begins with the first value of a text. What follows that value is not looked at.
    ///
    /// # Errors
    /// If there is no value.
    pub fn try_new(text: &'a [u8]) -> Result<Self, SyntaxError> {
        let reader = Reader::try_new(text)?;
        Ok(Self {
            reader,
            error: None,
        })
    }

    /// Tells the first value of a wrong type.
    ///
    /// # Errors
    /// If there was one.
    pub fn finish(self) -> Result<(), Error> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    /// What the next value is.
    pub fn kind(&mut self) -> Kind {
        self.reader.kind()
    }

    /// Steps into an array or object; its elements or members follow until [`more`](Self::more) is
    /// false. False if the value is another one, which is then passed over; `null` is no error.
    pub fn enter(&mut self, kind: Kind, place: Place, expected: &'static str) -> bool {
        let found = self.kind();
        if found == kind {
            self.reader.enter();
            return true;
        }
        self.refuse(found, place, expected);
        false
    }

    /// Whether another element or member follows.
    pub fn more(&mut self) -> bool {
        self.reader.more()
    }

    /// The name of a member; its value follows.
    pub fn name(&mut self) -> Cow<'a, str> {
        self.reader.name()
    }

    /// A string; none for `null`, which is no error, and for anything else.
    pub fn string(&mut self, place: Place) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::String => Some(self.reader.string()),
            found => {
                self.refuse(found, place, "string");
                None
            }
        }
    }

    /// Strings by name, added to those that are there; `null` empties the map, and as an element
    /// is an empty text.
    pub fn strings(&mut self, place: Place, into: &mut BTreeMap<String, String>) {
        if self.kind() == Kind::Null {
            into.clear();
        }
        if !self.enter(Kind::Object, place, "map[string]string") {
            return;
        }
        while self.more() {
            let name = self.name().into_owned();
            let value = self.string(place).unwrap_or_default().into_owned();
            into.insert(name, value);
        }
    }

    /// An integer that is written as one; none for `null` and for anything else.
    pub fn integer(&mut self, place: Place) -> Option<i64> {
        let found = self.kind();
        if found != Kind::Number {
            self.refuse(found, place, "int");
            return None;
        }
        let text = String::from_utf8_lossy(self.reader.value().text()).into_owned();
        let number = text.parse().ok();
        if number.is_none() {
            self.note(format!("number {text}"), place, "int");
        }
        number
    }

    /// Any value; a number that no floating point number can hold is an error.
    pub fn any(&mut self, place: Place) -> Raw<'a> {
        let raw = self.reader.value();
        if let Some(number) = raw.huge() {
            let number = String::from_utf8_lossy(number);
            self.note(format!("number {number}"), place, "float64");
        }
        raw
    }

    /// Passes over a value that nobody looks at.
    pub fn skip(&mut self) {
        self.reader.value();
    }

    fn refuse(&mut self, found: Kind, place: Place, expected: &'static str) {
        self.skip();
        let found = match found {
            Kind::Null => return,
            Kind::Bool => "bool",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        };
        self.note(found.to_owned(), place, expected);
    }

    fn note(&mut self, found: String, place: Place, expected: &'static str) {
        self.error.get_or_insert(TypeError {
            found,
            place,
            expected,
        });
    }
}
