//! Redis as one thread uses it: what goes out for each operation and what its answer means.
//!
//! A write goes out again only when the server has said that it did nothing; if its answer is lost,
//! whoever asked is told so. Reads go out again on a new connection.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, Value};

use super::{
    Shared,
    link::{Broken, Link, words},
    pool::Pool,
    reply::{
        Confirmed, Reply, each, hgetall, is_no_script, item, removed, transacted, unexpected,
        written,
    },
    script::Script,
    slot::Slot,
    write::{Step, Write, delete_etag, removal, transaction},
};
use crate::{Answer, Delete, Error, Get, Item, Operation, Session, Set};

/// The connections of one thread.
pub(super) struct Lane {
    shared: Arc<Shared>,
    plain: Slot,
    /// For writes that wait for replicas, so that nobody else waits with them.
    waiting: Pool,
}

/// Whether a question may be asked twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    /// A write after which replicas are waited for.
    Strong,
}

/// How long replicas have to confirm.
const CONFIRM: Duration = Duration::from_secs(1);

impl Lane {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            plain: Slot::default(),
            waiting: Pool::new(),
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
        let replies = match self.ask_all(Kind::Read, &pipe).await {
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
            // With its text, so that there is no second wait if the server does not know it.
            let mut pipe = Pipeline::with_capacity(2);
            pipe.add_command(write.command(&self.shared.scripts.set, true));
            let replies = self.send_and_wait(pipe).await;
            replies.and_then(|mut replies| replies.pop().ok_or_else(|| unexpected().to_string()))
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
        let good = || writes.iter().flatten();
        let mut pipe = Pipeline::with_capacity(writes.len() + 1);
        // The first one brings the script's text along, so that none of the others can miss it:
        // sent again one by one they would lose their order.
        for (index, write) in good().enumerate() {
            pipe.add_command(write.command(&self.shared.scripts.set, index == 0));
        }
        let replies = if self.shared.replicas > 0 && good().any(|write| write.strong) {
            self.send_and_wait(pipe).await
        } else {
            self.send(&pipe).await
        };
        each(writes, replies, written)
    }

    async fn send(&self, pipe: &Pipeline) -> Result<Vec<Value>, String> {
        match pipe.is_empty() {
            true => Ok(Vec::new()),
            false => self.ask_all(Kind::Write, pipe).await,
        }
    }

    /// Sends writes, and waits for replicas after them.
    async fn send_and_wait(&self, mut pipe: Pipeline) -> Result<Vec<Value>, String> {
        let wanted = self.shared.replicas;
        let confirm = pipe.cmd("WAIT").arg(wanted);
        confirm.arg(CONFIRM.as_millis() as u64);
        let place = self.waiting.take(self.limit(Kind::Strong)).await?;
        let ask = async |link: &Link, limit| {
            let replies = link.ask_all(&pipe, limit).await;
            replies.map(Confirmed::new)
        };
        let Confirmed { replies, replicas } = self.ask(place.slot(), Kind::Strong, ask).await?;
        place.keep();
        if let Some(confirmed) = replicas
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
        let make = |script: &Script, whole| removal(&delete, script, whole);
        let reply = self.eval(&self.shared.scripts.delete, make).await;
        removed(&delete, reply)
    }

    async fn remove_all(&self, deletes: Vec<Delete>) -> Vec<Result<(), Error>> {
        let check = |delete: Delete| delete.options.check().map(|()| delete);
        let deletes: Vec<_> = deletes.into_iter().map(check).collect();
        let mut pipe = Pipeline::with_capacity(deletes.len());
        // The first that needs the script brings its text along, as when writing.
        let mut is_known = false;
        for delete in deletes.iter().flatten() {
            let needs_script = delete_etag(delete).is_some();
            let whole = needs_script && !is_known;
            pipe.add_command(removal(delete, &self.shared.scripts.delete, whole));
            is_known |= needs_script;
        }
        let replies = self.send(&pipe).await;
        each(deletes, replies, removed)
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
        transacted(&steps, reply.map_err(Error::Failed)?)
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

    async fn ask_all(&self, kind: Kind, pipe: &Pipeline) -> Result<Vec<Value>, String> {
        let ask = async |link: &Link, limit| link.ask_all(pipe, limit).await;
        self.ask(&self.plain, kind, ask).await
    }

    /// Time for the answer.
    fn limit(&self, kind: Kind) -> Option<Duration> {
        let settings = &self.shared.settings;
        match kind {
            Kind::Read => settings.read,
            Kind::Write => settings.write,
            Kind::Strong => settings.write.map(|limit| limit.saturating_add(CONFIRM)),
        }
    }

    /// Asks until there is an answer or no sense in asking again.
    async fn ask<T: Reply>(
        &self,
        slot: &Slot,
        kind: Kind,
        send: impl AsyncFn(&Link, Option<Duration>) -> Result<T, Broken>,
    ) -> Result<T, String> {
        let settings = &self.shared.settings;
        let limit = self.limit(kind);
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

    fn delete_many(&self, deletes: Vec<Delete>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(self.remove_all(deletes))
    }

    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>> {
        Box::pin(self.transaction(operations))
    }
}

fn told(broken: Broken, kind: Kind) -> String {
    let (Broken::Late(text) | Broken::Lost(text)) = broken;
    match kind {
        Kind::Read => text,
        Kind::Write | Kind::Strong => format!("{text}; it may have been written all the same"),
    }
}
