//! What a component's metadata says, secrets and templates already put in.

/// Names with their values. Names are compared without regard to case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    items: Vec<(String, String)>,
}

/// Two names that differ in case only (contract `configuration.md` 5.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {0} is duplicate in the metadata")]
pub struct Duplicate(pub String);

impl Properties {
    /// Of equal names the last one counts; names that differ in case only are refused.
    ///
    /// # Errors
    /// The second of two such names.
    pub fn try_new(items: impl IntoIterator<Item = (String, String)>) -> Result<Self, Duplicate> {
        let mut kept: Vec<(String, String)> = Vec::new();
        for (name, value) in items {
            match kept.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(&name)) {
                Some((known, old)) if *known == name => *old = value,
                Some(_) => return Err(Duplicate(name)),
                None => kept.push((name, value)),
            }
        }
        Ok(Self { items: kept })
    }

    /// The value of the first of these names that is given; later ones are old names of the same.
    #[must_use]
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let item = self
                .items
                .iter()
                .find(|(k, _)| k.eq_ignore_ascii_case(name));
            item.map(|(_, value)| value.as_str())
        })
    }

    /// The value of a name that must be written exactly so.
    #[must_use]
    pub fn get_exact(&self, name: &str) -> Option<&str> {
        let item = self.items.iter().find(|(k, _)| k == name);
        item.map(|(_, value)| value.as_str())
    }
}

/// Values may be secrets.
impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.items.iter().map(|(k, _)| k))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn names_have_no_case_but_exact_ones() {
        let properties =
            Properties::try_new(pairs(&[("RedisHost", "h"), ("a", "1"), ("a", "2")])).unwrap();
        assert_eq!(properties.get(&["redishost"]), Some("h"));
        assert_eq!(properties.get(&["none", "A"]), Some("2"));
        assert_eq!(properties.get_exact("redishost"), None);
    }

    #[test]
    fn names_that_differ_in_case_only_are_refused() {
        let error = Properties::try_new(pairs(&[("a", "1"), ("A", "2")])).unwrap_err();
        assert_eq!(error.to_string(), "key A is duplicate in the metadata");
    }
}
