//! Starts that fail: told at once, as the last line, and nothing is left.

use std::{net::TcpListener, process::Stdio, time::Instant};

use outrider_testkit::unique_id;

use crate::support::{Place, Run, assert_gone};

/// Ends with 1, and its last line holds the text.
#[track_caller]
fn assert_fails(mut run: Run, text: &str) -> Run {
    let started = Instant::now();
    assert_eq!(run.end(), Some(1), "{:#?}", run.seen);
    assert!(run.last().contains(text), "{:#?}", run.seen);
    assert!(started.elapsed().as_secs() < 8, "{:#?}", run.seen);
    run
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let place = Place::new();
    let run = place.run(&["-a", &unique_id("app"), "no-such-command"]);
    assert_fails(
        run,
        "there is no command no-such-command; check its spelling",
    );
}

#[test]
fn a_command_in_quotes_is_told_from_a_missing_one() {
    let place = Place::new();
    let run = place.run(&["-a", &unique_id("app"), "echo hello"]);
    assert_fails(run, "without quotes its words are a command and its argum");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_told_and_the_app_runs() {
    let place = Place::new();
    let id = format!("--app-id={}", unique_id("app"));
    let mut command = place.command(&["run", &id, "--", "sh", "-c", "echo began"]);
    // Nobody makes folders there, whoever they are.
    let mut run = Run::start(command.env("XDG_DATA_HOME", "/proc/x").stdin(Stdio::null()));
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    let told = "no resources were given, and no state store was made: it can't be prepared in \
                /proc/x/outrider: ";
    assert!(run.said(told), "{:#?}", run.seen);
    assert!(run.said("--resources-path") && run.said("app      │ began"));
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let id = unique_id("app");
    let place = Place::new();
    let run = place.run(&["-a", &id, "-H", &port.to_string(), "sh", "-c", "echo began"]);
    let text = format!("HTTP port of {id}: port {port} can't be used: ");
    assert!(!assert_fails(run, &text).said("began"));
}

#[test]
fn values_that_the_sidecar_would_refuse_are_told_with_what_is_right() {
    let place = Place::new();
    for (flag, text) in [
        (
            "--max-body-size=3x",
            "--max-body-size is \"3x\"; write bytes, as in 4Mi",
        ),
        (
            "--app-id=a.b",
            "--app-id is \"a.b\"; parameter app-id cannot contain dots",
        ),
        (
            "--log-level=loud",
            "--log-level is \"loud\"; allowed are debug, info, warn, error, fatal",
        ),
        (
            "--config=/nowhere.yaml",
            "--config /nowhere.yaml: No such file",
        ),
        (
            "--resources-path=/nowhere",
            "--resources-path /nowhere: No such file",
        ),
        (
            "--app-port=70000",
            "--app-port is 70000; it must be at most 65535",
        ),
    ] {
        let run = place.run(&["-a", &unique_id("app"), flag, "sh", "-c", "echo began"]);
        assert!(!assert_fails(run, text).said("began"));
    }
}

#[test]
fn a_sidecar_that_fails_takes_the_app_with_it_and_says_why() {
    let place = Place::new();
    place.write("resources/a.yaml", DUPLICATE);
    place.write("resources/b.yaml", DUPLICATE);
    let script = "echo pid $$; exec sleep 1000";
    let run = place.shell(&unique_id("app"), &["--resources-path=resources"], script);
    let mut run = assert_fails(
        run,
        "ended before it was ready with exit code 1: failed to load",
    );
    assert!(
        run.last().contains("duplicate definition"),
        "{:#?}",
        run.seen
    );
    // The sidecar may have failed before the app was started.
    let pid = "app      │ pid ";
    if run.seen.iter().any(|line| line.contains(pid)) {
        assert_gone(run.pid_after(pid));
    }
}

const DUPLICATE: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: twice
spec:
  type: state.in-memory
  version: v1
";

#[test]
fn mistakes_on_the_command_line_are_usage_errors() {
    let place = Place::new();
    for (argument, text) in [
        ("--app-prt=1", "unknown flag: --app-prt"),
        ("-k", "outrider run: --kubernetes is not supported"),
        (
            "--app-port=abc",
            "parsing \"abc\": invalid syntax; write a whole number",
        ),
        (
            "--run-file=",
            "--run-file is empty; name a template or its folder",
        ),
    ] {
        let mut run = place.run(&[argument]);
        assert_eq!(run.end(), Some(2));
        assert!(run.last().ends_with(text), "{:#?}", run.seen);
    }
}
