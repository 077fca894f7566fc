use std::collections::BTreeMap;

use super::*;

fn syntax(text: &[u8]) -> String {
    match Reader::try_new(text) {
        Ok(_) => "fine".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_json_is_told_in_gos_words() {
    let table: [(&[u8], &str); 42] = [
        (b"", "EOF"),
        (b" \r\n\t", "EOF"),
        (b"1", "fine"),
        (b"1x", "fine"),
        (b"{} ]", "fine"),
        (b"-", "unexpected EOF"),
        (b"tru", "unexpected EOF"),
        (b"[", "unexpected EOF"),
        (b"[1", "unexpected EOF"),
        (b"{\"a\"", "unexpected EOF"),
        (b"\"a", "unexpected EOF"),
        (b"\"\\", "unexpected EOF"),
        (b"\"\\u00", "unexpected EOF"),
        (b"1.", "unexpected EOF"),
        (b"]", "invalid character ']' looking for beginning of value"),
        (
            b"[1,]",
            "invalid character ']' looking for beginning of value",
        ),
        (
            b"[\xef\xbb\xbf",
            "invalid character 'ï' looking for beginning of value",
        ),
        (
            b"['",
            r"invalid character '\'' looking for beginning of value",
        ),
        (b"[1}", "invalid character '}' after array element"),
        (b"[01]", "invalid character '1' after array element"),
        (b"[1 2", "invalid character '2' after array element"),
        (
            b"{1",
            "invalid character '1' looking for beginning of object key string",
        ),
        (
            b"{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string",
        ),
        (
            b"{,",
            "invalid character ',' looking for beginning of object key string",
        ),
        (b"{\"a\" \"b\"", "invalid character '\"' after object key"),
        (
            b"{\"a\":1 \"b\"",
            "invalid character '\"' after object key:value pair",
        ),
        (
            b"{\"a\":1]",
            "invalid character ']' after object key:value pair",
        ),
        (b"[-x", "invalid character 'x' in numeric literal"),
        (
            b"[1.]",
            "invalid character ']' after decimal point in numeric literal",
        ),
        (
            b"[1ex",
            "invalid character 'x' in exponent of numeric literal",
        ),
        (
            b"[1e+x",
            "invalid character 'x' in exponent of numeric literal",
        ),
        (
            b"[trux",
            "invalid character 'x' in literal true (expecting 'e')",
        ),
        (
            b"[fAlse",
            "invalid character 'A' in literal false (expecting 'a')",
        ),
        (
            b"[nulx",
            "invalid character 'x' in literal null (expecting 'l')",
        ),
        (b"[\"\\x", "invalid character 'x' in string escape code"),
        (
            b"[\"\\u12g4",
            "invalid character 'g' in \\u hexadecimal character escape",
        ),
        (b"[\"\x01", r"invalid character '\x01' in string literal"),
        (b"[\"\n", r"invalid character '\n' in string literal"),
        (
            b"[\x7f",
            r"invalid character '\x7f' looking for beginning of value",
        ),
        (b"[-0,0,-1.5e-9,1E3, true , false,null,{ } ,[ ]]", "fine"),
        (b"{\"a\": {\"b\" : [ {} , {\"c\":\"\\\"\"} ] } }", "fine"),
        (b"\"\xff\"", "fine"),
    ];
    for (text, expected) in table {
        assert_eq!(
            syntax(text),
            expected,
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn depth_has_a_limit_and_costs_no_stack() {
    let nested = |n| [b"[".repeat(n), b"]".repeat(n)].concat();
    assert_eq!(syntax(&nested(10_000)), "fine");
    assert_eq!(
        syntax(&nested(10_001)),
        "invalid character '[' exceeded max depth"
    );
    let text = b"{\"a\":".repeat(10_001);
    assert_eq!(syntax(&text), "invalid character '{' exceeded max depth");
    let deep = nested(10_000);
    let raw = Reader::try_new(&deep).unwrap().value();
    assert_eq!(raw.text().len(), 20_000);
    assert_eq!(raw.compact().len(), 20_000);
}

#[test]
fn a_whole_text_is_one_value() {
    for (text, expected) in [
        ("{} ", Ok(())),
        ("", Err("unexpected end of JSON input")),
        ("[1", Err("unexpected end of JSON input")),
        ("{}x", Err("invalid character 'x' after top-level value")),
        (
            "hello",
            Err("invalid character 'h' looking for beginning of value"),
        ),
    ] {
        assert_eq!(
            check_whole(text.as_bytes()),
            expected.map_err(String::from),
            "{text}"
        );
    }
}

fn compact(text: &[u8]) -> String {
    let raw = Reader::try_new(text).unwrap().value();
    String::from_utf8(raw.compact().into_owned()).unwrap()
}

#[test]
fn a_value_keeps_its_clients_spelling() {
    let table: [(&[u8], &str); 9] = [
        (
            b" { \"b\" : 1.50 ,\r\n\t\"a\":[ 1e3 , -0 ] } ",
            r#"{"b":1.50,"a":[1e3,-0]}"#,
        ),
        (b"12345678901234567890", "12345678901234567890"),
        (b"\" a < b \\\" \\\\\" ", r#"" a < b \" \\""#),
        (
            b"[\"\\ud83d\\ude00\", \"\\u00e9\"]",
            r#"["\ud83d\ude00","\u00e9"]"#,
        ),
        (b"\"\\ud800\"", r#""\ufffd""#),
        (b"\"\\ude00\\ud83d\\u0041\"", r#""\ufffd\ufffd\u0041""#),
        (b"\"a\xff\xe2\x82b\"", "\"a\u{fffd}\u{fffd}\u{fffd}b\""),
        (b"{\"a\":1,\"a\":2}", r#"{"a":1,"a":2}"#),
        (b"null x", "null"),
    ];
    for (text, expected) in table {
        assert_eq!(compact(text), expected);
    }
    let clean = br#"{"a":[1,"x y"]}"#;
    let raw = Reader::try_new(clean).unwrap().value();
    assert!(matches!(raw.compact(), Cow::Borrowed(_)));
}

#[test]
fn what_html_or_javascript_would_mind_is_escaped_on_demand() {
    let mut out = b"x".to_vec();
    let text = "{ \"<a>\" : \"&\u{2028}\u{2029}\u{20ac}\" }";
    push_compact(&mut out, text.as_bytes(), Escape::Html);
    let expected = "x{\"\\u003ca\\u003e\":\"\\u0026\\u2028\\u2029\u{20ac}\"}";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn strings_are_read_as_go_reads_them() {
    let table: [(&[u8], &str); 7] = [
        (b"\"\"", ""),
        (b"\"a\\n\\\"\\/\\b\\f\\r\\t\\\\\"", "a\n\"/\u{8}\u{c}\r\t\\"),
        (b"\"\\u00e9\\u20AC\"", "é€"),
        (b"\"\\ud83d\\ude00\"", "😀"),
        (b"\"\\ud83dx\\ude00\"", "\u{fffd}x\u{fffd}"),
        (b"\"\\ud83d\\u0041\"", "\u{fffd}A"),
        (b"\"a\xff\\n\xc3\"", "a\u{fffd}\n\u{fffd}"),
    ];
    for (text, expected) in table {
        assert_eq!(Reader::try_new(text).unwrap().string(), expected);
    }
}

#[test]
fn names_are_compared_without_case() {
    for (name, folded) in [
        ("key", "key"),
        ("KEY", "key"),
        ("\u{212a}ey", "key"),
        ("metadata", "metadata"),
        ("option\u{17f}", "options"),
        ("É", "É"),
    ] {
        assert_eq!(fold(name), folded);
    }
}

/// Reads `{"s":string,"m":map,"n":int,"v":any}`.
fn decoded(text: &str) -> (Result<(), String>, BTreeMap<String, String>, Option<i64>) {
    let mut decoder = Decoder::try_new(text.as_bytes()).unwrap();
    let (mut map, mut number) = (BTreeMap::new(), None);
    if decoder.enter(Kind::Object, "Go value", "x.T") {
        while decoder.more() {
            match &*fold(&decoder.name()) {
                "s" => drop(decoder.string("Go struct field T.s")),
                "m" => decoder.strings("Go struct field T.m", &mut map),
                "n" => number = decoder.integer("Go struct field T.n"),
                "v" => drop(decoder.any("Go struct field T.v")),
                _ => decoder.skip(),
            }
        }
    }
    (
        decoder.finish().map_err(|error| error.to_string()),
        map,
        number,
    )
}

#[test]
fn the_first_wrong_type_is_told() {
    for (text, expected) in [
        ("[1]", "array into Go value of type x.T"),
        ("5", "number into Go value of type x.T"),
        (
            r#"{"s":5,"m":5}"#,
            "number into Go struct field T.s of type string",
        ),
        (
            r#"{"S":[{"a":[]}]}"#,
            "array into Go struct field T.s of type string",
        ),
        (
            r#"{"m":true}"#,
            "bool into Go struct field T.m of type map[string]string",
        ),
        (
            r#"{"m":{"a":{}}}"#,
            "object into Go struct field T.m of type string",
        ),
        (
            r#"{"n":"1"}"#,
            "string into Go struct field T.n of type int",
        ),
        (
            r#"{"n":1e2}"#,
            "number 1e2 into Go struct field T.n of type int",
        ),
        (
            r#"{"v":[-1e400]}"#,
            "number -1e400 into Go struct field T.v of type float64",
        ),
    ] {
        let error = decoded(text).0.unwrap_err();
        assert_eq!(error, format!("json: cannot unmarshal {expected}"));
    }
    assert_eq!(decoded("null").0, Ok(()));
    assert_eq!(
        decoded(r#"{"x":1e400,"s":null,"m":null,"n":null,"v":null}"#).0,
        Ok(())
    );
}

#[test]
fn a_repeated_map_is_added_to_and_null_empties_it() {
    let map = |text| decoded(text).1.into_iter().collect::<Vec<_>>();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        map(r#"{"m":{"a":"1","b":null},"M":{"a":"2"}}"#),
        [pair("a", "2"), pair("b", "")]
    );
    assert_eq!(
        map(r#"{"m":{"a":"1"},"m":null,"m":{"c":"3"}}"#),
        [pair("c", "3")]
    );
    assert_eq!(decoded(r#"{"n":-7}"#).2, Some(-7));
}

#[test]
fn the_first_special_byte_is_found_wherever_it_stands() {
    let mut noise: Vec<u8> = (0x20..=0xff).filter(|b| !b"\"\\".contains(b)).collect();
    noise.extend_from_slice(b"!#[]\x80\xff\x7f~");
    for length in 0..noise.len() {
        assert_eq!(scan::plain(&noise[..length]), length);
        for special in [0, 0x1f, b'"', b'\\'] {
            for behind in [&b""[..], b"\0\"\\\x1f", b"plain plain"] {
                let text = [&noise[..length], &[special], behind].concat();
                assert_eq!(scan::plain(&text), length, "{special}");
            }
        }
    }
}
