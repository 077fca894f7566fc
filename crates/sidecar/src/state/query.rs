//! Whether a query is one (contract `state.md` 3.5). No store here answers queries; a client whose
//! query can't be read is told that first, in the reference's words.

use std::borrow::Cow;

use outrider_core::{
    go_json::{Decoder, Error, Kind, Raw, check_whole, fold},
    quote::quote,
};

/// Says what is wrong with a query.
pub(super) fn check(text: &[u8]) -> Result<(), String> {
    check_whole(text)?;
    let told = |error: Error| error.to_string();
    let mut decoder = Decoder::try_new(text).map_err(|error| told(error.into()))?;
    let mut filter = Unit::Empty;
    if decoder.enter(Kind::Object, "Go value", "query.QueryFields") {
        while decoder.more() {
            match &*fold(&decoder.name()) {
                "filter" => read_filter(&mut decoder, &mut filter),
                "sort" => read_sort(&mut decoder),
                "page" => read_page(&mut decoder),
                _ => decoder.skip(),
            }
        }
    }
    decoder.finish().map_err(told)?;
    match filter {
        Unit::Empty => Ok(()),
        filter => check_filter(filter),
    }
}

/// An object that is to have one member.
#[derive(Clone, Debug)]
enum Unit<'a> {
    Empty,
    One(Cow<'a, str>, Raw<'a>),
    Several,
}

impl<'a> Unit<'a> {
    fn add(&mut self, name: Cow<'a, str>, value: Raw<'a>) {
        *self = match self {
            Self::Empty => Self::One(name, value),
            // Of equal names the last one counts.
            Self::One(known, _) if *known == name => Self::One(name, value),
            _ => Self::Several,
        };
    }

    /// None if it is no object.
    fn of(value: Raw<'a>) -> Option<Self> {
        if value.kind() != Kind::Object {
            return None;
        }
        let (mut unit, mut reader) = (Self::Empty, value.reader());
        reader.enter();
        while reader.more() {
            let name = reader.name();
            unit.add(name, reader.value());
        }
        Some(unit)
    }
}

/// Members of several filters come together, as in Go.
fn read_filter<'a>(decoder: &mut Decoder<'a>, filter: &mut Unit<'a>) {
    let place = "Go struct field QueryFields.filter";
    if decoder.kind() == Kind::Null {
        *filter = Unit::Empty;
    }
    if decoder.enter(Kind::Object, place, "map[string]interface {}") {
        while decoder.more() {
            let name = decoder.name();
            filter.add(name, decoder.any(place));
        }
    }
}

fn read_sort(decoder: &mut Decoder<'_>) {
    let place = "Go struct field QueryFields.sort";
    if !decoder.enter(Kind::Array, place, "[]query.Sorting") {
        return;
    }
    while decoder.more() {
        if !decoder.enter(Kind::Object, place, "query.Sorting") {
            continue;
        }
        while decoder.more() {
            match &*fold(&decoder.name()) {
                "key" => drop(decoder.string("Go struct field Sorting.sort.key")),
                "order" => drop(decoder.string("Go struct field Sorting.sort.order")),
                _ => decoder.skip(),
            }
        }
    }
}

fn read_page(decoder: &mut Decoder<'_>) {
    let place = "Go struct field QueryFields.page";
    if !decoder.enter(Kind::Object, place, "query.Pagination") {
        return;
    }
    while decoder.more() {
        match &*fold(&decoder.name()) {
            "limit" => drop(decoder.integer("Go struct field Pagination.page.limit")),
            "token" => drop(decoder.string("Go struct field Pagination.page.token")),
            _ => decoder.skip(),
        }
    }
}

/// Filters inside others are looked at down to here: each step reads again what lies below it, and
/// whoever builds towers of them must not keep a lane busy.
const DEPTH_LIMIT: usize = 16;

/// Looks at filters from front to back, those inside others right behind them.
fn check_filter(filter: Unit<'_>) -> Result<(), String> {
    let mut waiting = Vec::new();
    let mut next = Some((0, filter));
    while let Some((depth, unit)) = next {
        let Unit::One(name, value) = unit else {
            return Err("filter unit must have a single element".to_owned());
        };
        match &*name {
            "EQ" | "NEQ" | "GT" | "GTE" | "LT" | "LTE" => {
                pair(&name, value)?;
            }
            "IN" if pair(&name, value)?.kind() != Kind::Array => {
                return Err("IN filter value must be an array".to_owned());
            }
            "IN" => {}
            "AND" | "OR" if depth < DEPTH_LIMIT => {
                let parts = parts(&name, value)?.into_iter().rev();
                waiting.extend(parts.map(|part| (depth + 1, part)));
            }
            "AND" | "OR" => {}
            other => return Err(format!("unsupported filter {}", quote(other))),
        }
        next = match waiting.pop() {
            None => None,
            Some((depth, value)) => {
                let unit = Unit::of(value).ok_or("filter unit must be a map")?;
                Some((depth, unit))
            }
        };
    }
    Ok(())
}

/// The value of a filter that compares a key with it.
fn pair<'a>(name: &str, value: Raw<'a>) -> Result<Raw<'a>, String> {
    match Unit::of(value) {
        None => Err(format!("{name} filter must be a map")),
        Some(Unit::One(_, value)) => Ok(value),
        Some(_) => Err(format!(
            "{name} filter must contain a single key/value pair"
        )),
    }
}

/// The filters inside a filter.
fn parts<'a>(name: &str, value: Raw<'a>) -> Result<Vec<Raw<'a>>, String> {
    if value.kind() != Kind::Array {
        return Err(format!("{name} filter must be an array"));
    }
    let (mut parts, mut reader) = (Vec::new(), value.reader());
    reader.enter();
    while reader.more() {
        parts.push(reader.value());
    }
    if parts.len() < 2 {
        return Err(format!("{name} filter must contain at least two entries"));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_without_being_answered() {
        for text in [
            "{}",
            "null",
            r#"{"filter":{}}"#,
            r#"{"filter":{"XX":1},"filter":null}"#,
            r#"{"filter":{"EQ":{"a":{"b":[]}}},"sort":[null,{"key":"a","order":"UP"}]}"#,
            r#"{"filter":{"AND":[{"IN":{"a":[]}},{"OR":[{"LT":{"a":1}},{"GTE":{"a":1}}]}]}}"#,
            r#"{"Page":{"limit":-1,"token":"x","other":1e400}}"#,
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_query_is_told_in_the_words_of_the_reference() {
        for (text, told) in [
            ("", "unexpected end of JSON input"),
            ("{} x", "invalid character 'x' after top-level value"),
            (
                "[]",
                "json: cannot unmarshal array into Go value of type query.QueryFields",
            ),
            (
                r#"{"sort":[5],"page":5}"#,
                "json: cannot unmarshal number into Go struct field QueryFields.sort of type \
                 query.Sorting",
            ),
            (
                r#"{"page":{"limit":1e2},"filter":{"XX":1}}"#,
                "json: cannot unmarshal number 1e2 into Go struct field Pagination.page.limit of \
                 type int",
            ),
            (
                r#"{"filter":{"EQ":{"a":1e400}}}"#,
                "json: cannot unmarshal number 1e400 into Go struct field QueryFields.filter of \
                 type float64",
            ),
            (r#"{"filter":{"A\"é":1}}"#, r#"unsupported filter "A\"é""#),
            (
                r#"{"filter":{"EQ":{"a":1}},"filter":{"NEQ":{"a":1}}}"#,
                "filter unit must have a single element",
            ),
            (
                r#"{"filter":{"OR":[{},{}]}}"#,
                "filter unit must have a single element",
            ),
            (
                r#"{"filter":{"OR":[null,{}]}}"#,
                "filter unit must be a map",
            ),
            (r#"{"filter":{"AND":{}}}"#, "AND filter must be an array"),
            (
                r#"{"filter":{"AND":[{"XX":1}]}}"#,
                "AND filter must contain at least two entries",
            ),
            (
                r#"{"filter":{"AND":[{"OR":[{"XX":1},{"YY":1}]},{"ZZ":1}]}}"#,
                r#"unsupported filter "XX""#,
            ),
            (r#"{"filter":{"LT":null}}"#, "LT filter must be a map"),
            (
                r#"{"filter":{"EQ":{"a":1,"b":1}}}"#,
                "EQ filter must contain a single key/value pair",
            ),
            (
                r#"{"filter":{"IN":{"a":1}}}"#,
                "IN filter value must be an array",
            ),
        ] {
            assert_eq!(check(text.as_bytes()), Err(told.to_owned()), "{text}");
        }
    }

    #[test]
    fn towers_of_filters_are_looked_at_from_above_only() {
        let tower = |height| {
            let (open, close) = (r#"{"AND":[{"EQ":{"a":1}},"#, "]}");
            let (open, close) = (open.repeat(height), close.repeat(height));
            check(format!("{{\"filter\":{open}{{\"XX\":1}}{close}}}").as_bytes())
        };
        assert_eq!(tower(16).unwrap_err(), r#"unsupported filter "XX""#);
        assert_eq!(tower(4000), Ok(()));
    }
}
