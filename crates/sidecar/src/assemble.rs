//! Checked settings → the plan of a sidecar. The only place that knows both.

mod resolver;

use std::{path::PathBuf, sync::Arc};

use outrider_config::{
    env::Env,
    settings::{self, InternalPort, Mode, Settings},
};
use outrider_telemetry::metrics::names::{LATENCY_BOUNDS_MS, latency_bounds};

use crate::{
    api::http::missing::FAMILIES,
    api::{cors::Origins, grpc::rules::Rules},
    control::registry::bracketed,
    metrics,
    plan::{Api, App, End, Health, Listen, Log, Plan, Resources, Routes},
};
use resolver::resolver;

/// The version of the runtime whose API and wire this sidecar has. Tools compare it.
pub const RUNTIME_VERSION: &str = "1.18.3";

/// Largest message where the body limit is off.
const UNLIMITED_MESSAGE: usize = 64 * 1024 * 1024;

/// Makes the plan. Nothing can fail any more: the settings are checked. `env` is what resources may
/// refer to.
pub fn plan(settings: &Settings, env: Env, cpus: usize) -> Plan {
    let app = &settings.app;
    let metric = &settings.metrics.spec;
    let resolver = resolver(&settings.discovery);
    Plan {
        app_id: app.id.clone(),
        namespace: app.namespace.clone(),
        version: RUNTIME_VERSION,
        lanes: settings.lanes.unwrap_or_else(|| default_lanes(cpus)),
        app: app.port.map(|port| app_plan(app, port)),
        app_protocol: app.protocol.as_str(),
        app_host: app.channel_address.clone(),
        listen: listen(settings),
        api: api(settings),
        metrics: metrics::Options {
            enabled: metric.is_enabled(),
            error_codes: metric.record_error_codes.unwrap_or(false),
            full_path: metric.increased_cardinality().unwrap_or(true),
            exclude_verbs: metric
                .http
                .as_ref()
                .and_then(|http| http.exclude_verbs)
                .unwrap_or(false),
            latency_bounds: match metric.buckets() {
                Some(buckets) => latency_bounds(&buckets),
                None => Arc::from(LATENCY_BOUNDS_MS),
            },
        },
        resources: resources(settings, env),
        registry: settings.discovery.same_host_registry
            && settings.discovery.mode == Mode::Standalone,
        mdns: settings.discovery.mdns && resolver.is_mdns(),
        resolver,
        end: End {
            grace: settings.lifecycle.grace,
            block: settings.lifecycle.block,
        },
        features: settings.features.clone(),
        warnings: warnings(settings),
    }
}

/// In kubernetes mode resources do not come from files.
fn resources(settings: &Settings, env: Env) -> Option<Resources> {
    let discovery = &settings.discovery;
    let wanted = discovery.mode == Mode::Standalone && !discovery.resources.is_empty();
    let components = settings.configuration.components.as_ref();
    wanted.then(|| Resources {
        folders: discovery.resources.clone(),
        namespace: env.resource_namespace().map(str::to_owned),
        deny: components.map_or(Vec::new(), |components| components.deny.clone()),
        hot_reload: settings.features.iter().any(|name| name == "HotReload"),
        reconcile: discovery.reconcile,
        env,
    })
}

/// Waking another CPU costs more than most calls do, so a small machine gets one lane and a large
/// one about half its CPUs: the app needs the others (`docs/decisions/0002-lanes.md`).
fn default_lanes(cpus: usize) -> usize {
    if cpus <= 2 { 1 } else { cpus / 2 }
}

fn app_plan(app: &settings::App, port: u16) -> App {
    App {
        addr: format!("{}:{port}", bracketed(&app.channel_address)),
        port,
        protocol: app.protocol,
        max_concurrency: app.max_concurrency.map(Into::into),
        health: app.health.as_ref().map(|health| Health {
            path: health.path.clone(),
            interval: health.interval,
            timeout: health.timeout,
            threshold: health.threshold,
        }),
        ask_config: !app.skip_config,
    }
}

fn listen(settings: &Settings) -> Listen {
    let listen = &settings.listen;
    Listen {
        hosts: listen.addresses.clone(),
        http_port: listen.http_port,
        grpc_port: listen.grpc_port,
        socket_folder: listen.unix_socket_folder.as_ref().map(PathBuf::from),
        internal_host: listen.internal_address.clone(),
        internal_port: listen.internal_port.number(),
        internal_port_is_stable: matches!(listen.internal_port, InternalPort::Stable(_)),
        public: listen
            .public_port
            .map(|port| (listen.public_address.clone(), port)),
        metrics: settings
            .metrics
            .listen
            .then(|| (settings.metrics.address.clone(), settings.metrics.port)),
    }
}

fn api(settings: &Settings) -> Api {
    let (api, limits) = (&settings.api, &settings.limits);
    let reveal = |secret: &Option<settings::Secret>| secret.as_ref().map(|s| s.reveal().to_owned());
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Api {
        head_limit: size(limits.request_head),
        body_limit: limits.body,
        message_limit: limits.body.map_or(UNLIMITED_MESSAGE, size),
        h2c: api.h2c,
        token: reveal(&api.token),
        app_token: reveal(&settings.app.token),
        origins: match &api.origins {
            settings::Origins::Unhandled => None,
            settings::Origins::Any => Origins::parse("*"),
            settings::Origins::Listed(list) => Origins::parse(&list.join(",")),
        },
        tracing: tracing_is_on(settings),
        log: api.log_calls.then_some(Log {
            obfuscate: api.log_obfuscated,
            omit_health: api.log_without_health,
        }),
        routes: Routes {
            invoke: is_served(settings, "invoke", "v1.0/invoke"),
            metadata: is_served(settings, "metadata", "v1.0/metadata"),
            shutdown: is_served(settings, "shutdown", "v1.0/shutdown"),
            state: is_served(settings, "state", "v1.0/state"),
            query: is_served(settings, "state", "v1.0-alpha1/state"),
            missing: FAMILIES
                .each_ref()
                .map(|family| is_served(settings, family.group, family.route)),
        },
        grpc_rules: Rules::new(&api.allowed, &api.denied),
    }
}

/// Trace context is dealt with unless the sampling rate is exactly 0 (contract `observability.md`
/// 6.4).
fn tracing_is_on(settings: &Settings) -> bool {
    let tracing = settings.configuration.tracing.as_ref();
    let rate = tracing.map_or("", |tracing| tracing.sampling_rate.as_str());
    rate.trim().parse::<f64>().ok() != Some(0.0)
}

/// The rules for HTTP: what is denied is not served; if anything is allowed, only that is
/// (contract `http-api.md` 13).
fn is_served(settings: &Settings, group: &str, route: &str) -> bool {
    let version = match route.split('/').next() {
        Some("v1.0-alpha1") => "v1alpha1",
        Some("v1.0-alpha2") => "v1alpha2",
        Some("v1.0-beta1") => "v1beta1",
        _ => "v1",
    };
    let matches = |rule: &outrider_config::configuration::ApiRule| {
        let grouped = rule.version == version && rule.name == group;
        grouped || route.starts_with(&format!("{}/{}", rule.version, rule.name))
    };
    let is_http = |rule: &&outrider_config::configuration::ApiRule| {
        rule.protocol.eq_ignore_ascii_case("http")
    };
    let mut allowed = settings.api.allowed.iter().filter(is_http).peekable();
    !settings.api.denied.iter().filter(is_http).any(matches)
        && (allowed.peek().is_none() || allowed.any(matches))
}

/// What is accepted and has no effect here is said once.
fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = settings.warnings.clone();
    if settings.metrics.spec.increased_cardinality().is_none() {
        warnings.push(
            "metrics: each request path has a series of its own, because \
             spec.metrics.http.increasedCardinality is not set; false keeps the path label empty"
                .to_owned(),
        );
    }
    if settings.listen.profile_port.is_some() {
        warnings.push("--enable-profiling has no effect in this version".to_owned());
    }
    if settings.security.mtls {
        warnings.push(
            "--enable-mtls has no effect in this version: calls between sidecars are not encrypted"
                .to_owned(),
        );
    }
    let configuration = &settings.configuration;
    for (name, given) in [
        ("httpPipeline", configuration.http_pipeline.is_some()),
        ("appHttpPipeline", configuration.app_http_pipeline.is_some()),
        (
            "accessControl.policies",
            configuration
                .access_control
                .as_ref()
                .is_some_and(|list| !list.policies.is_empty()),
        ),
    ] {
        if given {
            warnings.push(format!(
                "spec.{name} of the Configuration has no effect in this version: calls are not \
                 filtered by it"
            ));
        }
    }
    if !settings.discovery.resources.is_empty() && settings.discovery.mode == Mode::Kubernetes {
        warnings.push(
            "--resources-path has no effect in kubernetes mode, and resources of the cluster are \
             not available in this version"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_get_one_lane() {
        assert_eq!([1, 2, 3, 4, 8, 64].map(default_lanes), [1, 1, 1, 2, 4, 32]);
    }
}
