//! The `Configuration` resource: files read, expanded, merged and checked.
//!
//! Follows contract, configuration 3.1 and 3.2. Reads files only in [`Configuration::load`]; what
//! the sections mean is decided where they are used. Unknown keys are warnings, never errors.

mod expand;
mod spec;

use crate::yaml;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read};

pub use expand::expand;
pub use spec::*;

/// A larger file is no Configuration.
const MAX_FILE: u64 = 16 << 20;

/// Features that are on unless a file mentions them.
const DEFAULT_FEATURES: [&str; 2] = ["HotReload", "WorkflowsRemoteActivityReminder"];

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read. The text of a missing one is pinned.
    #[error("{0}")]
    File(String),
    /// The file is no Configuration.
    #[error("{file}: {source}")]
    Yaml {
        /// The path as given.
        file: String,
        /// What is wrong with it.
        source: yaml::Error,
    },
    /// A secret store's scope stands twice.
    #[error("{0} storeName is repeated in secrets configuration")]
    RepeatedStore(String),
    /// A secret scope with an access that does not exist.
    #[error("defaultAccess {0} can be either allow or deny")]
    DefaultAccess(String),
}

/// Something in a file that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The path as given.
    pub file: String,
    /// The key and its line.
    pub key: yaml::decode::UnknownKey,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, key } = self;
        write!(
            f,
            "{file} line {}: unknown key {} is ignored",
            key.line, key.path
        )?;
        match key.meant {
            Some(meant) => write!(f, "; did you mean {meant}?"),
            None => Ok(()),
        }
    }
}

impl Configuration {
    /// Reads the files in order, each over what the ones before it left.
    ///
    /// # Errors
    /// The first file that cannot be used, or a secret scope that cannot be.
    pub fn load(
        files: &[String],
        variables: &BTreeMap<String, String>,
    ) -> Result<(Self, Vec<Warning>), Error> {
        let mut configuration = Self::default();
        let mut warnings = Vec::new();
        for file in files {
            let text = read_file(file)?;
            warnings.extend(configuration.merge(file, &text, variables)?);
        }
        configuration.check_secrets()?;
        Ok((configuration, warnings))
    }

    /// Takes one file's text over what is there.
    ///
    /// # Errors
    /// The text is no YAML, or has values of the wrong type.
    pub fn merge(
        &mut self,
        file: &str,
        text: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<Vec<Warning>, Error> {
        let in_file = |source| Error::Yaml {
            file: file.to_owned(),
            source,
        };
        let text = expand(text, variables);
        let Some(root) = yaml::parse_first(&text).map_err(in_file)? else {
            return Ok(Vec::new());
        };
        let mut document = Document::over(std::mem::take(self));
        let unknown = yaml::decode::decode(&mut document, &root);
        *self = document.spec;
        let unknown = unknown.map_err(in_file)?;
        let warnings = unknown
            .into_iter()
            .filter(|key| !key.path.starts_with("metadata."));
        Ok(warnings
            .map(|key| Warning {
                file: file.to_owned(),
                key,
            })
            .collect())
    }

    /// `metric` with everything that `metrics` overrides; nothing is on without either.
    #[must_use]
    pub fn effective_metric(&self) -> Metric {
        let mut effective = self.metric.clone().unwrap_or_default();
        if let Some(over) = &self.metrics {
            effective.enabled = over.enabled.or(effective.enabled);
            effective.record_error_codes = over.record_error_codes.or(effective.record_error_codes);
            effective.http = over.http.clone().or(effective.http);
            let buckets = over.latency_distribution_buckets.clone();
            effective.latency_distribution_buckets =
                buckets.or(effective.latency_distribution_buckets);
            if !over.rules.is_empty() {
                effective.rules.clone_from(&over.rules);
            }
        }
        effective
    }

    /// The features that are on, in the order they first stand in the list; a later entry
    /// overrides an earlier one of the same name.
    #[must_use]
    pub fn enabled_features(&self) -> Vec<&str> {
        let mentioned: BTreeSet<&str> = self.features.iter().map(|f| f.name.as_str()).collect();
        let mut enabled: Vec<&str> = Vec::new();
        for feature in &self.features {
            let name = feature.name.as_str();
            match (feature.enabled, enabled.contains(&name)) {
                (true, false) => enabled.push(name),
                (false, true) => enabled.retain(|known| *known != name),
                _ => {}
            }
        }
        let unmentioned = DEFAULT_FEATURES
            .into_iter()
            .filter(|name| !mentioned.contains(name));
        enabled.extend(unmentioned);
        enabled
    }

    /// Refuses secret scopes that contradict themselves.
    ///
    /// # Errors
    /// The first scope that does.
    pub fn check_secrets(&self) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for scope in self.secrets.iter().flat_map(|secrets| &secrets.scopes) {
            if !names.insert(&scope.store_name) {
                return Err(Error::RepeatedStore(scope.store_name.clone()));
            }
            let access = scope.default_access.to_ascii_lowercase();
            if !matches!(access.as_str(), "" | "allow" | "deny") {
                return Err(Error::DefaultAccess(scope.default_access.clone()));
            }
        }
        Ok(())
    }
}

fn read_file(path: &str) -> Result<String, Error> {
    let failed = |action: &str, why: &str| Error::File(format!("{action} {path}: {why}"));
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("stat", "no such file or directory"),
        io::ErrorKind::NotADirectory => failed("stat", "not a directory"),
        io::ErrorKind::PermissionDenied => failed("open", "permission denied"),
        _ => failed("open", &error.to_string()),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::IsADirectory => failed("read", "is a directory"),
            _ => failed("read", &error.to_string()),
        })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(failed(
            "read",
            "larger than 16 MiB, which no Configuration is",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        let what = "not UTF-8 text".to_owned();
        Error::Yaml {
            file: path.to_owned(),
            source: yaml::Error::Syntax { line, what },
        }
    })
}

#[cfg(test)]
mod tests;
