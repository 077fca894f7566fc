//! Naming the called app (contract `http-api.md` 3): forms, precedence, ids, what is unknown.

use std::time::{Duration, Instant};

use outrider_testkit::{Mesh, RawApp, unique_id};

use crate::support::{
    BIN, NO_TARGET, assert_error, base64, closed_port, eventually, failed, invoke, mesh, sidecar,
    taken,
};

type Headers<'a> = &'a [(&'a str, &'a str)];

fn basic(credentials: &str) -> String {
    format!("Basic {}", base64(credentials.as_bytes()))
}

#[tokio::test]
async fn every_form_reaches_the_app() {
    let mesh = mesh().await;
    let id = mesh.callee.app_id();
    let by_password = basic(&format!("dapr-app-id:{id}"));
    let by_other_case = basic(&format!("DAPR-App-Id:{id}"));
    let header = [("dapr-app-id", id)];
    let cases: &[(&str, Headers<'_>, &str)] = &[
        (&invoke(id, "a/b"), &[], "/a/b"),
        (&format!("/v1.0//invoke///{id}/method/a"), &[], "/a"),
        (&format!("/v1.0/invoke/{id}/method/"), &[], "/"),
        (&invoke(id, "x/method/y"), &[], "/x/method/y"),
        (&invoke(&format!("{id}.default"), "ns"), &[], "/ns"),
        (&invoke(&id.replace('-', "%2D"), "esc"), &[], "/esc"),
        ("/a/b?q=1", &header, "/a/b?q=1"),
        ("/", &header, "/"),
        ("/a/b", &[("Dapr-App-ID", id)], "/a/b"),
        ("/a", &[("dapr-app-id", id), ("dapr-app-id", "x")], "/a"),
        ("/a/b", &[("Authorization", &by_password)], "/a/b"),
        ("/a/b", &[("Authorization", &by_other_case)], "/a/b"),
        // The header wins over the URL, which is then an ordinary path.
        (&invoke("x", "y"), &header, "/v1.0/invoke/x/method/y"),
        (
            &invoke("x", "y"),
            &[("Authorization", &by_password)],
            "/v1.0/invoke/x/method/y",
        ),
        // The header wins over credentials.
        (
            "/a",
            &[
                ("Authorization", &basic("dapr-app-id:nosuch")),
                ("dapr-app-id", id),
            ],
            "/a",
        ),
        // What does not qualify leaves the next form its turn.
        (&invoke(id, "a"), &[("dapr-app-id", "")], "/a"),
        (
            &invoke(id, "a"),
            &[("Authorization", &basic("someone:else"))],
            "/a",
        ),
    ];
    for (target, headers, seen) in cases {
        let rsp = mesh.caller.call("GET", target, headers, b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{target} {headers:?}: {}", rsp.text());
        assert!(!rsp.headers.has("dapr-app-id"), "{target}");
        let req = taken(&mesh.callee_app).await;
        assert_eq!(req.target(), *seen, "{target} {headers:?}");
        let named_by_header = headers
            .iter()
            .any(|(n, v)| n.eq_ignore_ascii_case("dapr-app-id") && !v.is_empty());
        assert!(
            !(named_by_header && req.headers.has("dapr-app-id")),
            "{target}: the header that named the target is not forwarded"
        );
        let sent: Vec<_> = headers
            .iter()
            .filter(|(n, _)| *n == "Authorization")
            .map(|(_, v)| *v)
            .collect();
        assert_eq!(req.headers.all("authorization"), sent, "{target}");
    }
}

#[tokio::test]
async fn what_names_no_app_is_404() {
    let mesh = mesh().await;
    let id = mesh.callee.app_id();
    let cases: &[(&str, &str, Headers<'_>)] = &[
        ("GET", "/", &[]),
        ("GET", "/nothing", &[]),
        ("POST", "/v1.0/healthz", &[]),
        ("OPTIONS", "/v1.0/metadata", &[]),
        ("GET", &format!("/v1.0/invoke/{id}/method"), &[]),
        ("GET", &format!("/v1.0/invoke/{id}"), &[]),
        ("GET", &format!("/V1.0/invoke/{id}/method/x"), &[]),
        ("GET", "/x", &[("dapr-app-id", "")]),
        ("GET", "/x", &[("Authorization", &basic("dapr-app-id:"))]),
        (
            "GET",
            "/x",
            &[("Authorization", &basic(&format!("dapr-app-id:{id}:x")))],
        ),
        (
            "GET",
            "/x",
            &[(
                "Authorization",
                &basic(&format!("dapr-app-id:{id}")).replace("Basic", "basic"),
            )],
        ),
        ("GET", "/x", &[("Authorization", "Basic !!!")]),
        ("GET", "/x", &[("Authorization", "Bearer abc")]),
    ];
    for (verb, target, headers) in cases {
        let rsp = mesh.caller.call(verb, target, headers, b"").await.unwrap();
        assert_error(
            &format!("{verb} {target} {headers:?}"),
            &rsp,
            404,
            NO_TARGET,
        );
    }
    assert!(mesh.callee_app.requests().await.is_empty());
}

#[tokio::test]
async fn a_real_route_is_never_a_call() {
    let mesh = mesh().await;
    let header = [("dapr-app-id", mesh.callee.app_id())];
    for (target, status) in [
        ("/v1.0/healthz", 204),
        ("/v1.0/healthz/outbound", 204),
        ("/v1.0/metadata", 200),
    ] {
        let rsp = mesh.caller.call("GET", target, &header, b"").await.unwrap();
        assert_eq!(rsp.status(), status, "{target}");
    }
    assert!(mesh.callee_app.requests().await.is_empty());
    // Another verb is no route, so here the header counts.
    let rsp = mesh
        .caller
        .call("POST", "/v1.0/healthz", &header, b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 200);
    assert_eq!(taken(&mesh.callee_app).await.target(), "/v1.0/healthz");
}

#[tokio::test]
async fn bad_and_unknown_ids_are_named_as_written() {
    let mesh = mesh().await;
    let unknown = unique_id("nosuch");
    let dotted = format!("{unknown}.blue");
    let none = |id: &str| format!("couldn't find service: {id}");
    let cases: Vec<(&str, &str, String)> = vec![
        ("a.b.c", "a.b.c", "invalid app id a.b.c".into()),
        ("a.b.c.d", "a.b.c.d", "invalid app id a.b.c.d".into()),
        (&unknown, &unknown, none(&unknown)),
        (&dotted, &dotted, none(&unknown)),
        // An id is unescaped twice; where that fails the second time, once.
        ("n+a", "n a", none("n a")),
        ("n%2Bb", "n b", none("n b")),
        ("n+%25%63", "n+%c", none("n+%c")),
        ("n%3C%26", "n<&", none("n<&")),
    ];
    // Together, because each look-up lasts a second.
    let mut running = Vec::new();
    for (written, shown, err) in cases {
        let mut client = mesh.caller.connect().await.unwrap();
        let target = invoke(written, "x");
        let call = tokio::spawn(async move {
            let started = Instant::now();
            let rsp = client.call("GET", &target, &[], b"").await;
            (rsp, started.elapsed())
        });
        running.push((written, failed(shown, &err), call));
    }
    for (written, body, call) in running {
        let (rsp, took) = call.await.unwrap();
        assert_error(written, &rsp.unwrap(), 500, &body);
        let looked_up = body.contains("couldn't");
        let expected = match looked_up {
            true => Duration::from_millis(900)..Duration::from_millis(2500),
            false => Duration::ZERO..Duration::from_millis(500),
        };
        assert!(expected.contains(&took), "{written}: {took:?}");
    }
    let rsp = mesh
        .caller
        .call("GET", "/x", &[("dapr-app-id", "a.b.c")], b"")
        .await
        .unwrap();
    let body = failed("a.b.c", "invalid app id a.b.c");
    assert_error("by header", &rsp, 500, &body);
}

#[tokio::test]
async fn an_id_that_is_no_name_fails_at_once() {
    let mesh = mesh().await;
    let long = "n".repeat(64);
    for target in [".default", ".", &long] {
        let started = Instant::now();
        let rsp = mesh
            .caller
            .call("GET", &invoke(target, "x"), &[], b"")
            .await
            .unwrap();
        assert_error(target, &rsp, 500, &failed(target, "dns: bad rdata"));
        assert!(started.elapsed() < Duration::from_millis(500), "{target}");
    }
}

#[tokio::test]
async fn another_namespace_is_reached_by_its_name() {
    let mesh = Mesh::builder(BIN)
        .callee(|callee| callee.env("NAMESPACE", "blue"))
        .start()
        .await
        .unwrap();
    let id = mesh.callee.app_id();
    let blue = format!("{id}.blue");
    let rsp = mesh
        .caller
        .call("GET", &invoke(&blue, "x"), &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 200, "{}", rsp.text());
    let req = taken(&mesh.callee_app).await;
    assert_eq!(req.headers.all("dapr-callee-app-id"), [id]);
    assert_eq!(req.headers.all("dapr-caller-namespace"), ["default"]);

    // From inside, its own namespace is the one without a name.
    let rsp = mesh
        .callee
        .call("GET", &invoke(&blue, "y"), &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 200);
    let caller = format!("{}.default", mesh.caller.app_id());
    let rsp = mesh
        .callee
        .call("GET", &invoke(&caller, "z"), &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 200);
    let req = taken(&mesh.caller_app).await;
    assert_eq!(req.headers.all("dapr-caller-namespace"), ["blue"]);
}

#[tokio::test]
async fn the_same_id_in_two_namespaces_is_two_apps() {
    let mesh = mesh().await;
    let app = RawApp::echo().await.unwrap();
    let builder = sidecar().app_port(app.port()).env("NAMESPACE", "green");
    for id in [mesh.caller.app_id(), mesh.callee.app_id()] {
        let _green = builder.clone().app_id(id).start().await.unwrap();
        let target = invoke(&format!("{id}.green"), "x");
        // Until the other one is known, the one that is known answers.
        eventually("the instance in the other namespace", async || {
            let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
            assert_eq!(rsp.status(), 200, "{}", rsp.text());
            !app.requests().await.is_empty()
        })
        .await;
        let seen = taken(&app).await;
        assert_eq!(
            seen.headers.all("dapr-caller-app-id"),
            [mesh.caller.app_id()]
        );
        let target = invoke(id, "x");
        let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{}", rsp.text());
        assert!(app.requests().await.is_empty(), "{id}");
    }
}

#[tokio::test]
async fn a_call_to_oneself_goes_straight_to_the_app() {
    let mesh = mesh().await;
    let id = mesh.caller.app_id();
    for target in [id.to_owned(), format!("{id}.default")] {
        let started = Instant::now();
        let rsp = mesh
            .caller
            .call("GET", &invoke(&target, "me"), &[("X-Own", "1")], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200);
        assert!(started.elapsed() < Duration::from_millis(500));
        let req = taken(&mesh.caller_app).await;
        assert_eq!(req.target(), "/me");
        assert_eq!(req.headers.get("x-own"), Some("1"));
        for name in [
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "dapr-caller-app-id",
            "dapr-caller-namespace",
            "dapr-callee-app-id",
            "destination-app-id",
        ] {
            assert!(!req.headers.has(name), "{name}");
        }
    }
}

#[tokio::test]
async fn a_missing_app_is_reported_by_the_sidecar_it_is_missing_at() {
    let without_app = sidecar().start().await.unwrap();
    let id = without_app.app_id();
    let rsp = without_app
        .call("GET", &invoke(id, "x"), &[], b"")
        .await
        .unwrap();
    let err = "cannot invoke local endpoint: app channel not initialized";
    assert_error("own", &rsp, 500, &failed(id, err));

    let mesh = mesh().await;
    let rsp = mesh
        .caller
        .call("GET", &invoke(id, "x"), &[], b"")
        .await
        .unwrap();
    let err = "rpc error: code = Internal desc = app channel is not initialized";
    assert_error("remote", &rsp, 500, &failed(id, err));
}

#[tokio::test]
async fn an_app_that_is_not_there_is_reported_with_its_address() {
    let Mesh {
        caller_app,
        callee_app,
        caller,
        callee,
    } = mesh().await;
    let (own, remote) = (caller_app.addr(), callee_app.addr());
    caller_app.stop().await;
    callee_app.stop().await;
    let _held = [own, remote].map(|addr| closed_port(addr.port()));
    let refused = |verb: &str, addr| {
        format!(r#"{verb} "http://{addr}/foo": dial tcp {addr}: connect: connection refused"#)
    };
    let id = caller.app_id();
    for (verb, go) in [("GET", "Get"), ("POST", "Post"), ("DELETE", "Delete")] {
        let rsp = caller
            .call(verb, &invoke(id, "foo"), &[], b"")
            .await
            .unwrap();
        assert_error("own", &rsp, 500, &failed(id, &refused(go, own)));
    }
    let id = callee.app_id();
    let rsp = caller
        .call("POST", &invoke(id, "foo"), &[], b"x")
        .await
        .unwrap();
    let err = format!(
        "rpc error: code = Internal desc = error invoking app channel: {}",
        refused("Post", remote)
    );
    assert_error("remote", &rsp, 500, &failed(id, &err));
}
