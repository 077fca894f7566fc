//! Names of apps and namespaces as cheap-to-clone words.
//!
//! A target that a caller spells is taken as it is: any text can be a target, and only the lookup
//! knows whether it leads anywhere. The one rule enforced here is the one for the sidecar's own
//! id, in [`AppId::try_new`]. Splitting `app.ns` is the business of whoever routes calls.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Why a text cannot be the sidecar's own app id (contract, configuration 1.3 step 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppId {
    /// No id was given.
    #[error("parameter app-id cannot be empty")]
    Empty,
    /// A dot would make the id read as `app.namespace` when others call it.
    #[error("parameter app-id cannot contain dots")]
    Dots,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        // Sound because the derived `Eq`, `Ord` and `Hash` are those of the text itself.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }
    };
}

name_type! {
    /// The name an app is called by. Compared byte for byte; may be any text when it is a target.
    AppId
}

name_type! {
    /// The namespace an app lives in. May be empty, which is a namespace of its own.
    Namespace
}

impl AppId {
    /// The sidecar's own id: not empty, no dots.
    ///
    /// # Errors
    /// Says which of the two rules the text breaks, in the words that the contract pins.
    pub fn try_new(text: &str) -> Result<Self, InvalidAppId> {
        if text.is_empty() {
            return Err(InvalidAppId::Empty);
        }
        if text.contains('.') {
            return Err(InvalidAppId::Dots);
        }
        Ok(Self::from(text))
    }
}

impl Namespace {
    /// The namespace of a sidecar that was told none (contract, configuration 2.1).
    pub const DEFAULT: &'static str = "default";
}

impl Default for Namespace {
    fn default() -> Self {
        Self::from(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn own_id_is_refused_with_the_pinned_texts() {
        let text = |id| AppId::try_new(id).map_err(|why| why.to_string());
        assert_eq!(text(""), Err("parameter app-id cannot be empty".to_owned()));
        assert_eq!(
            text("a.b"),
            Err("parameter app-id cannot contain dots".to_owned())
        );
        assert_eq!(
            text("."),
            Err("parameter app-id cannot contain dots".to_owned())
        );
        assert_eq!(
            text("node-app_1 ü/x").expect("no other rule"),
            "node-app_1 ü/x"
        );
    }

    #[test]
    fn a_target_may_be_any_text() {
        for text in ["", "a.b.c", "../invoke/app", "http://h:1/base"] {
            assert_eq!(AppId::new(text), text);
        }
    }

    #[test]
    fn a_map_keyed_by_id_is_read_with_plain_text() {
        let map = HashMap::from([(AppId::from("app"), 1)]);
        assert_eq!(map.get("app"), Some(&1));
        assert_eq!(map.get("App"), None);
    }

    #[test]
    fn clones_share_the_text() {
        let one = Namespace::from("ns".to_owned());
        let two = one.clone();
        assert_eq!(one.as_str().as_ptr(), two.as_str().as_ptr());
    }

    #[test]
    fn namespace_defaults_to_default_and_ids_print_as_text() {
        assert_eq!(Namespace::default().to_string(), "default");
        assert_eq!(
            format!("{:>5}|{:?}", AppId::from("app"), AppId::from("a\n")),
            "  app|\"a\\n\""
        );
    }
}
