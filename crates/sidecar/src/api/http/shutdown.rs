//! `POST /v1.0/shutdown`.

use outrider_wire::Fields;

use super::Answer;
use crate::shared::{Shared, Stop};

/// Asks for the end; the answer is sent first.
pub(super) fn shutdown(shared: &Shared, fields: &Fields) -> Answer {
    let forced = fields
        .get("dapr-force-shutdown")
        .is_some_and(|value| value.eq_ignore_ascii_case(b"true"));
    let stop = if forced { Stop::Forced } else { Stop::Api };
    // Nobody listening means that the end has begun already.
    let _ = shared.stop.send(stop);
    Answer::empty(204)
}
