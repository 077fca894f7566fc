//! How a store says no.

/// Why an operation was not done. The texts are those that clients of the reference see (contract
/// `state.md` 3.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The stored etag is another one, or there is none. The text is the store's own; it may be
    /// empty.
    #[error("possible etag mismatch. error from state store{}", after(.0))]
    EtagMismatch(String),
    /// The etag can't be one of this store.
    #[error("invalid etag value{}", after(.0))]
    EtagInvalid(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Any error that has nothing to do with etags.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// True for both kinds of etag error.
    #[must_use]
    pub fn is_etag(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

fn after(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stores_own_text_follows_a_colon() {
        assert_eq!(
            Error::EtagMismatch(String::new()).to_string(),
            "possible etag mismatch. error from state store"
        );
        assert_eq!(
            Error::EtagInvalid("x".into()).to_string(),
            "invalid etag value: x"
        );
    }
}
