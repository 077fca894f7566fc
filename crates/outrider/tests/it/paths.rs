//! Method, path and query on their way to the app (contract `http-api.md` 4).

use crate::support::{assert_error, failed, invoke, mesh, taken};

/// What is written behind `/method/`, and what the app sees.
const PATHS: &[(&str, &str)] = &[
    ("a%20b", "/a%20b"),
    ("a%22b", "/a%22b"),
    ("a%5Cb", "/a%5Cb"),
    ("%E2%82%AC", "/%E2%82%AC"),
    ("a+b", "/a+b"),
    ("a;b=c", "/a;b=c"),
    ("a%3Ab", "/a:b"),
    ("%7Eu", "/~u"),
    ("a*b", "/a*b"),
    ("a!'()*[]b", "/a!'()*[]b"),
    ("a%2Fb", "/a/b"),
    ("x/../../y", "/y"),
    ("..%2Fy", "/y"),
    ("admin%2F..%2Fy", "/y"),
    ("public%23/../admin", "/admin"),
    ("x/", "/x"),
    ("x//y", "/x/y"),
    ("x/./y", "/x/y"),
    ("/lead", "/lead"),
    ("", "/"),
    (".", "/"),
    ("..", "/"),
    // Ours: a decoded percent sign is encoded again, so the app decodes no further than we did.
    ("a%2541", "/a%2541"),
    ("%252e%252e%252fx", "/%252e%252e%252fx"),
    ("x?", "/x"),
    ("x?q=1?y=2;z", "/x?q=1?y=2;z"),
    ("x?a=%20+b&a=%zz&%00", "/x?a=%20+b&a=%zz&%00"),
    ("?only=query", "/?only=query"),
    ("x?/v1.0/invoke/y/method/z", "/x?/v1.0/invoke/y/method/z"),
];

#[tokio::test]
async fn the_app_sees_the_cleaned_path_and_the_raw_query() {
    let mesh = mesh().await;
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let mut client = mesh.caller.connect().await.unwrap();
        for (written, seen) in PATHS {
            let rsp = client
                .call("GET", &invoke(id, written), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), 200, "{written}: {}", rsp.text());
            assert_eq!(taken(app).await.target(), *seen, "{id} {written}");
        }
    }
}

#[tokio::test]
async fn the_header_form_cleans_the_whole_path() {
    let mesh = mesh().await;
    let headers = [("dapr-app-id", mesh.callee.app_id())];
    let mut client = mesh.caller.connect().await.unwrap();
    for (written, seen) in PATHS
        .iter()
        .filter(|(written, _)| !written.starts_with('/'))
    {
        let target = format!("/{written}");
        let rsp = client.call("GET", &target, &headers, b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{written}: {}", rsp.text());
        assert_eq!(taken(&mesh.callee_app).await.target(), *seen, "{written}");
    }
}

#[tokio::test]
async fn forbidden_characters_are_refused_by_name() {
    let mesh = mesh().await;
    let forbidden = |shown: &str| format!(r#"method contains forbidden character: "{shown}""#);
    let control = |at: usize, shown: &str| {
        format!(r#"method contains control character at position {at}: "{shown}""#)
    };
    let cases = [
        ("a%23b", forbidden("a#b")),
        ("a%3Fb", forbidden("a?b")),
        ("a%00b", forbidden(r"a\x00b")),
        ("a%0Db", control(1, r"a\rb")),
        ("%E2%82%AC%0A", control(3, r"€\n")),
        ("%7F", control(0, r"\x7f")),
    ];
    let mut client = mesh.caller.connect().await.unwrap();
    for id in [mesh.callee.app_id(), mesh.caller.app_id()] {
        for (written, reason) in &cases {
            let rsp = client
                .call("GET", &invoke(id, written), &[], b"")
                .await
                .unwrap();
            let err = format!("rpc error: code = InvalidArgument desc = invalid method: {reason}");
            assert_error(written, &rsp, 500, &failed(id, &err));
        }
    }
    assert!(mesh.callee_app.requests().await.is_empty());
    assert!(mesh.caller_app.requests().await.is_empty());
}

#[tokio::test]
async fn a_percent_sign_that_begins_no_escape_is_refused_with_the_url() {
    let mesh = mesh().await;
    for (app, id, wrap) in [
        (&mesh.caller_app, mesh.caller.app_id(), ""),
        (
            &mesh.callee_app,
            mesh.callee.app_id(),
            "rpc error: code = Internal desc = error invoking app channel: ",
        ),
    ] {
        for (written, method, escape) in [("a%25b", "a%b", "%b"), ("x/%25", "x/%", "%")] {
            let target = invoke(id, written);
            let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
            let err = format!(
                r#"{wrap}parse "http://{}/{method}": invalid URL escape "{escape}""#,
                app.addr()
            );
            assert_error(written, &rsp, 500, &failed(id, &err));
        }
    }
}

#[tokio::test]
async fn a_long_path_and_query_pass() {
    let mesh = mesh().await;
    let path = format!("{}?{}", "p/".repeat(1000) + "end", "q=1&".repeat(800));
    let rsp = mesh.call("GET", &path, &[], b"").await.unwrap();
    assert_eq!(rsp.status(), 200);
    let seen = taken(&mesh.callee_app).await;
    assert_eq!(seen.target(), format!("/{path}"));
}

#[tokio::test]
async fn an_absolute_request_target_is_read_for_its_path() {
    let mesh = mesh().await;
    let target = format!(
        "http://elsewhere.example:1{}",
        invoke(mesh.callee.app_id(), "x?y")
    );
    let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
    assert_eq!(rsp.status(), 200, "{}", rsp.text());
    assert_eq!(taken(&mesh.callee_app).await.target(), "/x?y");
    // What stands in the query is no path.
    let to = [("dapr-app-id", mesh.callee.app_id())];
    for query in ["x=1", "x=/v1.0/metadata", "x=/v1.0/healthz"] {
        let target = format!("http://elsewhere.example:1?{query}");
        let rsp = mesh.caller.call("GET", &target, &to, b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{}", rsp.text());
        let seen = taken(&mesh.callee_app).await;
        assert_eq!(seen.target(), format!("/?{query}"));
    }
}
