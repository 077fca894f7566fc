//! The names under which the reference logs (observability contract 9.2), used as `target:` of
//! every event. A target outside `dapr.` and `outrider` is never printed.

/// Start, stop and everything without a scope of its own.
pub const RUNTIME: &str = "dapr.runtime";
/// The HTTP API server.
pub const RUNTIME_HTTP: &str = "dapr.runtime.http";
/// API log lines of the HTTP API; printed at every level setting.
pub const RUNTIME_HTTP_INFO: &str = "dapr.runtime.http-info";
/// The gRPC API server.
pub const RUNTIME_GRPC_API: &str = "dapr.runtime.grpc.api";
/// API log lines of the gRPC API; printed at every level setting.
pub const RUNTIME_GRPC_API_INFO: &str = "dapr.runtime.grpc.api-info";
/// The server for other sidecars.
pub const RUNTIME_GRPC_INTERNAL: &str = "dapr.runtime.grpc.internal";
/// Connections to the app.
pub const RUNTIME_CHANNELS: &str = "dapr.runtime.channels";
/// Outbound service invocation.
pub const RUNTIME_DIRECT_MESSAGING: &str = "dapr.runtime.direct_messaging";
/// Metrics and tracing set-up.
pub const RUNTIME_DIAGNOSTICS: &str = "dapr.runtime.diagnostics";
/// Certificates and identities.
pub const RUNTIME_SECURITY: &str = "dapr.runtime.security";
/// Loading of resources.
pub const RUNTIME_PROCESSOR: &str = "dapr.runtime.processor";
/// Loading of secret stores and of secrets inside resources.
pub const RUNTIME_PROCESSOR_SECRET: &str = "dapr.runtime.processor.secret";
/// Reading resource files.
pub const RUNTIME_LOADER_DISK: &str = "dapr.runtime.loader.disk";
/// Which resources an app may load.
pub const RUNTIME_AUTHORIZER: &str = "dapr.runtime.authorizer";
/// Reloading of changed resources.
pub const RUNTIME_HOTRELOAD: &str = "dapr.runtime.hotreload";
/// Watching resource files.
pub const RUNTIME_HOTRELOAD_LOADER_DISK: &str = "dapr.runtime.hotreload.loader.disk";
/// Applying a changed resource.
pub const RUNTIME_HOTRELOAD_RECONCILER: &str = "dapr.runtime.hotreload.reconciler";
/// Spans printed as lines.
pub const RUNTIME_TRACE: &str = "dapr.runtime.trace";
/// HTTP pipelines.
pub const MIDDLEWARE_HTTP: &str = "dapr.middleware.http";
/// Access control decisions.
pub const ACL: &str = "dapr.acl";
/// Health of the app.
pub const APPHEALTH: &str = "dapr.apphealth";
/// Components.
pub const CONTRIB: &str = "dapr.contrib";
/// Signals from the system.
pub const SIGNALS: &str = "dapr.signals";
/// API and app tokens.
pub const SECURITY_TOKEN: &str = "dapr.security.token";
/// API calls common to HTTP and gRPC, such as shutdown.
pub const API: &str = "dapr.api";
/// API calls of the gRPC side outside the runtime's scopes.
pub const GRPC_API: &str = "dapr.grpc.api";

/// Whether events of this target are ours to print.
pub(super) fn is_ours(target: &str) -> bool {
    target.starts_with("dapr.") || target.starts_with("outrider")
}

/// Whether this target prints at info whatever the level setting says (contract 9.3).
pub(super) fn is_always_info(target: &str) -> bool {
    target.ends_with("-info")
}
