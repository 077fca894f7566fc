//! `GET /dapr/config`, asked once when the app is there (contract `lifecycle.md` 4).

use std::time::Duration;

use outrider_telemetry::log::scope;
use tokio::time::timeout;

use super::{App, AppRequest, Rest, Speaks};
use crate::{call::Body, plan::Plan};

/// An app that never answers must not keep us waiting.
const LIMIT: Duration = Duration::from_secs(5);

const ANSWER_LIMIT: usize = 1024 * 1024;

/// Asks the app. Nothing in its answer concerns invocation; asking is what apps expect.
pub(crate) async fn ask(app: &App, plan: &Plan) {
    // Apps that speak gRPC have no such page.
    let Speaks::Http(http) = app.speaks() else {
        return;
    };
    if !plan.app.as_ref().is_some_and(|app| app.ask_config) {
        tracing::warn!(
            target: scope::RUNTIME,
            "Skipping programmatic dapr configuration loading: --disable-init-endpoints names config"
        );
        return;
    }
    let Ok(mut head) = http.head("GET", b"/dapr/config", 256) else {
        return;
    };
    head.push(b"User-Agent", http.default_agent());
    head.push(b"Content-Type", b"application/json");
    head.push(b"Dapr-App-Id", plan.app_id.as_bytes());
    if let Some(token) = &plan.api.app_token {
        head.push(b"Dapr-Api-Token", token.as_bytes());
    }
    let rest = Rest {
        verb: "GET",
        body: Body::Empty,
        length: None,
        idempotent: true,
    };
    let req = AppRequest { head, rest };
    let asked = async {
        let answer = http.send(req, app.slot().await).await.ok()?;
        let body = answer.body.collect(ANSWER_LIMIT).await.ok()?;
        (answer.status == 200).then_some(body)
    };
    let Ok(Some(body)) = timeout(LIMIT, asked).await else {
        return;
    };
    if serde_json::from_slice::<serde_json::Value>(&body).is_ok() {
        tracing::info!(target: scope::RUNTIME, "Application configuration loaded");
    }
}
