//! The state API over HTTP, on the stores that need nothing beside the sidecar: in memory and in a
//! SQLite file (contract `state.md` 2, 3, 6–8). The stores' own rules have their tests where they
//! are; here it counts what a client sees.

mod bad_requests;
mod many;
mod over_grpc;
mod seen_beside;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use outrider_testkit::{RawResponse, Sidecar, SidecarBuilder, unique_id};

use crate::support::sidecar;

/// The stores that [`State`] has, and the name of a third that keeps whole keys as they are.
const STORES: [&str; 2] = ["mem", "sql"];
const WHOLE: &str = "whole ä";

/// A sidecar with stores.
struct State {
    sidecar: Sidecar,
    folder: PathBuf,
}

impl State {
    async fn start() -> Self {
        Self::start_as(|builder| builder).await
    }

    async fn start_as(change: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_id("state"));
        let resources = folder.join("resources");
        fs::create_dir_all(&resources).unwrap();
        let data = folder.join("data.db");
        let text = [
            component("mem", "state.in-memory", ""),
            component(
                "sql",
                "state.sqlite",
                &format!(
                    "  - {{name: connectionString, value: \"{}\"}}\n",
                    data.display()
                ),
            ),
            component(
                WHOLE,
                "state.in-memory",
                "  - {name: keyPrefix, value: none}\n",
            ),
        ];
        fs::write(resources.join("stores.yaml"), text.concat()).unwrap();
        let flag = format!("--resources-path={}", resources.display());
        let sidecar = change(sidecar().flag(flag)).start().await.unwrap();
        Self { sidecar, folder }
    }

    async fn ask(&self, method: &str, target: &str, body: &str) -> RawResponse {
        let rsp = self.sidecar.call(method, target, &[], body.as_bytes());
        rsp.await.unwrap()
    }

    async fn delete(&self, target: &str, etag: &str) -> RawResponse {
        let fields = [("If-Match", etag)];
        let rsp = self.sidecar.call("DELETE", target, &fields, b"");
        rsp.await.unwrap()
    }

    async fn save(&self, store: &str, items: &str) -> RawResponse {
        self.ask("POST", &format!("/v1.0/state/{store}"), items)
            .await
    }

    /// Saves, and fails unless that succeeds.
    async fn saved(&self, store: &str, items: &str) {
        let rsp = self.save(store, items).await;
        assert_eq!((rsp.status(), &*rsp.text()), (204, ""), "{store} {items}");
    }

    async fn get(&self, store: &str, key: &str) -> RawResponse {
        self.ask("GET", &format!("/v1.0/state/{store}/{key}"), "")
            .await
    }

    /// The value of a key as text; none if there is nothing.
    async fn value(&self, store: &str, key: &str) -> Option<String> {
        let rsp = self.get(store, key).await;
        match rsp.status() {
            200 => Some(rsp.text()),
            204 => None,
            other => panic!("{other} for {store}/{key}: {}", rsp.text()),
        }
    }

    async fn etag(&self, store: &str, key: &str) -> String {
        let rsp = self.get(store, key).await;
        rsp.headers.get("etag").unwrap().to_owned()
    }

    /// The series on the metrics page whose names begin like this, with their values.
    async fn series(&self, prefix: &str) -> Vec<String> {
        let port = self.sidecar.ports().metrics;
        let mut client = outrider_testkit::RawClient::connect(port).await.unwrap();
        let page = client.call("GET", "/metrics", &[], b"").await.unwrap();
        let lines = page.text();
        let wanted = lines.lines().filter(|line| line.starts_with(prefix));
        wanted.map(str::to_owned).collect()
    }

    /// The series of errors, but for those of whoever waited for the start.
    async fn error_codes(&self) -> Vec<String> {
        let mut series = self.series("dapr_error_code_total").await;
        series.retain(|series| !series.contains("ERR_HEALTH_NOT_READY"));
        series
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn component(name: &str, component_type: &str, metadata: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: \"{name}\"\nspec:\n  type: \
         {component_type}\n  version: v1\n  metadata:\n  - {{name: unused, value: x}}\n{metadata}---\n"
    )
}

/// The body of an error without details.
fn error(code: &str, message: &str) -> String {
    let message = message.replace('\\', "\\\\").replace('"', "\\\"");
    let message = message.replace('\n', "\\n");
    format!(r#"{{"errorCode":"{code}","message":"{message}"}}"#)
}
