//! The body of a transaction (contract `state.md` 3.2, 3.5).
//!
//! The reference reads it in two steps, and so do we, because clients see it in the errors: first
//! the list with any values as requests, then each request by the names of Go's fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use outrider_core::go_json::{Decoder, Error, Kind, Raw, fold};
use outrider_state::{Delete, Metadata, Operation, Options, Set};

use super::{bodies, go_print};

/// An operation that was asked for, not yet looked into.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub operation: String,
    /// None if it is absent or `null`.
    pub request: Option<Raw<'a>>,
}

/// Reads the list of operations. Metadata of the whole transaction has no effect on any store here;
/// it is read for the sake of its type.
pub(super) fn read(body: &[u8]) -> Result<Vec<Wanted<'_>>, Error> {
    let mut wanted = Vec::new();
    let mut decoder = Decoder::try_new(body)?;
    if decoder.enter(Kind::Object, "Go value", "http.stateTransactionRequestBody") {
        while decoder.more() {
            match &*fold(&decoder.name()) {
                "operations" => wanted = operations(&mut decoder),
                "metadata" => {
                    let place = "Go struct field stateTransactionRequestBody.metadata";
                    decoder.strings(place, &mut BTreeMap::new());
                }
                _ => decoder.skip(),
            }
        }
    }
    decoder.finish()?;
    Ok(wanted)
}

const OPERATIONS: &str = "Go struct field stateTransactionRequestBody.operations";

fn operations<'a>(decoder: &mut Decoder<'a>) -> Vec<Wanted<'a>> {
    let mut wanted = Vec::new();
    let list = "[]http.stateTransactionRequestBodyOperation";
    if decoder.enter(Kind::Array, OPERATIONS, list) {
        while decoder.more() {
            wanted.push(operation(decoder));
        }
    }
    wanted
}

fn operation<'a>(decoder: &mut Decoder<'a>) -> Wanted<'a> {
    let mut wanted = Wanted::default();
    let one = "http.stateTransactionRequestBodyOperation";
    if !decoder.enter(Kind::Object, OPERATIONS, one) {
        return wanted;
    }
    while decoder.more() {
        match &*fold(&decoder.name()) {
            "operation" => {
                let place =
                    "Go struct field stateTransactionRequestBodyOperation.operations.operation";
                if let Some(operation) = decoder.string(place) {
                    wanted.operation = operation.into_owned();
                }
            }
            "request" => {
                let place =
                    "Go struct field stateTransactionRequestBodyOperation.operations.request";
                let request = decoder.any(place);
                wanted.request = Some(request).filter(|request| request.kind() != Kind::Null);
            }
            _ => decoder.skip(),
        }
    }
    wanted
}

impl Wanted<'_> {
    /// The operation with the client's key; none if there is no such operation.
    ///
    /// # Errors
    /// What is wrong with the request, in the words of the reference's decoder.
    pub(super) fn operation(&self, body: &Bytes) -> Option<Result<Operation, String>> {
        match &*self.operation {
            "upsert" => Some(self.request(body).map(Operation::Set)),
            "delete" => Some(self.request(body).map(|set| {
                Operation::Delete(Delete {
                    key: set.key,
                    etag: set.etag,
                    metadata: set.metadata,
                    options: set.options,
                })
            })),
            _ => None,
        }
    }

    fn request(&self, body: &Bytes) -> Result<Set, String> {
        let mut set = bodies::empty_set();
        let Some(request) = self.request else {
            return Ok(set);
        };
        if request.kind() != Kind::Object {
            return Err(no_map("", request));
        }
        let names = ["Key", "Value", "ETag", "Metadata", "Options", "ContentType"];
        let [key, value, etag, metadata, options, content_type] = members(request, names);
        let mut errors = Errors::default();
        set.key = errors.string("Key", key).unwrap_or_default();
        set.etag = errors.string("ETag", etag).filter(|etag| !etag.is_empty());
        set.metadata = errors.strings("Metadata", metadata);
        set.options = errors.options(options);
        if self.operation == "upsert" {
            errors.string("ContentType", content_type);
            if let Some(value) = value {
                set.value = bodies::value(value, body);
            }
        }
        errors.finish()?;
        Ok(set)
    }
}

/// The members of an object that have these names. One that is spelled as Go's field is found
/// first, then one that differs only in case; of two alike the last counts.
fn members<'a, const N: usize>(object: Raw<'a>, names: [&str; N]) -> [Option<Raw<'a>>; N] {
    let mut found: [Option<(bool, Raw<'a>)>; N] = [None; N];
    let mut reader = object.reader();
    reader.enter();
    while reader.more() {
        let name = reader.name();
        let value = reader.value();
        let Some(at) = names.iter().position(|known| fold(known) == fold(&name)) else {
            continue;
        };
        let is_exact = names[at] == name;
        if is_exact || !found[at].is_some_and(|(was_exact, _)| was_exact) {
            found[at] = Some((is_exact, value));
        }
    }
    found.map(|found| found.map(|(_, value)| value))
}

fn no_map(place: &str, found: Raw<'_>) -> String {
    let kind = go_print::type_kind(found.kind());
    format!("'{place}' expected a map, got '{kind}'")
}

/// What is wrong with the members of a request.
#[derive(Default)]
struct Errors(Vec<String>);

impl Errors {
    fn finish(mut self) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort();
        let mut text = format!("{} error(s) decoding:\n", self.0.len());
        for error in &self.0 {
            text.push_str("\n* ");
            text.push_str(error);
        }
        Err(text)
    }

    fn string(&mut self, place: &str, raw: Option<Raw<'_>>) -> Option<String> {
        let raw = raw?;
        match raw.kind() {
            Kind::Null => {}
            Kind::String => return Some(raw.reader().string().into_owned()),
            other => {
                let (found, value) = (go_print::type_name(other), go_print::print(raw));
                self.0.push(format!(
                    "'{place}' expected type 'string', got unconvertible type '{found}', value: \
                     '{value}'"
                ));
            }
        }
        None
    }

    /// The object under a name; none if there is none, or it is another value.
    fn object<'a>(&mut self, place: &str, raw: Option<Raw<'a>>) -> Option<Raw<'a>> {
        let raw = raw?;
        match raw.kind() {
            Kind::Null => None,
            Kind::Object => Some(raw),
            _ => {
                self.0.push(no_map(place, raw));
                None
            }
        }
    }

    fn strings(&mut self, place: &str, raw: Option<Raw<'_>>) -> Metadata {
        let Some(object) = self.object(place, raw) else {
            return Metadata::new();
        };
        let mut members = BTreeMap::new();
        let mut reader = object.reader();
        reader.enter();
        while reader.more() {
            members.insert(reader.name().into_owned(), reader.value());
        }
        let mut read = |(name, value)| {
            let place = format!("{place}[{name}]");
            (name, self.string(&place, Some(value)).unwrap_or_default())
        };
        members.into_iter().map(&mut read).collect()
    }

    fn options(&mut self, raw: Option<Raw<'_>>) -> Options {
        let Some(object) = self.object("Options", raw) else {
            return Options::default();
        };
        let [concurrency, consistency] = members(object, ["Concurrency", "Consistency"]);
        let mut word = |place, raw| self.string(place, raw).unwrap_or_default();
        Options {
            concurrency: word("Options.Concurrency", concurrency),
            consistency: word("Options.Consistency", consistency),
        }
    }
}

#[cfg(test)]
mod tests {
    use outrider_state::Value;

    use super::*;

    fn operations(body: &str) -> Vec<Option<Result<Operation, String>>> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let wanted = read(&body).unwrap();
        wanted
            .iter()
            .map(|wanted| wanted.operation(&body))
            .collect()
    }

    fn only(request: &str) -> Result<Operation, String> {
        let body = format!(r#"{{"operations":[{{"operation":"upsert","request":{request}}}]}}"#);
        operations(&body).remove(0).unwrap()
    }

    #[test]
    fn operations_are_read_with_all_their_members() {
        let body = r#"{"Operations":[
            {"operation":"upsert","request":{"KEY":"a","value":[1, 2],"eTag":"7","metadata":{"m":"n","o":null},
             "options":{"concurrency":"first-write"},"contentType":"x","y":5}},
            {"operation":"delete","request":{"key":"b","etag":"","value":1,"contentType":5}},
            {"operation":"upsert"}, {"operation":"UPSERT"}, {}],"metadata":{"a":"b"}}"#;
        let operations = operations(body);
        let set = Set {
            key: "a".into(),
            value: Value::Json(Bytes::from_static(b"[1,2]")),
            etag: Some("7".into()),
            metadata: [("m".into(), "n".into()), ("o".into(), "".into())].into(),
            options: Options {
                concurrency: "first-write".into(),
                consistency: "".into(),
            },
        };
        let delete = Delete {
            key: "b".into(),
            ..Delete::default()
        };
        let expected = [
            Some(Ok(Operation::Set(set))),
            Some(Ok(Operation::Delete(delete))),
            Some(Ok(Operation::Set(bodies::empty_set()))),
            None,
            None,
        ];
        assert_eq!(operations, expected);
    }

    #[test]
    fn gos_own_spelling_is_found_first() {
        for (request, key) in [
            (r#"{"key":"a","key":"b"}"#, "b"),
            (r#"{"Key":"a","key":"b"}"#, "a"),
            (r#"{"key":"a","Key":"b"}"#, "b"),
            (r#"{"key":"a","KEY":null}"#, ""),
        ] {
            let Ok(Operation::Set(set)) = only(request) else {
                panic!("{request}");
            };
            assert_eq!(set.key, key, "{request}");
        }
    }

    #[test]
    fn wrong_types_are_told_in_the_references_words() {
        let one = |text: &str| format!("1 error(s) decoding:\n\n* {text}");
        for (request, expected) in [
            ("[]", "'' expected a map, got 'slice'".to_owned()),
            ("5", "'' expected a map, got 'float64'".to_owned()),
            ("\"x\"", "'' expected a map, got 'string'".to_owned()),
            (r#"{"metadata":"x"}"#, one("'Metadata' expected a map, got 'string'")),
            (
                r#"{"metadata":{"":5}}"#,
                one("'Metadata[]' expected type 'string', got unconvertible type 'float64', value: '5'"),
            ),
            (
                r#"{"key":["K"],"ETAG":2,"options":{"consistency":true}}"#,
                "3 error(s) decoding:\n\n\
                 * 'ETag' expected type 'string', got unconvertible type 'float64', value: '2'\n\
                 * 'Key' expected type 'string', got unconvertible type '[]interface {}', value: '[K]'\n\
                 * 'Options.Consistency' expected type 'string', got unconvertible type 'bool', value: 'true'"
                    .to_owned(),
            ),
        ] {
            assert_eq!(only(request), Err(expected), "{request}");
        }
    }

    #[test]
    fn the_outer_form_is_checked_first() {
        for (body, expected) in [
            (
                "[]",
                "array into Go value of type http.stateTransactionRequestBody",
            ),
            (
                r#"{"operations":5}"#,
                "number into Go struct field stateTransactionRequestBody.operations of type \
                 []http.stateTransactionRequestBodyOperation",
            ),
            (
                r#"{"operations":[{"operation":5}]}"#,
                "number into Go struct field stateTransactionRequestBodyOperation.operations.operation \
                 of type string",
            ),
            (
                r#"{"operations":[{"operation":"x","request":{"zzz":1e400}}]}"#,
                "number 1e400 into Go struct field \
                 stateTransactionRequestBodyOperation.operations.request of type float64",
            ),
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("json: cannot unmarshal {expected}"));
        }
        assert!(read(b"null").unwrap().is_empty());
        assert!(read(br#"{"operations":null}"#).unwrap().is_empty());
    }
}
