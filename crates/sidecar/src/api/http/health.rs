//! `/v1.0/healthz` and `/v1.0/healthz/outbound` (contract `http-api.md` 11).

use outrider_core::path::query_unescape_or_keep;

use super::Answer;
use crate::{
    metrics::{Category, ErrorCode},
    ready::Part,
    shared::Shared,
};

/// Whether everything is up, and whether this is the sidecar of the app that is asked for.
pub(super) fn healthz(shared: &Shared, query: &str) -> Answer {
    let missing = shared.ready.missing();
    if !missing.is_empty() {
        let message = format!("dapr is not ready: [{}]", missing.join(" "));
        return Answer::error(500, named("ERR_HEALTH_NOT_READY"), &message);
    }
    let asked = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == "appid").then(|| query_unescape_or_keep(value).into_owned())
    });
    match asked {
        Some(id) if id != *shared.plan.app_id => {
            let error = named("ERR_HEALTH_APPID_NOT_MATCH");
            Answer::error(500, error, "dapr app-id does not match")
        }
        _ => Answer::empty(204),
    }
}

/// Whether calls to other apps work.
pub(super) fn outbound(shared: &Shared) -> Answer {
    if shared.ready.is_up(Part::Outbound) {
        return Answer::empty(204);
    }
    let error = named("ERR_OUTBOUND_HEALTH_NOT_READY");
    Answer::error(500, error, "dapr outbound is not ready")
}

fn named(name: &'static str) -> ErrorCode {
    ErrorCode {
        category: Category::Health,
        name,
    }
}
