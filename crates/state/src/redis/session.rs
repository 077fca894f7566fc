//! Redis as one thread uses it: what goes out for each operation and what its answer means. Which
//! server it goes to and when it goes out again is decided elsewhere ([`super::node`],
//! [`super::cluster`]).

use std::sync::Arc;

use super::{
    Shared,
    cluster::{Batch, Cluster, are_together},
    node::{Kind, Node, Trouble},
    question::Question,
    reply::{each, is_no_script, item, missing, removed, transacted, unexpected, written},
    script::By,
    settings::Target,
    slot::Goal,
    value::Value,
    write::{Step, Write, add_removal, add_transaction},
};
use crate::{Answer, Delete, Error, Get, Item, Operation, Session, Set};

/// The connections of one thread.
pub(super) struct Lane {
    shared: Arc<Shared>,
    reach: Reach,
}

/// Where questions go.
enum Reach {
    /// All to one server.
    Server(Box<Node>),
    /// To whoever has the key.
    Cluster(Box<Cluster>),
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let reach = match &shared.settings.target {
            Target::Cluster(_) => Reach::Cluster(Box::default()),
            Target::Node(_) | Target::Sentinels { .. } => {
                Reach::Server(Box::new(Node::new(Goal::Told, shared.replicas)))
            }
        };
        Self { shared, reach }
    }

    async fn read(&self, get: Get) -> Result<Option<Item>, Error> {
        let question = Question::of(&["HGETALL", &get.key]);
        let reply = self.ask(Kind::Read, &get.key, &question).await;
        self.found(&get.key, reply.map_err(Error::Failed)?).await
    }

    async fn read_all(&self, gets: Vec<Get>) -> Vec<Result<Option<Item>, Error>> {
        let keys: Vec<&str> = gets.iter().map(|get| get.key.as_str()).collect();
        let add = |question: &mut Question, index: usize| {
            question.add(&["HGETALL", keys[index]]);
        };
        let replies = self.ask_all(Kind::Read, &keys, &add).await;
        let mut answers = Vec::with_capacity(gets.len());
        for (key, reply) in keys.iter().zip(replies) {
            answers.push(match reply {
                Ok(reply) => self.found(key, reply).await,
                Err(text) => Err(Error::Failed(text)),
            });
        }
        answers
    }

    /// What `HGETALL` found. A plain string that another program put there is asked for once more.
    async fn found(&self, key: &str, reply: Value) -> Result<Option<Item>, Error> {
        match reply {
            Value::Array(fields) => item(fields),
            Value::Refused(refusal) if refusal.code() == "WRONGTYPE" => {
                Box::pin(self.plain_text(key)).await
            }
            Value::Refused(refusal) => Err(Error::Failed(refusal.0)),
            _ => Err(unexpected()),
        }
    }

    async fn plain_text(&self, key: &str) -> Result<Option<Item>, Error> {
        let question = Question::of(&["GET", key]);
        let reply = self.ask(Kind::Read, key, &question).await;
        match reply.map_err(Error::Failed)? {
            Value::Bulk(value) => Ok(Some(Item {
                value,
                etag: None,
                expires: None,
            })),
            Value::Nil => Ok(None),
            Value::Refused(refusal) => Err(Error::Failed(refusal.0)),
            _ => Err(unexpected()),
        }
    }

    async fn write(&self, set: Set) -> Result<(), Error> {
        let write = Write::new(set, self.shared.settings.ttl)?;
        let script = &self.shared.scripts.set;
        let make = |by| {
            let mut question = Question::with_room(write.room());
            write.add(&mut question, script, by);
            question
        };
        let reply = if write.strong && self.may_have_replicas() {
            // With its text, so that there is no second wait if the server does not know it.
            self.ask(Kind::Strong, &write.key, &make(By::Text)).await
        } else {
            self.run(&write.key, make).await
        };
        written(&write, reply)
    }

    async fn write_all(&self, sets: Vec<Set>) -> Vec<Result<(), Error>> {
        let default = self.shared.settings.ttl;
        let check = |set| Write::new(set, default);
        let writes: Vec<_> = sets.into_iter().map(check).collect();
        let good: Vec<&Write> = writes.iter().flatten().collect();
        let keys: Vec<&str> = good.iter().map(|write| write.key.as_str()).collect();
        // The first one that goes out brings the script's text along: if all the others missed it,
        // all would have to go out again.
        let add = |question: &mut Question, index: usize| {
            good[index].add(question, &self.shared.scripts.set, By::TextOnce);
        };
        let kind = match self.may_have_replicas() && good.iter().any(|write| write.strong) {
            true => Kind::Strong,
            false => Kind::Write,
        };
        let replies = self.ask_all(kind, &keys, &add).await;
        each(writes, replies, written)
    }

    async fn remove(&self, delete: Delete) -> Result<(), Error> {
        delete.options.check()?;
        let script = &self.shared.scripts.delete;
        let make = |by| {
            let mut question = Question::default();
            add_removal(&mut question, &delete, script, by);
            question
        };
        let reply = self.run(&delete.key, make).await;
        removed(&delete, reply)
    }

    async fn remove_all(&self, deletes: Vec<Delete>) -> Vec<Result<(), Error>> {
        let check = |delete: Delete| delete.options.check().map(|()| delete);
        let deletes: Vec<_> = deletes.into_iter().map(check).collect();
        let good: Vec<&Delete> = deletes.iter().flatten().collect();
        let keys: Vec<&str> = good.iter().map(|delete| delete.key.as_str()).collect();
        let add = |question: &mut Question, index: usize| {
            add_removal(
                question,
                good[index],
                &self.shared.scripts.delete,
                By::TextOnce,
            );
        };
        let replies = self.ask_all(Kind::Write, &keys, &add).await;
        each(deletes, replies, removed)
    }

    async fn transaction(&self, operations: Vec<Operation>) -> Result<(), Error> {
        let default = self.shared.settings.ttl;
        let steps = operations.into_iter().map(|op| Step::new(op, default));
        let steps = steps.collect::<Result<Vec<Step>, Error>>()?;
        let Some(first) = steps.first() else {
            return Ok(());
        };
        if matches!(self.reach, Reach::Cluster(_)) && !are_together(steps.iter().map(Step::key)) {
            return Err(Error::failed(
                "CROSSSLOT Keys in request don't hash to the same slot; give the keys of a \
                 transaction a common part in braces, like {cart1}.items and {cart1}.sum",
            ));
        }
        let script = &self.shared.scripts.transact;
        let make = |by| {
            let mut question = Question::default();
            add_transaction(&mut question, &steps, script, by);
            question
        };
        let reply = self.run(first.key(), make).await;
        transacted(&steps, reply.map_err(Error::Failed)?)
    }

    fn may_have_replicas(&self) -> bool {
        match &self.reach {
            Reach::Server(node) => node.replicas.get() > 0,
            Reach::Cluster(_) => true,
        }
    }

    /// Runs a script by its name, or with its text if the server does not know it (any more).
    async fn run(&self, key: &str, make: impl Fn(By) -> Question) -> Result<Value, String> {
        let reply = self.ask(Kind::Write, key, &make(By::Name)).await?;
        match is_no_script(&reply) {
            true => self.ask(Kind::Write, key, &make(By::Text)).await,
            false => Ok(reply),
        }
    }

    /// The answer to a question about a key.
    async fn ask(&self, kind: Kind, key: &str, question: &Question) -> Result<Value, String> {
        match &self.reach {
            Reach::Server(node) => {
                let replies = node.ask(&self.shared.settings, kind, question).await;
                let mut replies = replies.map_err(|trouble| trouble.text())?;
                replies.pop().map_or_else(missing, Ok)
            }
            Reach::Cluster(_) => {
                let add = |all: &mut Question, _| all.append(question);
                let keys = [key];
                let replies = Box::pin(self.ask_all(kind, &keys, &add)).await;
                replies.into_iter().next().unwrap_or_else(missing)
            }
        }
    }

    /// The answers to questions about keys, in their order.
    async fn ask_all(
        &self,
        kind: Kind,
        keys: &[&str],
        add: &dyn Fn(&mut Question, usize),
    ) -> Vec<Result<Value, String>> {
        let settings = &self.shared.settings;
        match &self.reach {
            Reach::Server(node) => {
                if keys.is_empty() {
                    return Vec::new();
                }
                let mut question = Question::default();
                for index in 0..keys.len() {
                    add(&mut question, index);
                }
                match node.ask(settings, kind, &question).await {
                    Ok(replies) => Box::pin(self.complete(node, kind, replies, add)).await,
                    Err(trouble) => vec![Err(trouble.text()); keys.len()],
                }
            }
            Reach::Cluster(cluster) => {
                let batch = Batch { kind, keys, add };
                Box::pin(cluster.ask(settings, &batch)).await
            }
        }
    }

    /// Asks again what the server could not do because it does not know the script: it refused the
    /// call that brought the text.
    async fn complete(
        &self,
        node: &Node,
        kind: Kind,
        replies: Vec<Value>,
        add: &dyn Fn(&mut Question, usize),
    ) -> Vec<Result<Value, String>> {
        let mut question = Question::wordy();
        let mut again = Vec::new();
        for (index, reply) in replies.iter().enumerate() {
            if is_no_script(reply) {
                add(&mut question, index);
                again.push(index);
            }
        }
        let mut answers: Vec<_> = replies.into_iter().map(Ok).collect();
        if again.is_empty() {
            return answers;
        }
        let asked = node.ask(&self.shared.settings, kind, &question).await;
        let mut replies = asked.map(Vec::into_iter).map_err(Trouble::text);
        for index in again {
            answers[index] = match &mut replies {
                Ok(replies) => replies.next().map_or_else(missing, Ok),
                Err(text) => Err(text.clone()),
            };
        }
        answers
    }
}

impl Session for Lane {
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>> {
        Box::pin(self.read(get))
    }

    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(self.read_all(gets))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Properties, redis::Redis};

    /// Each operation is a future in a box, which is filled by copying.
    #[test]
    fn what_is_rare_takes_no_room_in_each_operation() {
        let properties = Properties::default();
        let settings = crate::redis::settings::Settings::read(&properties).unwrap();
        let store = Redis::with(settings, 0);
        let lane = Lane::new(store.shared);
        let size = size_of_val(&lane.read(Get::default()));
        assert!(size < 1500, "{size}");
        let set = Set {
            key: String::new(),
            value: crate::Value::Raw(bytes::Bytes::new()),
            etag: None,
            metadata: crate::Metadata::new(),
            options: crate::Options::default(),
        };
        let size = size_of_val(&lane.write(set));
        assert!(size < 2500, "{size}");
    }
}
