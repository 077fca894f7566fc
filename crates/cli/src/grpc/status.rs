//! How a call ended: `grpc-status` and what stands beside it.

use http::HeaderMap;
use outrider_wire::{
    r#gen::google::protobuf::Any,
    grpc::{code_name, decode_message, details},
};

/// A status with its details.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Status {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) details: Vec<Any>,
}

impl Status {
    /// The status in headers or trailers, if there is one.
    pub(super) fn of(fields: &HeaderMap) -> Option<Self> {
        let code = fields.get("grpc-status")?.to_str().ok();
        let message = fields.get("grpc-message").map(|it| it.as_bytes());
        let details = fields.get(details::DETAILS);
        let details = details.and_then(|it| details::decode(it.as_bytes()));
        Some(Self {
            // What is no number is Unknown, by the specification.
            code: code.and_then(|it| it.parse().ok()).unwrap_or(2),
            message: decode_message(message.unwrap_or_default()).into_owned(),
            details: details.map(|it| it.details).unwrap_or_default(),
        })
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// Code and message in a line.
    pub(crate) fn line(&self) -> String {
        let name = code_name(self.code);
        match &*self.message {
            "" => name.into_owned(),
            message => format!("{name}: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_status_has_message_and_details() {
        // A google.rpc.Status with one detail of type "a/b.C".
        let status = Status::of(&fields(&[
            ("grpc-status", "5"),
            ("grpc-message", "no%20such"),
            (details::DETAILS, "GgoKBWEvYi5DEgF4"),
        ]));
        let status = status.unwrap();
        assert_eq!(status.line(), "NotFound: no such");
        assert_eq!(status.details[0].type_url, "a/b.C");
    }

    #[test]
    fn what_cannot_be_read_costs_only_itself() {
        assert_eq!(Status::of(&HeaderMap::new()), None);
        let status = Status::of(&fields(&[("grpc-status", "x"), (details::DETAILS, "!")]));
        assert_eq!(status.unwrap().line(), "Unknown");
        let status = Status::of(&fields(&[("grpc-status", "0")])).unwrap();
        assert!(status.is_ok());
    }
}
