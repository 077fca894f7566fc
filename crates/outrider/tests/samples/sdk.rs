//! The public SDKs, unmodified, through a sidecar: the apps of `tests/sdk/`.

use std::{fs, process::Command};

use outrider_testkit::{RawApp, SidecarBuilder, unique_id};

use crate::{
    BIN,
    needs::{self, Need, sdks},
    process::Process,
    repository,
};

const STORE: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: statestore}\n\
                     spec: {type: state.in-memory, version: v1}\n";

/// Runs an SDK's app beside a sidecar that has a store, with an app to call; both the app and the
/// sidecar, which it ends, end well.
async fn assert_runs(mut app: Command) {
    let echo = RawApp::echo().await.unwrap();
    let called = SidecarBuilder::new(BIN)
        .app_id(unique_id("echo"))
        .app_port(echo.port())
        .start()
        .await
        .unwrap();
    let resources = tempfile::tempdir().unwrap();
    fs::write(resources.path().join("statestore.yaml"), STORE).unwrap();
    let mut sidecar = SidecarBuilder::new(BIN)
        .app_id(unique_id("sdk"))
        .flag(format!("--resources-path={}", resources.path().display()))
        .start()
        .await
        .unwrap();
    app.env("DAPR_HTTP_PORT", sidecar.ports().http.to_string())
        .env("DAPR_GRPC_PORT", sidecar.ports().grpc.to_string())
        .env("SDK_APP_ID", sidecar.app_id())
        .env("SDK_ECHO_ID", called.app_id())
        .env("SDK_SHUTDOWN", "1");
    for name in ["DAPR_API_TOKEN", "DAPR_HTTP_ENDPOINT", "DAPR_GRPC_ENDPOINT"] {
        app.env_remove(name);
    }
    // Off this thread, which serves the app that is called.
    let (code, said) = tokio::task::spawn_blocking(move || {
        let mut process = Process::start(&mut app);
        (process.end(), std::mem::take(&mut process.seen))
    })
    .await
    .unwrap();
    assert_eq!(code, Some(0), "{said:#?}\n{:#?}", sidecar.lines());
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0, "asked to end");
}

#[tokio::test]
async fn the_python_sdk_works_unmodified() {
    if !needs::all("the_python_sdk_works_unmodified", &[Need::Sdk("python")]) {
        return;
    }
    let mut app = Command::new(sdks().join("python/bin/python"));
    app.arg(repository("tests/sdk/python/app.py"));
    assert_runs(app).await;
}

#[tokio::test]
async fn the_javascript_sdk_works_unmodified() {
    let needs = [Need::Node, Need::Sdk("javascript")];
    if !needs::all("the_javascript_sdk_works_unmodified", &needs) {
        return;
    }
    let mut app = Command::new("node");
    app.arg(repository("tests/sdk/javascript/app.js"))
        .env("NODE_PATH", sdks().join("javascript/node_modules"));
    assert_runs(app).await;
}
