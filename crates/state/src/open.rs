//! From a component's type and metadata to a store.

use std::sync::Arc;

use crate::{Properties, Store, memory, redis, sqlite};

/// The stores there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `state.in-memory`.
    Memory,
    /// `state.sqlite`, `state.sqlite3`.
    Sqlite,
    /// `state.redis`.
    Redis,
}

/// Why a store can't be used: the cause as it stands behind the runtime's own words (contract
/// `state.md` 1.4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

impl Kind {
    /// The store of a component type and version, written in any case but for the `state.` in front
    /// (contract `state.md` 1.1).
    #[must_use]
    pub fn find(component_type: &str, version: &str) -> Option<Self> {
        if !["", "v0", "v1"]
            .iter()
            .any(|v| version.eq_ignore_ascii_case(v))
        {
            return None;
        }
        let name = component_type.strip_prefix("state.")?;
        match name.to_ascii_lowercase().as_str() {
            "in-memory" => Some(Self::Memory),
            "sqlite" | "sqlite3" => Some(Self::Sqlite),
            "redis" => Some(Self::Redis),
            _ => None,
        }
    }

    /// Opens the store and makes sure that it answers.
    ///
    /// # Errors
    /// Metadata that can't be used, or a store that can't be reached.
    pub async fn open(self, properties: &Properties) -> Result<Arc<dyn Store>, OpenError> {
        match self {
            Self::Memory => Ok(Arc::new(memory::Memory::new())),
            Self::Sqlite => Ok(Arc::new(sqlite::Sqlite::open(properties).await?)),
            Self::Redis => Ok(Arc::new(redis::Redis::open(properties).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_versions_are_found_in_any_case() {
        for (component_type, version, kind) in [
            ("state.in-memory", "v1", Some(Kind::Memory)),
            ("state.In-Memory", "", Some(Kind::Memory)),
            ("state.sqlite", "V0", Some(Kind::Sqlite)),
            ("state.SQLite3", "v1", Some(Kind::Sqlite)),
            ("state.redis", "v1", Some(Kind::Redis)),
            ("state.redis", "v2", None),
            ("State.redis", "v1", None),
            ("state.etcd", "v1", None),
            ("redis", "v1", None),
        ] {
            assert_eq!(
                Kind::find(component_type, version),
                kind,
                "{component_type}"
            );
        }
    }
}
