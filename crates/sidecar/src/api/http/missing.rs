//! Routes of building blocks that are not there. They are answered as such, because otherwise a
//! request with a target header would be taken for a call of that app, and the client for served
//! (contract `http-api.md` 2).

use super::Answer;
use crate::metrics::{Category, ErrorCode};

/// Routes that begin alike.
pub(crate) struct Family {
    /// The group that rules name it by.
    pub group: &'static str,
    /// How its paths begin.
    pub route: &'static str,
    methods: &'static [&'static str],
    /// At least so many segments follow.
    segments: usize,
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const PUT: &[&str] = &["PUT"];
const WRITE: &[&str] = &["POST", "PUT"];
const ASK: &[&str] = &["GET", "POST"];
const MOST: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

/// All of them.
pub(crate) static FAMILIES: [Family; 18] = [
    family("publish", "v1.0/publish", WRITE, 2),
    family("publish", "v1.0-alpha1/publish", WRITE, 3),
    family("bindings", "v1.0/bindings", WRITE, 1),
    family("secrets", "v1.0/secrets", GET, 2),
    family("configuration", "v1.0/configuration", GET, 1),
    family("configuration", "v1.0-alpha1/configuration", GET, 1),
    family("actors", "v1.0/actors", MOST, 3),
    family("lock", "v1.0-alpha1/lock", POST, 1),
    family("unlock", "v1.0-alpha1/unlock", POST, 1),
    family("workflows", "v1.0/workflows", ASK, 2),
    family("workflows", "v1.0-beta1/workflows", ASK, 2),
    family("workflows", "v1.0-alpha1/workflows", ASK, 2),
    family("jobs", "v1.0-alpha1/jobs", MOST, 1),
    family("jobs", "v1.0/jobs", MOST, 1),
    family("crypto", "v1.0-alpha1/crypto", PUT, 2),
    family("subtlecrypto", "v1.0-alpha1/subtlecrypto", POST, 2),
    family("conversation", "v1.0-alpha1/conversation", POST, 2),
    family("conversation", "v1.0-alpha2/conversation", POST, 2),
];

const fn family(
    group: &'static str,
    route: &'static str,
    methods: &'static [&'static str],
    segments: usize,
) -> Family {
    Family {
        group,
        route,
        methods,
        segments,
    }
}

/// Whether a request is for one of those that `served` names by their place. The path is cleaned
/// and begins with its version.
pub(super) fn is_missing(method: &str, path: &str, served: &[bool]) -> bool {
    let known = FAMILIES.iter().zip(served).find(|(family, _)| {
        let rest = path.strip_prefix(family.route);
        let rest = rest.and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| rest.split('/').count() >= family.segments)
    });
    known.is_some_and(|(family, served)| *served && family.methods.contains(&method))
}

/// The answer.
pub(super) fn answer() -> Answer {
    let error = ErrorCode {
        category: Category::Common,
        name: "ERR_API_UNIMPLEMENTED",
    };
    Answer::error(501, error, "this API is currently not implemented")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_the_reference_are_known_and_nothing_else() {
        let all = [true; FAMILIES.len()];
        for (method, path, missing) in [
            ("POST", "v1.0/publish/p/t", true),
            ("PUT", "v1.0/publish/p/t/u", true),
            ("GET", "v1.0/publish/p/t", false),
            ("POST", "v1.0/publish/p", false),
            ("POST", "v1.0/publisher/p/t", false),
            ("GET", "v1.0/secrets/s/k", true),
            ("PUT", "v1.0/actors/t/1/state", true),
            ("POST", "v1.0-beta1/workflows/dapr/w/start", true),
            ("POST", "v2.0/publish/p/t", false),
        ] {
            assert_eq!(is_missing(method, path, &all), missing, "{method} {path}");
        }
        let none = [false; FAMILIES.len()];
        assert!(!is_missing("POST", "v1.0/publish/p/t", &none));
    }
}
