//! Who is called: `app`, `app.namespace`.

use outrider_core::ids::{AppId, Namespace};

/// A parsed target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The caller's spelling; every message about the call names it.
    pub shown: String,
    /// The app id without namespace.
    pub app_id: AppId,
    /// The namespace, the caller's own unless named.
    pub namespace: Namespace,
}

/// A target with two or more dots (contract `http-api.md` 3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid app id {0}")]
pub(crate) struct InvalidTarget(pub String);

impl Target {
    /// Reads a target as the caller spelled it.
    pub(crate) fn parse(shown: &str, own_namespace: &Namespace) -> Result<Self, InvalidTarget> {
        let (app_id, namespace) = match shown.split_once('.') {
            None => (shown, own_namespace.clone()),
            Some((_, rest)) if rest.contains('.') => return Err(InvalidTarget(shown.to_owned())),
            Some((app_id, namespace)) => (app_id, Namespace::new(namespace)),
        };
        Ok(Self {
            shown: shown.to_owned(),
            app_id: AppId::new(app_id),
            namespace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_forms() {
        let own = Namespace::new("prod");
        for (shown, id, namespace) in [
            ("app", "app", "prod"),
            ("app.ns", "app", "ns"),
            ("app.", "app", ""),
            (".ns", "", "ns"),
            ("", "", "prod"),
        ] {
            let target = Target::parse(shown, &own).unwrap();
            assert_eq!(
                (target.app_id.as_str(), target.namespace.as_str()),
                (id, namespace)
            );
        }
        let error = Target::parse("a.b.c", &own).unwrap_err();
        assert_eq!(error.to_string(), "invalid app id a.b.c");
    }
}
