//! Fields of a JSON object found as Go finds them: whatever the case of the key, numbers and truth
//! values welcome where a text is wanted, and its words for what does not fit.

use serde_json::{Map, Value};

use crate::yaml::json::plain;

/// An object, or one that is not there and has no fields.
pub(super) struct Object<'v>(&'v Map<String, Value>);

impl<'v> Object<'v> {
    /// A whole document.
    pub(super) fn root(value: &'v Value) -> Result<Self, String> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(format!(
                "{DECODING}cannot unmarshal {} into Go value of type v1.TypeMeta",
                kind(other)
            )),
        }
    }

    /// An element of a list.
    pub(super) fn element(value: &'v Value, of: (&str, &str)) -> Result<Self, String> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(mismatch(other, of.0, of.1)),
        }
    }

    /// A field, unless it is null. Of keys that differ in case only the last one counts.
    pub(super) fn field(&self, name: &str) -> Option<&'v Value> {
        let mut entries = self.0.iter().rev();
        let found = entries.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|v| !v.is_null())
    }

    /// A text; empty if it is not there.
    pub(super) fn text(&self, name: &str, place: &str) -> Result<String, String> {
        self.field(name)
            .map_or(Ok(String::new()), |value| text(value, place))
    }

    /// A truth value; false if it is not there.
    pub(super) fn boolean(&self, name: &str, place: &str) -> Result<bool, String> {
        match self.field(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(mismatch(other, place, "bool")),
        }
    }

    /// An object; its place and its type are for the error.
    pub(super) fn object(&self, name: &str, of: (&str, &str)) -> Result<Option<Self>, String> {
        self.field(name)
            .map(|value| Self::element(value, of))
            .transpose()
    }

    /// The elements of a list; none if it is not there.
    pub(super) fn list(
        &self,
        name: &str,
        of: (&str, &str),
    ) -> Result<impl Iterator<Item = &'v Value> + use<'v>, String> {
        let items = match self.field(name) {
            None => &[][..],
            Some(Value::Array(items)) => items.as_slice(),
            Some(other) => return Err(mismatch(other, of.0, of.1)),
        };
        Ok(items.iter())
    }
}

/// A value as text.
pub(super) fn text(value: &Value, place: &str) -> Result<String, String> {
    plain(value).ok_or_else(|| mismatch(value, place, "string"))
}

const DECODING: &str = "error unmarshaling JSON: while decoding JSON: json: ";

fn mismatch(found: &Value, place: &str, wanted: &str) -> String {
    format!(
        "{DECODING}cannot unmarshal {} into Go struct field {place} of type {wanted}",
        kind(found)
    )
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
