//! `outrider invoke`.

use outrider_testkit::{Mesh, RawApp, Script, unique_id};

use super::{BIN, outrider, sidecar, with};

#[tokio::test]
async fn a_call_reaches_the_app_as_the_dapr_cli_would_make_it() {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let done = outrider(&[
        "invoke",
        "--app-id",
        sidecar.app_id(),
        "--method",
        "orders?x=1",
        "--data",
        "{\"a\":1}",
    ])
    .await;
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(0), "{\"a\":1}\nApp invoked successfully: 200 OK\n", "")
    );
    let request = app.last_request().await.unwrap();
    assert_eq!(
        (request.method(), request.target()),
        ("POST", "/orders?x=1")
    );
    assert_eq!(request.headers.all("content-type"), ["application/json"]);
}

#[tokio::test]
async fn headers_verb_kind_and_body_can_be_chosen() {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let line = [
        "invoke",
        "-a",
        sidecar.app_id(),
        "-m",
        "x",
        "-v",
        "put",
        "-f",
        "-",
        "-q",
        "--content-type",
        "text/plain",
        "-H",
        "X-One: a, b",
        "--header=X-Two: \"c\"",
    ];
    let done = with(&line, &[], "from stdin").await;
    assert_eq!(
        (done.code, &*done.stdout),
        (Some(0), "from stdin"),
        "{done:?}"
    );
    let request = app.last_request().await.unwrap();
    assert_eq!(request.method(), "PUT");
    assert_eq!(request.headers.all("content-type"), ["text/plain"]);
    assert_eq!(request.headers.all("x-one"), ["a, b"]);
    assert_eq!(request.headers.all("x-two"), ["\"c\""]);
}

#[tokio::test]
async fn from_takes_the_way_through_both_sidecars_and_tells_its_times() {
    let mesh = Mesh::start(BIN).await.unwrap();
    let done = outrider(&[
        "invoke",
        "-a",
        mesh.callee.app_id(),
        "-m",
        "x",
        "--from",
        mesh.caller.app_id(),
        "--timing",
        "--include",
        "-d",
        "hi",
    ])
    .await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.starts_with("HTTP/1.1 200 OK\n"), "{done:?}");
    assert!(done.stdout.contains("\n\nhi\nApp invoked"), "{done:?}");
    for hop in [
        "in the sidecar ",
        "to the other sidecar",
        "to the app",
        "in all",
    ] {
        assert!(done.stderr.contains(hop), "{hop}: {done:?}");
    }
    let request = mesh.callee_app.last_request().await.unwrap();
    let callers = request.headers.all("dapr-caller-app-id");
    assert_eq!(callers, [mesh.caller.app_id()]);
}

#[tokio::test]
async fn a_bad_status_fails_and_shows_its_body() {
    let app = RawApp::start(|_| Script::answer("404 Not Found", &[], "no such order"));
    let app = app.await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let id = sidecar.app_id();
    let done = outrider(&["invoke", "-a", id, "-m", "x"]).await;
    assert_eq!((done.code, &*done.stdout), (Some(1), "no such order\n"));
    assert_eq!(
        done.stderr,
        format!("error invoking app {id}: 404 Not Found\n")
    );
    app.handle(|_| Script::answer("302 Found", &[("Location", "/y")], ""));
    let done = outrider(&["invoke", "-a", id, "-m", "x"]).await;
    assert_eq!(
        (done.code, &*done.stdout),
        (Some(0), "App invoked successfully: 302 Found\n")
    );
}

#[tokio::test]
async fn a_failure_of_the_sidecars_is_explained() {
    let sidecar = sidecar().start().await.unwrap();
    let (id, nobody) = (sidecar.app_id(), unique_id("nobody"));
    let done = outrider(&["invoke", "-a", &nobody, "-m", "x", "--from", id]).await;
    assert_eq!(done.code, Some(1));
    assert!(done.stdout.contains("ERR_DIRECT_INVOKE"), "{done:?}");
    let status = format!("error invoking app {nobody}: 500 Internal Server Error\n");
    assert!(done.stderr.starts_with(&status), "{done:?}");
    assert!(
        done.stderr.contains("no sidecar of such an app is known"),
        "{done:?}"
    );
}

#[tokio::test]
async fn an_app_without_a_sidecar_is_told_as_the_dapr_cli_does() {
    let nobody = unique_id("nobody");
    let done = outrider(&["invoke", "-a", &nobody, "-m", "x"]).await;
    assert_eq!((done.code, &*done.stdout), (Some(1), ""));
    let told = format!("error invoking app {nobody}: app ID {nobody} not found");
    assert!(done.stderr.starts_with(&told), "{done:?}");
}

#[tokio::test]
async fn an_answer_is_shown_while_it_comes_and_a_broken_one_fails() {
    let app = RawApp::start(|_| {
        Script::new()
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .chunk("first ")
            .chunk("second")
            .reset()
    });
    let app = app.await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let id = sidecar.app_id();
    let done = outrider(&["invoke", "-a", id, "-m", "x"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!("first second".starts_with(&done.stdout), "{done:?}");
    assert!(done.stderr.contains(id), "{done:?}");
    assert!(!done.stdout.contains("successfully"), "{done:?}");
}

#[tokio::test]
async fn a_silent_app_is_given_up_after_the_timeout() {
    let app = RawApp::start(|_| Script::new().hang()).await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let line = [
        "invoke",
        "-a",
        sidecar.app_id(),
        "-m",
        "x",
        "--timeout",
        "50ms",
    ];
    let done = outrider(&line).await;
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("no answer within 50ms"), "{done:?}");
}

#[tokio::test]
async fn the_token_of_the_environment_is_sent() {
    let app = RawApp::echo().await.unwrap();
    let builder = sidecar().app_port(app.port());
    let sidecar = builder
        .env("DAPR_API_TOKEN", "secret")
        .start()
        .await
        .unwrap();
    let line = ["invoke", "-a", sidecar.app_id(), "-m", "x"];
    let done = outrider(&line).await;
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("401 Unauthorized"), "{done:?}");
    assert!(done.stderr.contains("set DAPR_API_TOKEN"), "{done:?}");
    let done = with(&line, &[("DAPR_API_TOKEN", "secret")], "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[tokio::test]
async fn a_socket_is_called_by_its_folder() {
    let app = RawApp::echo().await.unwrap();
    // Paths of sockets are short.
    let folder = std::env::temp_dir().join(unique_id("u"));
    std::fs::create_dir(&folder).unwrap();
    let mut sidecar = sidecar()
        .app_id(unique_id("s"))
        .app_port(app.port())
        .flag(format!("--unix-domain-socket={}", folder.display()))
        .spawn()
        .unwrap();
    let ready = sidecar.wait_line("dapr initialized").await;
    let id = sidecar.app_id().to_owned();
    let listed = outrider(&["invoke", "-a", &id, "-m", "x", "-d", "one", "-q"]).await;
    let folder_name = folder.to_str().unwrap();
    let line = [
        "invoke",
        "-a",
        &id,
        "-m",
        "x",
        "-d",
        "two",
        "-q",
        "-u",
        folder_name,
    ];
    let named = outrider(&line).await;
    sidecar.signal(outrider_testkit::Signal::Term).unwrap();
    sidecar.wait_exit().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    ready.unwrap();
    assert_eq!(
        (listed.code, &*listed.stdout),
        (Some(0), "one"),
        "{listed:?}"
    );
    assert_eq!((named.code, &*named.stdout), (Some(0), "two"), "{named:?}");
}

#[tokio::test]
async fn two_bodies_and_missing_flags_are_refused() {
    let done = outrider(&["invoke", "-a", "a", "-m", "b", "-d", "x", "-f", "y"]).await;
    assert_eq!(done.code, Some(2));
    let told = "Only one of --data and --data-file allowed in the same invoke command\n";
    assert!(done.stderr.ends_with(told), "{done:?}");
    let done = outrider(&["invoke", "-a", "a"]).await;
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr
            .ends_with("required flag(s) \"method\" not set\n"),
        "{done:?}"
    );
}
