//! The checks, in the order of contract, configuration 1.3.

use super::parts::lanes;
use super::port_numbers::{self, PortNumbers};
use super::{
    Api, App, AppProtocol, Discovery, Error, FlagFault, Health, Host, Lifecycle, Limits, Listen,
    Log, Metrics, Mode, Origins, RuntimeFault, Secret, Security, Settings, stable_port,
};
use crate::configuration::Configuration;
use crate::env::{self, Env, Published};
use crate::go_text;
use crate::sidecar_flags::RawFlags;
use outrider_core::ids::{AppId, Namespace};
use outrider_core::quantity;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Checked flags and environment, still without the Configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    raw: RawFlags,
    env: Env,
    app: App,
    listen: Listen,
    limits: Limits,
    security: Security,
    log: Log,
    mode: Mode,
    lanes: Option<usize>,
    same_host_registry: bool,
    mdns: bool,
    warnings: Vec<String>,
}

impl Draft {
    /// Checks everything that can be checked without files.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn try_new(raw: RawFlags, env: &Env, host: &Host) -> Result<Self, Error> {
        let limits = limits(&raw)?;
        if !raw.actors_disseminate_timeout.is_positive() {
            let got = raw.actors_disseminate_timeout.to_string();
            return Err(FlagFault::DisseminateTimeout(got).into());
        }
        let lanes = own_lanes(&raw, env)?;
        let registry = (raw.same_host_registry, env::OUTRIDER_SAME_HOST_REGISTRY);
        let same_host_registry = on_unless_told(registry, env)?;
        let mdns = on_unless_told((raw.mdns, env::OUTRIDER_MDNS), env)?;
        let log = Log::try_new(&raw)?;
        let security = security(&raw, env)?;
        let mode = mode(&raw.mode)?;
        let id = app_id(&raw.app_id, mode)?;
        let numbers = PortNumbers::read(&raw)?;
        numbers.refuse_conflicts()?;
        let mut warnings = Vec::new();
        let protocol = protocol(&raw, &mut warnings)?;
        let skipped = init_endpoints(&raw.disable_init_endpoints)?;
        let health = health(&raw)?;
        let listen = numbers.listen(&raw, stable_port(&raw.app_id, host))?;
        let port = numbers.app_port()?;
        warnings.extend(mode_warnings(&raw, mode));
        let app = App {
            id,
            namespace: Namespace::new(env.namespace()),
            port,
            protocol,
            channel_address: raw.app_channel_address.clone(),
            max_concurrency: positive(raw.app_max_concurrency),
            token: Secret::new(env.variable(env::APP_API_TOKEN)),
            health: health.filter(|_| port.is_some()),
            skip_config: skipped.config,
            skip_subscribe: skipped.subscribe,
        };
        let env = env.clone();
        Ok(Self {
            raw,
            env,
            app,
            listen,
            limits,
            security,
            log,
            mode,
            lanes,
            same_host_registry,
            mdns,
            warnings,
        })
    }

    /// The app's name.
    #[must_use]
    pub fn app_id(&self) -> &AppId {
        &self.app.id
    }

    /// How to log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What to listen on.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// The files to load, or the name of one in kubernetes mode.
    #[must_use]
    pub fn configuration_names(&self) -> &[String] {
        match self.mode {
            Mode::Standalone => &self.raw.config,
            Mode::Kubernetes => &self.raw.config[..self.raw.config.len().min(1)],
        }
    }

    /// The variables for Configuration files, with the address and the internal port that were
    /// found in the meantime.
    #[must_use]
    pub fn expansion(&self, host_address: &str, internal_port: u16) -> BTreeMap<String, String> {
        self.env.expansion(&Published {
            app_id: self.app.id.as_str().to_owned(),
            app_port: self.app.port.unwrap_or(0).to_string(),
            host_address: host_address.to_owned(),
            internal_port: internal_port.to_string(),
            grpc_port: self.listen.grpc_port.to_string(),
            http_port: self.listen.http_port.to_string(),
            metrics_port: self.raw.metrics_port.clone(),
            profile_port: self.raw.profile_port.clone(),
        })
    }

    /// Loads the files and adds them.
    ///
    /// # Errors
    /// The first file that cannot be used, or the first check that fails.
    pub fn load(self, host_address: &str, internal_port: u16) -> Result<Settings, Error> {
        let variables = self.expansion(host_address, internal_port);
        let loaded = Configuration::load(self.configuration_names(), &variables);
        let (configuration, unknown) = loaded.map_err(RuntimeFault::from)?;
        let mut settings = self.finish(configuration)?;
        settings
            .warnings
            .extend(unknown.iter().map(ToString::to_string));
        Ok(settings)
    }

    /// Adds the Configuration.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn finish(self, configuration: Configuration) -> Result<Settings, Error> {
        configuration.check_secrets().map_err(RuntimeFault::from)?;
        let metrics = Metrics {
            listen: self.raw.enable_metrics,
            port: port_numbers::metrics_port(&self.raw.metrics_port)?,
            address: self.raw.metrics_listen_address.clone(),
            spec: configuration.effective_metric(),
        };
        let features = configuration.enabled_features();
        Ok(Settings {
            api: self.api(&configuration),
            discovery: self.discovery(&configuration),
            lifecycle: lifecycle(&self.raw),
            features: features.into_iter().map(str::to_owned).collect(),
            app: self.app,
            listen: self.listen,
            limits: self.limits,
            security: self.security,
            log: self.log,
            metrics,
            lanes: self.lanes,
            configuration,
            warnings: self.warnings,
        })
    }

    fn api(&self, configuration: &Configuration) -> Api {
        let logging = configuration.logging.as_ref();
        let logging = logging.and_then(|logging| logging.api_logging.as_ref());
        let rules = configuration.api.clone().unwrap_or_default();
        Api {
            token: Secret::new(self.env.variable(env::DAPR_API_TOKEN)),
            origins: Origins::read(&self.raw.allowed_origins),
            h2c: !self.env.disables_h2c(),
            log_calls: self
                .raw
                .enable_api_logging
                .unwrap_or_else(|| logging.is_some_and(|logging| logging.enabled)),
            log_obfuscated: logging.is_some_and(|logging| logging.obfuscate_urls),
            log_without_health: logging.is_some_and(|logging| logging.omit_health_checks),
            allowed: rules.allowed,
            denied: rules.denied,
        }
    }

    fn discovery(&self, configuration: &Configuration) -> Discovery {
        let resolution = configuration.name_resolution.clone().unwrap_or_default();
        let filled = |text: String, default: &str| match text.as_str() {
            "" => default.to_owned(),
            _ => text,
        };
        let resolver = match self.mode {
            Mode::Standalone => "mdns",
            Mode::Kubernetes => "kubernetes",
        };
        Discovery {
            mode: self.mode,
            resolver: filled(resolution.component, resolver),
            resolver_version: filled(resolution.version, "v1"),
            resolver_settings: resolution.configuration,
            host_address: self.env.filled(env::DAPR_HOST_IP).map(str::to_owned),
            same_host_registry: self.same_host_registry,
            mdns: self.mdns,
            resources: resources(&self.raw),
            reconcile: match self.raw.hot_reload_reconcile_interval.to_std_or_zero() {
                Duration::ZERO => Duration::from_secs(60),
                given => given,
            },
        }
    }
}

/// Sizes: the old flags count only where the new ones are not given (contract, 1.2).
fn limits(raw: &RawFlags) -> Result<Limits, FlagFault> {
    let body = match (&raw.max_body_size, raw.dapr_http_max_request_size) {
        (Some(text), _) => size("max-body-size", text)?,
        (None, Some(mebibytes)) => scaled(mebibytes, 1 << 20),
        (None, None) => DEFAULT_BODY,
    };
    let head = match (&raw.read_buffer_size, raw.dapr_http_read_buffer_size) {
        (Some(text), _) => size("read-buffer-size", text)?,
        (None, Some(kibibytes)) => scaled(kibibytes, 1 << 10),
        (None, None) => DEFAULT_HEAD,
    };
    let body = if body == -1 { DEFAULT_BODY } else { body };
    let head = if head == -1 { DEFAULT_HEAD } else { head };
    Ok(Limits::new(body, head))
}

const DEFAULT_BODY: i64 = 4 << 20;
const DEFAULT_HEAD: i64 = 4 << 10;

fn size(flag: &'static str, text: &str) -> Result<i64, FlagFault> {
    quantity::parse_bytes(text).map_err(|source| FlagFault::Size { flag, source })
}

fn scaled(number: i64, unit: i64) -> i64 {
    if number > 0 {
        number.saturating_mul(unit)
    } else {
        number
    }
}

fn own_lanes(raw: &RawFlags, env: &Env) -> Result<Option<usize>, FlagFault> {
    match (raw.lanes, env.filled(env::OUTRIDER_LANES)) {
        (Some(number), _) => lanes("lanes", &number.to_string()),
        (None, Some(text)) => lanes(env::OUTRIDER_LANES, text),
        (None, None) => Ok(None),
    }
}

/// A switch of our own: the flag counts, else the variable.
fn on_unless_told(
    (flag, name): (Option<bool>, &'static str),
    env: &Env,
) -> Result<bool, FlagFault> {
    match (flag, env.filled(name)) {
        (Some(on), _) => Ok(on),
        (None, Some(value)) => {
            let wrong = |_| FlagFault::Boolean {
                name,
                value: value.to_owned(),
            };
            go_text::boolean(value).map_err(wrong)
        }
        (None, None) => Ok(true),
    }
}

fn security(raw: &RawFlags, env: &Env) -> Result<Security, RuntimeFault> {
    // Set but empty counts as given (contract, configuration 2.1).
    let choose = |flag: &Option<String>, variable: &str, default: &str| {
        let fallback = || env.variable(variable).unwrap_or(default).to_owned();
        flag.clone().unwrap_or_else(fallback)
    };
    let trust_domain = choose(
        &raw.control_plane_trust_domain,
        env::DAPR_CONTROLPLANE_TRUST_DOMAIN,
        "localhost",
    );
    if trust_domain.is_empty() {
        return Err(RuntimeFault::NoTrustDomain);
    }
    let trust_anchors = env.filled(env::DAPR_TRUST_ANCHORS).map(str::to_owned);
    if raw.enable_mtls && trust_anchors.is_none() {
        return Err(RuntimeFault::NoTrustAnchors);
    }
    Ok(Security {
        mtls: raw.enable_mtls,
        trust_anchors,
        sentry_address: raw.sentry_address.clone(),
        sentry_audiences: raw.sentry_request_jwt_audiences.clone(),
        sentry_token_file: env.variable(env::DAPR_SENTRY_TOKEN_FILE).map(str::to_owned),
        local_identity: env.filled(env::SENTRY_LOCAL_IDENTITY).map(str::to_owned),
        control_plane_address: raw.control_plane_address.clone(),
        trust_domain,
        control_plane_namespace: choose(
            &raw.control_plane_namespace,
            env::DAPR_CONTROLPLANE_NAMESPACE,
            "default",
        ),
    })
}

fn mode(text: &str) -> Result<Mode, RuntimeFault> {
    match text {
        "standalone" => Ok(Mode::Standalone),
        "kubernetes" => Ok(Mode::Kubernetes),
        _ => Err(RuntimeFault::Mode(text.to_owned())),
    }
}

/// In kubernetes mode the name was checked where it was written.
fn app_id(text: &str, mode: Mode) -> Result<AppId, RuntimeFault> {
    match mode {
        Mode::Standalone => Ok(AppId::try_new(text)?),
        Mode::Kubernetes => Ok(AppId::new(text)),
    }
}

fn protocol(raw: &RawFlags, warnings: &mut Vec<String>) -> Result<AppProtocol, RuntimeFault> {
    let written = AppProtocol::read(&raw.app_protocol)?;
    if !raw.app_ssl {
        return Ok(written);
    }
    let secured = match written {
        AppProtocol::Http => AppProtocol::Https,
        AppProtocol::Grpc => AppProtocol::Grpcs,
        other => other,
    };
    warnings.push(if secured == written {
        format!(
            "--app-ssl has no effect on --app-protocol {}",
            written.as_str()
        )
    } else {
        format!(
            "--app-ssl is deprecated; use --app-protocol {}",
            secured.as_str()
        )
    });
    Ok(secured)
}

#[derive(Default)]
struct SkippedEndpoints {
    config: bool,
    subscribe: bool,
}

fn init_endpoints(names: &[String]) -> Result<SkippedEndpoints, RuntimeFault> {
    let mut skipped = SkippedEndpoints::default();
    for name in names {
        match name.trim().to_lowercase().as_str() {
            "" => {}
            "config" => skipped.config = true,
            "subscribe" => skipped.subscribe = true,
            other => return Err(RuntimeFault::InitEndpoint(other.to_owned())),
        }
    }
    Ok(skipped)
}

/// Checked even where health checks are off (contract, configuration 1.3 step 7).
fn health(raw: &RawFlags) -> Result<Option<Health>, RuntimeFault> {
    let or_default = |value: i64, default| {
        u64::try_from(value)
            .ok()
            .filter(|v| *v > 0)
            .unwrap_or(default)
    };
    let interval = Duration::from_secs(or_default(raw.app_health_probe_interval, 5));
    let timeout = Duration::from_millis(or_default(raw.app_health_probe_timeout, 500));
    if timeout > interval {
        return Err(RuntimeFault::ProbeTimeout);
    }
    let threshold = i32::try_from(raw.app_health_threshold).ok();
    let threshold = threshold.and_then(|threshold| u32::try_from(threshold).ok());
    Ok(raw.enable_app_health_check.then(|| Health {
        interval,
        timeout,
        threshold: threshold.filter(|threshold| *threshold > 0).unwrap_or(3),
        path: match raw.app_health_check_path.as_str() {
            path if path.starts_with('/') => path.to_owned(),
            path => format!("/{path}"),
        },
    }))
}

fn positive(number: i64) -> Option<NonZeroUsize> {
    let number = usize::try_from(number.max(0)).unwrap_or(usize::MAX);
    NonZeroUsize::new(number)
}

fn resources(raw: &RawFlags) -> Vec<String> {
    match (raw.resources_path.as_slice(), raw.components_path.as_str()) {
        ([], "") => Vec::new(),
        ([], one) => vec![one.to_owned()],
        (several, _) => several.to_vec(),
    }
}

fn lifecycle(raw: &RawFlags) -> Lifecycle {
    Lifecycle {
        grace: match u64::try_from(raw.dapr_graceful_shutdown_seconds) {
            Ok(0) => None,
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => Some(Duration::from_secs(5)),
        },
        block: raw
            .dapr_block_shutdown_duration
            .map(|span| span.to_std_or_zero()),
    }
}

fn mode_warnings(raw: &RawFlags, mode: Mode) -> Option<String> {
    let several = mode == Mode::Kubernetes && raw.config.len() > 1;
    several.then(|| {
        let used = &raw.config[0];
        format!("kubernetes mode uses one configuration, {used}; the others are ignored")
    })
}
