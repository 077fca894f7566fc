//! The keys of a template (contract `cli.md` 5.1), each value with the line it stands on.

use std::collections::BTreeMap;

use outrider_config::yaml::{
    Node,
    decode::{Decode, Decoder},
};

/// A value and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<T: Decode> Decode for At<T> {
    fn type_name() -> String {
        T::type_name()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        self.line = node.line;
        self.value.decode(node, decoder)
    }
}

/// A struct of optional values by key. What is absent or null stays `None`, so that `false`, 0 and
/// an empty text can be told from it.
macro_rules! keys {
    ($(#[$doc:meta])* $name:ident { $($key:literal => $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name {
            $(pub(super) $field: Option<At<$kind>>,)*
        }

        impl $name {
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn take(&mut self, key: &str, node: &Node, decoder: &mut Decoder) {
                match key {
                    $($key => { self.$field.decode(node, decoder); })*
                    _ => {}
                }
            }
        }
    };
}

keys! {
    /// Keys that `common` and each app may have.
    Common {
        "resourcesPaths" => resources_paths: Vec<At<String>>,
        "resourcesPath" => resources_path: String,
        "configFilePath" => config_file_path: String,
        "appProtocol" => app_protocol: String,
        "apiListenAddresses" => api_listen_addresses: String,
        "logLevel" => log_level: String,
        "appMaxConcurrency" => app_max_concurrency: i64,
        "enableProfiling" => enable_profiling: bool,
        "appSSL" => app_ssl: bool,
        "enableAppHealthCheck" => enable_app_health_check: bool,
        "enableApiLogging" => enable_api_logging: bool,
        "appHealthCheckPath" => app_health_check_path: String,
        "appHealthProbeInterval" => app_health_probe_interval: i64,
        "appHealthProbeTimeout" => app_health_probe_timeout: i64,
        "appHealthThreshold" => app_health_threshold: i64,
        "maxBodySize" => max_body_size: String,
        "readBufferSize" => read_buffer_size: String,
        "placementHostAddress" => placement_host_address: String,
        "schedulerHostAddress" => scheduler_host_address: String,
        "runtimePath" => runtime_path: String,
        "env" => env: BTreeMap<String, String>,
        "daprdLogDestination" => daprd_log_destination: String,
        "appLogDestination" => app_log_destination: String,
        "restart" => restart: String,
    }
}

keys! {
    /// Keys that only apps have.
    Own {
        "appDirPath" => app_dir_path: String,
        "appID" => app_id: String,
        "command" => command: Vec<String>,
        "appPort" => app_port: i64,
        "daprHTTPPort" => http_port: i64,
        "daprGRPCPort" => grpc_port: i64,
        "daprInternalGRPCPort" => internal_port: i64,
        "metricsPort" => metrics_port: i64,
        "profilePort" => profile_port: i64,
        "appChannelAddress" => app_channel_address: String,
        "unixDomainSocket" => unix_domain_socket: String,
        "containerImage" => container_image: String,
        "containerImagePullPolicy" => container_image_pull_policy: String,
        "createService" => create_service: bool,
        "dependsOn" => depends_on: Vec<At<String>>,
    }
}

impl Decode for Common {
    fn type_name() -> String {
        "common".to_owned()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        decoder.fields(node, "common", Self::KEYS, |key, node, decoder| {
            self.take(key, node, decoder);
        })
    }
}

/// One app.
#[derive(Clone, Debug, Default)]
pub(super) struct App {
    pub(super) line: usize,
    pub(super) own: Own,
    pub(super) shared: Common,
}

impl Decode for App {
    fn type_name() -> String {
        "app".to_owned()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        self.line = node.line;
        let known = [Own::KEYS, Common::KEYS].concat();
        decoder.fields(node, "app", &known, |key, node, decoder| {
            self.own.take(key, node, decoder);
            self.shared.take(key, node, decoder);
        })
    }
}

/// The whole template.
#[derive(Clone, Debug, Default)]
pub(super) struct Root {
    pub(super) version: Option<At<i64>>,
    pub(super) name: Option<At<String>>,
    pub(super) common: Common,
    pub(super) apps: Vec<App>,
}

const ROOT: &[&str] = &["version", "name", "common", "apps"];

impl Decode for Root {
    fn type_name() -> String {
        "template".to_owned()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        decoder.fields(node, "template", ROOT, |key, node, decoder| {
            match key {
                "version" => self.version.decode(node, decoder),
                "name" => self.name.decode(node, decoder),
                "common" => self.common.decode(node, decoder),
                _ => self.apps.decode(node, decoder),
            };
        })
    }
}

/// The keys that may stand where the path leads.
pub(super) fn keys(path: &str) -> Vec<&'static str> {
    match path.split_once('.') {
        Some(("apps", _)) => [Own::KEYS, Common::KEYS].concat(),
        Some(("common", _)) => Common::KEYS.to_vec(),
        _ => ROOT.to_vec(),
    }
}

/// A key of `common` that only an app can have.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix("common.")
        .is_some_and(|key| Own::KEYS.contains(&key))
}

/// Names that documents use and the reference does not know.
pub(super) fn renamed(key: &str) -> Option<&'static str> {
    match key {
        "daprHTTPMaxRequestSize" => Some("maxBodySize"),
        "daprHTTPReadBufferSize" => Some("readBufferSize"),
        _ => None,
    }
}
