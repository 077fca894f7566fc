//! Contract, configuration 3.1; expected values come from runs of yaml.v3 3.0.1.

use super::decode::{Decode, UnknownKey, decode, decode_fields};
use super::*;
use outrider_core::duration::GoDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Default, PartialEq)]
struct Inner {
    n: i64,
    on: Option<bool>,
    text: String,
    span: Option<GoDuration>,
    list: Vec<i64>,
    parts: Vec<Inner>,
    map: BTreeMap<String, String>,
}

decode_fields!(Inner, "test.Inner", {
    "n" => n, "on" => on, "text" => text, "span" => span,
    "list" => list, "parts" => parts, "map" => map,
});

fn fill<T: Decode>(value: &mut T, text: &str) -> Result<Vec<UnknownKey>, Error> {
    match parse_first(text)? {
        Some(node) => decode(value, &node),
        None => Ok(Vec::new()),
    }
}

fn any(text: &str) -> Value {
    let mut value = Value::Null;
    fill(&mut value, text).expect(text);
    value
}

fn inner(text: &str) -> Inner {
    let mut value = Inner::default();
    fill(&mut value, text).expect(text);
    value
}

fn refused(text: &str) -> String {
    fill(&mut Inner::default(), text)
        .expect_err(text)
        .to_string()
}

#[test]
fn words_and_numbers_mean_what_yaml_v3_says() {
    assert_eq!(
        any(
            "{a: yes, b: 0644, c: 0o17, d: 1_000, e: 0x1F, f: .5, h: 1e3, i: 2001-01-01, j: ~, \
             k: \"x\", l: +1, m: -0b11, o: True, p: Null, q: 1., r: 9223372036854775808, t: 0b11, \
             u: \"1\", v: 08, x: '', y: +.5e-1}"
        ),
        json!({
            "a": "yes", "b": 420, "c": 15, "d": 1000, "e": 31, "f": 0.5, "h": 1000.0,
            "i": "2001-01-01", "j": null, "k": "x", "l": 1, "m": -3, "o": true, "p": null,
            "q": 1.0, "r": 9_223_372_036_854_775_808_u64, "t": 3, "u": "1", "v": 8.0,
            "x": "", "y": 0.05,
        })
    );
    assert_eq!(any("[.inf, .NaN]"), json!([".inf", ".NaN"]));
    assert_eq!(
        any("[!!str 5, !!float 5, !foo x, !!int 5]"),
        json!(["5", 5.0, "x", 5])
    );
    assert_eq!(
        any("{1: a, true: b, null: c, 1.5: d}"),
        json!({"1": "a", "true": "b", "null": "c", "1.5": "d"})
    );
}

#[test]
fn merge_keys_fill_what_is_not_there() {
    let text = "base: &b {x: 1, y: 2}\nder: {<<: *b, y: 3}\nmulti: {y: 4, <<: [*b, {z: 9, x: 8}]}";
    assert_eq!(any(text)["der"], json!({"x": 1, "y": 3}));
    assert_eq!(any(text)["multi"], json!({"x": 1, "y": 4, "z": 9}));
    assert_eq!(any("{\"<<\": {a: 1}}"), json!({"<<": {"a": 1}}));
    assert_eq!(
        inner("{<<: {n: 1, text: a}, n: 2}"),
        Inner {
            n: 2,
            text: "a".into(),
            ..Inner::default()
        }
    );
    for text in ["{<<: 5}", "{<<: ~}", "{<<: [5]}"] {
        assert_eq!(
            refused(text),
            "yaml: map merge requires map or sequence of maps as the value"
        );
    }
}

#[test]
fn texts_take_numbers_as_written() {
    for (text, value) in [
        ("1", "1"),
        ("1.50", "1.50"),
        ("true", "true"),
        ("2001-01-01", "2001-01-01"),
    ] {
        assert_eq!(inner(&format!("text: {text}")).text, value);
    }
    assert_eq!(inner("map: {a: 1, b: true, c: null}").map.len(), 3);
}

#[test]
fn booleans_take_the_old_words_but_not_true_in_quotes() {
    for (text, value) in [
        ("yes", true),
        ("\"on\"", true),
        ("N", false),
        ("TRUE", true),
        ("Off", false),
    ] {
        assert_eq!(inner(&format!("on: {text}")).on, Some(value), "{text}");
    }
    assert_eq!(inner("on: ~").on, None);
    for (text, found) in [
        ("\"true\"", "!!str `true`"),
        ("yEs", "!!str `yEs`"),
        ("1", "!!int `1`"),
    ] {
        assert_eq!(
            refused(&format!("on: {text}")),
            format!("yaml: unmarshal errors:\n  line 1: cannot unmarshal {found} into bool")
        );
    }
}

#[test]
fn whole_numbers_cut_fractions_off_and_refuse_quotes() {
    assert_eq!(inner("list: [2.5, 1e3, 017, ~]").list, [2, 1000, 15]);
    assert!(refused("n: \"3\"").ends_with("cannot unmarshal !!str `3` into int"));
    assert!(refused("n: .nan").ends_with("cannot unmarshal !!float `.nan` into int"));
    assert!(refused("n: 9223372036854775808").contains("!!int `9223372...` into int"));
}

#[test]
fn durations_need_a_text_with_unit() {
    assert_eq!(inner("span: 3s").span, Some(GoDuration::from_secs(3)));
    assert!(refused("span: 5").ends_with("cannot unmarshal !!int `5` into time.Duration"));
    assert!(refused("span: 5x").ends_with("cannot unmarshal !!str `5x` into time.Duration"));
}

#[test]
fn all_wrong_types_are_listed_with_their_lines() {
    assert_eq!(
        refused(
            "n: abc\non: falsefalsefalse\nlist: 5\nparts: [7, {n: []}]\nmap: {d: [1]}\ntext: {a: b}"
        ),
        "yaml: unmarshal errors:\
         \n  line 1: cannot unmarshal !!str `abc` into int\
         \n  line 2: cannot unmarshal !!str `falsefa...` into bool\
         \n  line 3: cannot unmarshal !!int `5` into []int\
         \n  line 4: cannot unmarshal !!int `7` into test.Inner\
         \n  line 4: cannot unmarshal !!seq into int\
         \n  line 5: cannot unmarshal !!seq into string\
         \n  line 6: cannot unmarshal !!map into string"
    );
    assert!(refused("[1]").ends_with("line 1: cannot unmarshal !!seq into test.Inner"));
    assert!(refused("text: {é: ééééé, f: [0]}").contains("!!map into string"));
    assert!(refused("n: ééééééé").contains("`ééé...`"));
}

#[test]
fn keys_given_twice_are_located() {
    assert_eq!(
        refused("n: 1\ntext: a\nn: 2\n"),
        "yaml: unmarshal errors:\n  line 3: mapping key \"n\" already defined at line 1"
    );
    let mut value = Value::Null;
    let error = fill(&mut value, "{1: 1, \"1\": 2}").expect_err("twice");
    assert!(
        error
            .to_string()
            .ends_with("line 1: mapping key \"1\" already defined at line 1")
    );
}

#[test]
fn what_is_decoded_lands_over_what_is_there() {
    let mut value = inner("{n: 1, on: yes, text: a, list: [1, 2], map: {a: x, b: y}}");
    fill(&mut value, "{n: ~, on: null, list: [3], map: {b: z}}").expect("fits");
    assert_eq!((value.n, value.on, value.text.as_str()), (1, None, "a"));
    assert_eq!(value.list, [3]);
    assert_eq!(
        value.map.into_iter().collect::<Vec<_>>(),
        [("a", "x"), ("b", "z")].map(|(a, b)| (a.into(), b.into()))
    );
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(inner("n: 1\n---\nn: 2").n, 1);
    assert_eq!(inner("n: 1\n--- \nn: [").n, 1);
    for text in ["", "# only a comment", "---\n", "null"] {
        assert_eq!(inner(text), Inner::default(), "{text:?}");
    }
}

#[test]
fn unknown_keys_are_remembered_with_their_path() {
    let mut value = Inner::default();
    let unknown = fill(&mut value, "N: 1\nparts:\n- {m: 1}\n~: 3").expect("lenient");
    assert_eq!(
        unknown,
        [
            UnknownKey {
                line: 1,
                path: "N".into(),
                meant: Some("n")
            },
            UnknownKey {
                line: 3,
                path: "parts.m".into(),
                meant: None
            },
        ]
    );
}

#[test]
fn broken_texts_name_their_line() {
    for (text, start) in [
        ("a: 1\n b: 2", "yaml: line 2: "),
        ("a: {b: c", "yaml: line 1: "),
        ("a: @x", "yaml: line 1: "),
        ("a: \"\\xZZ\"", "yaml: line 1: "),
        ("a: *nope", "yaml: "),
    ] {
        let error = refused(text);
        assert!(
            error.starts_with(start) && error.len() > start.len(),
            "{text}: {error}"
        );
    }
    assert_eq!(
        refused("text: &a [*a]"),
        "yaml: anchor 'a' value contains itself"
    );
    assert_eq!(
        refused("n: !!int x"),
        "yaml: cannot decode !!str `x` as a !!int"
    );
}

#[test]
fn depth_and_expansion_are_bounded() {
    assert!(refused(&"[".repeat(10_000)).starts_with("yaml: "));
    assert!(refused(&"- ".repeat(10_000)).starts_with("yaml: "));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{below}]\n");
    }
    assert_eq!(refused(&bomb), "yaml: document contains excessive aliasing");
    let mut tower = "a0: &a0 [x]\n".to_owned();
    for level in 1..300 {
        tower += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert_eq!(
        refused(&tower),
        "yaml: document is nested deeper than 128 levels"
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "([a-z]{1,3}: |- |\\[|\\]|\\{|\\}|&a |\\*a|<<: |\"|'|\\||>|\n *|, |!!int |0x|-?[0-9_.e+]{0,6}|~|\\PC|---|%)*"
    ) {
        let _ = fill(&mut Inner::default(), &text);
        let _ = fill(&mut Value::Null, &text);
        let _ = fill(&mut Decoded::default(), &text);
    }
}

/// A struct whose only field takes anything.
#[derive(Debug, Default)]
struct Decoded {
    a: Value,
}

decode_fields!(Decoded, "test.Decoded", { "a" => a });
