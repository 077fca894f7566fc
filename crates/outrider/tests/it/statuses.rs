//! Statuses of the app on their way back (contract `http-api.md` 8.5).

use outrider_testkit::{Mesh, RawApp, Script};

use crate::support::{BIN, mesh};

#[tokio::test]
async fn every_status_passes_unchanged() {
    let app = RawApp::start(|req| {
        let code = req.target().trim_start_matches('/').to_owned();
        Script::answer(&format!("{code} Some Words"), &[("X-A", "1")], "body")
    });
    let mesh = Mesh::builder(BIN).callee_app(app.await.unwrap()).start();
    let mesh = mesh.await.unwrap();
    for (caller, way) in [(&mesh.caller, "remote"), (&mesh.callee, "own")] {
        let mut client = caller.connect().await.unwrap();
        for code in [
            200, 201, 202, 203, 206, 207, 226, 299, 300, 301, 302, 303, 307, 308, 399, 400, 401,
            402, 403, 404, 405, 409, 410, 418, 422, 429, 431, 451, 499, 500, 501, 502, 503, 504,
            511, 548, 599, 600, 700, 999,
        ] {
            let target = mesh.target(&code.to_string());
            let rsp = client.call("GET", &target, &[], b"").await.unwrap();
            assert_eq!((rsp.status(), rsp.text().as_str()), (code, "body"), "{way}");
            assert_eq!(rsp.headers.get("x-a"), Some("1"), "{way} {code}");
            assert!(rsp.complete, "{way} {code}");
        }
    }
}

#[tokio::test]
async fn status_lines_have_the_words_of_the_reference() {
    let mesh = mesh().await;
    for (code, line) in [
        (200, "HTTP/1.1 200 OK"),
        (404, "HTTP/1.1 404 Not Found"),
        (418, "HTTP/1.1 418 I'm a teapot"),
        (999, "HTTP/1.1 999 status code 999"),
    ] {
        let script = Script::answer(&format!("{code} Own Words"), &[], "x");
        mesh.callee_app.answer_once(script);
        let rsp = mesh.call("GET", "x", &[], b"").await.unwrap();
        assert_eq!(rsp.status_line, line);
    }
}

#[tokio::test]
async fn interim_answers_are_swallowed() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        mesh.callee_app.answer_once(Script::new().send(
            "HTTP/1.1 100 Continue\r\n\r\n\
             HTTP/1.1 102 Processing\r\nX-A: 1\r\n\r\n\
             HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
             HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        ));
        let rsp = caller
            .call("POST", &mesh.target("x"), &[], b"x")
            .await
            .unwrap();
        assert_eq!((rsp.status(), rsp.text().as_str()), (201, "ok"));
        assert!(!rsp.headers.has("link") && !rsp.headers.has("x-a"));
    }
}

#[tokio::test]
async fn statuses_without_a_body_have_none() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let mut client = caller.connect().await.unwrap();
        for head in [
            "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nX-A: 1\r\nETag: e\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nX-A: 1\r\nContent-Type: a/b\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nX-A: 1\r\nContent-Length: 10\r\n\r\n",
        ] {
            mesh.callee_app.answer_once(Script::new().send(head));
            let rsp = client
                .call("GET", &mesh.target("x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status_line[..12], head[..12]);
            assert_eq!(rsp.headers.get("x-a"), Some("1"));
            for name in ["content-length", "transfer-encoding", "content-type"] {
                assert!(!rsp.headers.has(name), "{head}: {name}");
            }
        }
        let rsp = client
            .call("GET", &mesh.target("x"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200, "the connection is in step");
    }
}

#[tokio::test]
async fn switching_protocols_is_passed_on_as_a_bare_status() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        mesh.callee_app
            .answer_once(Script::new().send(head).close());
        let headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
        let rsp = caller
            .call("GET", &mesh.target("x"), &headers, b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 101);
        assert!(!rsp.headers.has("upgrade"), "{:?}", rsp.headers);
        assert_eq!(rsp.headers.get("content-type"), Some("application/json"));
        // No tunnel was opened, nor was the app's connection used again.
        let rsp = caller
            .call("GET", &mesh.target("x"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200);
    }
}

#[tokio::test]
async fn redirects_are_left_to_the_client() {
    let mesh = mesh().await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See",
        "307 Temporary",
        "308 Permanent",
    ] {
        for caller in [&mesh.caller, &mesh.callee] {
            let location = format!("http://{}/other", mesh.callee_app.addr());
            let script = Script::answer(status, &[("Location", &location)], "");
            mesh.callee_app.answer_once(script);
            let rsp = caller
                .call("GET", &mesh.target("x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.headers.all("location"), [&*location], "{status}");
            assert_eq!(mesh.callee_app.wait_requests(1).await.unwrap().len(), 1);
            mesh.callee_app.clear();
        }
    }
}
