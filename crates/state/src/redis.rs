//! State in Redis, in the form that the reference keeps it in: each reads what the other wrote
//! (contract `state.md` 5).
//!
//! One round trip for each operation and, for each thread, one connection to each server, besides
//! those that wait for replicas. Keeps no marker and no index in the database, does no JSON
//! documents and no queries, and never sends a write twice that may have been done.

mod cluster;
mod dial;
mod join;
mod link;
mod node;
mod pipe;
mod pool;
mod question;
mod reply;
mod script;
mod sentinel;
mod session;
mod settings;
mod slot;
#[cfg(test)]
mod tests;
mod value;
mod write;

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{OpenError, Properties, Session, Store};
use link::Link;
use question::Question;
use script::Scripts;
use settings::{Settings, Target};
use value::Value;

/// A Redis server, or the master that sentinels name.
#[derive(Debug)]
pub(crate) struct Redis {
    shared: Arc<Shared>,
}

/// What all threads know of it.
struct Shared {
    settings: Arc<Settings>,
    scripts: Scripts,
    /// How many replicas there were at the start.
    replicas: i64,
}

/// The runtime gives a component five seconds; the cause must be known before they are over.
const START: Duration = Duration::from_millis(4500);

impl Redis {
    /// Makes sure that the server is there and lets us in.
    ///
    /// # Errors
    /// Metadata that can't be used, or why there is no connection.
    pub(crate) async fn open(properties: &Properties) -> Result<Self, OpenError> {
        Self::start(Settings::read(properties)?).await
    }

    async fn start(settings: Settings) -> Result<Self, OpenError> {
        let until = Instant::now() + START;
        let replicas = match slot::connect(&settings, Some(until)).await {
            Ok(link) => look(&link, &settings).await,
            Err(text) => Err(text),
        };
        let replicas = replicas.map_err(|text| {
            let name = settings.target.name();
            OpenError(format!(
                "redis store: error connecting to redis at {name}: {text}"
            ))
        })?;
        Ok(Self::with(settings, replicas))
    }

    fn with(settings: Settings, replicas: i64) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings: Arc::new(settings),
                scripts: Scripts::new(),
                replicas,
            }),
        }
    }
}

impl Store for Redis {
    fn capabilities(&self) -> &'static [&'static str] {
        &["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR"]
    }

    fn session(&self) -> Rc<dyn Session> {
        Rc::new(session::Lane::new(Arc::clone(&self.shared)))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.settings.fmt(f)
    }
}

/// How many replicas the server has. One that does not say has none to wait for. A node of a
/// cluster must know who has which keys, which also says who has replicas.
async fn look(link: &Link, settings: &Settings) -> Result<i64, String> {
    if matches!(settings.target, Target::Cluster(_)) {
        return cluster::check(link, settings).await.map(|()| 0);
    }
    let question = Question::of(&["INFO", "replication"]);
    let replies = link.ask(&question, settings.wire.answer).await;
    match replies.map_err(|broken| broken.text())?.pop() {
        Some(Value::Bulk(text)) => Ok(connected(&String::from_utf8_lossy(&text))),
        _ => Ok(0),
    }
}

fn connected(info: &str) -> i64 {
    let mut lines = info.lines();
    let count = lines.find_map(|line| line.strip_prefix("connected_slaves:"));
    count
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}
