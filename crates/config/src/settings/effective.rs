//! The settings in force as text for people. Secrets appear as set or unset.

use super::{InternalPort, Origins, Secret, Settings};
use std::fmt::Display;

pub(super) fn lines(settings: &Settings) -> String {
    let mut page = Page::default();
    app(settings, &mut page);
    listen(settings, &mut page);
    api(settings, &mut page);
    discovery(settings, &mut page);
    rest(settings, &mut page);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: impl Display) {
        self.0.push_str(&format!("{name} = {value}\n"));
    }

    fn optional(&mut self, name: &str, value: Option<impl Display>, absent: &str) {
        match value {
            Some(value) => self.line(name, value),
            None => self.line(name, absent),
        }
    }
}

fn app(settings: &Settings, page: &mut Page) {
    let app = &settings.app;
    page.line("app.id", &app.id);
    page.line("app.namespace", &app.namespace);
    page.optional("app.port", app.port, "none");
    page.line("app.protocol", app.protocol.as_str());
    page.line("app.channel-address", &app.channel_address);
    page.optional("app.max-concurrency", app.max_concurrency, "unlimited");
    page.line("app.token", presence(app.token.as_ref()));
    match &app.health {
        Some(health) => {
            let (interval, timeout) = (health.interval, health.timeout);
            let (threshold, path) = (health.threshold, &health.path);
            let text = format!("{path} every {interval:?}, {timeout:?} each, {threshold} failures");
            page.line("app.health", text);
        }
        None => page.line("app.health", "off"),
    }
}

fn listen(settings: &Settings, page: &mut Page) {
    let listen = &settings.listen;
    match &listen.unix_socket_folder {
        Some(folder) => page.line("listen.sockets-in", folder),
        None => {
            page.line("listen.http-port", listen.http_port);
            page.line("listen.grpc-port", listen.grpc_port);
            page.line(
                "listen.addresses",
                all_if_empty(&listen.addresses.join(",")),
            );
        }
    }
    let origin = match listen.internal_port {
        InternalPort::Chosen(_) => "chosen",
        InternalPort::Stable(_) => "computed",
    };
    page.line(
        "listen.internal-port",
        format!("{} ({origin})", listen.internal_port.number()),
    );
    page.line(
        "listen.internal-address",
        all_if_empty(&listen.internal_address),
    );
    page.optional("listen.public-port", listen.public_port, "none");
    page.optional("listen.profile-port", listen.profile_port, "none");
}

fn api(settings: &Settings, page: &mut Page) {
    let api = &settings.api;
    page.line("api.token", presence(api.token.as_ref()));
    match &api.origins {
        Origins::Unhandled => page.line("api.origins", "not handled"),
        Origins::Any => page.line("api.origins", "*"),
        Origins::Listed(origins) => page.line("api.origins", origins.join(",")),
    }
    page.line("api.h2c", api.h2c);
    page.line("api.log-calls", api.log_calls);
    page.optional("limits.body", settings.limits.body, "unlimited");
    page.line("limits.request-head", settings.limits.request_head);
    page.line("limits.response-head", settings.limits.response_head);
}

fn discovery(settings: &Settings, page: &mut Page) {
    let discovery = &settings.discovery;
    page.line("discovery.mode", discovery.mode.as_str());
    page.line(
        "discovery.resolver",
        format!("{}/{}", discovery.resolver, discovery.resolver_version),
    );
    page.optional(
        "discovery.host-address",
        discovery.host_address.as_ref(),
        "automatic",
    );
    page.line("discovery.same-host-registry", discovery.same_host_registry);
    page.line("discovery.mdns", discovery.mdns);
    page.line("discovery.resources", discovery.resources.join(","));
    page.line("security.mtls", settings.security.mtls);
    page.line("security.trust-domain", &settings.security.trust_domain);
    let anchors = settings.security.trust_anchors.as_ref();
    page.line(
        "security.trust-anchors",
        if anchors.is_some() { "set" } else { "unset" },
    );
}

fn rest(settings: &Settings, page: &mut Page) {
    page.line("log.level", settings.log.level.as_str());
    page.line("log.json", settings.log.json);
    page.optional("log.file", settings.log.file.as_ref(), "stdout");
    let metrics = &settings.metrics;
    if metrics.listen {
        page.line(
            "metrics.listen",
            format!("{}:{}", metrics.address, metrics.port),
        );
    } else {
        page.line("metrics.listen", "off");
    }
    page.line("metrics.spec", metrics.spec.to_json());
    let grace = settings.lifecycle.grace.map(|span| format!("{span:?}"));
    page.optional("lifecycle.grace", grace, "unlimited");
    let block = settings.lifecycle.block.map(|span| format!("{span:?}"));
    page.optional("lifecycle.block", block, "off");
    page.optional("lanes", settings.lanes, "automatic");
    page.line("features", settings.features.join(","));
}

fn presence(secret: Option<&Secret>) -> &'static str {
    if secret.is_some() { "set" } else { "unset" }
}

fn all_if_empty(addresses: &str) -> &str {
    if addresses.is_empty() {
        "all"
    } else {
        addresses
    }
}
