//! Messages from JSON and to JSON, by the JSON mapping of protobuf.

use outrider_core::quote::quote;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde_json::{Deserializer, Serializer, Value};

use crate::suggest;

/// The message that the JSON describes; nothing at all is an empty one. The error names the field.
pub(crate) fn read(kind: &MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, String> {
    if text.trim_ascii().is_empty() {
        return Ok(DynamicMessage::new(kind.clone()));
    }
    let mut input = Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(kind.clone(), &mut input, &options);
    let error = match read.and_then(|message| input.end().map(|()| message)) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => return Err(format!("the data is no JSON: {error}")),
    };
    let blamed = blame(kind, &value, "");
    Err(blamed.unwrap_or_else(|| format!("the data is no {}: {error}", kind.full_name())))
}

/// As people read it, with a line end.
pub(crate) fn pretty(message: &DynamicMessage) -> Result<String, String> {
    let mut out = Vec::new();
    written(message, &mut Serializer::pretty(&mut out))?;
    out.push(b'\n');
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// On one line.
pub(crate) fn compact(message: &DynamicMessage) -> Result<String, String> {
    let mut out = Vec::new();
    written(message, &mut Serializer::new(&mut out))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn written<F: serde_json::ser::Formatter>(
    message: &DynamicMessage,
    to: &mut Serializer<&mut Vec<u8>, F>,
) -> Result<(), String> {
    let done = message.serialize_with_options(to, &SerializeOptions::new());
    done.map_err(|error| error.to_string())
}

/// The innermost field that does not fit, in words.
fn blame(kind: &MessageDescriptor, value: &Value, path: &str) -> Option<String> {
    if is_well_known(kind) {
        return None;
    }
    let Value::Object(members) = value else {
        let at = at(path);
        return Some(format!(
            "{} is a JSON object, not {value}{at}",
            kind.full_name()
        ));
    };
    for (name, value) in members {
        let Some(field) = field(kind, name) else {
            return Some(unknown(kind, name, path));
        };
        let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        let read = DynamicMessage::deserialize(kind.clone(), &alone);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let strict = DynamicMessage::deserialize_with_options(kind.clone(), &alone, &options);
        if read.is_ok() && strict.is_ok() {
            continue;
        }
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let inner = inside(&field, value, &path);
        return Some(inner.unwrap_or_else(|| wrong(&field, value, &path)));
    }
    None
}

/// The same below a field.
fn inside(field: &FieldDescriptor, value: &Value, path: &str) -> Option<String> {
    let kind = field.kind();
    let kind = kind.as_message()?;
    match value {
        Value::Array(items) if field.is_list() => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| blame(kind, item, &format!("{path}[{at}]")))
        }
        Value::Object(members) if field.is_map() => {
            let kind = kind.map_entry_value_field().kind();
            let kind = kind.as_message()?;
            let mut members = members.iter();
            members.find_map(|(key, item)| blame(kind, item, &format!("{path}.{key}")))
        }
        Value::Object(_) if !field.is_list() => blame(kind, value, path),
        _ => None,
    }
}

fn unknown(kind: &MessageDescriptor, name: &str, path: &str) -> String {
    let names: Vec<String> = kind.fields().map(|it| it.json_name().to_owned()).collect();
    let hint = match suggest::nearest(name, &names) {
        Some(meant) => format!("did you mean {meant}? It"),
        None => "it".to_owned(),
    };
    let fields = match names.is_empty() {
        true => "none".to_owned(),
        false => some_of(&names),
    };
    let (kind, name, at) = (kind.full_name(), quote(name), at(path));
    format!("{kind} has no field {name}{at}; {hint} has {fields}")
}

fn wrong(field: &FieldDescriptor, value: &Value, path: &str) -> String {
    let one = match field.kind() {
        Kind::Message(kind) if field.is_map() => {
            format!(
                "an object of {} values",
                word(&kind.map_entry_value_field())
            )
        }
        _ if field.is_list() => format!("a list of {}", word(field)),
        _ => word(field),
    };
    let shown: String = value.to_string().chars().take(SHOWN).collect();
    format!("the field {path} is {one}, which {shown} is not")
}

/// The type of one value, as it stands in a `.proto` file.
fn word(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(kind) => kind.full_name().to_owned(),
        Kind::Enum(kind) => {
            let names: Vec<String> = kind.values().map(|it| it.name().to_owned()).collect();
            format!("{} ({})", kind.full_name(), some_of(&names))
        }
        Kind::Bytes => "bytes (base64)".to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn field(kind: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_json_name(name)
        .or_else(|| kind.get_field_by_name(name))
}

/// These have a JSON form of their own.
fn is_well_known(kind: &MessageDescriptor) -> bool {
    kind.package_name() == "google.protobuf"
}

fn some_of(names: &[String]) -> String {
    let first = names.len().min(LISTED);
    let rest = match names.len() - first {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names[..first].join(", ") + &rest
}

fn at(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!(" (in {path})"),
    }
}

const LISTED: usize = 30;
/// Of a wrong value.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::super::testing::catalogue;
    use super::*;

    fn order() -> MessageDescriptor {
        catalogue().message("shop.v1.Order").unwrap()
    }

    fn slip(text: &str) -> String {
        read(&order(), text.as_bytes()).unwrap_err()
    }

    #[test]
    fn json_becomes_a_message_and_comes_back() {
        let text = r#"{"id":"7","total":"12","items":[{"name":"bread","qty":2}],"state":"PAID",
            "placed_at":"2024-01-02T03:04:05Z","notes":{"a":{"name":"x"}}}"#;
        let message = read(&order(), text.as_bytes()).unwrap();
        let back = compact(&message).unwrap();
        let expected = r#"{"id":"7","total":"12","items":[{"name":"bread","qty":2}],"state":"PAID","placedAt":"2024-01-02T03:04:05Z","notes":{"a":{"name":"x"}}}"#;
        assert_eq!(back, expected);
        assert_eq!(compact(&read(&order(), b" \n").unwrap()).unwrap(), "{}");
        let one = read(&order(), br#"{"id":"7"}"#).unwrap();
        assert_eq!(pretty(&one).unwrap(), "{\n  \"id\": \"7\"\n}\n");
    }

    #[test]
    fn unknown_fields_are_named_with_those_there_are() {
        let fields = "id, total, items, state, placedAt, notes";
        assert_eq!(
            slip(r#"{"idd":"7"}"#),
            format!("shop.v1.Order has no field \"idd\"; it has {fields}")
        );
        assert_eq!(
            slip(r#"{"totl":7}"#),
            format!("shop.v1.Order has no field \"totl\"; did you mean total? It has {fields}")
        );
        assert_eq!(
            slip(r#"{"id":"7","items":[{"qty":1},{"count":1}]}"#),
            "shop.v1.Item has no field \"count\" (in items[1]); it has name, qty"
        );
        assert_eq!(
            slip(r#"{"notes":{"a":{"nam":"x"}}}"#),
            "shop.v1.Item has no field \"nam\" (in notes.a); did you mean name? It has name, qty"
        );
    }

    #[test]
    fn values_that_do_not_fit_are_named_with_their_type() {
        for (text, told) in [
            (
                r#"{"total":"x"}"#,
                "the field total is int64, which \"x\" is not",
            ),
            (
                r#"{"items":[{"qty":1.5}]}"#,
                "the field items[0].qty is int32, which 1.5 is not",
            ),
            (
                r#"{"state":"LOST"}"#,
                "the field state is shop.v1.State (NEW, PAID), which \"LOST\" is not",
            ),
            (
                r#"{"items":{}}"#,
                "the field items is a list of shop.v1.Item, which {} is not",
            ),
            (
                r#"{"placedAt":"now"}"#,
                "the field placedAt is google.protobuf.Timestamp, which \"now\" is not",
            ),
            (
                r#"{"notes":7}"#,
                "the field notes is an object of shop.v1.Item values, which 7 is not",
            ),
            ("[1]", "shop.v1.Order is a JSON object, not [1]"),
        ] {
            assert_eq!(slip(text), told);
        }
    }

    #[test]
    fn what_is_no_json_is_told_as_such() {
        let told = slip("{'id': 7}");
        assert!(told.starts_with("the data is no JSON: "), "{told}");
        assert!(slip("{} {}").starts_with("the data is no JSON: "));
        assert!(slip(&"[".repeat(100_000)).starts_with("the data is no JSON: "));
    }
}
