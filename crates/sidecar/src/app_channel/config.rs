//! `GET /dapr/config`, asked once when the app is there (contract `lifecycle.md` 4).

use std::time::Duration;

use outrider_telemetry::log::scope;
use outrider_wire::http1::push_field;
use tokio::time::timeout;

use super::{AppRequest, Channel};
use crate::{call::Body, plan::Plan};

/// An app that never answers must not keep us waiting.
const LIMIT: Duration = Duration::from_secs(5);

const ANSWER_LIMIT: usize = 1024 * 1024;

/// Asks the app. Nothing in its answer concerns invocation; asking is what apps expect.
pub(crate) async fn ask(channel: &Channel, plan: &Plan) {
    if !plan.app.as_ref().is_some_and(|app| app.ask_config) {
        tracing::warn!(
            target: scope::RUNTIME,
            "Skipping programmatic dapr configuration loading: --disable-init-endpoints names config"
        );
        return;
    }
    let mut head = b"GET /dapr/config HTTP/1.1\r\n".to_vec();
    push_field(&mut head, b"Host", channel.addr().as_bytes());
    push_field(&mut head, b"User-Agent", b"Go-http-client/1.1");
    push_field(&mut head, b"Content-Type", b"application/json");
    push_field(&mut head, b"Dapr-App-Id", plan.app_id.as_bytes());
    if let Some(token) = &plan.api.app_token {
        push_field(&mut head, b"Dapr-Api-Token", token.as_bytes());
    }
    let req = AppRequest {
        head,
        verb: "GET",
        body: Body::Empty,
        length: None,
        idempotent: true,
    };
    let asked = async {
        let (head, body) = channel.send(req).await.ok()?;
        let body = body.collect(ANSWER_LIMIT).await.ok()?;
        (head.status == 200).then_some(body)
    };
    let Ok(Some(body)) = timeout(LIMIT, asked).await else {
        return;
    };
    if serde_json::from_slice::<serde_json::Value>(&body).is_ok() {
        tracing::info!(target: scope::RUNTIME, "Application configuration loaded");
    }
}
