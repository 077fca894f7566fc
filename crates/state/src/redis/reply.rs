//! What the server's answers mean. Asks nothing.

use redis::{Cmd, ServerErrorKind, Value};

use super::{
    link::{is_passing, words},
    write::{Step, Write, delete_conflict, delete_etag},
};
use crate::{Delete, Error, Item};

/// An answer of the server, or several.
pub(super) trait Reply {
    /// True if the server has done nothing of it and may later.
    fn is_put_off(&self) -> bool;
}

impl Reply for Value {
    fn is_put_off(&self) -> bool {
        matches!(self, Self::ServerError(error) if is_passing(error))
    }
}

impl Reply for Vec<Value> {
    fn is_put_off(&self) -> bool {
        !self.is_empty() && self.iter().all(Reply::is_put_off)
    }
}

/// The answers to writes, and to the question behind them how many replicas have them.
pub(super) struct Confirmed {
    pub replies: Vec<Value>,
    /// Nothing if the server did not count.
    pub replicas: Option<i64>,
}

impl Confirmed {
    pub(super) fn new(mut replies: Vec<Value>) -> Self {
        let replicas = match replies.pop() {
            Some(Value::Int(count)) => Some(count),
            _ => None,
        };
        Self { replies, replicas }
    }
}

impl Reply for Confirmed {
    fn is_put_off(&self) -> bool {
        self.replies.is_put_off()
    }
}

/// The question for all of a hash.
pub(super) fn hgetall(key: &str) -> Cmd {
    let mut cmd = Cmd::with_capacity(2, key.len() + 8);
    cmd.arg("HGETALL").arg(key);
    cmd
}

/// What the fields of a hash are as an item.
pub(super) fn item(fields: Vec<Value>) -> Result<Option<Item>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    let (mut data, mut version) = (None, None);
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let (Value::BulkString(name), Value::BulkString(value)) = (name, value) else {
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
        value: data.into(),
        etag: Some(lossy(version)),
        expires: None,
    }))
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How a set ended.
pub(super) fn written(write: &Write, reply: Result<Value, String>) -> Result<(), Error> {
    let failed = |why: &str| Error::Failed(format!("failed to set key {}: {why}", write.key));
    match reply.map_err(|text| failed(&text))? {
        Value::Int(_) => Ok(()),
        Value::BulkString(version) => Err(write.conflict(&version)),
        Value::ServerError(error) => Err(failed(&words(&error))),
        _ => Err(unexpected()),
    }
}

/// How a delete ended.
pub(super) fn removed(delete: &Delete, reply: Result<Value, String>) -> Result<(), Error> {
    let failed = |why: &str| Error::Failed(format!("failed to delete key {}: {why}", delete.key));
    match reply.map_err(|text| failed(&text))? {
        Value::Int(_) => Ok(()),
        Value::BulkString(version) => {
            let etag = delete_etag(delete).unwrap_or_default();
            Err(delete_conflict(&delete.key, etag, &version))
        }
        Value::ServerError(error) => Err(failed(&words(&error))),
        _ => Err(unexpected()),
    }
}

/// How each of several ended: as `told` has it for those that were sent, whose answers these are in
/// their order.
pub(super) fn each<T>(
    asked: Vec<Result<T, Error>>,
    replies: Result<Vec<Value>, String>,
    told: impl Fn(&T, Result<Value, String>) -> Result<(), Error>,
) -> Vec<Result<(), Error>> {
    let mut replies = replies.map(Vec::into_iter);
    let answer = |one: Result<T, Error>| {
        let one = one?;
        let reply = match &mut replies {
            Ok(replies) => replies.next().ok_or_else(|| unexpected().to_string()),
            Err(text) => Err(text.clone()),
        };
        told(&one, reply)
    };
    asked.into_iter().map(answer).collect()
}

/// How a transaction ended.
pub(super) fn transacted(steps: &[Step], reply: Value) -> Result<(), Error> {
    match reply {
        Value::Int(_) => Ok(()),
        Value::Array(parts) => Err(conflict(steps, &parts)),
        Value::ServerError(error) => Err(Error::Failed(words(&error))),
        _ => Err(unexpected()),
    }
}

fn conflict(steps: &[Step], parts: &[Value]) -> Error {
    let [Value::Int(number), Value::BulkString(version)] = parts else {
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
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// An answer that no server gives.
pub(super) fn unexpected() -> Error {
    Error::failed("redis gave an answer that makes no sense here; is it a Redis server?")
}
