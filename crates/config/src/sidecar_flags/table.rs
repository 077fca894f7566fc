//! Every flag of the sidecar with its kind, default and explanation (contract, configuration 1.2).

use crate::flags::{Flag, Kind, number, switch, text};

/// The paragraphs above the flags.
pub(super) const ABOUT: &str = "\
Runs a sidecar: the app sends its calls to the sidecar's HTTP or gRPC port, the sidecar finds the \
called app, and that app's own sidecar hands the call over. Two terminals are enough to see it:

  outrider sidecar --app-id shop --app-port 3000 --dapr-http-port 3500
  outrider sidecar --app-id till --app-port 3001 --dapr-http-port 3501 \\
    --dapr-grpc-port 50002 --metrics-port 9091

Then http://127.0.0.1:3501/v1.0/invoke/shop/method/orders reaches the path /orders of the app on \
port 3000.

Durations look like 300ms, 2s or 1m30s, sizes like 400, 64Ki or 4Mi. A switch takes its value \
only behind an equals sign: --enable-metrics=false.";

const APP: &str = "App";
const PORTS: &str = "Ports and addresses";
const LIMITS: &str = "Limits";
const DISCOVERY: &str = "Discovery and resources";
const SECURITY: &str = "Security";
const LOGGING: &str = "Logging and metrics";
const LIFECYCLE: &str = "Lifecycle";
const OWN: &str = "outrider's own (daprd does not know them)";
const ACCEPTED: &str = "Accepted and ignored";

const fn list(name: &'static str, group: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::StrSlice, help).group(group)
}

const fn span(name: &'static str, group: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::Duration, help).group(group)
}

/// The table, in the order of the help text.
pub(super) const FLAGS: &[Flag] = &[
    // App
    text(
        "app-id",
        APP,
        "The name others call this app by. Required; no dots, because a dot \
        separates the name from its namespace.",
    ),
    text(
        "app-port",
        APP,
        "Where the app listens. Without it nothing is handed to an app, and the \
        sidecar only sends.",
    ),
    text(
        "app-protocol",
        APP,
        "How to talk to the app: http, https, h2c, grpc or grpcs. With the \
        TLS kinds the app's certificate is not verified.",
    )
    .default("http"),
    text("app-channel-address", APP, "The host the app listens on.").default("127.0.0.1"),
    switch(
        "enable-app-health-check",
        APP,
        "Ask the app at intervals whether it is well, and \
        refuse calls to it while it is not.",
    ),
    text(
        "app-health-check-path",
        APP,
        "The path asked; HTTP apps only.",
    )
    .default("/healthz"),
    number(
        "app-health-probe-interval",
        APP,
        "Seconds between two questions.",
    )
    .default("5"),
    number(
        "app-health-probe-timeout",
        APP,
        "Milliseconds to wait for an answer; at most the \
        interval.",
    )
    .default("500"),
    number(
        "app-health-threshold",
        APP,
        "How many failures in a row make the app unwell.",
    )
    .default("3"),
    switch(
        "app-ssl",
        APP,
        "Talk TLS to the app: http becomes https, grpc becomes grpcs.",
    )
    .deprecated("use '--app-protocol https|grpcs'"),
    // Ports and addresses
    text("dapr-http-port", PORTS, "The port of the HTTP API.").default("3500"),
    text("dapr-grpc-port", PORTS, "The port of the gRPC API.").default("50001"),
    text(
        "dapr-listen-addresses",
        PORTS,
        "Addresses of both APIs, separated by commas without \
        spaces. Not given: all addresses of the machine.",
    ),
    text(
        "dapr-internal-grpc-port",
        PORTS,
        "The port where other sidecars arrive. Not given or 0: \
        one computed from app id, folder, user and host name, so that it stays the same over \
        restarts.",
    ),
    text(
        "dapr-internal-grpc-listen-address",
        PORTS,
        "The address where other sidecars arrive. \
        Not given: all addresses. If it is 127.0.0.1, localhost or [::1], others on this machine \
        are told to come there.",
    ),
    text(
        "dapr-public-port",
        PORTS,
        "An extra port that only answers health and metadata. Not \
        given: none.",
    ),
    text(
        "dapr-public-listen-address",
        PORTS,
        "The address of that port. Not given: all.",
    ),
    text(
        "unix-domain-socket",
        PORTS,
        "A folder. The APIs then listen on sockets in it, not on \
        ports: dapr-<app-id>-http.socket and dapr-<app-id>-grpc.socket.",
    ),
    text(
        "allowed-origins",
        PORTS,
        "Origins from which browsers may call the HTTP API, separated \
        by commas; * allows all. Not given: no such headers are sent.",
    ),
    // Limits
    number(
        "app-max-concurrency",
        LIMITS,
        "How many calls the app gets at once; others wait. 0 or \
        less: no limit.",
    )
    .default("-1"),
    text(
        "max-body-size",
        LIMITS,
        "The largest body of a request, as a size in bytes. -1 is the \
        default again, 0 or another negative size lifts the limit.",
    )
    .default("4Mi"),
    text(
        "read-buffer-size",
        LIMITS,
        "How large the head of a request may grow.",
    )
    .default("4Ki"),
    number(
        "dapr-http-max-request-size",
        LIMITS,
        "The largest body in MiB.",
    )
    .default("4")
    .deprecated("use '--max-body-size 4Mi'"),
    number(
        "dapr-http-read-buffer-size",
        LIMITS,
        "The largest head in KiB.",
    )
    .default("4")
    .deprecated("use '--read-buffer-size 4Ki'"),
    // Discovery and resources
    text(
        "mode",
        DISCOVERY,
        "Where settings and names come from: standalone (this machine) or \
        kubernetes (the cluster).",
    )
    .default("standalone"),
    list(
        "config",
        DISCOVERY,
        "Files with a Configuration; may be given several times, later ones \
        override. In kubernetes mode the name of one.",
    ),
    list(
        "resources-path",
        DISCOVERY,
        "Folders with resources such as Resiliency or HTTPEndpoint; \
        may be given several times.",
    ),
    text("components-path", DISCOVERY, "One folder with resources.")
        .deprecated("use --resources-path"),
    span(
        "hot-reload-reconcile-interval",
        DISCOVERY,
        "How often resources are compared in full, \
        besides watching them. 0: every 60s.",
    )
    .default("0s"),
    list(
        "disable-init-endpoints",
        DISCOVERY,
        "Questions the app is not asked at start: config, \
        subscribe.",
    ),
    // Security
    switch(
        "enable-mtls",
        SECURITY,
        "Let sidecars prove who they are and encrypt what they say. \
        Needs the variable DAPR_TRUST_ANCHORS.",
    ),
    text("sentry-address", SECURITY, "Where certificates are signed."),
    list(
        "sentry-request-jwt-audiences",
        SECURITY,
        "Audiences of the token sent there. Not given: \
        the trust domain.",
    ),
    text(
        "control-plane-address",
        SECURITY,
        "Where the operator listens; kubernetes mode.",
    ),
    text(
        "control-plane-trust-domain",
        SECURITY,
        "The trust domain of the control plane; also the \
        variable DAPR_CONTROLPLANE_TRUST_DOMAIN.",
    )
    .default("localhost"),
    text(
        "control-plane-namespace",
        SECURITY,
        "The namespace of the control plane; also the \
        variable DAPR_CONTROLPLANE_NAMESPACE.",
    )
    .default("default"),
    switch(
        "disable-builtin-k8s-secret-store",
        SECURITY,
        "Leave out the store of Kubernetes \
        secrets; kubernetes mode.",
    ),
    // Logging and metrics
    text(
        "log-level",
        LOGGING,
        "The least important kind of line shown: debug, info, warn, error \
        or fatal.",
    )
    .default("info"),
    switch("log-as-json", LOGGING, "Write each line as a JSON object."),
    text(
        "log-file",
        LOGGING,
        "A file to append lines to. Not given: stdout.",
    ),
    Flag::new(
        "enable-api-logging",
        Kind::OptBool,
        "Log each call that arrives at the API. Not \
        given: as the Configuration says.",
    )
    .group(LOGGING),
    switch("enable-metrics", LOGGING, "Serve numbers for Prometheus.").default("true"),
    text("metrics-port", LOGGING, "The port of these numbers.").default("9090"),
    text(
        "metrics-listen-address",
        LOGGING,
        "The address of these numbers.",
    )
    .default("0.0.0.0"),
    switch("enable-profiling", LOGGING, "Open the port for profiling."),
    text("profile-port", LOGGING, "That port.").default("7777"),
    // Lifecycle
    number(
        "dapr-graceful-shutdown-seconds",
        LIFECYCLE,
        "How long running calls may take to end \
        after a signal. 0: as long as they want.",
    )
    .default("5"),
    Flag::new(
        "dapr-block-shutdown-duration",
        Kind::OptDuration,
        "After a signal go on working \
        for this long, or until the app is unwell, before anything ends. Not given: end at once.",
    )
    .group(LIFECYCLE),
    switch(
        "wait",
        LIFECYCLE,
        "Wait at most a minute until the sidecar on --dapr-http-port can \
        send calls, then exit.",
    ),
    switch("version", LIFECYCLE, "Print the version and exit."),
    switch(
        "build-info",
        LIFECYCLE,
        "Print version, commit and tag and exit.",
    ),
    // outrider's own
    number(
        "lanes",
        OWN,
        "How many threads carry calls; also the variable OUTRIDER_LANES. 0: \
        chosen by the number of processors.",
    )
    .default("0"),
    Flag::new(
        "same-host-registry",
        Kind::OptBool,
        "Let sidecars of one machine find each other \
        through files, without multicast; also the variable OUTRIDER_SAME_HOST_REGISTRY. Not \
        given: true.",
    )
    .group(OWN),
    Flag::new(
        "mdns",
        Kind::OptBool,
        "Where mDNS is the name resolution, announce and look on the \
        network; also the variable OUTRIDER_MDNS. Not given: true. false leaves apps of this \
        machine.",
    )
    .group(OWN),
    // Accepted and ignored
    text(
        "placement-host-address",
        ACCEPTED,
        "For actors, which this sidecar has not.",
    ),
    list("scheduler-host-address", ACCEPTED, "For jobs and actors."),
    Flag::new("scheduler-job-streams", Kind::Uint, "For jobs and actors.")
        .default("3")
        .group(ACCEPTED),
    span(
        "actors-disseminate-timeout",
        ACCEPTED,
        "For actors; must be positive.",
    )
    .default("30s"),
    span(
        "app-binding-options-timeout",
        ACCEPTED,
        "For input bindings.",
    )
    .default("3s"),
    text("actors-service", ACCEPTED, "For actors.").deprecated("flag no longer has any effect"),
    text("reminders-service", ACCEPTED, "For actors.").deprecated("flag no longer has any effect"),
];
