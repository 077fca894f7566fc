//! One server as one thread uses it: its connections and when a question may go out again.
//!
//! A write goes out again only when the server has said that it did nothing, or when nothing of it
//! has left this process; if its answer is lost, whoever asked is told so. Reads go out again on a
//! new connection.

use std::{cell::Cell, sync::Arc, time::Duration};

use super::{
    link::Broken,
    pool::Pool,
    question::Question,
    reply::is_put_off,
    settings::Settings,
    slot::{Goal, Slot},
    value::Value,
};

/// A server.
pub(super) struct Node {
    plain: Slot,
    /// For writes that wait for replicas, so that nobody else waits with them.
    waiting: Pool,
    /// How many replicas it has to wait for.
    pub replicas: Cell<i64>,
}

/// Whether a question may be asked twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    /// A write after which replicas are waited for, if there are any.
    Strong,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was sent.
    Unsent(String),
    /// Whether the server has acted on it is unknown.
    Lost(String),
}

impl Trouble {
    /// What the client is told.
    pub(super) fn text(self) -> String {
        let (Self::Unsent(text) | Self::Lost(text)) = self;
        text
    }
}

/// How long replicas have to confirm.
const CONFIRM: Duration = Duration::from_secs(1);

impl Node {
    /// With no connection yet.
    pub(super) fn new(goal: Goal, replicas: i64) -> Self {
        Self {
            plain: Slot::new(goal.clone()),
            waiting: Pool::new(goal),
            replicas: Cell::new(replicas),
        }
    }

    /// The answers to a question, in their order.
    pub(super) async fn ask(
        &self,
        settings: &Arc<Settings>,
        kind: Kind,
        question: &Question,
    ) -> Result<Vec<Value>, Trouble> {
        let (kind, limit) = match kind {
            Kind::Read => (kind, settings.wire.answer),
            Kind::Strong if self.replicas.get() > 0 => {
                return Box::pin(self.ask_and_confirm(settings, question)).await;
            }
            Kind::Write | Kind::Strong => (Kind::Write, settings.write),
        };
        let asker = Asker {
            settings,
            kind,
            limit,
        };
        asker.ask(&self.plain, question).await
    }

    /// Waits for replicas behind the question.
    async fn ask_and_confirm(
        &self,
        settings: &Arc<Settings>,
        question: &Question,
    ) -> Result<Vec<Value>, Trouble> {
        let wanted = self.replicas.get();
        let mut question = question.clone();
        let patience = CONFIRM.as_millis().to_string();
        question.add(&["WAIT", &wanted.to_string(), &patience]);
        let limit = settings.write.map(|limit| limit.saturating_add(CONFIRM));
        let place = self.waiting.take(limit).await.map_err(Trouble::Unsent)?;
        let asker = Asker {
            settings,
            kind: Kind::Strong,
            limit,
        };
        let mut replies = asker.ask(place.slot(), &question).await?;
        place.keep();
        // One that does not count has no replicas.
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
}

struct Asker<'a> {
    settings: &'a Arc<Settings>,
    kind: Kind,
    limit: Option<Duration>,
}

impl Asker<'_> {
    /// Asks until there is an answer or no sense in asking again.
    async fn ask(&self, slot: &Slot, question: &Question) -> Result<Vec<Value>, Trouble> {
        let retries = self.settings.retries;
        let mut tried = 0;
        loop {
            let link = slot.link(self.settings).await.map_err(Trouble::Unsent)?;
            match link.ask(question, self.limit).await {
                Ok(replies) => {
                    if !self.is_put_off(&replies) || tried >= retries.most {
                        return Ok(replies);
                    }
                    // A master that has become a replica: the new one is behind the same name.
                    slot.retire(&link);
                    retries.pause(tried).await;
                }
                Err(broken) => {
                    if !matches!(broken, Broken::Full(_)) {
                        slot.retire(&link);
                    }
                    let again = match broken {
                        Broken::Unsent(_) => true,
                        Broken::Lost(_) => self.kind == Kind::Read,
                        Broken::Late(_) | Broken::Full(_) => false,
                    };
                    if !again || tried >= retries.most {
                        return Err(self.told(broken));
                    }
                }
            }
            tried += 1;
        }
    }

    fn is_put_off(&self, replies: &[Value]) -> bool {
        // The answer to `WAIT` says nothing about the writes.
        let confirmation = usize::from(self.kind == Kind::Strong);
        is_put_off(&replies[..replies.len().saturating_sub(confirmation)])
    }

    fn told(&self, broken: Broken) -> Trouble {
        match (broken, self.kind) {
            (Broken::Unsent(text) | Broken::Full(text), _) => Trouble::Unsent(text),
            (Broken::Late(text) | Broken::Lost(text), Kind::Read) => Trouble::Lost(text),
            (Broken::Late(text) | Broken::Lost(text), _) => {
                Trouble::Lost(format!("{text}; it may have been written all the same"))
            }
        }
    }
}
