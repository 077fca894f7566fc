//! What an app writes arrives whole.

use outrider_testkit::unique_id;
use serde_json::Value;

use crate::support::Place;

#[test]
fn a_line_of_a_mebibyte_comes_through_whole() {
    let place = Place::new();
    let script = "head -c 1048576 /dev/zero | tr '\\0' x; echo; echo then";
    let mut run = place.shell(&unique_id("app"), &["--log-level=fatal"], script);
    assert_eq!(run.end(), Some(0), "{} lines", run.seen.len());
    let lines = run
        .seen
        .iter()
        .filter_map(|line| line.strip_prefix("app      │ "));
    // Another writer may have come in between; no byte is lost over that.
    let count: usize = lines.map(|line| line.matches('x').count()).sum();
    assert_eq!(count, 1_048_576);
    assert!(run.said("app      │ then"));
}

#[test]
fn the_last_words_of_an_app_are_not_lost() {
    let place = Place::new();
    let script =
        "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done; printf end; kill -9 $$";
    let mut run = place.shell(&unique_id("app"), &["--log-level=fatal"], script);
    assert_eq!(run.end(), Some(137));
    assert!(run.said("app      │ line 2000"));
    assert!(run.said("app      │ end"));
}

#[test]
fn every_line_is_an_object_if_that_was_asked_for() {
    let place = Place::new();
    let id = unique_id("app");
    let script = "echo '{\"a\":1}'; echo plain >&2; exit 3";
    let mut run = place.shell(&id, &["--log-as-json"], script);
    assert_eq!(run.end(), Some(3));
    let lines = run
        .seen
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let of_app: Vec<&Value> = lines.iter().filter(|it| it["source"] == "app").collect();
    assert_eq!(of_app.len(), 2, "{lines:#?}");
    assert!(of_app.iter().all(|it| it["app_id"] == id.as_str()));
    assert!(of_app.iter().any(|it| it["msg"] == "{\"a\":1}"));
    assert_eq!(lines.last().unwrap()["status"], "failure");

    let mut run = place.shell(&id, &["--log-as-json", "--app-port=70000"], script);
    assert_eq!(run.end(), Some(1));
    let told: Value = serde_json::from_str(run.last()).unwrap();
    assert_eq!(told["msg"], "--app-port is 70000; it must be at most 65535");
}

#[test]
fn the_streams_stay_apart() {
    let place = Place::new();
    let output = place
        .command(&[
            "run",
            "-a",
            &unique_id("app"),
            "sh",
            "-c",
            "echo out; echo err >&2",
        ])
        .output()
        .unwrap();
    let (out, err) = (output.stdout, output.stderr);
    let (out, err) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    assert!(out.contains("app      │ out\n"), "{out}");
    assert_eq!(err, "app      │ err\n");
}
