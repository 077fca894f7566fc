//! Redis as one thread uses it: what goes out for each operation and what its answer means.
//!
//! A write goes out again only when the server has said that it did nothing; if its answer is lost,
//! whoever asked is told so. Reads go out again on a new connection.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, ServerErrorKind, Value};

use super::{
    Shared,
    link::{Broken, Link, is_passing, words},
    script::Script,
    slot::Slot,
    write::{Step, Write, delete_conflict, delete_etag, transaction},
};
use crate::{Answer, Delete, Error, Get, Item, Operation, Session, Set};

/// The connections of one thread.
pub(super) struct Lane {
    shared: Arc<Shared>,
    plain: Slot,
    /// For writes that wait for replicas, so that nobody else waits with them.
    waiting: Slot,
}

/// Whether a question may be asked twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

/// How long replicas have to confirm.
const CONFIRM: Duration = Duration::from_secs(1);

impl Lane {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            plain: Slot::default(),
            waiting: Slot::default(),
        }
    }

    async fn read(&self, get: Get) -> Result<Option<Item>, Error> {
        let cmd = hgetall(&get.key);
        let reply = self.ask(&self.plain, Kind::Read, async |link, limit| {
            link.ask(&cmd, limit).await
        });
        let reply = reply.await.map_err(Error::Failed)?;
        self.found(&get.key, reply).await
    }

    async fn read_all(&self, gets: Vec<Get>) -> Vec<Result<Option<Item>, Error>> {
        let mut pipe = Pipeline::with_capacity(gets.len());
        for get in &gets {
            pipe.add_command(hgetall(&get.key));
        }
        let replies = match self.ask_all(&self.plain, Kind::Read, &pipe).await {
            Ok(replies) => replies,
            Err(text) => return gets.iter().map(|_| Err(Error::failed(&text))).collect(),
        };
        let mut answers = Vec::with_capacity(gets.len());
        for (get, reply) in gets.iter().zip(replies) {
            answers.push(self.found(&get.key, reply).await);
        }
        answers
    }

    /// What `HGETALL` found. A plain string that another program put there is asked for once more.
    async fn found(&self, key: &str, reply: Value) -> Result<Option<Item>, Error> {
        match reply {
            Value::Array(fields) => item(fields),
            Value::ServerError(error) if error.code() == "WRONGTYPE" => self.plain_text(key).await,
            Value::ServerError(error) => Err(Error::Failed(words(&error))),
            _ => Err(unexpected()),
        }
    }

    async fn plain_text(&self, key: &str) -> Result<Option<Item>, Error> {
        let mut cmd = redis::cmd("GET");
        cmd.arg(key);
        let reply = self.ask(&self.plain, Kind::Read, async |link, limit| {
            link.ask(&cmd, limit).await
        });
        match reply.await.map_err(Error::Failed)? {
            Value::BulkString(value) => Ok(Some(Item {
                value: value.into(),
                etag: None,
                expires: None,
            })),
            Value::Nil => Ok(None),
            Value::ServerError(error) => Err(Error::Failed(words(&error))),
            _ => Err(unexpected()),
        }
    }

    async fn write(&self, set: Set) -> Result<(), Error> {
        let write = Write::new(set, self.shared.settings.ttl)?;
        let reply = if write.strong && self.shared.replicas > 0 {
            self.write_and_wait(&write).await
        } else {
            let make = |script: &Script, whole| write.command(script, whole);
            self.eval(&self.shared.scripts.set, make).await
        };
        written(&write, reply)
    }

    async fn write_all(&self, sets: Vec<Set>) -> Vec<Result<(), Error>> {
        let default = self.shared.settings.ttl;
        let writes: Vec<_> = sets
            .into_iter()
            .map(|set| Write::new(set, default))
            .collect();
        let mut good = writes.iter().flatten().peekable();
        if good.peek().is_none() {
            return writes.into_iter().map(|write| write.map(drop)).collect();
        }
        let strong = self.shared.replicas > 0 && good.clone().any(|write| write.strong);
        let mut pipe = Pipeline::with_capacity(writes.len() + 1);
        // The first one brings the script's text along, so that none of the others can miss it:
        // sent again one by one they would lose their order.
        for (index, write) in good.enumerate() {
            pipe.add_command(write.command(&self.shared.scripts.set, index == 0));
        }
        let replies = self.send_all(pipe, strong).await;
        let mut replies = replies.map(Vec::into_iter);
        let answer = |write: Result<Write, Error>| {
            let write = write?;
            let reply = match &mut replies {
                Ok(replies) => replies.next().ok_or_else(|| unexpected().to_string()),
                Err(text) => Err(text.clone()),
            };
            written(&write, reply)
        };
        writes.into_iter().map(answer).collect()
    }

    async fn write_and_wait(&self, write: &Write) -> Result<Value, String> {
        for whole in [false, true] {
            let mut pipe = Pipeline::with_capacity(2);
            pipe.add_command(write.command(&self.shared.scripts.set, whole));
            let reply = self.send_all(pipe, true).await?.into_iter().next();
            let reply = reply.ok_or_else(|| unexpected().to_string())?;
            if whole || !is_no_script(&reply) {
                return Ok(reply);
            }
        }
        Err(unexpected().to_string())
    }

    /// Sends writes, and waits for replicas after them if they are to be safe there.
    async fn send_all(&self, mut pipe: Pipeline, strong: bool) -> Result<Vec<Value>, String> {
        if !strong {
            return self.ask_all(&self.plain, Kind::Write, &pipe).await;
        }
        let wanted = self.shared.replicas;
        let confirm = pipe.cmd("WAIT").arg(wanted);
        confirm.arg(CONFIRM.as_millis() as u64);
        let mut replies = self.ask_all(&self.waiting, Kind::Write, &pipe).await?;
        if let Some(Value::Int(confirmed)) = replies.pop()
            && confirmed < wanted
        {
            // As in the reference this is no error: the data is on the master.
            tracing::warn!(
                "redis has stored what it was sent, but only {confirmed} of {wanted} replicas \
                 have confirmed it within a second"
            );
        }
        Ok(replies)
    }

    async fn remove(&self, delete: Delete) -> Result<(), Error> {
        delete.options.check()?;
        let etag = delete_etag(&delete);
        let reply = match etag {
            Some(etag) => {
                let make = |script: &Script, whole| {
                    let room = delete.key.len() + etag.len();
                    let mut cmd = match whole {
                        true => script.whole(room),
                        false => script.by_hash(room),
                    };
                    cmd.arg(1).arg(&delete.key).arg(etag);
                    cmd
                };
                self.eval(&self.shared.scripts.delete, make).await
            }
            None => {
                let mut cmd = redis::cmd("DEL");
                cmd.arg(&delete.key);
                let reply = self.ask(&self.plain, Kind::Write, async |link, limit| {
                    link.ask(&cmd, limit).await
                });
                reply.await
            }
        };
        let failed =
            |why: &str| Error::Failed(format!("failed to delete key {}: {why}", delete.key));
        match reply.map_err(|text| failed(&text))? {
            Value::Int(_) => Ok(()),
            Value::BulkString(version) => {
                let etag = etag.unwrap_or_default();
                Err(delete_conflict(&delete.key, etag, &version))
            }
            Value::ServerError(error) => Err(failed(&words(&error))),
            _ => Err(unexpected()),
        }
    }

    async fn transaction(&self, operations: Vec<Operation>) -> Result<(), Error> {
        let default = self.shared.settings.ttl;
        let steps = operations.into_iter().map(|op| Step::new(op, default));
        let steps = steps.collect::<Result<Vec<Step>, Error>>()?;
        if steps.is_empty() {
            return Ok(());
        }
        let make = |script: &Script, whole| transaction(&steps, script, whole);
        let reply = self.eval(&self.shared.scripts.transact, make).await;
        match reply.map_err(Error::Failed)? {
            Value::Int(_) => Ok(()),
            Value::Array(parts) => Err(conflict(&steps, &parts)),
            Value::ServerError(error) => Err(Error::Failed(words(&error))),
            _ => Err(unexpected()),
        }
    }

    /// Runs a script by its name, or with its text if the server does not know it (any more).
    async fn eval(
        &self,
        script: &Script,
        make: impl Fn(&Script, bool) -> Cmd,
    ) -> Result<Value, String> {
        let cmd = make(script, false);
        let ask = async |link: &Link, limit| link.ask(&cmd, limit).await;
        let reply = self.ask(&self.plain, Kind::Write, ask).await?;
        if !is_no_script(&reply) {
            return Ok(reply);
        }
        let cmd = make(script, true);
        let ask = async |link: &Link, limit| link.ask(&cmd, limit).await;
        self.ask(&self.plain, Kind::Write, ask).await
    }

    async fn ask_all(
        &self,
        slot: &Slot,
        kind: Kind,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, String> {
        let ask = async |link: &Link, limit| link.ask_all(pipe, limit).await;
        self.ask(slot, kind, ask).await
    }

    /// Asks until there is an answer or no sense in asking again.
    async fn ask<T: Reply>(
        &self,
        slot: &Slot,
        kind: Kind,
        send: impl AsyncFn(&Link, Option<Duration>) -> Result<T, Broken>,
    ) -> Result<T, String> {
        let settings = &self.shared.settings;
        let limit = match kind {
            Kind::Read => settings.read,
            Kind::Write => settings.write,
        };
        let mut tried = 0;
        loop {
            let link = slot.link(settings).await?;
            match send(&link, limit).await {
                Ok(reply) => {
                    if !reply.is_put_off() || tried >= settings.retries.most {
                        return Ok(reply);
                    }
                    // A master that has become a replica: the new one is behind the same name.
                    slot.retire(&link);
                    settings.retries.pause(tried).await;
                }
                Err(broken) => {
                    slot.retire(&link);
                    let again = matches!(broken, Broken::Lost(_)) && kind == Kind::Read;
                    if !again || tried >= settings.retries.most {
                        return Err(told(broken, kind));
                    }
                }
            }
            tried += 1;
        }
    }
}

/// An answer of the server, or several.
trait Reply {
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

impl Session for Lane {
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>> {
        Box::pin(self.read(get))
    }

    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(async move {
            match gets.is_empty() {
                true => Vec::new(),
                false => self.read_all(gets).await,
            }
        })
    }

    fn set(&self, set: Set) -> Answer<'_, Result<(), Error>> {
        Box::pin(self.write(set))
    }

    fn set_many(&self, sets: Vec<Set>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(self.write_all(sets))
    }

    fn delete(&self, delete: Delete) -> Answer<'_, Result<(), Error>> {
        Box::pin(self.remove(delete))
    }

    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>> {
        Box::pin(self.transaction(operations))
    }
}

fn hgetall(key: &str) -> Cmd {
    let mut cmd = Cmd::with_capacity(2, key.len() + 8);
    cmd.arg("HGETALL").arg(key);
    cmd
}

fn item(fields: Vec<Value>) -> Result<Option<Item>, Error> {
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

fn written(write: &Write, reply: Result<Value, String>) -> Result<(), Error> {
    let failed = |why: &str| Error::Failed(format!("failed to set key {}: {why}", write.key));
    match reply.map_err(|text| failed(&text))? {
        Value::Int(_) => Ok(()),
        Value::BulkString(version) => Err(write.conflict(&version)),
        Value::ServerError(error) => Err(failed(&words(&error))),
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

fn is_no_script(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

fn told(broken: Broken, kind: Kind) -> String {
    let (Broken::Late(text) | Broken::Lost(text)) = broken;
    match kind {
        Kind::Read => text,
        Kind::Write => format!("{text}; it may have been written all the same"),
    }
}

fn unexpected() -> Error {
    Error::failed("redis gave an answer that makes no sense here; is it a Redis server?")
}
