//! One app: its exit code, its environment, what others find out about it.

use std::{path::PathBuf, process::Stdio};

use outrider_testkit::unique_id;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Place, Run, ask, extended, free_port, helper_command};

#[test]
fn the_exit_code_is_the_apps_own() {
    let place = Place::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let mut run = place.shell(&unique_id("app"), &[], script);
        assert_eq!(run.end(), Some(code), "{:#?}", run.seen);
    }
}

#[test]
fn the_app_is_told_where_its_sidecar_is_and_never_what_an_outer_run_said() {
    let place = Place::new();
    let id = unique_id("app");
    let script =
        "env | grep -c ^DAPR_HTTP_PORT=; echo id $APP_ID at $APP_PORT; echo grpc $DAPR_GRPC_PORT";
    let arguments = [
        "run", "-a", &id, "-p", "5123", "-G", "20777", "sh", "-c", script,
    ];
    let mut command = place.command(&arguments);
    let mut run = Run::start(command.env("DAPR_GRPC_PORT", "1").env("APP_ID", "outer"));
    run.until("app      │ 1");
    run.until(&format!("app      │ id {id} at 5123"));
    run.until("app      │ grpc 20777");
    assert_eq!(run.end(), Some(0));
}

#[test]
fn the_folder_names_an_app_that_has_no_id() {
    let place = Place::new();
    place.write("My Shop/x", "");
    let mut command = place.command(&["run", "sh", "-c", "echo id $APP_ID; exit 4"]);
    let mut run = Run::start(command.current_dir(place.path("My Shop")));
    assert_eq!(run.after("app      │ id "), "My-Shop");
    assert_eq!(run.end(), Some(4));
}

#[test]
fn the_sidecar_has_the_metadata_that_list_and_stop_look_for() {
    let place = Place::new();
    let mut run = place.shell(
        &unique_id("app"),
        &[],
        "echo port $DAPR_HTTP_PORT; echo pid $$; exec sleep 1000",
    );
    let port: u16 = run.after("app      │ port ").parse().unwrap();
    let pid = run.after("app      │ pid ");
    run.until("up and running");
    let extended = extended(port);
    assert_eq!(extended["cliPID"], run.child.id().to_string());
    assert_eq!(extended["appPID"], pid);
    let command = "sh -c echo port $DAPR_HTTP_PORT; echo pid $$; exec sleep 1000";
    assert_eq!(extended["appCommand"], command);
    run.signal(Signal::TERM);
    assert_eq!(run.end(), Some(143), "{:#?}", run.seen);
}

#[test]
fn the_line_for_curl_works() {
    let place = Place::new();
    let id = unique_id("app");
    let port = free_port().to_string();
    let mut run = place.shell(&id, &["-p", &port], &helper_command("serve"));
    let call = run.after("to call it: curl http://127.0.0.1:");
    let (port, path) = call.split_once('/').unwrap();
    let target = format!("/{path}").replace("<path>", "orders");
    let (status, body) = ask(port.parse().unwrap(), "GET", &target, "");
    assert_eq!((status, body), (200, format!("{id} was asked for /orders")));
}

#[test]
fn without_resources_the_app_has_a_store_that_outlives_it() {
    let place = Place::new();
    let id = unique_id("app");
    let script = "echo port $DAPR_HTTP_PORT; exec sleep 1000";
    for round in 0..2 {
        let mut run = place.shell(&id, &[], script);
        run.until("no resources were given: the state store statestore is the file ");
        let port: u16 = run.after("app      │ port ").parse().unwrap();
        run.until("up and running");
        if round == 0 {
            let body = r#"[{"key":"order","value":42}]"#;
            let (status, text) = ask(port, "POST", "/v1.0/state/statestore", body);
            assert_eq!(status, 204, "{text}");
        } else {
            let (_, text) = ask(port, "GET", "/v1.0/state/statestore/order", "");
            assert_eq!(text, "42");
        }
        run.signal(Signal::INT);
        run.end();
    }
    assert!(place.path("home/.local/share/outrider/state.db").is_file());
}

#[test]
fn the_store_is_where_it_is_said_to_be_whatever_the_folder_is_called() {
    let place = Place::new();
    let data = place.path("a#b ?c=d&%41{appID}{uuid}\"\u{e4}");
    let id = format!("--app-id={}", unique_id("app"));
    let script = "echo port $DAPR_HTTP_PORT; exec sleep 1000";
    let mut command = place.command(&["run", &id, "--", "sh", "-c", script]);
    let mut run = Run::start(command.env("XDG_DATA_HOME", &data).stdin(Stdio::null()));
    let said = run.after("no resources were given: the state store statestore is the file ");
    let port: u16 = run.after("app      │ port ").parse().unwrap();
    run.until("up and running");
    let body = r#"[{"key":"order","value":42}]"#;
    let (status, text) = ask(port, "POST", "/v1.0/state/statestore", body);
    assert_eq!(status, 204, "{text}");
    run.signal(Signal::INT);
    run.end();
    let file = data.join("outrider/state.db");
    assert_eq!(said, file.display().to_string());
    assert!(file.is_file());
}

#[test]
fn the_sidecar_has_the_name_that_daprs_own_tool_looks_for() {
    let place = Place::new();
    let id = unique_id("app");
    let mut run = place.shell(&id, &["-u", "."], "exec sleep 1000");
    run.until("up and running");
    let output = place.command(&["list", "--json"]).output().unwrap();
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let one = all.iter().find(|it| it["appId"] == id.as_str()).unwrap();
    let process = format!("/proc/{}", one["daprdPid"]);
    let read = |name: &str| std::fs::read_to_string(format!("{process}/{name}")).unwrap();
    assert_eq!(read("comm"), "daprd\n");
    let line = read("cmdline");
    let link = PathBuf::from(line.split('\0').next().unwrap());
    assert!(link.is_symlink(), "{line}");
    // A folder that was named by where we were is found from anywhere.
    let folder = place.path("").canonicalize().unwrap();
    let flag = format!("\0--unix-domain-socket={}", folder.display());
    assert!(line.contains(&flag), "{line}");
    run.signal(Signal::TERM);
    assert_eq!(run.end(), Some(143), "{:#?}", run.seen);
    assert!(!link.is_symlink());
}

#[test]
fn what_is_typed_reaches_the_app() {
    let place = Place::new();
    let mut command = place.command(&["run", "-a", &unique_id("app"), "cat"]);
    let mut run = Run::start(command.stdin(Stdio::piped()));
    let mut stdin = run.child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"hello\n").unwrap();
    run.until("app      │ hello");
    drop(stdin);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
}

#[test]
fn a_sidecar_alone_has_no_prefix_and_ends_well() {
    let place = Place::new();
    let mut run = place.run(&["-a", &unique_id("app")]);
    run.until("no app command was given");
    assert!(run.until("level=info").starts_with("time="));
    run.until("up and running");
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(0), "{:#?}", run.seen);
}
