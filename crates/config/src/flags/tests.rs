//! The rules of contract, configuration 1.1; expected texts come from runs of pflag 1.0.10.

use super::*;
use proptest::prelude::*;

const SPEC: Spec = Spec {
    usage_name: "prog",
    usage_tail: "[flags]",
    about: "Does things.\n\nAnd more things, at some length, so that the text has to be broken \
            into two lines to stay narrow.",
    flags: &[
        Flag::new("bool", Kind::Bool, "A switch.").group("Basics"),
        Flag::new("on", Kind::Bool, "A switch that is on.")
            .default("true")
            .group("Basics"),
        Flag::new("tri", Kind::OptBool, "Three states.").group("Basics"),
        Flag::new("int", Kind::Int, "A number.")
            .default("7")
            .group("Numbers"),
        Flag::new("uint", Kind::Uint, "A count.").group("Numbers"),
        Flag::new("str", Kind::Str, "A text.").group("Texts"),
        Flag::new("slice", Kind::StrSlice, "Texts.").group("Texts"),
        Flag::new("dur", Kind::Duration, "A span.")
            .default("3s")
            .group("Texts"),
        Flag::new("odur", Kind::OptDuration, "A span.").group("Texts"),
        Flag::new("dep", Kind::Str, "An old one.")
            .deprecated("use other")
            .group("Texts"),
        Flag::new("secret", Kind::Str, "Never shown.")
            .hidden()
            .group("Texts"),
        Flag::new("port", Kind::Str, "A port.")
            .short('p')
            .group("Texts"),
        Flag::new("verbose", Kind::Bool, "Tell more.")
            .short('v')
            .group("Texts"),
    ],
    positionals: Positionals::Anywhere,
};

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

fn read(line: &[&str]) -> Parsed {
    match parse(&SPEC, &words(line)) {
        Ok(Outcome::Parsed(parsed)) => parsed,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn refused(line: &[&str]) -> String {
    parse(&SPEC, &words(line))
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn values_stand_behind_an_equals_sign_or_in_the_next_argument() {
    let parsed = read(&[
        "--str",
        "x",
        "--int=0x1F",
        "--dur",
        "1h2m3.5s",
        "--uint=3",
        "--odur=0",
    ]);
    assert_eq!(parsed.str("str"), "x");
    assert_eq!(parsed.int("int"), 31);
    assert_eq!(parsed.uint("uint"), 3);
    assert_eq!(parsed.duration("dur").to_string(), "1h2m3.5s");
    assert_eq!(
        parsed.opt_duration("odur").map(|span| span.to_string()),
        Some("0s".to_owned())
    );
    assert_eq!(read(&["--str", "--bool"]).str("str"), "--bool");
    assert_eq!(read(&["--str", "--", "x"]).str("str"), "--");
    assert_eq!(read(&["--str="]).str("str"), "");
}

#[test]
fn what_is_not_given_has_its_default() {
    let parsed = read(&[]);
    assert!(!parsed.bool("bool") && parsed.bool("on"));
    assert_eq!(parsed.opt_bool("tri"), None);
    assert_eq!(parsed.opt_duration("odur"), None);
    assert_eq!(parsed.int("int"), 7);
    assert_eq!(parsed.duration("dur").to_string(), "3s");
    assert!(parsed.list("slice").is_empty());
    assert!(!parsed.given("int"));
    assert!(read(&["--int=7"]).given("int"));
}

#[test]
fn switches_take_a_value_only_behind_an_equals_sign() {
    let parsed = read(&["a", "--bool", "false", "b"]);
    assert!(parsed.bool("bool"));
    assert_eq!(parsed.positionals, ["a", "false", "b"]);
    assert!(!read(&["--on=F"]).bool("on"));
    assert_eq!(read(&["--tri=false"]).opt_bool("tri"), Some(false));
    assert_eq!(read(&["--tri"]).opt_bool("tri"), Some(true));
}

#[test]
fn the_last_scalar_wins_and_lists_grow() {
    assert_eq!(read(&["--int=1", "--int=2"]).int("int"), 2);
    assert_eq!(
        read(&["--slice", "a,b", "--slice", "c"]).list("slice"),
        ["a", "b", "c"]
    );
    assert_eq!(read(&["--slice", "x", "--slice", ""]).list("slice"), ["x"]);
    assert!(read(&["--slice", ""]).list("slice").is_empty());
    assert_eq!(read(&["--slice", "\"a,b\",c"]).list("slice"), ["a,b", "c"]);
}

#[test]
fn short_names_can_be_joined() {
    for line in [
        &["-p", "80"] as &[&str],
        &["-p80"],
        &["-p=80"],
        &["-vp80"],
        &["-vp", "80"],
    ] {
        assert_eq!(read(line).str("port"), "80", "{line:?}");
    }
    assert_eq!(read(&["-p=", "a"]).str("port"), "=");
    assert!(!read(&["-v=false"]).bool("verbose"));
}

#[test]
fn two_dashes_end_the_flags() {
    let parsed = read(&["a", "--", "--bool", "--"]);
    assert!(!parsed.bool("bool"));
    assert_eq!(parsed.positionals, ["a", "--bool", "--"]);
    assert_eq!(parsed.dashes_at, Some(1));
    assert_eq!(read(&["-"]).positionals, ["-"]);
}

#[test]
fn errors_have_the_words_of_pflag() {
    let int = "for \"--int\" flag: strconv.ParseInt: parsing";
    for (line, message) in [
        (&["--bogus"] as &[&str], "unknown flag: --bogus".to_owned()),
        (&["--bogus=1"], "unknown flag: --bogus".to_owned()),
        (&["--Str", "x"], "unknown flag: --Str".to_owned()),
        (&["--=x"], "bad flag syntax: --=x".to_owned()),
        (&["---x"], "bad flag syntax: ---x".to_owned()),
        (&["--str"], "flag needs an argument: --str".to_owned()),
        (&["-p"], "flag needs an argument: 'p' in -p".to_owned()),
        (&["-vx"], "unknown shorthand flag: 'x' in -x".to_owned()),
        (
            &["--int", "x"],
            format!("invalid argument \"x\" {int} \"x\": invalid syntax"),
        ),
        (
            &["--int", "\"q"],
            format!("invalid argument \"\\\"q\" {int} \"\\\"q\": invalid syntax"),
        ),
        (
            &["--int", "--10"],
            format!("invalid argument \"--10\" {int} \"--10\": invalid syntax"),
        ),
        (
            &["--bool=yes"],
            "invalid argument \"yes\" for \"--bool\" flag: strconv.ParseBool: parsing \"yes\": \
             invalid syntax"
                .to_owned(),
        ),
        (
            &["-v=maybe"],
            "invalid argument \"maybe\" for \"-v, --verbose\" flag: strconv.ParseBool: parsing \
             \"maybe\": invalid syntax"
                .to_owned(),
        ),
        (
            &["--dur", "5"],
            "invalid argument \"5\" for \"--dur\" flag: time: missing unit in duration \"5\""
                .to_owned(),
        ),
        (
            &["--slice", "a\"b"],
            "invalid argument \"a\\\"b\" for \"--slice\" flag: parse error on line 1, column 2: \
             bare \" in non-quoted-field"
                .to_owned(),
        ),
    ] {
        assert_eq!(refused(line), message, "{line:?}");
    }
}

#[test]
fn the_error_is_the_last_line_after_suggestion_and_usage() {
    let error = parse(&SPEC, &words(&["--dep=1", "--verbos"])).expect_err("unknown");
    assert_eq!(
        error.render(&SPEC),
        "Flag --dep has been deprecated, use other\n\
         Did you mean --verbose?\n\
         Usage: prog [flags]\n\
         Run 'prog --help' for all flags.\n\
         unknown flag: --verbos\n"
    );
}

#[test]
fn help_wins_where_it_stands() {
    for line in [
        &["--help"] as &[&str],
        &["-h"],
        &["--help=1"],
        &["-vh"],
        &["--help", "--bool=x"],
    ] {
        assert_eq!(parse(&SPEC, &words(line)), Ok(Outcome::Help), "{line:?}");
    }
    assert!(parse(&SPEC, &words(&["--bool=x", "--help"])).is_err());
}

#[test]
fn each_use_of_an_old_flag_makes_a_notice() {
    let parsed = read(&["--dep", "x", "--dep=y"]);
    assert_eq!(parsed.str("dep"), "y");
    assert_eq!(
        parsed.notices,
        ["Flag --dep has been deprecated, use other"; 2]
    );
}

#[test]
fn strict_commands_refuse_stray_words() {
    let strict = Spec {
        positionals: Positionals::Refused,
        ..SPEC
    };
    let error = parse(&strict, &words(&["--bool", "false"])).expect_err("stray word");
    assert_eq!(error.to_string(), "unexpected argument \"false\"");
    assert!(parse(&strict, &words(&["--", "x"])).is_ok());
}

#[test]
fn wrapped_commands_keep_their_flags() {
    let wrapping = Spec {
        positionals: Positionals::EndFlags,
        ..SPEC
    };
    match parse(&wrapping, &words(&["--bool", "cmd", "--bogus", "--", "-x"])) {
        Ok(Outcome::Parsed(parsed)) => {
            assert_eq!(parsed.positionals, ["cmd", "--bogus", "--", "-x"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn single_dashes_are_doubled_in_names_and_values_alike() {
    let doubled = double_single_dashes(&words(&[
        "-app-id",
        "x",
        "-config=a",
        "-h",
        "-1",
        "-10",
        "--a",
        "-",
        "",
        "---",
        "-é",
    ]));
    assert_eq!(
        doubled,
        [
            "--app-id",
            "x",
            "--config=a",
            "-h",
            "-1",
            "--10",
            "--a",
            "-",
            "",
            "---",
            "--é"
        ]
    );
}

#[test]
fn the_help_text_is_grouped_and_narrow() {
    let help = SPEC.help();
    assert!(help.starts_with("Usage: prog [flags]\n\nDoes things.\n\nAnd more things"));
    assert!(help.contains("\nNumbers:\n  --int <number>\n        A number. Default: 7.\n"));
    assert!(help.contains("  -p, --port <text>\n"));
    assert!(help.contains("An old one. Deprecated: use other."));
    assert!(!help.contains("secret"));
    assert!(help.lines().all(|line| line.chars().count() <= 100));
}

proptest! {
    #[test]
    fn no_command_line_makes_it_panic(
        line in prop::collection::vec("(--?[a-z]{0,6}=?)?[-=,\"a-z0-9_é\\r\\n. ]{0,8}", 0..6)
    ) {
        let _ = parse(&SPEC, &line);
        let _ = parse(&SPEC, &double_single_dashes(&line));
    }

    #[test]
    fn no_value_makes_it_panic(name in "(int|uint|dur|slice|bool|str|odur)", value in "\\PC*") {
        let _ = parse(&SPEC, &[format!("--{name}={value}")]);
    }
}
