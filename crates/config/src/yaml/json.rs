//! A tree as JSON, by the rules that resources are read with (contract, configuration 4.1).
//!
//! They are those of YAML 1.1: `yes` and `on` are truth values, and of keys given twice the last
//! one counts. Configuration files have other rules; see [`super::decode`]. Also writes JSON and
//! numbers the way Go does, because such texts become values of components.

use std::collections::HashSet;

use outrider_core::json::push_go_string;
use serde_json::{Map, Number, Value};

use super::{Content, Node, Resolved, Scalar, scalar};
use crate::yaml::scalar::Tag;

/// The node as JSON.
///
/// # Errors
/// What JSON has no form for: infinite numbers, keys that are collections or null, and merge keys
/// without anything to merge.
pub fn to_json(node: &Node) -> Result<Value, String> {
    match &node.content {
        Content::Scalar(scalar) => value(scalar),
        Content::Sequence(items) => items.iter().map(|item| to_json(item)).collect(),
        Content::Mapping(_) => {
            let mut map = Map::new();
            fill(&mut map, node)?;
            Ok(Value::Object(map))
        }
    }
}

/// Adds the entries of a mapping. What is merged in gives way to what stands there itself.
fn fill(map: &mut Map<String, Value>, node: &Node) -> Result<(), String> {
    let Content::Mapping(pairs) = &node.content else {
        return Err(NOTHING_TO_MERGE.to_owned());
    };
    let mut own = HashSet::new();
    let mut merged = Vec::new();
    for (name, item) in pairs {
        if name.scalar().is_some_and(Scalar::is_merge_key) {
            merged.push(item);
            continue;
        }
        let name = key(name)?;
        map.insert(name.clone(), to_json(item)?);
        own.insert(name);
    }
    for item in merged {
        let sources = match &item.content {
            Content::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(item),
        };
        for source in sources {
            let mut entries = Map::new();
            fill(&mut entries, source)?;
            for (name, value) in entries {
                if own.insert(name.clone()) {
                    map.insert(name, value);
                }
            }
        }
    }
    Ok(())
}

const NOTHING_TO_MERGE: &str = "yaml: map merge requires map or sequence of maps as the value";

fn key(node: &Node) -> Result<String, String> {
    let Some(scalar) = node.scalar() else {
        return Err(format!(
            "yaml: invalid map key on line {}: a list or map",
            node.line
        ));
    };
    match value(scalar)? {
        Value::Null => Err(format!(
            "unsupported map key on line {}: null; give the key a name",
            node.line
        )),
        Value::Object(_) | Value::Array(_) => Ok(String::new()),
        other => Ok(plain(&other).unwrap_or_default()),
    }
}

fn value(scalar: &Scalar) -> Result<Value, String> {
    let old_word = matches!(scalar.tag, None | Some(Tag::Bool))
        .then(|| scalar::old_boolean(&scalar.text))
        .flatten();
    if let Some(value) = old_word.filter(|_| scalar.plain) {
        return Ok(Value::Bool(value));
    }
    match scalar.resolve().map_err(|what| format!("yaml: {what}"))? {
        Resolved::Null => Ok(Value::Null),
        Resolved::Bool(value) => Ok(Value::Bool(value)),
        Resolved::Int(value) => Ok(Value::from(value)),
        Resolved::Uint(value) => Ok(Value::from(value)),
        Resolved::Float(value) => match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            // Out of range, as opposed to the word.
            None if scalar.text.contains(|c: char| c.is_ascii_digit()) => {
                Ok(Value::String(scalar.text.clone()))
            }
            None => Err(format!("json: unsupported value: {}", scalar.text)),
        },
        Resolved::Timestamp | Resolved::Str => Ok(Value::String(scalar.text.clone())),
    }
}

/// A scalar where a text is wanted; none if it is null or a collection.
#[must_use]
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_f64() => {
            Some(shortest(number.as_f64().unwrap_or_default()))
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The value as compact JSON, keys sorted.
#[must_use]
pub fn compact(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) if number.is_f64() => {
            out.push_str(&json_number(number.as_f64().unwrap_or_default()));
        }
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => push_go_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (name, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_go_string(out, name);
                out.push(':');
                push(out, item);
            }
            out.push('}');
        }
    }
}

/// As `encoding/json` writes numbers: an exponent only far away from 1.
fn json_number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// As `FormatFloat(…, 'g', -1, 64)` does: an exponent of two digits from 1e6 on and below 1e-4.
fn shortest(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e6).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_first;

    fn json(text: &str) -> Result<String, String> {
        let node = parse_first(text).map_err(|error| error.to_string())?;
        to_json(&node.expect("a document")).map(|value| compact(&value))
    }

    #[test]
    fn scalars_mean_what_yaml_1_1_says() {
        for (text, meant) in [
            ("[y, Yes, on, TRUE]", "[true,true,true,true]"),
            ("[n, No, OFF, false]", "[false,false,false,false]"),
            (
                "[yEs, \"yes\", 'on', !!str no]",
                r#"["yEs","yes","on","no"]"#,
            ),
            ("[010, 0o17, 0x1F, 0b11, 1_000, 08]", "[8,15,31,3,1000,8]"),
            ("[1.10, 1.0, .5, 1., 1e3, -0.0]", "[1.1,1,0.5,1,1000,-0]"),
            (
                "[1e20, 1e21, 1e-6, 1e-7]",
                "[100000000000000000000,1e+21,0.000001,1e-7]",
            ),
            (
                "[2001-01-01, ~, null, 1:30]",
                r#"["2001-01-01",null,null,"1:30"]"#,
            ),
            ("18446744073709551615", "18446744073709551615"),
            ("[-1e400, -0]", r#"["-1e400",0]"#),
            (
                "{b: \"<&>\", a: {}}",
                "{\"a\":{},\"b\":\"\\u003c\\u0026\\u003e\"}",
            ),
        ] {
            assert_eq!(json(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn keys_become_texts_and_the_last_of_equal_ones_counts() {
        for (text, meant) in [
            ("{a: 1, a: 2}", r#"{"a":2}"#),
            (
                "{3: z, yes: q, 1.50: r}",
                r#"{"1.5":"r","3":"z","true":"q"}"#,
            ),
            (
                "{b: &b {x: 1, z: 2}, c: {<<: *b, z: 3}}",
                r#"{"b":{"x":1,"z":2},"c":{"x":1,"z":3}}"#,
            ),
            (
                "{y: 0, <<: [{a: 1}, {a: 2, b: 3}]}",
                r#"{"a":1,"b":3,"true":0}"#,
            ),
        ] {
            assert_eq!(json(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        assert_eq!(json(".inf").unwrap_err(), "json: unsupported value: .inf");
        assert_eq!(json("{<<: 5}").unwrap_err(), NOTHING_TO_MERGE);
        assert!(
            json("{[a]: b}")
                .unwrap_err()
                .contains("invalid map key on line 1")
        );
        assert!(json("{~: b}").unwrap_err().contains("null"));
    }

    #[test]
    fn numbers_become_the_texts_that_go_makes_of_them() {
        for (value, text) in [
            (1.1, "1.1"),
            (1.0, "1"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (-1_234_567.0, "-1.234567e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(plain(&Value::from(value)).as_deref(), Some(text));
        }
    }
}
