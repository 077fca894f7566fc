//! What the server's answers mean. Asks nothing.

use bytes::Bytes;

use super::{
    value::Value,
    write::{Step, Write, delete_conflict, delete_etag},
};
use crate::{Delete, Error, Item};

/// True if the server has done nothing of it all and may later. A word says nothing: it answers
/// `ASKING`.
pub(super) fn is_put_off(replies: &[Value]) -> bool {
    let put_off = |reply: &Value| match reply {
        Value::Refused(refusal) => refusal.is_passing(),
        reply => matches!(reply, Value::Word(_)),
    };
    let is_refusal = |reply: &Value| matches!(reply, Value::Refused(_));
    replies.iter().all(put_off) && replies.iter().any(is_refusal)
}

/// True if a server says of itself that it follows another one (`ROLE`). One that does not tell is
/// taken for none.
pub(super) fn is_replica(role: &Value) -> bool {
    let Value::Array(parts) = role else {
        return false;
    };
    matches!(parts.first(), Some(Value::Bulk(role)) if &role[..] == b"slave")
}

/// What the fields of a hash are as an item.
pub(super) fn item(fields: Vec<Value>) -> Result<Option<Item>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    let (mut data, mut version) = (None, None);
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let (Value::Bulk(name), Value::Bulk(value)) = (name, value) else {
            return Err(unexpected());
        };
        match &name[..] {
            b"data" => data = Some(value),
            b"version" => version = Some(value),
            _ => {}
        }
    }
    let (Some(data), Some(version)) = (data, version) else {
        let text = "required hash field 'data' or 'version' was not found";
        return Err(Error::failed(text));
    };
    Ok(Some(Item {
        value: data,
        etag: Some(lossy(&version)),
        expires: None,
    }))
}

fn lossy(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How a set ended.
pub(super) fn written(write: &Write, reply: Result<Value, String>) -> Result<(), Error> {
    let failed = |why: &str| Error::Failed(format!("failed to set key {}: {why}", write.key));
    match reply.map_err(|text| failed(&text))? {
        Value::Int(_) => Ok(()),
        Value::Bulk(version) => Err(write.conflict(&version)),
        Value::Refused(refusal) => Err(failed(&refusal.0)),
        _ => Err(unexpected()),
    }
}

/// How a delete ended.
pub(super) fn removed(delete: &Delete, reply: Result<Value, String>) -> Result<(), Error> {
    let failed = |why: &str| Error::Failed(format!("failed to delete key {}: {why}", delete.key));
    match reply.map_err(|text| failed(&text))? {
        Value::Int(_) => Ok(()),
        Value::Bulk(version) => {
            let etag = delete_etag(delete).unwrap_or_default();
            Err(delete_conflict(&delete.key, etag, &version))
        }
        Value::Refused(refusal) => Err(failed(&refusal.0)),
        _ => Err(unexpected()),
    }
}

/// How each of several ended: as `told` has it for those that were sent, whose answers these are in
/// their order.
pub(super) fn each<T>(
    asked: Vec<Result<T, Error>>,
    replies: Vec<Result<Value, String>>,
    told: impl Fn(&T, Result<Value, String>) -> Result<(), Error>,
) -> Vec<Result<(), Error>> {
    let mut replies = replies.into_iter();
    let answer = |one: Result<T, Error>| {
        let one = one?;
        told(&one, replies.next().unwrap_or_else(missing))
    };
    asked.into_iter().map(answer).collect()
}

/// How a transaction ended.
pub(super) fn transacted(steps: &[Step], reply: Value) -> Result<(), Error> {
    match reply {
        Value::Int(_) => Ok(()),
        Value::Array(parts) => Err(conflict(steps, &parts)),
        Value::Refused(refusal) => Err(Error::Failed(refusal.0)),
        _ => Err(unexpected()),
    }
}

fn conflict(steps: &[Step], parts: &[Value]) -> Error {
    let [Value::Int(number), Value::Bulk(version)] = parts else {
        return unexpected();
    };
    let index = usize::try_from(number - 1).ok();
    match index.and_then(|index| steps.get(index)) {
        Some(step) => step.conflict(version),
        None => unexpected(),
    }
}

/// True if the server does not know the script, or not any more.
pub(super) fn is_no_script(reply: &Value) -> bool {
    matches!(reply, Value::Refused(refusal) if refusal.code() == "NOSCRIPT")
}

/// In the place of an answer that is not there.
pub(super) fn missing() -> Result<Value, String> {
    Err(unexpected().to_string())
}

/// An answer that no server gives.
pub(super) fn unexpected() -> Error {
    Error::failed("redis gave an answer that makes no sense here; is it a Redis server?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::value::Refusal;

    #[test]
    fn what_is_put_off_is_so_as_a_whole() {
        let refused = |text: &str| Value::Refused(Refusal(text.into()));
        let ok = || Value::Word("OK".into());
        assert!(is_put_off(&[refused("READONLY x"), refused("LOADING y")]));
        assert!(!is_put_off(&[refused("READONLY x"), Value::Int(1)]));
        assert!(!is_put_off(&[refused("NOPERM x")]));
        assert!(is_put_off(&[ok(), refused("TRYAGAIN x")]), "asked for once");
        assert!(!is_put_off(&[ok()]));
        assert!(!is_put_off(&[]));
    }
}
