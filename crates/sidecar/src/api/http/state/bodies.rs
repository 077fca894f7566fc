//! The bodies of save and bulk requests (contract `state.md` 3.2).

use bytes::Bytes;
use outrider_core::go_json::{Decoder, Error, Kind, Raw, fold};
use outrider_state::{Metadata, Options, Set, Value};

/// What a bulk request asks for. How many may be read at a time has no meaning here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bulk {
    pub keys: Vec<String>,
    pub metadata: Metadata,
}

/// Reads the items of a save request. Keys are those of the client, and may be empty.
pub(super) fn sets(body: &Bytes) -> Result<Vec<Set>, Error> {
    let mut sets = Vec::new();
    let mut decoder = Decoder::try_new(body)?;
    if decoder.enter(Kind::Array, "Go value", "[]state.SetRequest") {
        while decoder.more() {
            sets.push(set(&mut decoder, body));
        }
    }
    decoder.finish()?;
    Ok(sets)
}

fn set(decoder: &mut Decoder<'_>, body: &Bytes) -> Set {
    let mut set = empty_set();
    if !decoder.enter(Kind::Object, "Go value", "state.SetRequest") {
        return set;
    }
    while decoder.more() {
        match &*fold(&decoder.name()) {
            "key" => {
                if let Some(key) = decoder.string("Go struct field SetRequest.key") {
                    set.key = key.into_owned();
                }
            }
            "value" => {
                let raw = decoder.any("Go struct field SetRequest.value");
                set.value = value(raw, body);
            }
            "etag" => {
                let etag = decoder.string("Go struct field SetRequest.etag");
                set.etag = etag.map(|etag| etag.into_owned());
            }
            "metadata" => {
                decoder.strings("Go struct field SetRequest.metadata", &mut set.metadata);
            }
            "options" => options(decoder, &mut set.options),
            // Read for the sake of its type; nobody uses it.
            "contenttype" => drop(decoder.string("Go struct field SetRequest.contentType")),
            _ => decoder.skip(),
        }
    }
    set.etag = set.etag.filter(|etag| !etag.is_empty());
    set
}

fn options(decoder: &mut Decoder<'_>, options: &mut Options) {
    let place = "Go struct field SetRequest.options";
    if !decoder.enter(Kind::Object, place, "state.SetStateOption") {
        return;
    }
    while decoder.more() {
        let (into, place) = match &*fold(&decoder.name()) {
            "concurrency" => (
                &mut options.concurrency,
                "Go struct field SetStateOption.options.Concurrency",
            ),
            "consistency" => (
                &mut options.consistency,
                "Go struct field SetStateOption.options.Consistency",
            ),
            _ => {
                decoder.skip();
                continue;
            }
        };
        if let Some(word) = decoder.string(place) {
            *into = word.into_owned();
        }
    }
}

/// An item that says nothing: `null` under no key.
pub(super) fn empty_set() -> Set {
    Set {
        key: String::new(),
        value: Value::Json(Bytes::from_static(b"null")),
        etag: None,
        metadata: Metadata::new(),
        options: Options::default(),
    }
}

/// A value as it is kept: a part of the body if that is most of the body, else a copy, so that
/// small values don't keep large bodies.
pub(super) fn value(raw: Raw<'_>, body: &Bytes) -> Value {
    let text = raw.compact();
    Value::Json(match text {
        std::borrow::Cow::Borrowed(text) if text.len() > body.len() / 2 => body.slice_ref(text),
        std::borrow::Cow::Borrowed(text) => Bytes::copy_from_slice(text),
        std::borrow::Cow::Owned(text) => text.into(),
    })
}

/// Reads a bulk request.
pub(super) fn bulk(body: &[u8]) -> Result<Bulk, Error> {
    let mut bulk = Bulk::default();
    let mut decoder = Decoder::try_new(body)?;
    if decoder.enter(Kind::Object, "Go value", "http.BulkGetRequest") {
        while decoder.more() {
            match &*fold(&decoder.name()) {
                "keys" => keys(&mut decoder, &mut bulk.keys),
                "metadata" => {
                    let place = "Go struct field BulkGetRequest.metadata";
                    decoder.strings(place, &mut bulk.metadata);
                }
                "parallelism" => {
                    decoder.integer("Go struct field BulkGetRequest.parallelism");
                }
                _ => decoder.skip(),
            }
        }
    }
    decoder.finish()?;
    Ok(bulk)
}

fn keys(decoder: &mut Decoder<'_>, keys: &mut Vec<String>) {
    let place = "Go struct field BulkGetRequest.keys";
    keys.clear();
    if decoder.enter(Kind::Array, place, "[]string") {
        while decoder.more() {
            keys.push(decoder.string(place).unwrap_or_default().into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Set>, String> {
        sets(&Bytes::copy_from_slice(body.as_bytes())).map_err(|error| error.to_string())
    }

    #[test]
    fn items_are_read_with_all_their_members() {
        let body = r#" [{"\u212aEY":"k", "value": {"b": 1.50} ,"ETag":"7","metadata":{"a":"b","c":null},
            "options":{"Concurrency":"first-write","consistency":"strong"},"contentType":"x","y":[{}]},
            {"key":"l","etag":"","options":null}, null] trailing"#;
        let sets = read(body).unwrap();
        assert_eq!(sets.len(), 3);
        assert_eq!(sets[0].key, "k");
        assert_eq!(
            sets[0].value,
            Value::Json(Bytes::from_static(b"{\"b\":1.50}"))
        );
        assert_eq!(sets[0].etag.as_deref(), Some("7"));
        assert_eq!(sets[0].metadata["a"], "b");
        assert_eq!(sets[0].metadata["c"], "");
        assert_eq!(sets[0].options.concurrency, "first-write");
        assert_eq!(sets[0].options.consistency, "strong");
        let expected = Set {
            key: "l".into(),
            ..empty_set()
        };
        assert_eq!(sets[1..], [expected, empty_set()]);
    }

    #[test]
    fn the_last_of_repeated_members_counts() {
        let sets = read(
            r#"[{"key":"a","KEY":"b","key":null,"value":1,"VALUE":2,"etag":"1","etag":null}]"#,
        );
        let sets = sets.unwrap();
        assert_eq!(sets[0].key, "b");
        assert_eq!(sets[0].value, Value::Json(Bytes::from_static(b"2")));
        assert_eq!(sets[0].etag, None);
    }

    #[test]
    fn nothing_is_no_error() {
        assert_eq!(read("null"), Ok(vec![]));
        assert_eq!(read("[]"), Ok(vec![]));
        assert_eq!(bulk(b"null"), Ok(Bulk::default()));
        let found =
            bulk(br#"{"keys":["x"],"Keys":["a",null],"parallelism":-1,"metadata":{"m":"n"}}"#);
        let found = found.unwrap();
        assert_eq!(found.keys, ["a", ""]);
        assert_eq!(found.metadata["m"], "n");
    }

    #[test]
    fn wrong_types_are_told_in_gos_words() {
        for (body, expected) in [
            ("{}", "object into Go value of type []state.SetRequest"),
            ("[5]", "number into Go value of type state.SetRequest"),
            (
                r#"[{"etag":5}]"#,
                "number into Go struct field SetRequest.etag of type string",
            ),
            (
                r#"[{"options":[]}]"#,
                "array into Go struct field SetRequest.options of type state.SetStateOption",
            ),
            (
                r#"[{"options":{"CONCURRENCY":1}}]"#,
                "number into Go struct field SetStateOption.options.Concurrency of type string",
            ),
            (
                r#"[{"value":[1e400]}]"#,
                "number 1e400 into Go struct field SetRequest.value of type float64",
            ),
        ] {
            let error = read(body).unwrap_err();
            assert_eq!(error, format!("json: cannot unmarshal {expected}"));
        }
        let error = bulk(br#"{"keys":{}}"#).unwrap_err().to_string();
        let expected = "json: cannot unmarshal object into Go struct field BulkGetRequest.keys of \
                        type []string";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_small_value_does_not_keep_a_large_body() {
        let large = format!(
            r#"[{{"key":"a","value":"{}"}},{{"key":"b","value":1}}]"#,
            "x".repeat(999)
        );
        let body = Bytes::from(large);
        let sets = sets(&body).unwrap();
        let within = |value: &Value| body.as_ptr_range().contains(&value.bytes().as_ptr());
        assert!(within(&sets[0].value));
        assert!(!within(&sets[1].value));
    }
}
