//! HTTP methods as the envelope numbers them (contract `http-api.md` 5).

/// An HTTP method of the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the HTTP methods")]
pub enum Verb {
    /// No method; HTTP apps refuse it.
    #[default]
    None = 0,
    Get = 1,
    Head = 2,
    Post = 3,
    Put = 4,
    Delete = 5,
    Connect = 6,
    Options = 7,
    Trace = 8,
    Patch = 9,
}

impl Verb {
    /// Every verb; the index is the number.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Connect,
        Self::Options,
        Self::Trace,
        Self::Patch,
    ];

    /// The verb of that number; peers may send others.
    pub fn from_i32(number: i32) -> Option<Self> {
        usize::try_from(number)
            .ok()
            .and_then(|i| Self::ALL.get(i).copied())
    }

    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The method's name, `NONE` for none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

/// Reads an HTTP method in any case. A token that the envelope has no number for becomes POST, as
/// the reference does it; the literal `NONE` becomes [`Verb::None`].
impl From<&[u8]> for Verb {
    fn from(method: &[u8]) -> Self {
        Self::ALL
            .into_iter()
            .find(|verb| method.eq_ignore_ascii_case(verb.as_str().as_bytes()))
            .unwrap_or(Self::Post)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_get_their_numbers() {
        for (number, verb) in (0..).zip(Verb::ALL) {
            assert_eq!(verb.number(), number);
            assert_eq!(Verb::from_i32(number), Some(verb));
            assert_eq!(Verb::from(verb.as_str().as_bytes()), verb);
            assert_eq!(
                Verb::from(verb.as_str().to_ascii_lowercase().as_bytes()),
                verb
            );
        }
        assert_eq!(Verb::from_i32(10), None);
        assert_eq!(Verb::from_i32(-1), None);
    }

    #[test]
    fn unknown_tokens_become_post() {
        for method in ["PROPFIND", "FOO", "", "GETS"] {
            assert_eq!(Verb::from(method.as_bytes()), Verb::Post);
        }
    }
}
