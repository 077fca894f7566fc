//! Who ends whom, in which order, and that nothing is left.

use std::{process::Command, time::Instant};

use outrider_testkit::unique_id;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Place, Run, assert_gone, helper_command};

/// The process of the sidecar, as the registry has it.
fn sidecar_of(id: &str) -> Pid {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(["list", "--json"])
        .output()
        .unwrap();
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let one = all.iter().find(|it| it["appId"] == id).unwrap();
    let pid = one["pid"].as_i64().or(one["daprdPid"].as_i64()).unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// A run that is up, whose app waits for its end; the processes of app and sidecar.
fn waiting(place: &Place, id: &str) -> (Run, Pid, Pid) {
    let mut run = place.shell(id, &[], WAITS);
    let app = run.pid_after("app      │ pid ");
    run.until("up and running");
    let sidecar = sidecar_of(id);
    (run, app, sidecar)
}

/// An app that waits for its end, and its process id.
const WAITS: &str = "echo pid $$; exec sleep 1000";

#[test]
fn the_app_can_still_call_while_it_ends() {
    let place = Place::new();
    let id = unique_id("app");
    let ask = helper_command("ask");
    let script = format!(
        "trap 'ASK=/v1.0/metadata; export ASK; ({ask}); exit 3' TERM
         echo pid $$
         while :; do sleep 0.05; done"
    );
    let mut run = place.shell(&id, &[], &script);
    let pid = run.pid_after("app      │ pid ");
    run.until("up and running");
    let sidecar = sidecar_of(&id);
    run.signal(Signal::TERM);
    run.until("answer 200 ");
    assert_eq!(run.end(), Some(3), "{:#?}", run.seen);
    assert!(run.said("Daprd shutdown gracefully"), "{:#?}", run.seen);
    assert_gone(pid);
    assert_gone(sidecar);
}

#[test]
fn every_signal_that_asks_for_an_end_ends_both() {
    let place = Place::new();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (mut run, pid, sidecar) = waiting(&place, &unique_id("app"));
        run.signal(signal);
        assert_eq!(run.end(), Some(143), "{:#?}", run.seen);
        assert_gone(pid);
        assert_gone(sidecar);
    }
}

#[test]
fn a_second_signal_kills_an_app_that_does_not_want_to_end() {
    let place = Place::new();
    let script = "trap 'echo asked' TERM; echo pid $$; while :; do sleep 0.05; done";
    let mut run = place.shell(&unique_id("app"), &[], script);
    let pid = run.pid_after("app      │ pid ");
    run.signal(Signal::TERM);
    run.until("asked");
    let asked = Instant::now();
    // One that comes right after the first counts as the same.
    run.signal_until_it_ends(Signal::TERM);
    assert_eq!(run.end(), Some(137), "{:#?}", run.seen);
    assert!(asked.elapsed().as_secs() < 4, "{:#?}", run.seen);
    assert_gone(pid);
}

#[test]
fn a_signal_that_arrives_twice_asks_once() {
    let place = Place::new();
    let script = "trap 'echo asked; exit 3' TERM; echo pid $$; while :; do sleep 0.05; done";
    let mut run = place.shell(&unique_id("app"), &[], script);
    run.pid_after("app      │ pid ");
    run.signal(Signal::TERM);
    run.signal(Signal::TERM);
    assert_eq!(run.end(), Some(3), "{:#?}", run.seen);
}

#[test]
fn a_signal_that_wants_no_order_kills_both() {
    let place = Place::new();
    let (mut run, pid, sidecar) = waiting(&place, &unique_id("app"));
    run.signal(Signal::QUIT);
    assert_eq!(run.end(), Some(137), "{:#?}", run.seen);
    assert_gone(pid);
    assert_gone(sidecar);
}

#[test]
fn a_sidecar_ends_with_a_run_that_was_killed() {
    let place = Place::new();
    let (mut run, pid, sidecar) = waiting(&place, &unique_id("app"));
    run.signal(Signal::KILL);
    // The app, which nobody told, still has the pipe.
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(run.end(), None);
    assert_gone(sidecar);
}

#[test]
fn what_left_its_process_group_is_ended_and_named() {
    let place = Place::new();
    let script = "setsid sh -c 'echo child $$; : > up; exec sleep 1000' &
                  while [ ! -e up ]; do sleep 0.05; done";
    let mut run = place.shell(&unique_id("app"), &[], script);
    let child = run.pid_after("app      │ child ");
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    let pid = child.as_raw_nonzero();
    assert!(
        run.said("ending what was left running: ") && run.said(&format!("(pid {pid})")),
        "{:#?}",
        run.seen
    );
    assert_gone(child);
}

#[test]
fn what_an_app_leaves_behind_is_ended() {
    let place = Place::new();
    let script =
        "(trap '' TERM; sleep 100) & echo child $!; (sleep 100 & echo grandchild $!); exit 0";
    let mut run = place.shell(&unique_id("app"), &[], script);
    let child = run.pid_after("app      │ child ");
    let grandchild = run.pid_after("app      │ grandchild ");
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    assert_gone(child);
    assert_gone(grandchild);
}

#[test]
fn a_killed_sidecar_ends_the_app_and_is_the_failure() {
    let place = Place::new();
    let id = unique_id("app");
    let (mut run, pid, sidecar) = waiting(&place, &id);
    kill_process(sidecar, Signal::KILL).unwrap();
    assert_eq!(run.end(), Some(1), "{:#?}", run.seen);
    let last = format!("outrider │ the sidecar of {id} ended with signal KILL");
    assert_eq!(run.last(), last);
    assert_gone(pid);
}

#[test]
fn a_sidecar_that_was_asked_to_end_is_no_failure() {
    let place = Place::new();
    let (mut run, pid, sidecar) = waiting(&place, &unique_id("app"));
    kill_process(sidecar, Signal::TERM).unwrap();
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    assert_gone(pid);
}
