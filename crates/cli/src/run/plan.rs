//! What is to be started, however it was asked for: by flags or by a template. Decides nothing.

use std::{collections::BTreeMap, path::PathBuf};

/// An app with its sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What it is called on the screen; two members may share an app id, never a name.
    pub(super) name: String,
    pub(super) app_id: String,
    /// Where both run.
    pub(super) folder: PathBuf,
    /// Program and arguments; empty for a sidecar alone.
    pub(super) command: Vec<String>,
    /// Variables for the app only.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) sidecar: Sidecar,
    pub(super) app_log: Destination,
    pub(super) sidecar_log: Destination,
    /// Members that must be healthy first, as indexes.
    pub(super) depends_on: Vec<usize>,
    pub(super) restart: Restart,
}

/// What the sidecar is told. Ports that are `None` are chosen later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sidecar {
    pub(super) app_port: Option<u16>,
    pub(super) app_protocol: String,
    /// Empty for the default.
    pub(super) app_channel_address: String,
    pub(super) app_max_concurrency: i64,
    pub(super) app_ssl: bool,
    pub(super) health: Health,
    pub(super) http_port: Option<u16>,
    pub(super) grpc_port: Option<u16>,
    pub(super) internal_port: Option<u16>,
    pub(super) metrics_port: Option<u16>,
    pub(super) profile_port: Option<u16>,
    pub(super) enable_profiling: bool,
    pub(super) enable_api_logging: bool,
    pub(super) listen_addresses: String,
    /// A folder; empty for ports.
    pub(super) unix_domain_socket: String,
    pub(super) config: Option<PathBuf>,
    pub(super) resources: Vec<PathBuf>,
    pub(super) max_body_size: String,
    pub(super) read_buffer_size: String,
    pub(super) log_level: String,
    pub(super) log_as_json: bool,
}

/// Probes of the app; zero and empty mean the sidecar's own defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) enabled: bool,
    pub(super) path: String,
    pub(super) interval: i64,
    pub(super) timeout: i64,
    pub(super) threshold: i64,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Console,
    File,
    FileAndConsole,
}

impl Destination {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "console" => Some(Self::Console),
            "file" => Some(Self::File),
            "fileAndConsole" => Some(Self::FileAndConsole),
            _ => None,
        }
    }

    pub(super) fn has_file(self) -> bool {
        self != Self::Console
    }

    pub(super) fn has_console(self) -> bool {
        self != Self::File
    }
}

/// What happens when the app ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Restart {
    #[default]
    No,
    OnFailure,
    Always,
}

/// Where the members come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// One app, by flags.
    Flags,
    Template {
        /// Absolute; none for standard input.
        path: Option<PathBuf>,
        /// May be empty.
        name: String,
    },
}

/// The app id that a folder's name gives: letters, digits, `-` and `_` stay, in their case.
pub(super) fn id_of_folder(folder: &std::path::Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut id = String::new();
    for letter in name.chars() {
        if valid(letter) {
            id.push(letter);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    let id = id.trim_end_matches('-');
    if id.is_empty() {
        "app".to_owned()
    } else {
        id.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn folders_give_valid_ids() {
        for (folder, id) in [
            ("/src/cart", "cart"),
            ("/src/My.App v2", "My-App-v2"),
            ("/src/.hidden/", "hidden"),
            ("/src/ünï", "n"),
            ("/src/日本", "app"),
            ("/", "app"),
            ("a_b--c.", "a_b-c"),
        ] {
            assert_eq!(id_of_folder(Path::new(folder)), id, "{folder}");
        }
    }
}
