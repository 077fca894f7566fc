//! Waits until a sidecar can be used, and leaves word there for `list` and `stop` (contract
//! `cli.md` 4.6). Never gives up: that a process ended is noticed elsewhere.

use std::time::Duration;

use tokio::time::sleep;

use super::api::Api;

/// The metadata to leave, in order.
pub(super) type Keys = Vec<(&'static str, String)>;

/// Waits until calls of the app can leave; then the keys can be put.
pub(super) async fn outbound(api: &Api) {
    until_204(api, "/v1.0/healthz/outbound").await;
}

/// Waits until calls can also come in: the app's port answers, and the app is well.
pub(super) async fn inbound(api: &Api) {
    until_204(api, "/v1.0/healthz").await;
}

/// Puts the keys; those that could not be, with the reason.
pub(super) async fn put(api: &Api, keys: &Keys) -> Vec<String> {
    let mut failed = Vec::new();
    for (key, value) in keys {
        let path = format!("/v1.0/metadata/{key}");
        let why = match api.put(&path, value).await {
            Ok(200..300) => continue,
            Ok(status) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        failed.push(format!("{key}: {why}"));
    }
    failed
}

async fn until_204(api: &Api, path: &str) {
    let mut pause = FIRST;
    while !matches!(api.get(path).await, Ok(204)) {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(100);
