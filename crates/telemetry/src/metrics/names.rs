//! Names, help texts and labels of the families around invocation (observability contract 4.1 to
//! 4.3), and their bucket bounds. The help texts are our own; everything else is what dashboards
//! written for the reference ask for. Label values are given in the order of `labels`.

use std::sync::Arc;

use super::{CounterFamily, GaugeFamily, HistogramFamily, Registry};

/// Name, help and labels of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// As on the page.
    pub name: &'static str,
    /// The `# HELP` text.
    pub help: &'static str,
    /// In the order in which values are given.
    pub labels: &'static [&'static str],
}

impl Description {
    /// This family, of counters.
    #[must_use]
    pub fn counters(&self, registry: &Registry) -> CounterFamily {
        registry.counters(self.name, self.help, self.labels)
    }

    /// This family, of gauges.
    #[must_use]
    pub fn gauges(&self, registry: &Registry) -> GaugeFamily {
        registry.gauges(self.name, self.help, self.labels)
    }

    /// This family, of histograms.
    #[must_use]
    pub fn histograms(&self, registry: &Registry, bounds: Arc<[f64]>) -> HistogramFamily {
        registry.histograms(self.name, self.help, self.labels, bounds)
    }
}

/// Default bounds of latency histograms, in milliseconds.
pub const LATENCY_BOUNDS_MS: &[f64] = &[
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0, 25.0, 30.0, 40.0, 50.0, 65.0, 80.0,
    100.0, 130.0, 160.0, 200.0, 250.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1000.0, 2000.0, 5000.0,
    10_000.0, 20_000.0, 50_000.0, 100_000.0,
];

/// Bounds of size histograms, in bytes: powers of two from 1 KiB to 4 GiB.
pub const SIZE_BOUNDS_BYTES: &[f64] = &[
    1024.0,
    2048.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
];

/// The bounds of latency histograms under the setting `latencyDistributionBuckets` (contract 3):
/// sorted, without zeros and repetitions; the default list if nothing is left.
#[must_use]
pub fn latency_bounds(setting: &[i64]) -> Arc<[f64]> {
    let mut bounds: Vec<i64> = setting.iter().copied().filter(|&ms| ms != 0).collect();
    bounds.sort_unstable();
    bounds.dedup();
    if bounds.is_empty() {
        return LATENCY_BOUNDS_MS.into();
    }
    bounds.into_iter().map(|ms| ms as f64).collect()
}

const APP: &[&str] = &["app_id"];
const APP_STATUS: &[&str] = &["app_id", "status"];
const HTTP: &[&str] = &["app_id", "method", "path", "status"];
const GRPC_SERVER: &[&str] = &["app_id", "grpc_server_method"];
const GRPC_SERVER_STATUS: &[&str] = &["app_id", "grpc_server_method", "grpc_server_status"];
const GRPC_CLIENT: &[&str] = &["app_id", "grpc_client_method"];
const GRPC_CLIENT_STATUS: &[&str] = &["app_id", "grpc_client_method", "grpc_client_status"];
const GRPC_PROBE: &[&str] = &["app_id", "grpc_client_status"];

// 4.1, HTTP.

/// Counter: each request on the API and the public server.
pub const HTTP_SERVER_REQUEST_COUNT: Description = Description {
    name: "dapr_http_server_request_count",
    help: "HTTP requests answered by the sidecar.",
    labels: HTTP,
};

/// Counter: the same, only with `increasedCardinality`.
pub const HTTP_SERVER_RESPONSE_COUNT: Description = Description {
    name: "dapr_http_server_response_count",
    help: "HTTP responses sent by the sidecar.",
    labels: HTTP,
};

/// Histogram of whole milliseconds until the body is written.
pub const HTTP_SERVER_LATENCY: Description = Description {
    name: "dapr_http_server_latency",
    help: "Milliseconds from an HTTP request to the end of its response.",
    labels: HTTP,
};

/// Histogram of sizes: `Content-Length`, unknown is 0.
pub const HTTP_SERVER_REQUEST_BYTES: Description = Description {
    name: "dapr_http_server_request_bytes",
    help: "Body bytes that HTTP requests announced.",
    labels: APP,
};

/// Histogram of sizes: body bytes written.
pub const HTTP_SERVER_RESPONSE_BYTES: Description = Description {
    name: "dapr_http_server_response_bytes",
    help: "Body bytes of HTTP responses.",
    labels: APP,
};

/// Histogram of sizes, `status` always empty; recorded as a request to the app starts.
pub const HTTP_CLIENT_SENT_BYTES: Description = Description {
    name: "dapr_http_client_sent_bytes",
    help: "Body bytes of requests to the app, 0 where they are streamed.",
    labels: HTTP,
};

/// Histogram of sizes: the app's `Content-Length`.
pub const HTTP_CLIENT_RECEIVED_BYTES: Description = Description {
    name: "dapr_http_client_received_bytes",
    help: "Body bytes that the app's responses announced.",
    labels: APP,
};

/// Histogram of whole milliseconds until the response head.
pub const HTTP_CLIENT_ROUNDTRIP_LATENCY: Description = Description {
    name: "dapr_http_client_roundtrip_latency",
    help: "Milliseconds from a request to the app to the head of its response.",
    labels: HTTP,
};

/// Counter; a transport failure has status `500`.
pub const HTTP_CLIENT_COMPLETED_COUNT: Description = Description {
    name: "dapr_http_client_completed_count",
    help: "Requests that the app has answered.",
    labels: HTTP,
};

/// Counter; a network error has status `500`.
pub const HTTP_HEALTHPROBES_COMPLETED_COUNT: Description = Description {
    name: "dapr_http_healthprobes_completed_count",
    help: "Health probes of the app over HTTP.",
    labels: APP_STATUS,
};

/// Histogram of whole milliseconds.
pub const HTTP_HEALTHPROBES_ROUNDTRIP_LATENCY: Description = Description {
    name: "dapr_http_healthprobes_roundtrip_latency",
    help: "Milliseconds that health probes of the app over HTTP took.",
    labels: APP_STATUS,
};

// 4.2, gRPC.

/// Counter: calls on the API and the internal server.
pub const GRPC_SERVER_COMPLETED_RPCS: Description = Description {
    name: "dapr_grpc_io_server_completed_rpcs",
    help: "gRPC calls answered by the sidecar.",
    labels: GRPC_SERVER_STATUS,
};

/// Histogram of whole milliseconds.
pub const GRPC_SERVER_LATENCY: Description = Description {
    name: "dapr_grpc_io_server_server_latency",
    help: "Milliseconds that gRPC calls to the sidecar took.",
    labels: GRPC_SERVER_STATUS,
};

/// Histogram of sizes, unary calls only.
pub const GRPC_SERVER_RECEIVED_BYTES: Description = Description {
    name: "dapr_grpc_io_server_received_bytes_per_rpc",
    help: "Request bytes per gRPC call to the sidecar.",
    labels: GRPC_SERVER,
};

/// Histogram of sizes, unary calls only; 0 on error.
pub const GRPC_SERVER_SENT_BYTES: Description = Description {
    name: "dapr_grpc_io_server_sent_bytes_per_rpc",
    help: "Response bytes per gRPC call to the sidecar.",
    labels: GRPC_SERVER,
};

/// Counter: calls to the app, to other sidecars and to the control plane.
pub const GRPC_CLIENT_COMPLETED_RPCS: Description = Description {
    name: "dapr_grpc_io_client_completed_rpcs",
    help: "gRPC calls made by the sidecar.",
    labels: GRPC_CLIENT_STATUS,
};

/// Histogram of whole milliseconds.
pub const GRPC_CLIENT_ROUNDTRIP_LATENCY: Description = Description {
    name: "dapr_grpc_io_client_roundtrip_latency",
    help: "Milliseconds that gRPC calls made by the sidecar took.",
    labels: GRPC_CLIENT_STATUS,
};

/// Histogram of sizes, unary calls only.
pub const GRPC_CLIENT_SENT_BYTES: Description = Description {
    name: "dapr_grpc_io_client_sent_bytes_per_rpc",
    help: "Request bytes per gRPC call made by the sidecar.",
    labels: GRPC_CLIENT,
};

/// Histogram of sizes, unary calls only.
pub const GRPC_CLIENT_RECEIVED_BYTES: Description = Description {
    name: "dapr_grpc_io_client_received_bytes_per_rpc",
    help: "Response bytes per gRPC call made by the sidecar.",
    labels: GRPC_CLIENT,
};

/// Counter; these calls are in no other client family.
pub const GRPC_HEALTHPROBES_COMPLETED_COUNT: Description = Description {
    name: "dapr_grpc_io_healthprobes_completed_count",
    help: "Health probes of the app over gRPC.",
    labels: GRPC_PROBE,
};

/// Histogram of whole milliseconds.
pub const GRPC_HEALTHPROBES_ROUNDTRIP_LATENCY: Description = Description {
    name: "dapr_grpc_io_healthprobes_roundtrip_latency",
    help: "Milliseconds that health probes of the app over gRPC took.",
    labels: GRPC_PROBE,
};

// 4.2, errors.

/// Counter: each error answered, only with `recordErrorCodes`.
pub const ERROR_CODE: Description = Description {
    name: "dapr_error_code_total",
    help: "Errors answered to clients, by code.",
    labels: &["app_id", "category", "error_code"],
};

// state.md 8.

const STATE: &[&str] = &["app_id", "component", "namespace", "operation", "success"];

/// Counter: each call of a state store; `component` is its name.
pub const STATE_COUNT: Description = Description {
    name: "dapr_component_state_count",
    help: "Operations done by state stores.",
    labels: STATE,
};

/// Histogram of fractional milliseconds.
pub const STATE_LATENCIES: Description = Description {
    name: "dapr_component_state_latencies",
    help: "Milliseconds that state stores took.",
    labels: STATE,
};

// 4.3, service invocation.

/// Counter, caller: each attempt; `type` is `unary` or `streaming`.
pub const INVOCATION_REQ_SENT: Description = Description {
    name: "dapr_runtime_service_invocation_req_sent_total",
    help: "Attempts to call another app.",
    labels: &["app_id", "dst_app_id", "type"],
};

/// Counter, caller: `src_app_id` is the called app.
pub const INVOCATION_RES_RECV: Description = Description {
    name: "dapr_runtime_service_invocation_res_recv_total",
    help: "Responses received from other apps.",
    labels: &["app_id", "src_app_id", "status", "type"],
};

/// Histogram of fractional milliseconds, caller: unary calls only.
pub const INVOCATION_RES_RECV_LATENCY: Description = Description {
    name: "dapr_runtime_service_invocation_res_recv_latency_ms",
    help: "Milliseconds until another app's response came.",
    labels: &["app_id", "src_app_id", "status"],
};

/// Counter, callee: `src_app_id` is the caller, or `unknown`.
pub const INVOCATION_REQ_RECV: Description = Description {
    name: "dapr_runtime_service_invocation_req_recv_total",
    help: "Calls received from other apps.",
    labels: &["app_id", "src_app_id"],
};

/// Counter, callee: `dst_app_id` is the caller.
pub const INVOCATION_RES_SENT: Description = Description {
    name: "dapr_runtime_service_invocation_res_sent_total",
    help: "Responses sent to other apps.",
    labels: &["app_id", "dst_app_id", "status"],
};

// Components (state contract 1.4).

/// Counter: components that came to work, reloads included.
pub const COMPONENT_LOADED: Description = Description {
    name: "dapr_runtime_component_loaded",
    help: "Components that were loaded.",
    labels: APP,
};

/// Counter: the same by type, which is under `component`.
pub const COMPONENT_INIT: Description = Description {
    name: "dapr_runtime_component_init_total",
    help: "Components that were initialised, by type.",
    labels: &["app_id", "component"],
};

/// Counter; `reason` is `creation` or `init`.
pub const COMPONENT_INIT_FAIL: Description = Description {
    name: "dapr_runtime_component_init_fail_total",
    help: "Components that could not be made or started.",
    labels: &["app_id", "component", "componentName", "reason"],
};
