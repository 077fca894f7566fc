//! The process environment as a value: every variable the sidecar knows, by name.
//!
//! All names stand in this file. Reads nothing by itself and writes nothing: the process hands its
//! variables in, and what the reference writes into its own environment becomes a map for the
//! expansion of Configuration files (contract, configuration 2).

use std::collections::BTreeMap;
use std::fmt;

/// Own namespace.
pub const NAMESPACE: &str = "NAMESPACE";
/// Own pod.
pub const POD_NAME: &str = "POD_NAME";
/// Own address.
pub const DAPR_HOST_IP: &str = "DAPR_HOST_IP";
/// The token callers of the API must show.
pub const DAPR_API_TOKEN: &str = "DAPR_API_TOKEN";
/// The token shown to the app.
pub const APP_API_TOKEN: &str = "APP_API_TOKEN";
/// Trust anchors in PEM.
pub const DAPR_TRUST_ANCHORS: &str = "DAPR_TRUST_ANCHORS";
/// Stands in for the flag of the same meaning.
pub const DAPR_CONTROLPLANE_NAMESPACE: &str = "DAPR_CONTROLPLANE_NAMESPACE";
/// Stands in for the flag of the same meaning.
pub const DAPR_CONTROLPLANE_TRUST_DOMAIN: &str = "DAPR_CONTROLPLANE_TRUST_DOMAIN";
/// A file with the token for the certificate authority.
pub const DAPR_SENTRY_TOKEN_FILE: &str = "DAPR_SENTRY_TOKEN_FILE";
/// Replaces the app id in the certificate request.
pub const SENTRY_LOCAL_IDENTITY: &str = "SENTRY_LOCAL_IDENTITY";
/// Turns HTTP/2 without TLS off on the HTTP API.
pub const DAPR_HTTP_DISABLE_H2C: &str = "DAPR_HTTP_DISABLE_H2C";
/// Variables that resources may refer to.
pub const DAPR_ENV_KEYS: &str = "DAPR_ENV_KEYS";
/// Lets the sidecar run as root in kubernetes mode.
pub const DAPR_UNSAFE_SKIP_CONTAINER_UID_GID_CHECK: &str =
    "DAPR_UNSAFE_SKIP_CONTAINER_UID_GID_CHECK";
/// All variables of OpenTelemetry start so.
pub const OTEL_PREFIX: &str = "OTEL_";
/// Ours: how many threads carry calls.
pub const OUTRIDER_LANES: &str = "OUTRIDER_LANES";
/// Ours: whether sidecars of one machine find each other through files.
pub const OUTRIDER_SAME_HOST_REGISTRY: &str = "OUTRIDER_SAME_HOST_REGISTRY";
/// Ours: whether mDNS, where it is the name resolution, uses the network.
pub const OUTRIDER_MDNS: &str = "OUTRIDER_MDNS";
/// Ours: the process that started the sidecar, if the sidecar is to end with it.
pub const OUTRIDER_END_WITH: &str = "OUTRIDER_END_WITH";

const APP_ID: &str = "APP_ID";
const APP_PORT: &str = "APP_PORT";
const HOST_ADDRESS: &str = "HOST_ADDRESS";
const DAPR_PORT: &str = "DAPR_PORT";
const DAPR_GRPC_PORT: &str = "DAPR_GRPC_PORT";
const DAPR_HTTP_PORT: &str = "DAPR_HTTP_PORT";
const DAPR_METRICS_PORT: &str = "DAPR_METRICS_PORT";
const DAPR_PROFILE_PORT: &str = "DAPR_PROFILE_PORT";

/// The environment. Prints names only: values may be secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// Takes the variables over; of equal names the last one counts.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
        }
    }

    /// A variable by name, if it is set.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable by name, if it is set to something.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// The namespace for names and identity: `default` if unset, but "" if set to that.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.variable(NAMESPACE).unwrap_or("default")
    }

    /// The namespace that resources must have; none means that namespaces do not count.
    #[must_use]
    pub fn resource_namespace(&self) -> Option<&str> {
        self.filled(NAMESPACE)
    }

    /// Whether the HTTP API refuses HTTP/2 without TLS.
    #[must_use]
    pub fn disables_h2c(&self) -> bool {
        self.variable(DAPR_HTTP_DISABLE_H2C)
            .is_some_and(outrider_core::words::is_truthy)
    }

    /// The variables of OpenTelemetry, by full name.
    pub fn otel(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.variables.iter();
        all.filter(|(name, _)| name.starts_with(OTEL_PREFIX))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables that `$NAME` in a Configuration file means: the environment, and over it what
    /// the sidecar says about itself (contract, configuration 2.2).
    #[must_use]
    pub fn expansion(&self, published: &Published) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        for (name, value) in [
            (APP_ID, &published.app_id),
            (APP_PORT, &published.app_port),
            (HOST_ADDRESS, &published.host_address),
            (DAPR_PORT, &published.internal_port),
            (DAPR_GRPC_PORT, &published.grpc_port),
            (DAPR_HTTP_PORT, &published.http_port),
            (DAPR_METRICS_PORT, &published.metrics_port),
            (DAPR_PROFILE_PORT, &published.profile_port),
        ] {
            variables.insert(name.to_owned(), value.clone());
        }
        variables
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// What the sidecar says about itself to Configuration files, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// Own app id.
    pub app_id: String,
    /// The app's port, 0 if there is none.
    pub app_port: String,
    /// Own address.
    pub host_address: String,
    /// The port where other sidecars arrive.
    pub internal_port: String,
    /// The port of the gRPC API.
    pub grpc_port: String,
    /// The port of the HTTP API.
    pub http_port: String,
    /// The port of the numbers for Prometheus.
    pub metrics_port: String,
    /// The port for profiling.
    pub profile_port: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::new(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn an_unset_namespace_is_default_and_an_empty_one_empty() {
        assert_eq!(env(&[]).namespace(), "default");
        assert_eq!(env(&[("NAMESPACE", "")]).namespace(), "");
        assert_eq!(env(&[("NAMESPACE", "")]).resource_namespace(), None);
        assert_eq!(env(&[("NAMESPACE", "ns")]).resource_namespace(), Some("ns"));
    }

    #[test]
    fn yes_has_six_words() {
        for word in ["y", "yes", "true", "t", "on", "1", "TRUE", " On "] {
            assert!(
                env(&[("DAPR_HTTP_DISABLE_H2C", word)]).disables_h2c(),
                "{word}"
            );
        }
        for word in ["", "0", "no", "false", "2", "yess"] {
            assert!(
                !env(&[("DAPR_HTTP_DISABLE_H2C", word)]).disables_h2c(),
                "{word}"
            );
        }
        assert!(!env(&[]).disables_h2c());
    }

    #[test]
    fn the_sidecars_own_words_override_inherited_ones() {
        let inherited = env(&[("APP_ID", "other"), ("FOO", "bar")]);
        let published = Published {
            app_id: "me".to_owned(),
            ..Published::default()
        };
        let variables = inherited.expansion(&published);
        assert_eq!(variables["APP_ID"], "me");
        assert_eq!(variables["FOO"], "bar");
        assert_eq!(variables["DAPR_PORT"], "");
        assert_eq!(inherited.variable("APP_ID"), Some("other"));
    }

    #[test]
    fn values_are_never_printed() {
        let printed = format!("{:?}", env(&[("DAPR_API_TOKEN", "hush")]));
        assert_eq!(printed, "{\"DAPR_API_TOKEN\"}");
    }
}
