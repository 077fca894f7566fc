//! The parts of the settings: plain checked values, one struct for each reader.

use super::{Error, FlagFault, RuntimeFault};
use crate::configuration::{ApiRule, Metric};
use crate::sidecar_flags::RawFlags;
use outrider_core::ids::{AppId, Namespace};
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

/// The app behind this sidecar.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its name.
    pub id: AppId,
    /// Where the name lives.
    pub namespace: Namespace,
    /// Where it listens; none if nothing is handed to it.
    pub port: Option<u16>,
    /// How to talk to it.
    pub protocol: AppProtocol,
    /// The host it listens on.
    pub channel_address: String,
    /// How many calls it gets at once; none for no limit.
    pub max_concurrency: Option<NonZeroUsize>,
    /// Shown to it with every call.
    pub token: Option<Secret>,
    /// Whether and how it is asked if it is well; only with a port.
    pub health: Option<Health>,
    /// The question about its settings is not asked.
    pub skip_config: bool,
    /// The question about its subscriptions is not asked.
    pub skip_subscribe: bool,
}

/// How to talk to an app. The TLS kinds do not verify its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the flag's own values")]
pub enum AppProtocol {
    Http,
    Https,
    H2c,
    Grpc,
    Grpcs,
}

impl AppProtocol {
    /// The word for flags, logs and metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
        }
    }

    /// Whether the app speaks gRPC.
    #[must_use]
    pub const fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    /// Whether the app speaks TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }

    /// Reads the flag: any case, empty for http.
    pub(super) fn read(text: &str) -> Result<Self, RuntimeFault> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "" | "http" => Self::Http,
            "https" => Self::Https,
            "h2c" => Self::H2c,
            "grpc" => Self::Grpc,
            "grpcs" => Self::Grpcs,
            _ => return Err(RuntimeFault::Protocol(text.to_owned())),
        })
    }
}

/// How the app is asked if it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// From one question to the next.
    pub interval: Duration,
    /// How long to wait for an answer; never longer than the interval.
    pub timeout: Duration,
    /// How many failures in a row make it unwell.
    pub threshold: u32,
    /// The path asked, with its leading slash; for apps that speak HTTP.
    pub path: String,
}

/// What the sidecar listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The port of the HTTP API.
    pub http_port: u16,
    /// The port of the gRPC API.
    pub grpc_port: u16,
    /// The addresses of both, untrimmed; "" is every address.
    pub addresses: Vec<String>,
    /// The port that answers health and metadata only.
    pub public_port: Option<u16>,
    /// Its address; "" is every address.
    pub public_address: String,
    /// The port where other sidecars arrive.
    pub internal_port: InternalPort,
    /// Its address; "" is every address.
    pub internal_address: String,
    /// The folder of the API's sockets, which then replace its ports.
    pub unix_socket_folder: Option<String>,
    /// The port for profiling, if there is one.
    pub profile_port: Option<u16>,
}

impl Listen {
    /// The address to announce to others, where the internal one is a loopback of fixed spelling.
    #[must_use]
    pub fn advertised_loopback(&self) -> Option<&str> {
        let address = self.internal_address.as_str();
        matches!(address, "127.0.0.1" | "localhost" | "[::1]").then_some(address)
    }
}

/// The port where other sidecars arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalPort {
    /// Asked for; nothing else will do.
    Chosen(u16),
    /// Computed; a random one will do if it is taken.
    Stable(u16),
}

impl InternalPort {
    /// The port to try.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Chosen(port) | Self::Stable(port) => port,
        }
    }
}

/// The HTTP and gRPC API.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Callers must show it.
    pub token: Option<Secret>,
    /// Which browsers may call.
    pub origins: Origins,
    /// Whether HTTP/2 without TLS is served on the HTTP port.
    pub h2c: bool,
    /// Whether calls are logged: the flag, else the Configuration.
    pub log_calls: bool,
    /// Whether routes are logged, not paths.
    pub log_obfuscated: bool,
    /// Whether health checks are left out of that.
    pub log_without_health: bool,
    /// If any, only these parts are served.
    pub allowed: Vec<ApiRule>,
    /// None of these parts is served.
    pub denied: Vec<ApiRule>,
}

/// Which browsers may call the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// The sidecar does not deal with origins at all.
    Unhandled,
    /// All.
    Any,
    /// These.
    Listed(Vec<String>),
}

impl Origins {
    pub(super) fn read(text: &str) -> Self {
        match text {
            "" => Self::Unhandled,
            "*" => Self::Any,
            list => Self::Listed(list.split(',').map(str::to_owned).collect()),
        }
    }
}

/// How large things may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The body of a request, in bytes; none for no limit.
    pub body: Option<u64>,
    /// The head of a request at the HTTP API, in bytes.
    pub request_head: u64,
    /// The head of an app's response, in bytes.
    pub response_head: u64,
}

impl Limits {
    /// What Go adds to a limit for heads of requests.
    const SLACK: u64 = 4096;
    /// Go's own limit where none is set.
    const UNSET_HEAD: u64 = 1 << 20;

    /// From normalised sizes: a body of 0 or less is without limit, a head of 0 or less means
    /// what it means to Go.
    pub(super) fn new(body: i64, head: i64) -> Self {
        let body = u64::try_from(body).ok().filter(|bytes| *bytes > 0);
        match u64::try_from(head).ok().filter(|bytes| *bytes > 0) {
            Some(head) => {
                let request_head = head.saturating_add(Self::SLACK);
                Self {
                    body,
                    request_head,
                    response_head: head,
                }
            }
            None => Self {
                body,
                request_head: Self::UNSET_HEAD + Self::SLACK,
                // No response head of an app has been seen to fail there; ours is still bounded.
                response_head: 4 * Self::UNSET_HEAD,
            },
        }
    }
}

/// Where settings and names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// This machine.
    Standalone,
    /// The cluster.
    Kubernetes,
}

impl Mode {
    /// The flag's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// How names and resources are found.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// Where everything comes from.
    pub mode: Mode,
    /// The resolver's name.
    pub resolver: String,
    /// Its version.
    pub resolver_version: String,
    /// Whatever it was told.
    pub resolver_settings: serde_json::Value,
    /// Own address, unchecked, if it was given.
    pub host_address: Option<String>,
    /// Whether sidecars of one machine find each other through files.
    pub same_host_registry: bool,
    /// mDNS, where it is the resolver, uses the network.
    pub mdns: bool,
    /// Folders with resources.
    pub resources: Vec<String>,
    /// How often these are compared in full.
    pub reconcile: Duration,
}

/// Trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Whether sidecars prove who they are.
    pub mtls: bool,
    /// What is trusted, in PEM.
    pub trust_anchors: Option<String>,
    /// Where certificates are signed.
    pub sentry_address: String,
    /// Audiences of the token sent there.
    pub sentry_audiences: Vec<String>,
    /// A file with that token. Set but empty is kept: it is an error where it is used.
    pub sentry_token_file: Option<String>,
    /// Replaces the app id in the certificate request.
    pub local_identity: Option<String>,
    /// Where the operator listens.
    pub control_plane_address: String,
    /// The control plane's trust domain; never empty.
    pub trust_domain: String,
    /// The control plane's namespace.
    pub control_plane_namespace: String,
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least important kind shown.
    pub level: LogLevel,
    /// Whether each line is a JSON object.
    pub json: bool,
    /// The file to append to; none for stdout.
    pub file: Option<String>,
}

impl Log {
    /// Reads the flags alone, for those who must log before everything is checked.
    ///
    /// # Errors
    /// There is no such level.
    pub fn try_new(raw: &RawFlags) -> Result<Self, Error> {
        Ok(Self {
            level: LogLevel::read(&raw.log_level)?,
            json: raw.log_as_json,
            file: Some(raw.log_file.clone()).filter(|file| !file.is_empty()),
        })
    }
}

/// Kinds of lines, the least important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the flag's own values")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl LogLevel {
    /// The flag's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    fn read(text: &str) -> Result<Self, Error> {
        let all = [
            Self::Debug,
            Self::Info,
            Self::Warn,
            Self::Error,
            Self::Fatal,
        ];
        all.into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::LogLevel(text.to_owned()))
    }
}

/// Numbers for Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Whether the port opens. What is counted is the business of `spec`.
    pub listen: bool,
    /// The port.
    pub port: u16,
    /// The address.
    pub address: String,
    /// What is counted, and how.
    pub spec: Metric,
}

/// Start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    /// How long running calls may take to end; none for as long as they want.
    pub grace: Option<Duration>,
    /// How long to go on working after a signal; none to end at once.
    pub block: Option<Duration>,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text, if there is any.
    #[must_use]
    pub fn new(text: Option<&str>) -> Option<Self> {
        text.filter(|text| !text.is_empty())
            .map(|text| Self(text.to_owned()))
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// The largest number of threads that may be asked for.
const MOST_LANES: usize = 1024;

/// Reads a number of threads; 0 is none in particular.
pub(super) fn lanes(name: &'static str, value: &str) -> Result<Option<usize>, FlagFault> {
    match value.trim().parse::<usize>() {
        Ok(0) => Ok(None),
        Ok(number @ ..=MOST_LANES) => Ok(Some(number)),
        _ => Err(FlagFault::Lanes {
            name,
            value: value.to_owned(),
            most: MOST_LANES,
        }),
    }
}
