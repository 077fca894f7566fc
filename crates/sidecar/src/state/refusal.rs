//! What the errors of a write come to, when there may be several (contract `state.md` 3.5).
//!
//! The reference lets the error that happens to come first decide; here the order of the items
//! does, so that the same request always gets the same answer.

use outrider_state::Error;

/// Why a write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The etag is not the one that is stored.
    EtagMismatch,
    /// The etag can't be one of this store.
    EtagInvalid,
    /// Another reason.
    Failed,
}

impl Refusal {
    fn of(error: &Error) -> Self {
        match error {
            Error::EtagMismatch(_) => Self::EtagMismatch,
            Error::EtagInvalid(_) => Self::EtagInvalid,
            Error::Failed(_) => Self::Failed,
        }
    }
}

/// A refused write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub refusal: Refusal,
    pub text: String,
    /// What gRPC clients are told instead, where they are told more.
    pub long: Option<String>,
}

impl Told {
    fn new(refusal: Refusal, text: String) -> Self {
        Self {
            refusal,
            text,
            long: None,
        }
    }
}

/// What the errors of a write come to, if there are any; `many` says whether there were several
/// items.
pub(super) fn of(errors: &[Error], many: bool) -> Option<Told> {
    let first = errors.first()?;
    if !many {
        return Some(Told::new(Refusal::of(first), first.to_string()));
    }
    let Some(first_etag) = errors.iter().find(|error| error.is_etag()) else {
        return Some(Told::new(Refusal::Failed, joined(errors)));
    };
    if !errors.iter().all(Error::is_etag) {
        return Some(Told {
            long: Some(joined(errors)),
            ..Told::new(Refusal::of(first_etag), first_etag.to_string())
        });
    }
    // An error of the same kind around all of them, as the reference has it.
    let invalid = |error: &Error| Refusal::of(error) == Refusal::EtagInvalid;
    let around = if errors.iter().any(invalid) {
        Error::EtagInvalid(joined(errors))
    } else {
        Error::EtagMismatch(joined(errors))
    };
    Some(Told::new(Refusal::of(&around), around.to_string()))
}

fn joined(errors: &[Error]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISMATCH: &str = "possible etag mismatch. error from state store";

    fn told(errors: &[Error], many: bool) -> (Refusal, String) {
        let told = of(errors, many).unwrap();
        (told.refusal, told.text)
    }

    #[test]
    fn a_single_error_is_told_as_it_is() {
        let error = Error::EtagMismatch("x".into());
        let expected = (Refusal::EtagMismatch, format!("{MISMATCH}: x"));
        assert_eq!(told(&[error], false), expected);
        let expected = (Refusal::Failed, "no".into());
        assert_eq!(told(&[Error::failed("no")], false), expected);
        assert_eq!(of(&[], true), None);
    }

    #[test]
    fn etag_errors_of_several_items_are_joined() {
        let (a, b) = (
            Error::EtagMismatch("a".into()),
            Error::EtagMismatch("".into()),
        );
        let text = format!("{MISMATCH}: {MISMATCH}: a\n{MISMATCH}");
        assert_eq!(told(&[a.clone(), b], true), (Refusal::EtagMismatch, text));
        let text = format!("invalid etag value: {MISMATCH}: a\ninvalid etag value: b");
        let b = Error::EtagInvalid("b".into());
        assert_eq!(told(&[a, b], true), (Refusal::EtagInvalid, text));
    }

    #[test]
    fn among_other_errors_the_first_about_an_etag_decides() {
        let errors = [
            Error::failed("no"),
            Error::EtagInvalid("b".into()),
            Error::EtagMismatch("a".into()),
        ];
        let mixed = of(&errors, true).unwrap();
        assert_eq!(mixed.refusal, Refusal::EtagInvalid);
        assert_eq!(mixed.text, "invalid etag value: b");
        let long = format!("no\ninvalid etag value: b\n{MISMATCH}: a");
        assert_eq!(mixed.long, Some(long));
        let errors = [Error::failed("no"), Error::failed("neither")];
        assert_eq!(told(&errors, true), (Refusal::Failed, "no\nneither".into()));
    }
}
