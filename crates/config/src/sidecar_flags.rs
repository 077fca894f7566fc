//! The sidecar's command line: what may stand on it, and what it asks for.
//!
//! Reads arguments into [`RawFlags`] and decides between running and the one-shot modes (contract,
//! configuration 1.1 and 1.2, lifecycle 9). Checks no value beyond its kind: that is the business
//! of [`crate::settings`].

mod table;

use crate::flags::{self, Outcome, Parsed, Positionals, Spec, UsageError};
use outrider_core::duration::GoDuration;

/// Under which name the sidecar was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As `outrider sidecar`.
    Outrider,
    /// As `daprd`, where a single dash in front of a long name is as good as two.
    Daprd,
}

impl Form {
    /// The command's table.
    #[must_use]
    pub const fn spec(self) -> Spec {
        Spec {
            usage_name: match self {
                Self::Outrider => "outrider sidecar",
                Self::Daprd => "daprd",
            },
            usage_tail: "--app-id <text> [--app-port <text>] [flags]",
            about: table::ABOUT,
            flags: table::FLAGS,
            positionals: Positionals::Anywhere,
        }
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// Lines for stderr about deprecated flags.
    pub notices: Vec<String>,
    /// What to do.
    pub command: Command,
}

/// What to do. Help goes to stderr (contract, configuration 1.1), the others to stdout.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Print this text.
    Help(String),
    /// Print the version.
    Version,
    /// Print version, commit and tag.
    BuildInfo,
    /// Wait until a sidecar answers on this port.
    Wait {
        /// The HTTP port, as written.
        http_port: String,
    },
    /// Be a sidecar.
    Run(Box<RawFlags>),
}

/// The flags as parsed, not yet checked against each other. Those whose absence means something
/// of its own are options.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "one field per flag; the table says what each one means"
)]
pub struct RawFlags {
    pub mode: String,
    pub app_id: String,
    pub app_port: String,
    pub app_protocol: String,
    pub app_ssl: bool,
    pub app_channel_address: String,
    pub app_max_concurrency: i64,
    pub enable_app_health_check: bool,
    pub app_health_check_path: String,
    pub app_health_probe_interval: i64,
    pub app_health_probe_timeout: i64,
    pub app_health_threshold: i64,
    pub dapr_http_port: String,
    pub dapr_grpc_port: String,
    pub dapr_internal_grpc_port: String,
    pub dapr_internal_grpc_listen_address: String,
    pub dapr_listen_addresses: String,
    pub dapr_public_port: String,
    pub dapr_public_listen_address: String,
    pub profile_port: String,
    pub enable_profiling: bool,
    pub unix_domain_socket: String,
    pub max_body_size: Option<String>,
    pub dapr_http_max_request_size: Option<i64>,
    pub read_buffer_size: Option<String>,
    pub dapr_http_read_buffer_size: Option<i64>,
    pub allowed_origins: String,
    pub config: Vec<String>,
    pub resources_path: Vec<String>,
    pub components_path: String,
    pub actors_disseminate_timeout: GoDuration,
    pub disable_init_endpoints: Vec<String>,
    pub disable_builtin_k8s_secret_store: bool,
    pub hot_reload_reconcile_interval: GoDuration,
    pub control_plane_address: String,
    pub control_plane_trust_domain: Option<String>,
    pub control_plane_namespace: Option<String>,
    pub sentry_address: String,
    pub sentry_request_jwt_audiences: Vec<String>,
    pub enable_mtls: bool,
    pub dapr_graceful_shutdown_seconds: i64,
    pub dapr_block_shutdown_duration: Option<GoDuration>,
    pub enable_api_logging: Option<bool>,
    pub log_level: String,
    pub log_as_json: bool,
    pub log_file: String,
    pub enable_metrics: bool,
    pub metrics_port: String,
    pub metrics_listen_address: String,
    /// Ours; the variable counts where the flag is not given.
    pub lanes: Option<i64>,
    /// Ours; the variable counts where the flag is not given.
    pub same_host_registry: Option<bool>,
    /// Ours; the variable counts where the flag is not given.
    pub mdns: Option<bool>,
    /// Words that are no flags. They have no effect (contract, configuration 1.1).
    pub ignored_arguments: Vec<String>,
}

/// Reads the arguments behind the program's (and the command's) name.
///
/// # Errors
/// The first argument that cannot be read; to be shown with [`UsageError::render`], exit code 2.
pub fn parse(form: Form, arguments: &[String]) -> Result<Invocation, UsageError> {
    let spec = form.spec();
    let outcome = match form {
        Form::Outrider => flags::parse(&spec, arguments)?,
        Form::Daprd => flags::parse(&spec, &flags::double_single_dashes(arguments))?,
    };
    let parsed = match outcome {
        Outcome::Help => {
            let command = Command::Help(spec.help());
            return Ok(Invocation {
                notices: Vec::new(),
                command,
            });
        }
        Outcome::Parsed(parsed) => parsed,
    };
    let command = if parsed.bool("version") {
        Command::Version
    } else if parsed.bool("build-info") {
        Command::BuildInfo
    } else if parsed.bool("wait") {
        Command::Wait {
            http_port: parsed.str("dapr-http-port"),
        }
    } else {
        Command::Run(Box::new(RawFlags::from_parsed(&parsed)))
    };
    Ok(Invocation {
        notices: parsed.notices,
        command,
    })
}

impl RawFlags {
    fn from_parsed(flags: &Parsed) -> Self {
        Self {
            mode: flags.str("mode"),
            app_id: flags.str("app-id"),
            app_port: flags.str("app-port"),
            app_protocol: flags.str("app-protocol"),
            app_ssl: flags.bool("app-ssl"),
            app_channel_address: flags.str("app-channel-address"),
            app_max_concurrency: flags.int("app-max-concurrency"),
            enable_app_health_check: flags.bool("enable-app-health-check"),
            app_health_check_path: flags.str("app-health-check-path"),
            app_health_probe_interval: flags.int("app-health-probe-interval"),
            app_health_probe_timeout: flags.int("app-health-probe-timeout"),
            app_health_threshold: flags.int("app-health-threshold"),
            dapr_http_port: flags.str("dapr-http-port"),
            dapr_grpc_port: flags.str("dapr-grpc-port"),
            dapr_internal_grpc_port: flags.str("dapr-internal-grpc-port"),
            dapr_internal_grpc_listen_address: flags.str("dapr-internal-grpc-listen-address"),
            dapr_listen_addresses: flags.str("dapr-listen-addresses"),
            dapr_public_port: flags.str("dapr-public-port"),
            dapr_public_listen_address: flags.str("dapr-public-listen-address"),
            profile_port: flags.str("profile-port"),
            enable_profiling: flags.bool("enable-profiling"),
            unix_domain_socket: flags.str("unix-domain-socket"),
            max_body_size: flags.given_str("max-body-size"),
            dapr_http_max_request_size: given_int(flags, "dapr-http-max-request-size"),
            read_buffer_size: flags.given_str("read-buffer-size"),
            dapr_http_read_buffer_size: given_int(flags, "dapr-http-read-buffer-size"),
            allowed_origins: flags.str("allowed-origins"),
            config: flags.list("config"),
            resources_path: flags.list("resources-path"),
            components_path: flags.str("components-path"),
            actors_disseminate_timeout: flags.duration("actors-disseminate-timeout"),
            disable_init_endpoints: flags.list("disable-init-endpoints"),
            disable_builtin_k8s_secret_store: flags.bool("disable-builtin-k8s-secret-store"),
            hot_reload_reconcile_interval: flags.duration("hot-reload-reconcile-interval"),
            control_plane_address: flags.str("control-plane-address"),
            control_plane_trust_domain: flags.given_str("control-plane-trust-domain"),
            control_plane_namespace: flags.given_str("control-plane-namespace"),
            sentry_address: flags.str("sentry-address"),
            sentry_request_jwt_audiences: flags.list("sentry-request-jwt-audiences"),
            enable_mtls: flags.bool("enable-mtls"),
            dapr_graceful_shutdown_seconds: flags.int("dapr-graceful-shutdown-seconds"),
            dapr_block_shutdown_duration: flags.opt_duration("dapr-block-shutdown-duration"),
            enable_api_logging: flags.opt_bool("enable-api-logging"),
            log_level: flags.str("log-level"),
            log_as_json: flags.bool("log-as-json"),
            log_file: flags.str("log-file"),
            enable_metrics: flags.bool("enable-metrics"),
            metrics_port: flags.str("metrics-port"),
            metrics_listen_address: flags.str("metrics-listen-address"),
            lanes: given_int(flags, "lanes"),
            same_host_registry: flags.opt_bool("same-host-registry"),
            mdns: flags.opt_bool("mdns"),
            ignored_arguments: flags.positionals.clone(),
        }
    }
}

fn given_int(flags: &Parsed, name: &str) -> Option<i64> {
    flags.given(name).then(|| flags.int(name))
}

#[cfg(test)]
mod tests;
