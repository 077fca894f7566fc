//! Settings of a resolver as flat texts, the way the reference's components get them.

use crate::go_text;
use outrider_core::{duration::GoDuration, words::is_truthy};
use serde_json::Value;
use std::collections::BTreeMap;

/// Keys in lower case with their values as text. Unknown keys are nobody's business.
#[derive(Debug)]
pub(super) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Flattens an object. What is a list or an object becomes an empty text, as in the reference.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let kind = match value {
            Value::Object(map) => {
                let entries = map.iter();
                return Ok(Self(
                    entries
                        .map(|(key, value)| (key.to_ascii_lowercase(), text(value)))
                        .collect(),
                ));
            }
            Value::Null => "<nil>",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float64",
            Value::Number(_) => "int",
            Value::String(_) => "string",
            Value::Array(_) => "[]interface {}",
        };
        let shown = match value {
            Value::Null => "<nil>".to_owned(),
            other => other.to_string(),
        };
        Err(format!(
            "input object cannot be cast to map[string]string: unable to cast {shown} of type \
             {kind} to map[string]string"
        ))
    }

    /// The value under the first of these names that has one that is not empty.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        let values = names
            .iter()
            .filter_map(|name| self.0.get(&name.to_ascii_lowercase()));
        values.map(String::as_str).find(|value| !value.is_empty())
    }

    /// A duration in Go's spelling, or whole seconds. Errors name the first of the names.
    pub(super) fn duration(
        &self,
        names: &[&'static str],
        default: GoDuration,
    ) -> Result<GoDuration, String> {
        let Some(text) = self.text(names) else {
            return Ok(default);
        };
        text.parse().or_else(|error| {
            let seconds = go_text::int(text).map_err(|why| {
                let name = names.first().copied().unwrap_or_default();
                format!("1 error(s) decoding:\n\n* error decoding '{name}': {error}\n{why}")
            })?;
            Ok(GoDuration::from_secs(seconds))
        })
    }

    /// Whether the value is a word for yes.
    pub(super) fn truthy(&self, name: &str) -> bool {
        self.text(&[name]).is_some_and(is_truthy)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        // Go prints a whole float without its point.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}
