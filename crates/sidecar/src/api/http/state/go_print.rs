//! Values as Go's `%v` prints what its JSON decoder makes of them. Only errors show them.

use std::collections::BTreeMap;

use outrider_core::go_json::{Kind, Raw};

/// Arrays and objects inside one another that are shown; deeper ones are `…`.
const DEPTH_SHOWN: usize = 32;

/// The name of the type that Go decodes such a value into.
pub(super) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "<nil>",
        Kind::Bool => "bool",
        Kind::Number => "float64",
        Kind::String => "string",
        Kind::Array => "[]interface {}",
        Kind::Object => "map[string]interface {}",
    }
}

/// What kind of type that is.
pub(super) fn type_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Array => "slice",
        Kind::Object => "map",
        other => type_name(other),
    }
}

/// The value in print.
pub(super) fn print(raw: Raw<'_>) -> String {
    let mut out = String::new();
    push(&mut out, raw, DEPTH_SHOWN);
    out
}

fn push(out: &mut String, raw: Raw<'_>, depth: usize) {
    let mut reader = raw.reader();
    match raw.kind() {
        Kind::Null => out.push_str("<nil>"),
        Kind::Bool => out.push_str(&String::from_utf8_lossy(raw.text())),
        Kind::Number => push_number(out, raw.text()),
        Kind::String => out.push_str(&reader.string()),
        Kind::Array | Kind::Object if depth == 0 => out.push('…'),
        Kind::Array => {
            reader.enter();
            out.push('[');
            let mut separator = "";
            while reader.more() {
                out.push_str(separator);
                push(out, reader.value(), depth - 1);
                separator = " ";
            }
            out.push(']');
        }
        Kind::Object => {
            reader.enter();
            let mut members = BTreeMap::new();
            while reader.more() {
                members.insert(reader.name(), reader.value());
            }
            out.push_str("map[");
            let mut separator = "";
            for (name, value) in members {
                out.push_str(separator);
                out.push_str(&name);
                out.push(':');
                push(out, value, depth - 1);
                separator = " ";
            }
            out.push(']');
        }
    }
}

/// The shortest digits, with an exponent of two digits at least where Go's `%g` uses one.
fn push_number(out: &mut String, text: &[u8]) {
    let number: f64 = str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..21).contains(&exponent) && (exponent < 6 || number == 0.0) {
        out.push_str(&number.to_string());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{digits}e{sign}{:02}", exponent.abs()));
    }
}

#[cfg(test)]
mod tests {
    use outrider_core::go_json::Reader;

    use super::*;

    #[test]
    fn values_are_printed_as_go_prints_them() {
        for (text, expected) in [
            ("null", "<nil>"),
            ("true", "true"),
            ("\"a b\"", "a b"),
            ("2", "2"),
            ("-0.5", "-0.5"),
            ("100000", "100000"),
            ("1000000", "1e+06"),
            ("12345678901", "1.2345678901e+10"),
            ("1.50e-7", "1.5e-07"),
            ("1e100", "1e+100"),
            ("[]", "[]"),
            (
                r#"[1,"x",null,{"q":1.5e30,"a":false}]"#,
                "[1 x <nil> map[a:false q:1.5e+30]]",
            ),
        ] {
            let raw = Reader::try_new(text.as_bytes()).unwrap().value();
            assert_eq!(print(raw), expected);
        }
        let deep = "[".repeat(9_000) + &"]".repeat(9_000);
        let raw = Reader::try_new(deep.as_bytes()).unwrap().value();
        assert_eq!(print(raw), "[".repeat(32) + "…" + &"]".repeat(32));
    }
}
