//! The sections of a Configuration with their keys (contract, configuration 3.2).
//!
//! Nothing but shapes: fields that may be absent are options, so that a later file can override a
//! single one. Keys are case-sensitive.

use crate::yaml::decode::{Ignored, decode_fields};
use outrider_core::duration::GoDuration;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a file says at its top. Only `spec` counts; `kind` and `apiVersion` are not checked.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) spec: Configuration,
    metadata: Metadata,
    ignored: Ignored,
}

impl Document {
    /// A document to be decoded over what is there.
    pub(super) fn over(spec: Configuration) -> Self {
        Self {
            spec,
            ..Self::default()
        }
    }
}

#[derive(Debug, Default)]
struct Metadata {
    name: String,
}

/// All sections. The default is what holds without any file.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Spans: how many, and where to.
    pub tracing: Option<Tracing>,
    /// Numbers for Prometheus; see [`Configuration::effective_metric`].
    pub metric: Option<Metric>,
    /// The same again; what is set here wins.
    pub metrics: Option<Metric>,
    /// Middlewares in front of the HTTP API.
    pub http_pipeline: Option<Pipeline>,
    /// Middlewares in front of the app.
    pub app_http_pipeline: Option<Pipeline>,
    /// How names are found.
    pub name_resolution: Option<NameResolution>,
    /// Who may call what.
    pub access_control: Option<AccessControl>,
    /// Which parts of the API are served.
    pub api: Option<ApiRules>,
    /// Switches; see [`Configuration::enabled_features`].
    pub features: Vec<Feature>,
    /// What is logged.
    pub logging: Option<Logging>,
    /// Which components may load.
    pub components: Option<Components>,
    /// Which secrets the API shows.
    pub secrets: Option<Secrets>,
    /// Limits for WebAssembly components.
    pub wasm: Option<Wasm>,
    /// For the certificate authority; a sidecar ignores it.
    pub mtls: Value,
    /// For workflows, which this sidecar has not.
    pub workflow: Value,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            tracing: Some(Tracing {
                otel: Some(Otel {
                    is_secure: Some(true),
                    ..Otel::default()
                }),
                ..Tracing::default()
            }),
            metric: Some(Metric {
                enabled: Some(true),
                ..Metric::default()
            }),
            metrics: None,
            http_pipeline: None,
            app_http_pipeline: None,
            name_resolution: None,
            access_control: Some(AccessControl {
                default_action: "allow".to_owned(),
                trust_domain: "public".to_owned(),
                policies: Vec::new(),
            }),
            api: None,
            features: Vec::new(),
            logging: None,
            components: None,
            secrets: None,
            wasm: None,
            mtls: Value::Null,
            workflow: Value::Null,
        }
    }
}

decode_fields!(Document, "config.Configuration", {
    "apiVersion" => ignored,
    "kind" => ignored,
    "metadata" => metadata,
    "spec" => spec,
});

decode_fields!(Metadata, "v1.ObjectMeta", { "name" => name });

decode_fields!(Configuration, "config.ConfigurationSpec", {
    "tracing" => tracing,
    "metric" => metric,
    "metrics" => metrics,
    "httpPipeline" => http_pipeline,
    "appHttpPipeline" => app_http_pipeline,
    "nameResolution" => name_resolution,
    "accessControl" => access_control,
    "api" => api,
    "features" => features,
    "logging" => logging,
    "components" => components,
    "secrets" => secrets,
    "wasm" => wasm,
    "mtls" => mtls,
    "workflow" => workflow,
});

macro_rules! sections {
    ($(
        $(#[$doc:meta])*
        $name:ident as $type_name:literal {
            $( $(#[$field_doc:meta])* $key:literal $field:ident: $type:ty, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        decode_fields!($name, $type_name, { $($key => $field),* });
    )*};
}

sections! {
    /// Spans: how many, and where to.
    Tracing as "config.TracingSpec" {
        /// The share of calls that are traced, as written.
        "samplingRate" sampling_rate: String,
        /// Whether spans are logged.
        "stdout" stdout: bool,
        /// A Zipkin collector.
        "zipkin" zipkin: Option<Zipkin>,
        /// An OpenTelemetry collector.
        "otel" otel: Option<Otel>,
    }

    /// A Zipkin collector.
    Zipkin as "config.ZipkinSpec" {
        /// Its full URL.
        "endpointAddress" endpoint_address: String,
    }

    /// An OpenTelemetry collector.
    Otel as "config.OtelSpec" {
        /// `http` or `grpc`.
        "protocol" protocol: String,
        /// Host and port without scheme.
        "endpointAddress" endpoint_address: String,
        /// Whether TLS is used; true where nothing says otherwise.
        "isSecure" is_secure: Option<bool>,
        /// Headers as `name=value`.
        "headers" headers: Vec<String>,
        /// How long an export may take.
        "timeout" timeout: Option<GoDuration>,
    }

    /// Middlewares in front of something.
    Pipeline as "config.PipelineSpec" {
        /// The outermost first.
        "handlers" handlers: Vec<Handler>,
    }

    /// One middleware.
    Handler as "config.HandlerSpec" {
        /// The name of its component.
        "name" name: String,
        /// The component's type.
        "type" kind: String,
        /// The component's version; empty is `v1`.
        "version" version: String,
        /// Never used.
        "selector" selector: Option<Selector>,
    }

    /// Never used.
    Selector as "config.SelectorSpec" {
        /// Never used.
        "fields" fields: Vec<SelectorField>,
    }

    /// Never used.
    SelectorField as "config.SelectorField" {
        /// Never used.
        "field" field: String,
        /// Never used.
        "value" value: String,
    }

    /// How names are found.
    NameResolution as "config.NameResolutionSpec" {
        /// The resolver; empty is the mode's own.
        "component" component: String,
        /// Its version; empty is `v1`.
        "version" version: String,
        /// Whatever the resolver wants.
        "configuration" configuration: Value,
    }

    /// Who may call what.
    AccessControl as "config.AccessControlSpec" {
        /// What happens where no policy speaks.
        "defaultAction" default_action: String,
        /// The trust domain of this app.
        "trustDomain" trust_domain: String,
        /// What holds for one caller.
        "policies" policies: Vec<AppPolicy>,
    }

    /// What holds for one caller.
    AppPolicy as "config.AppPolicySpec" {
        /// The caller.
        "appId" app_id: String,
        /// What happens where no operation speaks.
        "defaultAction" default_action: String,
        /// The caller's trust domain.
        "trustDomain" trust_domain: String,
        /// The caller's namespace.
        "namespace" namespace: String,
        /// What it may call.
        "operations" operations: Vec<AppOperation>,
    }

    /// A path or method, and whether it may be called.
    AppOperation as "config.AppOperation" {
        /// The path or method.
        "name" name: String,
        /// HTTP verbs; empty or `*` for all.
        "httpVerb" http_verb: Vec<String>,
        /// `allow`, or anything else for no.
        "action" action: String,
    }

    /// Which parts of the API are served.
    ApiRules as "config.APISpec" {
        /// If any, only these.
        "allowed" allowed: Vec<ApiRule>,
        /// None of these.
        "denied" denied: Vec<ApiRule>,
    }

    /// A part of the API.
    ApiRule as "config.APIAccessRule" {
        /// Its group or route.
        "name" name: String,
        /// Its version.
        "version" version: String,
        /// `http` or `grpc`.
        "protocol" protocol: String,
    }

    /// A switch.
    Feature as "config.FeatureSpec" {
        /// Its name; unknown ones are fine.
        "name" name: String,
        /// Whether it is on.
        "enabled" enabled: bool,
    }

    /// What is logged.
    Logging as "config.LoggingSpec" {
        /// Calls that arrive at the API.
        "apiLogging" api_logging: Option<ApiLogging>,
    }

    /// Calls that arrive at the API.
    ApiLogging as "config.APILoggingSpec" {
        /// Whether they are logged where no flag says otherwise.
        "enabled" enabled: bool,
        /// Whether routes are logged, not paths.
        "obfuscateURLs" obfuscate_urls: bool,
        /// Whether health checks are left out.
        "omitHealthChecks" omit_health_checks: bool,
    }

    /// Which components may load.
    Components as "config.ComponentsSpec" {
        /// Types, with or without version, that may not.
        "deny" deny: Vec<String>,
    }

    /// Which secrets the API shows.
    Secrets as "config.SecretsSpec" {
        /// What holds for one store.
        "scopes" scopes: Vec<SecretsScope>,
    }

    /// What holds for one store.
    SecretsScope as "config.SecretsScope" {
        /// The store.
        "storeName" store_name: String,
        /// `allow` or `deny`.
        "defaultAccess" default_access: String,
        /// If any, only these.
        "allowedSecrets" allowed_secrets: Vec<String>,
        /// None of these.
        "deniedSecrets" denied_secrets: Vec<String>,
    }

    /// Limits for WebAssembly components.
    Wasm as "config.WasmSpec" {
        /// Whether all of them run in the strict sandbox.
        "strictSandbox" strict_sandbox: bool,
    }
}

/// Numbers for Prometheus. Serialises as the reference logs it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Whether anything is counted; true where nothing says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether error codes are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_error_codes: Option<bool>,
    /// What is special for HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<MetricHttp>,
    /// Upper ends of latency buckets in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_distribution_buckets: Option<Vec<i64>>,
    /// Replacements in label values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<MetricsRule>,
}

/// What is special for HTTP.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricHttp {
    /// Whether every path is a label value of its own; true where nothing says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increased_cardinality: Option<bool>,
    /// Path patterns to count by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path_matching: Vec<String>,
    /// Whether verbs are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_verbs: Option<bool>,
}

/// Replacements in the label values of one metric.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MetricsRule {
    /// The metric.
    pub name: String,
    /// Its labels.
    pub labels: Vec<MetricLabel>,
}

/// Replacements in the values of one label.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MetricLabel {
    /// The label.
    pub name: String,
    /// From replacement to pattern.
    pub regex: BTreeMap<String, String>,
}

decode_fields!(Metric, "config.MetricSpec", {
    "enabled" => enabled,
    "recordErrorCodes" => record_error_codes,
    "http" => http,
    "latencyDistributionBuckets" => latency_distribution_buckets,
    "rules" => rules,
});

decode_fields!(MetricHttp, "config.MetricHTTP", {
    "increasedCardinality" => increased_cardinality,
    "pathMatching" => path_matching,
    "excludeVerbs" => exclude_verbs,
});

decode_fields!(MetricsRule, "config.MetricsRule", { "name" => name, "labels" => labels });

decode_fields!(MetricLabel, "config.MetricLabel", { "name" => name, "regex" => regex });

impl Metric {
    /// Whether anything is counted.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Whether every path is a label value of its own. None if no file says so, which the
    /// reference warns about.
    #[must_use]
    pub fn increased_cardinality(&self) -> Option<bool> {
        self.http.as_ref()?.increased_cardinality
    }

    /// The custom buckets, ascending, without zero; none if the default ones hold.
    #[must_use]
    pub fn buckets(&self) -> Option<Vec<i64>> {
        let mut buckets = self.latency_distribution_buckets.clone()?;
        if buckets.is_empty() {
            return None;
        }
        buckets.retain(|bucket| *bucket != 0);
        buckets.sort_unstable();
        Some(buckets)
    }

    /// The whole section as JSON, as it is logged at start (contract, observability 3).
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and maps with text keys become JSON")
    }
}
