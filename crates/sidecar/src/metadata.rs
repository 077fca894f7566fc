//! `/v1.0/metadata`: what this sidecar is (contract `http-api.md` 12).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use outrider_core::duration::GoDuration;
use serde::Serialize;

use crate::{components::Listed, plan::Plan};

/// Bytes of all values together: two of the longest a request can bring.
const EXTENDED_LIMIT: usize = 8 * 1024 * 1024;

/// Values that clients may add to.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Components that work.
    components: ArcSwap<Arc<[Listed]>>,
    /// A lock between threads, but not on the way of a call.
    extended: Mutex<BTreeMap<String, String>>,
}

/// The document, members in the order that clients are used to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    id: &'a str,
    runtime_version: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    enabled_features: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    components: &'a [Listed],
    extended: BTreeMap<String, String>,
    app_connection_properties: Connection<'a>,
    actor_runtime: ActorRuntime,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    protocol: &'a str,
    channel_address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrency: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_path: Option<&'a str>,
    health_probe_interval: String,
    health_probe_timeout: String,
    health_threshold: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActorRuntime {
    runtime_status: &'static str,
    host_ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<&'static str>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            components: ArcSwap::from_pointee(Arc::new([])),
            extended: Mutex::default(),
        }
    }
}

impl Metadata {
    /// Components that work, in the order in which they came to do so.
    pub(crate) fn components(&self) -> Arc<[Listed]> {
        Arc::clone(&self.components.load())
    }

    /// Replaces the list of components.
    pub(crate) fn list_components(&self, components: Arc<[Listed]>) {
        self.components.store(Arc::new(components));
    }

    /// Sets a value; the runtime's own can't be replaced. False if there is no room for it:
    /// whoever reaches a port that asks for no token must not fill our memory.
    pub(crate) fn set(&self, key: String, value: String) -> bool {
        let mut extended = self.extended.lock().unwrap_or_else(PoisonError::into_inner);
        let others = extended.iter().filter(|(other, _)| **other != key);
        let held: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        if held + key.len() + value.len() > EXTENDED_LIMIT {
            return false;
        }
        extended.insert(key, value);
        true
    }

    /// The values that clients have set, and the runtime's own.
    pub(crate) fn extended(&self, plan: &Plan) -> BTreeMap<String, String> {
        let extended = self.extended.lock().unwrap_or_else(PoisonError::into_inner);
        let mut extended = extended.clone();
        extended.insert("daprRuntimeVersion".to_owned(), plan.version.to_owned());
        extended
    }

    /// The document, with the line end that the reference's encoder leaves behind it.
    pub(crate) fn document(&self, plan: &Plan, app_found: bool) -> Vec<u8> {
        let components = self.components();
        let document = Document {
            id: &plan.app_id,
            runtime_version: plan.version,
            enabled_features: &plan.features,
            components: &components,
            extended: self.extended(plan),
            app_connection_properties: connection(plan),
            actor_runtime: ActorRuntime {
                runtime_status: if app_found {
                    "DISABLED"
                } else {
                    "INITIALIZING"
                },
                host_ready: false,
                placement: app_found.then_some("placement: disconnected"),
            },
        };
        // Strings, numbers and maps with string keys can't fail to be written.
        let mut text = serde_json::to_string(&document).unwrap_or_default();
        text = escape_html(text);
        text.push('\n');
        text.into_bytes()
    }
}

fn connection(plan: &Plan) -> Connection<'_> {
    let app = plan.app.as_ref();
    let duration = |d| GoDuration::from(d).to_string();
    let health = app.and_then(|app| app.health.as_ref());
    Connection {
        port: app.map(|app| app.port),
        protocol: plan.app_protocol,
        channel_address: &plan.app_host,
        max_concurrency: app.and_then(|app| app.max_concurrency),
        health: health.map(|health| Health {
            health_check_path: (!plan.app_protocol.starts_with("grpc")).then_some(&*health.path),
            health_probe_interval: duration(health.interval),
            health_probe_timeout: duration(health.timeout),
            health_threshold: health.threshold,
        }),
    }
}

/// Go's encoder escapes what could end a script element; structure has none of these characters.
fn escape_html(text: String) -> String {
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
