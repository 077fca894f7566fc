//! `dns`: every address that name servers give for a name made of the app id, ours.
//!
//! Names are looked up again when their records expire, within bounds. While name servers fail, the
//! addresses they gave last stay; when they say that a name has none, it has none at once.
//! Priorities of SRV records count, weights do not: the choice among instances is by their load.

mod lookup;

use std::collections::HashMap;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{OpenError, failed, kept::Kept, unknown};
use crate::table::{Listing, NotFound, Query, SourceHandle, Table};
use lookup::{Answer, Lookup};

/// What the resolver must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name to look up, with `{appid}` and perhaps `{namespace}` in it.
    pub template: String,
    /// Which records are asked for.
    pub records: Records,
    /// The shortest time between two lookups of a name.
    pub refresh_min: Duration,
    /// The longest.
    pub refresh_max: Duration,
    /// Who is asked; empty for the system's name servers.
    pub name_servers: Vec<SocketAddr>,
}

/// Which records are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// A and AAAA; every address has this port.
    Addresses {
        /// The internal port of the sidecars.
        port: u16,
    },
    /// SRV, which holds ports.
    Services,
}

/// Ready to look names up.
#[derive(Debug)]
pub struct Dns {
    config: Config,
    lookup: Lookup,
}

impl Dns {
    /// Reads the system's settings, if they are needed.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        Ok(Self {
            lookup: Lookup::new(config)?,
            config: config.clone(),
        })
    }

    /// Lists the addresses of every id that is asked for, and keeps them up to date. Runs until
    /// dropped.
    pub async fn run(self, table: &Table) {
        let mut asked = table.asked();
        let mut names = Names {
            source: table.source("dns"),
            by_namespace: self.config.template.contains(NAMESPACE),
            table,
            dns: &self,
            known: Kept::new(),
            waiting: HashMap::new(),
            lookups: JoinSet::new(),
        };
        if names.by_namespace {
            table.keep_namespaces_apart();
        }
        loop {
            let due = names.next_due();
            tokio::select! {
                query = asked.next() => match query {
                    Some(query) => names.ask(&query),
                    None => return pending().await,
                },
                Some(done) = names.lookups.join_next(), if !names.lookups.is_empty() => {
                    // A lookup that panicked has no name to tell; its callers run into their limit.
                    if let Ok((key, answer)) = done {
                        names.take(key, answer);
                    }
                }
                () = sleep_until(due) => names.look_again(),
            }
        }
    }

    fn name(&self, key: &Key) -> String {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let name = self.config.template.replace(NAMESPACE, namespace);
        name.replace(APP_ID, &key.app_id)
    }
}

const APP_ID: &str = "{appid}";
const NAMESPACE: &str = "{namespace}";

/// One name: the namespace counts only where the template has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    namespace: Option<Box<str>>,
    app_id: Box<str>,
}

/// What is known of a name.
#[derive(Debug)]
struct Known {
    addresses: Vec<Box<str>>,
    due: Instant,
    /// A lookup is under way.
    looking: bool,
    /// The log knows that lookups fail.
    told: bool,
}

/// Who waits for a first lookup.
#[derive(Debug)]
struct Waiting {
    queries: Vec<Query>,
    /// When they are told that it takes too long.
    patience: Option<Instant>,
}

struct Names<'a> {
    source: SourceHandle,
    by_namespace: bool,
    table: &'a Table,
    dns: &'a Dns,
    known: Kept<Key, Known>,
    /// First lookups under way.
    waiting: HashMap<Key, Waiting>,
    lookups: JoinSet<(Key, Answer)>,
}

impl Names<'_> {
    fn ask(&mut self, query: &Query) {
        let key = Key {
            namespace: self.by_namespace.then(|| query.namespace().into()),
            app_id: query.app_id().into(),
        };
        if let Some(known) = self.known.get_mut(&key) {
            // Just listed, or an instance that can't be reached: see if it still has its address.
            known.due = known.due.min(Instant::now() + self.dns.config.refresh_min);
            return;
        }
        let patience = Some(Instant::now() + PATIENCE);
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.queries.push(query.clone());
            waiting.patience = patience;
            return;
        }
        if self.waiting.len() >= MOST_LOOKUPS {
            let why = failed("too many names are being looked up at once");
            return self.table.refuse(query, why, Duration::ZERO);
        }
        let queries = vec![query.clone()];
        self.waiting
            .insert(key.clone(), Waiting { queries, patience });
        self.look(key);
    }

    fn look(&mut self, key: Key) {
        let (lookup, name) = (self.dns.lookup.clone(), self.dns.name(&key));
        self.lookups
            .spawn(async move { (key, lookup.addresses(&name).await) });
    }

    fn next_due(&self) -> Instant {
        let refreshes = self.known.iter().filter(|(_, it)| !it.looking);
        let refreshes = refreshes.map(|(_, it)| it.due);
        let patience = self.waiting.values().filter_map(|it| it.patience);
        let far = Instant::now() + FAR;
        refreshes.chain(patience).min().unwrap_or(far)
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        for (key, known) in self.known.iter_mut() {
            if !known.looking && known.due <= now {
                known.looking = true;
                due.push(key.clone());
            }
        }
        for key in due {
            self.look(key);
        }
        let mut late = Vec::new();
        for (key, waiting) in &mut self.waiting {
            if waiting.patience.is_some_and(|until| until <= now) {
                waiting.patience = None;
                late.push((key.clone(), std::mem::take(&mut waiting.queries)));
            }
        }
        for (key, queries) in late {
            let why = failed(self.failure(&key, "no answer from the name servers yet"));
            self.refuse(&queries, &why);
        }
    }

    fn take(&mut self, key: Key, answer: Answer) {
        let queries = self.waiting.remove(&key).map(|it| it.queries);
        let queries = queries.unwrap_or_default();
        match answer {
            Answer::Addresses(addresses, ttl) => self.list(key, addresses, ttl),
            Answer::None(why) => {
                if self.known.remove(&key).is_some() {
                    self.publish();
                }
                let why = unknown(self.failure(&key, &why));
                self.refuse(&queries, &why);
            }
            Answer::Failed(why) => self.keep(&key, &queries, &why),
        }
    }

    fn list(&mut self, key: Key, addresses: Vec<Box<str>>, ttl: Duration) {
        let config = &self.dns.config;
        let known = Known {
            addresses,
            due: Instant::now() + ttl.clamp(config.refresh_min, config.refresh_max),
            looking: false,
            told: false,
        };
        self.known.insert(key, known);
        self.publish();
    }

    /// The name servers can't tell: what was known stays.
    fn keep(&mut self, key: &Key, queries: &[Query], why: &str) {
        let text = self.failure(key, why);
        let pause = self.dns.config.refresh_min.max(AFTER_FAILURE);
        match self.known.get_mut(key) {
            Some(known) => {
                known.looking = false;
                known.due = Instant::now() + pause;
                if !std::mem::replace(&mut known.told, true) {
                    tracing::warn!("{text}; the addresses known so far stay in use");
                }
            }
            None => self.refuse(queries, &failed(text)),
        }
    }

    fn failure(&self, key: &Key, why: &str) -> String {
        let name = self.dns.name(key);
        format!("failed to resolve address for '{name}': {why}")
    }

    fn refuse(&self, queries: &[Query], why: &NotFound) {
        for query in queries {
            self.table.refuse(query, why.clone(), REMEMBER);
        }
    }

    fn publish(&self) {
        self.source
            .replace_all(self.known.iter().flat_map(|(key, known)| {
                let listing =
                    |address| Listing::new(key.namespace.as_deref(), &key.app_id, address);
                known.addresses.iter().map(move |address| listing(address))
            }));
    }
}

/// How long a call waits for a first lookup before it hears that it takes too long.
const PATIENCE: Duration = Duration::from_millis(900);
/// How long it is remembered that a name has no addresses.
const REMEMBER: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const FAR: Duration = Duration::from_secs(3_600);
/// First lookups at once; clients may make ids up.
const MOST_LOOKUPS: usize = 256;

#[cfg(test)]
mod tests;
