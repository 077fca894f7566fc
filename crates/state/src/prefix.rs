//! The prefix that tells the keys of one app from those of another (contract `state.md` 2).
//!
//! Makes whole keys of what clients write and finds the client's part in whole ones again. Knows no
//! store; refuses texts that hold the separator, because no reader could tell where the key begins.

/// What stands between prefix and key.
const SEPARATOR: &str = "||";

/// How whole keys are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix {
    /// With the separator at its end; empty if there is no prefix.
    prefix: String,
}

/// A key or a prefix that holds the separator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("input key/keyPrefix '{0}' can't contain '||'")]
pub struct IllegalKey(pub String);

impl KeyPrefix {
    /// The prefix that `strategy` asks for, which is the value of the metadata item `keyPrefix` with
    /// its templates replaced. `namespace` is the text of the variable `NAMESPACE`.
    ///
    /// # Errors
    /// A strategy that is a text with a separator in it.
    pub fn try_new(
        strategy: Option<&str>,
        app_id: &str,
        namespace: Option<&str>,
        store_name: &str,
    ) -> Result<Self, IllegalKey> {
        let strategy = lower_case(strategy.unwrap_or("appid"));
        if strategy.contains(SEPARATOR) {
            return Err(IllegalKey(strategy));
        }
        let namespace = namespace.filter(|text| !text.is_empty());
        let prefix = match (strategy.as_str(), namespace) {
            ("none", _) => String::new(),
            ("name", _) => format!("{store_name}{SEPARATOR}"),
            ("appid" | "namespace", _) if app_id.is_empty() => String::new(),
            ("namespace", Some(namespace)) => format!("{namespace}.{app_id}{SEPARATOR}"),
            ("appid", _) | ("namespace", None) => format!("{app_id}{SEPARATOR}"),
            (text, _) => format!("{text}{SEPARATOR}"),
        };
        Ok(Self { prefix })
    }

    /// The key as the store keeps it.
    ///
    /// # Errors
    /// A key with a separator in it.
    pub fn whole(&self, key: &str) -> Result<String, IllegalKey> {
        if key.contains(SEPARATOR) {
            return Err(IllegalKey(key.to_owned()));
        }
        Ok(format!("{}{key}", self.prefix))
    }

    /// The key as the client wrote it: what follows our own prefix, or for a key with another one
    /// what follows the first separator, or the key itself.
    #[must_use]
    pub fn original<'a>(&self, whole: &'a str) -> &'a str {
        if let Some(key) = whole.strip_prefix(&self.prefix)
            && !self.prefix.is_empty()
        {
            return key;
        }
        whole.split_once(SEPARATOR).map_or(whole, |(_, key)| key)
    }
}

/// Lower case as the reference makes it, character by character: no rule for the end of a word, and
/// one character for each. A rule more, and data written by the reference would not be found.
fn lower_case(text: &str) -> String {
    text.chars()
        .filter_map(|c| c.to_lowercase().next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(strategy: Option<&str>, namespace: Option<&str>) -> String {
        let prefix = KeyPrefix::try_new(strategy, "NodeApp", namespace, "St").unwrap();
        let whole = prefix.whole("Order").unwrap();
        assert_eq!(prefix.original(&whole), "Order");
        whole
    }

    #[test]
    fn every_strategy_has_its_prefix() {
        for (strategy, namespace, expected) in [
            (None, None, "NodeApp||Order"),
            (Some("appid"), Some("ns"), "NodeApp||Order"),
            (Some("APPID"), None, "NodeApp||Order"),
            (Some("name"), None, "St||Order"),
            (Some("NAME"), None, "St||Order"),
            (Some("none"), None, "Order"),
            (Some("namespace"), Some("ns"), "ns.NodeApp||Order"),
            (Some("namespace"), Some(""), "NodeApp||Order"),
            (Some("namespace"), None, "NodeApp||Order"),
            (Some("MyPrefix"), None, "myprefix||Order"),
            (Some("ΟΔΟΣİ"), None, "οδοσi||Order"),
            (Some(""), None, "||Order"),
            (Some(" a "), None, " a ||Order"),
        ] {
            assert_eq!(whole(strategy, namespace), expected, "{strategy:?}");
        }
    }

    #[test]
    fn no_app_id_means_no_prefix() {
        for strategy in ["appid", "namespace"] {
            let prefix = KeyPrefix::try_new(Some(strategy), "", Some("ns"), "St").unwrap();
            assert_eq!(prefix.whole("k").unwrap(), "k");
        }
    }

    #[test]
    fn separators_are_refused_in_prefixes_and_keys() {
        let error = KeyPrefix::try_new(Some("A||b"), "app", None, "st").unwrap_err();
        let text = "input key/keyPrefix 'a||b' can't contain '||'";
        assert_eq!(error.to_string(), text);
        let prefix = KeyPrefix::try_new(None, "app", None, "st").unwrap();
        assert_eq!(prefix.whole("a||b").unwrap_err().to_string(), text);
        assert_eq!(prefix.whole("a|b").unwrap(), "app||a|b");
        assert_eq!(prefix.whole("").unwrap(), "app||");
    }

    #[test]
    fn the_original_key_is_found_behind_odd_prefixes() {
        let prefix = KeyPrefix::try_new(Some("a|"), "app", None, "st").unwrap();
        assert_eq!(prefix.original("a|||k"), "k");
        let prefix = KeyPrefix::try_new(Some("name"), "app", None, "s||t").unwrap();
        assert_eq!(prefix.original("s||t||k"), "k");
        assert_eq!(prefix.original("other||k"), "k");
        assert_eq!(prefix.original("plain"), "plain");
    }
}
