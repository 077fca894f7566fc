//! Values whose shape nobody fixed, as JSON.

use super::decode::{Decode, Decoder};
use super::{Content, Node, Resolved, Scalar};
use serde_json::{Map, Number, Value};

impl Decode for Value {
    fn type_name() -> String {
        "interface {}".to_owned()
    }

    /// What was there is replaced whole.
    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        *self = value(node, decoder);
        !self.is_null()
    }
}

fn value(node: &Node, decoder: &mut Decoder) -> Value {
    match &node.content {
        Content::Scalar(scalar) => scalar_value(scalar, decoder),
        Content::Sequence(items) => items.iter().map(|item| value(item, decoder)).collect(),
        Content::Mapping(_) => {
            let entries = decoder.entries(node, "map").unwrap_or_default();
            let mut map = Map::with_capacity(entries.len());
            for (key, item) in entries {
                if let Some(key) = key_text(key, decoder) {
                    let item = value(item, decoder);
                    map.insert(key, item);
                }
            }
            Value::Object(map)
        }
    }
}

fn scalar_value(scalar: &Scalar, decoder: &mut Decoder) -> Value {
    match decoder.resolve(scalar) {
        None | Some(Resolved::Null) => Value::Null,
        Some(Resolved::Bool(value)) => Value::Bool(value),
        Some(Resolved::Int(value)) => Value::from(value),
        Some(Resolved::Uint(value)) => Value::from(value),
        // JSON has no infinity; the word itself is the nearest thing.
        Some(Resolved::Float(value)) => Number::from_f64(value)
            .map_or_else(|| Value::String(scalar.text.clone()), Value::Number),
        Some(Resolved::Timestamp | Resolved::Str) => Value::String(scalar.text.clone()),
    }
}

/// JSON keys are texts: any other scalar becomes the text of its value.
fn key_text(key: &Node, decoder: &mut Decoder) -> Option<String> {
    let Some(scalar) = key.scalar() else {
        decoder.break_off(format!(
            "invalid map key on line {}: a list or map",
            key.line
        ));
        return None;
    };
    Some(match scalar_value(scalar, decoder) {
        Value::String(text) => text,
        other => other.to_string(),
    })
}
