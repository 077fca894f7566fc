//! `outrider invoke` of an app's own gRPC methods.

use outrider_testkit::{GrpcApp, RawApp, Sidecar};

use super::{
    grpc_app::{self, Reflection},
    outrider, sidecar,
};

async fn beside(app: &GrpcApp) -> Sidecar {
    let builder = sidecar().app_port(app.port()).flag("--app-protocol=grpc");
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_method_is_called_with_json_in_and_out() {
    let app = grpc_app::start(Reflection::On).await;
    let sidecar = beside(&app).await;
    let id = sidecar.app_id();
    let line = [
        "invoke",
        "-a",
        id,
        "-m",
        "shop.v1.Orders/Get",
        "-d",
        r#"{"id":"7","qty":2}"#,
    ];
    let done = outrider(&line).await;
    let shown = "{\n  \"id\": \"7\",\n  \"qty\": 2\n}\nApp invoked successfully: OK\n";
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(0), shown, "")
    );
    let done = outrider(&[&line[..], &["-i", "-H", "x-ask: 1", "--timing"]].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.starts_with("HTTP/2 200\n"), "{done:?}");
    assert!(done.stdout.contains("x-asked: 1\n"), "{done:?}");
    assert!(done.stdout.contains("grpc-status: 0\n"), "{done:?}");
    assert!(
        done.stderr.contains("learning what the method takes"),
        "{done:?}"
    );
}

#[tokio::test]
async fn another_app_s_sidecar_can_make_the_call() {
    let app = grpc_app::start(Reflection::On).await;
    let (callee, caller) = (beside(&app).await, sidecar().start().await.unwrap());
    let from = ["--from", caller.app_id(), "-q", "-d", r#"{"id":"7"}"#];
    let line = ["invoke", "-a", callee.app_id(), "-m", "shop.v1.Orders/Get"];
    let done = outrider(&[&line[..], &from].concat()).await;
    let shown = "{\n  \"id\": \"7\"\n}\n";
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(0), shown, "")
    );
}

#[tokio::test]
async fn a_bad_status_fails_and_is_told() {
    let app = grpc_app::start(Reflection::On).await;
    let sidecar = beside(&app).await;
    let id = sidecar.app_id();
    let line = [
        "invoke",
        "-a",
        id,
        "-m",
        "shop.v1.Orders/Get",
        "-d",
        r#"{"id":"none"}"#,
    ];
    let done = outrider(&line).await;
    assert_eq!((done.code, &*done.stdout), (Some(1), ""), "{done:?}");
    let told = format!("error invoking app {id}: NotFound: no such order\n");
    assert!(done.stderr.starts_with(&told), "{done:?}");
}

#[tokio::test]
async fn without_a_method_or_with_a_wrong_one_the_methods_are_listed() {
    let app = grpc_app::start(Reflection::On).await;
    let sidecar = beside(&app).await;
    let id = sidecar.app_id();
    let list = "it offers:\n  shop.v1.Orders/Get (Order) returns (Order)\n  \
                shop.v1.Orders/Watch (Order) returns (stream Order)\n";
    let done = outrider(&["invoke", "-a", id]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    let told = format!("required flag(s) \"method\" not set\n{list}");
    assert!(done.stderr.ends_with(&told), "{done:?}");
    let done = outrider(&["invoke", "-a", id, "-m", "shop.v1.Order/Get"]).await;
    let told = format!(
        "error invoking app {id}: it has no method \"shop.v1.Order/Get\"; did you mean \
         shop.v1.Orders/Get?\n{list}"
    );
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(1), "", &*told)
    );
}

#[tokio::test]
async fn what_cannot_be_called_so_is_told_with_its_cure() {
    let app = grpc_app::start(Reflection::On).await;
    let sidecar = beside(&app).await;
    let id = sidecar.app_id();
    let line = ["invoke", "-a", id, "-m", "shop.v1.Orders/Watch"];
    let done = outrider(&line).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    let cure = format!(
        "-H 'dapr-app-id: {id}' -d @ 127.0.0.1:{} shop.v1.Orders/Watch\n",
        sidecar.ports().grpc
    );
    assert!(done.stderr.ends_with(&cure), "{done:?}");
    let line = [
        "invoke",
        "-a",
        id,
        "-m",
        "shop.v1.Orders/Get",
        "-d",
        r#"{"nr":7}"#,
    ];
    let done = outrider(&line).await;
    let told =
        format!("error invoking app {id}: shop.v1.Order has no field \"nr\"; it has id, qty\n");
    assert_eq!((done.code, &*done.stderr), (Some(1), &*told));
}

#[tokio::test]
async fn an_app_without_reflection_is_told_how_to_offer_it() {
    let app = grpc_app::start(Reflection::Off).await;
    let sidecar = beside(&app).await;
    let line = ["invoke", "-a", sidecar.app_id(), "-m", "shop.v1.Orders/Get"];
    let done = outrider(&line).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    for part in [
        "it offers no server reflection",
        "reflection.Register",
        "--proto-set",
    ] {
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
}

#[tokio::test]
async fn an_app_of_http_gets_such_a_method_as_a_path() {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let id = sidecar.app_id();
    let done = outrider(&["invoke", "-a", id, "-m", "shop.v1.Orders/Get"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let request = app.last_request().await.unwrap();
    assert_eq!(request.target(), "/shop.v1.Orders/Get");
    let done = outrider(&["invoke", "-a", id, "-m", "x", "--grpc", "--verb", "GET"]).await;
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr
            .ends_with("--verb means nothing to a gRPC app; leave it out\n"),
        "{done:?}"
    );
}
