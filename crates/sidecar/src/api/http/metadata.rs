//! `GET /v1.0/metadata` and `PUT /v1.0/metadata/{key}`.

use super::Answer;
use crate::{
    call::{Body, BodyError},
    metrics::{Category, ErrorCode},
    ready::Part,
    shared::Shared,
};

/// Longest value taken; the reference takes what its body limit allows.
const VALUE_LIMIT: usize = 4 * 1024 * 1024;

const BODY_READ: ErrorCode = ErrorCode {
    category: Category::Common,
    name: "ERR_BODY_READ",
};

/// The document.
pub(super) fn read(shared: &Shared) -> Answer {
    let found = shared.ready.is_up(Part::Runtime);
    Answer::json(200, shared.metadata.document(&shared.plan, found))
}

/// Sets one value of `extended`.
pub(super) async fn write(shared: &Shared, key: String, body: Body) -> Answer {
    let value = match body.collect(VALUE_LIMIT).await {
        Ok(value) => value,
        Err(error) => {
            let error = error.err().unwrap_or(BodyError::TooLarge);
            let message = format!("failed to read request body: {error}");
            let mut answer = Answer::error(400, BODY_READ, &message);
            answer.close = true;
            return answer;
        }
    };
    let value = String::from_utf8_lossy(&value).into_owned();
    if shared.metadata.set(key, value) {
        return Answer::empty(204);
    }
    let message = "failed to read request body: the values set so far leave no room for it";
    Answer::error(400, BODY_READ, message)
}
