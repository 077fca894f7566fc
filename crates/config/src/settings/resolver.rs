//! Which name resolver was asked for, and what it was told, checked.
//!
//! Names, versions and texts follow contract, naming 1, 8 and 9; `static` and `dns` are ours and
//! strict about their keys. A fault here does not keep the sidecar from starting (naming 1), so it
//! is a value that whoever starts the resolver logs. Opens nothing and resolves nothing.

mod dns;
mod fixed;
mod properties;
mod sqlite;

use super::Discovery;
use properties::Properties;
use serde_json::Value;

pub use dns::{DnsRecords, DnsResolver};
pub use fixed::{StaticEntry, StaticList, read_static_list};
pub use sqlite::SqliteResolver;

/// The names that [`Resolver::try_new`] knows.
pub const RESOLVERS: [&str; 5] = ["mdns", "nameformat", "sqlite", "static", "dns"];

/// How app ids become addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolver {
    /// Multicast, the default.
    Mdns,
    /// A pattern that every id is put into.
    Nameformat {
        /// Holds `{appid}`.
        format: String,
    },
    /// A database that sidecars register in.
    Sqlite(SqliteResolver),
    /// A list, ours.
    Static(StaticList),
    /// Lookups at name servers, ours.
    Dns(DnsResolver),
}

/// Why there is no resolver. Displays as the cause in the reference's log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolverFault {
    /// There is none of that name and version in this program.
    #[error("couldn't find name resolver {name}/{version}")]
    Unknown {
        /// The name as written.
        name: String,
        /// The version as written.
        version: String,
    },
    /// It cannot work with what it was told.
    #[error("{0}")]
    Settings(String),
}

impl Resolver {
    /// Reads the resolver that the settings name.
    ///
    /// # Errors
    /// See [`ResolverFault`].
    pub fn try_new(discovery: &Discovery) -> Result<Self, ResolverFault> {
        let version = discovery.resolver_version.to_ascii_lowercase();
        let known = matches!(version.as_str(), "" | "v0" | "v1");
        let told = &discovery.resolver_settings;
        let name = discovery.resolver.to_ascii_lowercase();
        let read = match name.as_str() {
            "mdns" if known => Ok(Self::Mdns),
            "nameformat" if known => nameformat(told),
            "sqlite" if known => SqliteResolver::read(told).map(Self::Sqlite),
            "static" if known => StaticList::read(told).map(Self::Static),
            "dns" if known => DnsResolver::read(told).map(Self::Dns),
            _ => {
                return Err(ResolverFault::Unknown {
                    name: discovery.resolver.clone(),
                    version: discovery.resolver_version.clone(),
                });
            }
        };
        read.map_err(ResolverFault::Settings)
    }
}

fn nameformat(told: &Value) -> Result<Resolver, String> {
    let properties =
        Properties::read(told).map_err(|why| format!("failed to decode metadata: {why}"))?;
    let format = properties.text(&["format"]).unwrap_or_default();
    if format.is_empty() {
        return Err("format is required in metadata".to_owned());
    }
    if !format.contains("{appid}") {
        return Err("format must contain {appid} placeholder".to_owned());
    }
    Ok(Resolver::Nameformat {
        format: format.to_owned(),
    })
}

/// The settings of one of our own resolvers, by keys in lower case. Keys it does not have are
/// refused: nobody else's file uses them.
fn own_keys(
    told: &Value,
    resolver: &str,
    known: &[&str],
) -> Result<serde_json::Map<String, Value>, String> {
    let list = known.join(", ");
    let Value::Object(told) = told else {
        return Err(format!(
            "the {resolver} name resolver needs a configuration with {list}"
        ));
    };
    let mut out = serde_json::Map::new();
    for (key, value) in told {
        if !known.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(format!(
                "unknown key {key}; the {resolver} name resolver knows {list}"
            ));
        }
        out.insert(key.to_ascii_lowercase(), value.clone());
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
