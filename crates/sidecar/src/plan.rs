//! What this sidecar is to be: every decision that flags, environment and files leave to it, taken
//! once and never changed while it runs.

use std::{path::PathBuf, time::Duration};

use outrider_config::{env::Env, settings::AppProtocol};
use outrider_core::ids::{AppId, Namespace};
use outrider_lookup::resolvers;

use crate::{
    api::http::missing::FAMILIES,
    api::{cors::Origins, grpc},
    metrics,
};

/// A checked plan. [`crate::assemble`] makes it from the settings.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Our app.
    pub app_id: AppId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Version told to clients: that of the runtime whose API this is.
    pub version: &'static str,
    /// Lanes to run.
    pub lanes: usize,
    /// Where the app listens; none if it takes no calls.
    pub app: Option<App>,
    /// `http`, `https`, `h2c`, `grpc`, `grpcs`.
    pub app_protocol: &'static str,
    /// Host of the app.
    pub app_host: String,
    /// Ports and addresses.
    pub listen: Listen,
    /// The HTTP API.
    pub api: Api,
    /// Metrics.
    pub metrics: metrics::Options,
    /// Resources from files, if there are folders for them.
    pub resources: Option<Resources>,
    /// Listed in the same-host registry. Others are looked up there only beside mDNS.
    pub registry: bool,
    /// mDNS announces and looks on the network.
    pub mdns: bool,
    /// How other apps are found.
    pub resolver: Resolver,
    /// How the end goes.
    pub end: End,
    /// Names shown as `enabledFeatures`.
    pub features: Vec<String>,
    /// What the settings ask for in vain, to be logged at start.
    pub warnings: Vec<String>,
}

/// How other apps are found. The one that is named decides alone; beside mDNS there is the
/// same-host registry.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// mDNS.
    Mdns,
    /// Another source.
    Source {
        /// What it is called in the log.
        name: ResolverName,
        /// What it is.
        source: Source,
    },
    /// None: why is logged, and every call to another app fails (contract `naming.md` 1).
    Absent {
        /// What it is called in the log.
        name: ResolverName,
        /// The whole text.
        why: String,
        /// Names that would have been known, if this one is not.
        known: Option<&'static [&'static str]>,
    },
}

/// A resolver's name and version as the settings spell them.
#[derive(Clone, Debug)]
pub struct ResolverName {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
}

/// A source beside mDNS, with what it was told.
#[derive(Clone, Debug)]
pub enum Source {
    /// A pattern.
    Nameformat(String),
    /// A database.
    Sqlite(resolvers::sqlite::Config),
    /// A list.
    Static(resolvers::fixed::List),
    /// Name servers.
    Dns(resolvers::dns::Config),
}

impl Resolver {
    /// Whether the default is used.
    pub(crate) fn is_mdns(&self) -> bool {
        matches!(self, Self::Mdns)
    }
}

/// The app beside the sidecar.
#[derive(Clone, Debug)]
pub struct App {
    /// `host:port`.
    pub addr: String,
    /// The port.
    pub port: u16,
    /// What it speaks.
    pub protocol: AppProtocol,
    /// Requests it takes at a time.
    pub max_concurrency: Option<usize>,
    /// Health probes, if asked for.
    pub health: Option<Health>,
    /// `GET /dapr/config` is asked at start.
    pub ask_config: bool,
}

impl App {
    /// Whether it is spoken to over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.protocol, AppProtocol::Https | AppProtocol::Grpcs)
    }
}

/// Health probes of the app.
#[derive(Clone, Debug)]
pub struct Health {
    /// Path of the probe.
    pub path: String,
    /// Time between probes.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failures in a row that make the app unhealthy.
    pub threshold: u32,
}

/// Where the sidecar listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Hosts of the API ports; an empty one means all interfaces.
    pub hosts: Vec<String>,
    /// HTTP API.
    pub http_port: u16,
    /// gRPC API.
    pub grpc_port: u16,
    /// Folder for Unix sockets that replace the API ports.
    pub socket_folder: Option<PathBuf>,
    /// Host of the internal port.
    pub internal_host: String,
    /// Internal port; 0 lets the system choose.
    pub internal_port: u16,
    /// The internal port was computed, not asked for: another is taken if it is in use.
    pub internal_port_is_stable: bool,
    /// Public port.
    pub public: Option<(String, u16)>,
    /// Metrics page.
    pub metrics: Option<(String, u16)>,
}

/// How the HTTP API behaves.
#[derive(Clone, Debug)]
pub struct Api {
    /// Bytes of a request head.
    pub head_limit: usize,
    /// Bytes of a request body; none if unlimited.
    pub body_limit: Option<u64>,
    /// Bytes of a message between sidecars.
    pub message_limit: usize,
    /// HTTP/2 without TLS.
    pub h2c: bool,
    /// Callers must show this token.
    pub token: Option<String>,
    /// The app is shown this token.
    pub app_token: Option<String>,
    /// CORS, if on.
    pub origins: Option<Origins>,
    /// Trace context is added and baggage checked.
    pub tracing: bool,
    /// One log line per request.
    pub log: Option<Log>,
    /// Routes that rules have taken away.
    pub routes: Routes,
    /// The same of gRPC methods.
    pub grpc_rules: grpc::rules::Rules,
}

/// The API log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Route names instead of paths.
    pub obfuscate: bool,
    /// Health routes are left out.
    pub omit_health: bool,
}

/// Route groups that exist.
#[derive(Clone, Copy, Debug)]
pub struct Routes {
    /// `/v1.0/invoke` and the other ways of addressing.
    pub invoke: bool,
    /// `/v1.0/metadata`.
    pub metadata: bool,
    /// `/v1.0/shutdown`.
    pub shutdown: bool,
    /// `/v1.0/state`.
    pub state: bool,
    /// `/v1.0-alpha1/state`.
    pub query: bool,
    /// Those of building blocks that are not there, in their order.
    pub(crate) missing: [bool; FAMILIES.len()],
}

/// Resources from files.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Where they are.
    pub folders: Vec<String>,
    /// Those of other namespaces are left out; none if namespaces do not count.
    pub namespace: Option<String>,
    /// What they may refer to.
    pub env: Env,
    /// Types of components that may not be loaded.
    pub deny: Vec<String>,
    /// The files are followed while the sidecar runs.
    pub hot_reload: bool,
    /// How often they are compared without any sign of a change.
    pub reconcile: Duration,
}

/// The end of the process.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Time for calls under way; none means as long as they take.
    pub grace: Option<Duration>,
    /// Time to go on as before a stop begins.
    pub block: Option<Duration>,
}
