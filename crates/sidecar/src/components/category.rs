//! What a component's type says it is (contract `configuration.md` 5.4, 5.5).

use outrider_state::Kind;

/// What becomes of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// A secret store that we have.
    Secrets(Secrets),
    /// A state store that we have.
    State(Kind),
    /// Something real that this version does not have.
    Unserved,
    /// A type of ours in a version that does not exist; what it was looked up as.
    NoSuchVersion(&'static str),
}

/// The secret stores there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// `secretstores.local.file`.
    File,
    /// `secretstores.local.env`.
    Environment,
}

/// Categories of the reference; the case of their names counts.
const KNOWN: [&str; 9] = [
    "bindings.",
    "configuration.",
    "crypto.",
    "lock.",
    "pubsub.",
    SECRETS,
    STATE,
    "middleware.",
    "conversation.",
];

const SECRETS: &str = "secretstores.";
const STATE: &str = "state.";

impl Category {
    /// The category of a type and version; none if there is no such category.
    pub(super) fn of(component_type: &str, version: &str) -> Option<Self> {
        if !KNOWN.iter().any(|name| component_type.starts_with(name)) {
            return None;
        }
        Some(if is_secret_store(component_type) {
            secrets(component_type, version)
        } else if component_type.starts_with(STATE) {
            state(component_type, version)
        } else {
            Self::Unserved
        })
    }
}

/// Whether the type is that of a secret store, known or not: those load before all others.
pub(super) fn is_secret_store(component_type: &str) -> bool {
    component_type.starts_with(SECRETS)
}

fn secrets(component_type: &str, version: &str) -> Category {
    let kind = match component_type.to_ascii_lowercase().as_str() {
        "secretstores.local.file" => Secrets::File,
        "secretstores.local.env" => Secrets::Environment,
        _ => return Category::Unserved,
    };
    let first = ["", "v0", "v1"];
    if first.iter().any(|v| version.eq_ignore_ascii_case(v)) {
        return Category::Secrets(kind);
    }
    Category::NoSuchVersion("secret store")
}

fn state(component_type: &str, version: &str) -> Category {
    match (
        Kind::find(component_type, version),
        Kind::find(component_type, ""),
    ) {
        (Some(kind), _) => Category::State(kind),
        (None, Some(_)) => Category::NoSuchVersion("state store"),
        (None, None) => Category::Unserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_their_category() {
        for (component_type, version, category) in [
            ("state.in-memory", "v1", Some(Category::State(Kind::Memory))),
            ("state.SQLite3", "", Some(Category::State(Kind::Sqlite))),
            (
                "state.redis",
                "v2",
                Some(Category::NoSuchVersion("state store")),
            ),
            ("state.etcd", "v2", Some(Category::Unserved)),
            ("pubsub.redis", "v1", Some(Category::Unserved)),
            (
                "secretstores.local.file",
                "V0",
                Some(Category::Secrets(Secrets::File)),
            ),
            ("secretstores.kubernetes", "v1", Some(Category::Unserved)),
            ("State.redis", "v1", None),
            ("workflow.dapr", "v1", None),
            ("state", "v1", None),
            ("", "", None),
        ] {
            assert_eq!(
                Category::of(component_type, version),
                category,
                "{component_type}/{version}"
            );
        }
    }
}
