//! The details of a status in words: the types of `google.rpc`, and what an app's own types say.

use outrider_wire::r#gen::google::{
    protobuf::Any,
    rpc::{
        BadRequest, DebugInfo, ErrorInfo, Help, LocalizedMessage, PreconditionFailure,
        QuotaFailure, RequestInfo, ResourceInfo, RetryInfo,
    },
};
use prost::Message;
use prost_reflect::DynamicMessage;

use super::{Catalogue, Status, json};
use crate::output::printable;

impl Status {
    /// A line on each fact of the details.
    pub(crate) fn explained(&self, catalogue: &Catalogue) -> String {
        let mut out = String::new();
        for detail in &self.details {
            for line in lines(detail, catalogue) {
                out.push_str(&format!("  {}\n", printable(&line)));
            }
        }
        out
    }
}

fn lines(detail: &Any, catalogue: &Catalogue) -> Vec<String> {
    let url = &*detail.type_url;
    let name = url.rsplit('/').next().unwrap_or_default();
    let known = match name.strip_prefix("google.rpc.") {
        Some(name) => well_known(name, &detail.value),
        None => None,
    };
    known
        .or_else(|| own(name, detail, catalogue))
        .unwrap_or_else(|| vec![format!("detail {url}: {} bytes", detail.value.len())])
}

fn own(name: &str, detail: &Any, catalogue: &Catalogue) -> Option<Vec<String>> {
    let kind = catalogue.message(name)?;
    let message = DynamicMessage::decode(kind, detail.value.clone()).ok()?;
    Some(vec![format!("{name}: {}", json::compact(&message).ok()?)])
}

fn well_known(name: &str, bytes: &[u8]) -> Option<Vec<String>> {
    match name {
        "ErrorInfo" => read(bytes, error_info),
        "BadRequest" => read(bytes, bad_request),
        "ResourceInfo" => read(bytes, resource),
        "Help" => read(bytes, help),
        "RetryInfo" => read(bytes, retry),
        "DebugInfo" => read(bytes, debug),
        "QuotaFailure" => read(bytes, quota),
        "PreconditionFailure" => read(bytes, precondition),
        "RequestInfo" => read(bytes, |it: RequestInfo| {
            vec![format!("request id: {}", it.request_id)]
        }),
        "LocalizedMessage" => read(bytes, |it: LocalizedMessage| {
            vec![format!("{}: {}", it.locale, it.message)]
        }),
        _ => None,
    }
}

fn read<T: Message + Default>(
    bytes: &[u8],
    words: impl FnOnce(T) -> Vec<String>,
) -> Option<Vec<String>> {
    T::decode(bytes).ok().map(words)
}

fn error_info(it: ErrorInfo) -> Vec<String> {
    let mut lines = vec![match &*it.domain {
        "" => format!("reason: {}", it.reason),
        domain => format!("reason: {} ({domain})", it.reason),
    }];
    let more = it.metadata.iter();
    lines.extend(more.map(|(name, value)| format!("{name}: {value}")));
    lines
}

fn bad_request(it: BadRequest) -> Vec<String> {
    let fields = it.field_violations.into_iter();
    fields
        .map(|it| format!("field {}: {}", it.field, it.description))
        .collect()
}

fn resource(it: ResourceInfo) -> Vec<String> {
    let mut line = format!("{} {}", it.resource_type, it.resource_name);
    if !it.description.is_empty() {
        line = format!("{line}: {}", it.description);
    }
    vec![line]
}

fn help(it: Help) -> Vec<String> {
    let links = it.links.into_iter();
    links
        .map(|it| format!("{}: {}", it.description, it.url))
        .collect()
}

fn retry(it: RetryInfo) -> Vec<String> {
    let delay = it.retry_delay.unwrap_or_default();
    let millis = i64::from(delay.nanos) / 1_000_000;
    let millis = delay.seconds.saturating_mul(1_000).saturating_add(millis);
    vec![format!("retry after {millis} ms")]
}

fn debug(it: DebugInfo) -> Vec<String> {
    let mut lines = vec![format!("debug: {}", it.detail)];
    let stack = it.stack_entries.into_iter();
    lines.extend(stack.map(|line| format!("  {line}")));
    lines
}

fn quota(it: QuotaFailure) -> Vec<String> {
    let failures = it.violations.into_iter();
    failures
        .map(|it| format!("quota of {}: {}", it.subject, it.description))
        .collect()
}

fn precondition(it: PreconditionFailure) -> Vec<String> {
    let failures = it.violations.into_iter();
    failures
        .map(|it| {
            format!(
                "precondition {} of {}: {}",
                it.r#type, it.subject, it.description
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use outrider_wire::r#gen::google::{protobuf::Duration, rpc::bad_request::FieldViolation};

    use super::super::testing;
    use super::*;

    fn told(name: &str, message: &impl Message) -> String {
        let status = Status {
            details: vec![Any {
                type_url: format!("type.googleapis.com/{name}"),
                value: message.encode_to_vec().into(),
            }],
            ..Status::default()
        };
        status.explained(&testing::catalogue())
    }

    #[test]
    fn well_known_details_are_told_in_words() {
        let info = ErrorInfo {
            reason: "SOLD_OUT".into(),
            domain: "shop".into(),
            metadata: [("item".into(), "bread\x1b".into())].into(),
        };
        let text = "  reason: SOLD_OUT (shop)\n  item: bread\\u{1b}\n";
        assert_eq!(told("google.rpc.ErrorInfo", &info), text);
        let bad = BadRequest {
            field_violations: vec![FieldViolation {
                field: "qty".into(),
                description: "must be positive".into(),
                ..Default::default()
            }],
        };
        let text = "  field qty: must be positive\n";
        assert_eq!(told("google.rpc.BadRequest", &bad), text);
        let retry = RetryInfo {
            retry_delay: Some(Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
        };
        assert_eq!(
            told("google.rpc.RetryInfo", &retry),
            "  retry after 1500 ms\n"
        );
    }

    #[test]
    fn details_of_the_app_are_shown_as_json_and_others_by_name() {
        // It has a text in its first field, as GetOrder.
        let pair = RequestInfo {
            request_id: "7".into(),
            serving_data: String::new(),
        };
        let text = "  shop.v1.GetOrder: {\"id\":\"7\"}\n";
        assert_eq!(told("shop.v1.GetOrder", &pair), text);
        let text = "  detail type.googleapis.com/x.Y: 3 bytes\n";
        assert_eq!(told("x.Y", &pair), text);
        let text = "  detail type.googleapis.com/google.rpc.New: 3 bytes\n";
        assert_eq!(told("google.rpc.New", &pair), text);
    }
}
