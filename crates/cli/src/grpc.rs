//! A small gRPC client: unary calls to methods whose types are learnt from the app itself, by
//! server reflection or from a file, with JSON in and out.
//!
//! No TLS, no compression, no streaming but for reflection, and nothing is sent twice.

mod catalogue;
mod channel;
mod details;
pub(crate) mod json;
mod reflection;
mod status;

pub(crate) use catalogue::{Catalogue, split};
pub(crate) use channel::{Channel, Failure, Question, Reply};
pub(crate) use reflection::{Reflection, Refusal};
pub(crate) use status::Status;

#[cfg(test)]
pub(crate) mod testing;

/// Service and method of a text that looks like `pkg.Service/Method`, with or without a slash
/// before it. A service outside of any package looks like a path of HTTP and does not count.
pub(crate) fn is_full_method(text: &str) -> bool {
    let text = text.strip_prefix('/').unwrap_or(text);
    let is_name = |name: &str| {
        let mut letters = name.bytes();
        letters
            .next()
            .is_some_and(|it| it.is_ascii_alphabetic() || it == b'_')
            && letters.all(|it| it.is_ascii_alphanumeric() || it == b'_')
    };
    match text.split_once('/') {
        Some((service, method)) => {
            service.contains('.') && service.split('.').all(is_name) && is_name(method)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_grpc_are_told_from_paths() {
        for method in ["shop.v1.Orders/Get", "/a.B/c", "_a.b_2/C_3"] {
            assert!(is_full_method(method), "{method}");
        }
        for path in [
            "orders/7",
            "Orders/Get",
            "a.b/",
            "a..b/c",
            "a.b/c/d",
            "a.b/c?x=1",
            "v1.0/x",
            "a.b/1",
            "//a.b/c",
            "a.b",
            "",
        ] {
            assert!(!is_full_method(path), "{path}");
        }
    }
}
