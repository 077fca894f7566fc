//! Several apps from a template.

use std::{fs, time::Instant};

use outrider_testkit::{in_own_network, unique_id};
use rustix::process::Signal;

use crate::support::{LIMIT, Place, Run, ask, assert_gone, extended, free_port, helper_command};

/// An app of a template that is a shell script.
struct App {
    id: String,
    more: String,
    script: String,
}

fn app(id: &str, script: &str) -> App {
    App {
        id: id.to_owned(),
        more: String::new(),
        script: script.to_owned(),
    }
}

impl App {
    fn with(mut self, line: impl AsRef<str>) -> Self {
        self.more += &format!("  {}\n", line.as_ref());
        self
    }
}

fn run(place: &Place, apps: &[App]) -> Run {
    let mut text = "version: 1\nname: shop\napps:\n".to_owned();
    for App { id, more, script } in apps {
        place.write(&format!("{id}/x"), "");
        let script = script.replace('\'', "''");
        text += &format!("- appDirPath: {id}\n  command: [sh, -c, '{script}']\n{more}");
    }
    place.write("dapr.yaml", &text);
    place.run(&["-f", "."])
}

const WAITS: &str = "echo pid $$ port $DAPR_HTTP_PORT; exec sleep 1000";

/// Process id of the app at its nth start, and the HTTP port of its sidecar.
fn pid_and_port(run: &mut Run, id: &str, n: usize) -> (rustix::process::Pid, u16) {
    let is_it = |line: &str| line.starts_with(&format!("{id} ")) && line.contains("│ pid ");
    let line = run.find(n, "pid", is_it);
    let words: Vec<&str> = line.split_whitespace().collect();
    let [.., pid, "port", port] = words.as_slice() else {
        panic!("{line}");
    };
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    (pid, port.parse().unwrap())
}

#[test]
fn two_apps_call_each_other_and_end_together() {
    if !in_own_network("template::two_apps_call_each_other_and_end_together") {
        return;
    }
    let place = Place::with_all_sources();
    let (a, b) = (unique_id("a"), unique_id("b"));
    let [pa, pb] = [free_port(), free_port()];
    let serve = helper_command("serve");
    let apps = [
        app(&a, &serve).with(format!("appPort: {pa}")),
        app(&b, &serve).with(format!("appPort: {pb}")),
    ];
    let mut run = run(&place, &apps);
    let first = run.pid_after("serving ");
    let second = run.nth(2, "serving ");
    let second = second.rsplit(' ').next().unwrap().parse().unwrap();
    let second = rustix::process::Pid::from_raw(second).unwrap();
    run.nth(2, "is up and running");
    let (_, body) = ask(pa, "GET", &format!("/call/{b}"), "");
    assert_eq!(body, format!("{b} was asked for /hello"));
    let (_, body) = ask(pb, "GET", &format!("/call/{a}"), "");
    assert_eq!(body, format!("{a} was asked for /hello"));
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    assert!(run.said("all ended well:"), "{:#?}", run.seen);
    assert_gone(first);
    assert_gone(second);
}

#[test]
fn the_others_go_on_when_one_fails_and_the_end_names_it() {
    let place = Place::new();
    let (good, bad) = (unique_id("good"), unique_id("bad"));
    let fails = "while [ ! -e ../go ]; do sleep 0.05; done; exit 3";
    let mut run = run(&place, &[app(&bad, fails), app(&good, WAITS)]);
    let (pid, port) = pid_and_port(&mut run, &good, 1);
    run.nth(2, "is up and running");
    place.write("go", "");
    run.until(&format!("{bad} ended with exit code 3; the others go on"));
    assert_eq!(ask(port, "GET", "/v1.0/healthz", "").0, 204);
    run.signal(Signal::TERM);
    assert_eq!(run.end(), Some(1), "{:#?}", run.seen);
    assert!(run.said("1 of 2 failed:"), "{:#?}", run.seen);
    let goes_on = run.seen.iter().filter(|line| line.contains("go on"));
    assert_eq!(goes_on.count(), 1, "{:#?}", run.seen);
    let last = format!("failed  {bad} ended with exit code 3");
    assert!(run.last().ends_with(&last), "{:#?}", run.seen);
    assert_gone(pid);
}

#[test]
fn a_run_ends_when_all_apps_have() {
    let place = Place::new();
    let (a, b) = (unique_id("a"), unique_id("b"));
    let mut run = run(&place, &[app(&a, "exit 0"), app(&b, "exit 0")]);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
}

#[test]
fn an_app_starts_after_those_it_depends_on_are_healthy() {
    if !in_own_network("template::an_app_starts_after_those_it_depends_on_are_healthy") {
        return;
    }
    let place = Place::with_all_sources();
    let (server, client) = (unique_id("server"), unique_id("client"));
    let port = free_port();
    let late = format!(
        "while [ ! -e ../go ]; do sleep 0.05; done; {}",
        helper_command("serve")
    );
    let asks = format!(
        "echo began; ASK=/v1.0/invoke/{server}/method/x; export ASK; {}",
        helper_command("ask")
    );
    let apps = [
        app(&client, &asks).with(format!("dependsOn: [{server}]")),
        app(&server, &late).with(format!("appPort: {port}")),
    ];
    let mut run = run(&place, &apps);
    run.until("waiting until the app is well and listens on port");
    assert!(!run.said("began"), "{:#?}", run.seen);
    place.write("go", "");
    run.until(&format!("{server} is up and running"));
    assert!(!run.said("began"), "{:#?}", run.seen);
    run.until(&format!("answer 200 {server} was asked for /x"));
    run.until(&format!(
        "{client} ended with exit code 0; the others go on"
    ));
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
}

#[test]
fn nobody_starts_who_depends_on_an_app_that_failed() {
    let place = Place::new();
    let (a, b) = (unique_id("a"), unique_id("b"));
    let port = free_port();
    let apps = [
        app(&a, "exit 1").with(format!("appPort: {port}")),
        app(&b, "echo began").with(format!("dependsOn: [{a}]")),
    ];
    let mut run = run(&place, &apps);
    assert_eq!(run.end(), Some(1), "{:#?}", run.seen);
    assert!(!run.said("began"), "{:#?}", run.seen);
    assert!(run.said(&format!(
        "{b} was not started: it depends on {a}, which failed"
    )));
}

#[test]
fn a_failing_app_is_started_again_beside_the_same_sidecar() {
    let place = Place::new();
    let id = unique_id("app");
    let script = "echo pid $$ port $DAPR_HTTP_PORT; [ -e begun ] && exec sleep 1000; \
                  touch begun; exit 1";
    let apps = [app(&id, script).with("restart: on-failure")];
    let mut run = run(&place, &apps);
    let (first, port) = pid_and_port(&mut run, &id, 1);
    run.until(&format!(
        "{id} ended (exit code 1); it is started again in 1s"
    ));
    let (second, same_port) = pid_and_port(&mut run, &id, 2);
    let pid = second.as_raw_nonzero().get().to_string();
    let until = Instant::now() + LIMIT;
    while extended(port)["appPID"] != pid.as_str() {
        assert!(
            Instant::now() < until,
            "the metadata still has the first start"
        );
    }
    assert_eq!(port, same_port);
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
    assert_gone(first);
    assert_gone(second);
}

#[test]
fn an_app_that_ends_again_and_again_is_not_well_between_two_starts() {
    let place = Place::new();
    let id = unique_id("app");
    let mut run = run(&place, &[app(&id, "exit 3").with("restart: on-failure")]);
    // The second pause is two seconds long.
    run.until("it is started again in 2s");
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(1), "{:#?}", run.seen);
    let last = format!("failed  {id} ended with exit code 3");
    assert!(run.last().ends_with(&last), "{:#?}", run.seen);
}

#[test]
fn lines_go_to_files_without_colours_and_metadata_names_them() {
    let place = Place::new();
    let id = unique_id("app");
    let script = format!("printf '\\033[1mbold\\033[0m\\n'; {WAITS}");
    let mut run = run(&place, &[app(&id, &script)]);
    run.until("\u{1b}[1mbold");
    let (_, port) = pid_and_port(&mut run, &id, 1);
    run.until("is up and running");
    let extended = extended(port);
    let template = place.path("dapr.yaml").canonicalize().unwrap();
    assert_eq!(extended["runTemplatePath"], template.to_str().unwrap());
    assert_eq!(extended["runTemplateName"], "shop");
    let log = |key: &str| fs::read_to_string(extended[key].as_str().unwrap()).unwrap();
    assert!(log("appLogPath").starts_with("bold\npid "));
    assert!(log("daprdLogPath").contains("level=info"));
    let logs = place.path(&format!("{id}/.dapr/logs"));
    assert_eq!(fs::read_dir(logs).unwrap().count(), 2);
    // The sidecar's lines are in its file only.
    assert!(!run.said("level=info"), "{:#?}", run.seen);
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
}

#[test]
fn a_start_that_fails_ends_all() {
    let place = Place::new();
    let (good, bad) = (unique_id("good"), unique_id("bad"));
    let mut apps = [app(&good, WAITS), app(&bad, "x")];
    apps[1].more = "  command: [no-such-command]\n".to_owned();
    let text = |app: &App| format!("- appDirPath: {}\n", app.id);
    place.write(&format!("{good}/x"), "");
    place.write(&format!("{bad}/x"), "");
    place.write(
        "dapr.yaml",
        &format!(
            "version: 1\napps:\n{}  command: [sh, -c, '{WAITS}']\n{}{}  dependsOn: [{good}]\n",
            text(&apps[0]),
            text(&apps[1]),
            apps[1].more,
        ),
    );
    let mut run = place.run(&["-f", "dapr.yaml"]);
    let (pid, _) = pid_and_port(&mut run, &good, 1);
    assert_eq!(run.end(), Some(1), "{:#?}", run.seen);
    let text = format!("failed  {bad} was not started: there is no command no-such-command");
    assert!(run.last().contains(&text), "{:#?}", run.seen);
    assert_gone(pid);
}

#[test]
fn a_template_with_mistakes_starts_nothing() {
    let place = Place::new();
    place.write("dapr.yaml", "version: 1\napps:\n- appDirPath: nowhere\n");
    let mut run = place.run(&["-f", "dapr.yaml", "--app-id", "x"]);
    assert_eq!(run.end(), Some(1));
    let begin = "dapr.yaml line 3: error in getting the file info for ";
    assert!(run.last().starts_with(begin), "{:#?}", run.seen);
}
