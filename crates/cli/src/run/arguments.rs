//! The sidecar's command line (contract `cli.md` 4.2), and a look at it before anything starts.

use std::path::Path;

use outrider_config::{
    configuration::Configuration,
    env::Env,
    settings::{Draft, Host},
    sidecar_flags::{self, Command, Form},
};

use super::{
    plan::{Member, Sidecar},
    ports::Ports,
};

/// The flags. Whatever equals the sidecar's default is left out.
pub(super) fn of(member: &Member, ports: &Ports) -> Vec<String> {
    let sidecar = &member.sidecar;
    let mut line = vec![
        format!("--app-id={}", member.app_id),
        format!("--dapr-http-port={}", ports.http),
        format!("--dapr-grpc-port={}", ports.grpc),
        format!("--dapr-internal-grpc-port={}", ports.internal),
        format!("--metrics-port={}", ports.metrics),
    ];
    if let Some(port) = sidecar.app_port {
        line.push(format!("--app-port={port}"));
    }
    if let Some(port) = ports.profile {
        line.push("--enable-profiling".to_owned());
        line.push(format!("--profile-port={port}"));
    }
    let texts = [
        ("app-protocol", &sidecar.app_protocol),
        ("app-channel-address", &sidecar.app_channel_address),
        ("app-health-check-path", &sidecar.health.path),
        ("dapr-listen-addresses", &sidecar.listen_addresses),
        ("unix-domain-socket", &sidecar.unix_domain_socket),
        ("max-body-size", &sidecar.max_body_size),
        ("read-buffer-size", &sidecar.read_buffer_size),
        ("log-level", &sidecar.log_level),
    ];
    let filled = texts.iter().filter(|(_, value)| !value.is_empty());
    line.extend(filled.map(|(name, value)| format!("--{name}={value}")));
    let numbers = [
        ("app-max-concurrency", sidecar.app_max_concurrency.max(0)),
        ("app-health-probe-interval", sidecar.health.interval),
        ("app-health-probe-timeout", sidecar.health.timeout),
        ("app-health-threshold", sidecar.health.threshold),
    ];
    let set = numbers.iter().filter(|(_, value)| *value != 0);
    line.extend(set.map(|(name, value)| format!("--{name}={value}")));
    let switches = [
        ("app-ssl", sidecar.app_ssl),
        ("enable-app-health-check", sidecar.health.enabled),
        ("enable-api-logging", sidecar.enable_api_logging),
        ("log-as-json", sidecar.log_as_json),
    ];
    let on = switches.iter().filter(|(_, on)| *on);
    line.extend(on.map(|(name, _)| format!("--{name}")));
    let folders = sidecar.resources.iter();
    line.extend(folders.map(|folder| format!("--resources-path={}", csv_field(folder))));
    if let Some(file) = &sidecar.config {
        line.push(format!("--config={}", csv_field(file)));
        if wants_mtls(file) {
            line.push("--enable-mtls".to_owned());
            line.push("--sentry-address=localhost:50001".to_owned());
        }
    }
    line
}

/// What the sidecar would refuse, in its own words, before any process is started.
pub(super) fn refused(line: &[String], env: &Env) -> Option<String> {
    let flags = match sidecar_flags::parse(Form::Daprd, line) {
        Ok(invocation) => match invocation.command {
            Command::Run(flags) => flags,
            _ => return None,
        },
        Err(error) => return Some(error.to_string()),
    };
    // Folder, user and machine only choose a port, and ports are chosen already.
    let loaded = Draft::try_new(*flags, env, &Host::default()).and_then(|draft| {
        let internal = draft.listen().internal_port.number();
        draft.load("127.0.0.1", internal)
    });
    let text = loaded.err()?.to_string();
    let bare = ["Fatal error from runtime: ", "Failed to parse flags: "]
        .iter()
        .find_map(|phase| text.strip_prefix(phase));
    Some(bare.unwrap_or(&text).to_owned())
}

/// A list in a flag is a CSV record; a path may hold what that counts as special.
fn csv_field(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// Whether the Configuration asks for mutual TLS; one that can't be read is the sidecar's business.
fn wants_mtls(file: &Path) -> bool {
    let files = [file.display().to_string()];
    Configuration::load(&files, &Default::default())
        .is_ok_and(|(configuration, _)| configuration.mtls["enabled"] == true)
}

/// The protocol the app is told of; none if there is no such protocol (contract `cli.md` 4.4).
pub(super) fn protocol(sidecar: &Sidecar) -> Option<&'static str> {
    let name = sidecar.app_protocol.to_ascii_lowercase();
    Some(match (name.as_str(), sidecar.app_ssl) {
        ("" | "http", false) => "http",
        ("" | "http", true) | ("https", _) => "https",
        ("h2c", _) => "h2c",
        ("grpc", false) => "grpc",
        ("grpc", true) | ("grpcs", _) => "grpcs",
        _ => return None,
    })
}
