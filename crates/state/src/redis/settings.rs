//! What a component's metadata says about Redis (contract `state.md` 5.1): names without regard to
//! case, old names, strict Go booleans and numbers, the reference's texts for what can't be read.
//! Refuses what this store does not do, so that nobody finds out later. Connects to nothing.

mod decode;
mod encryption;
mod host;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use decode::Decoder;
pub(super) use decode::int64;
use encryption::Encryption;
pub(super) use host::Host;

use super::link::Wire;
use crate::{OpenError, Properties};

/// How to reach Redis and what to expect of it.
pub(super) struct Settings {
    /// Where it is.
    pub target: Target,
    /// Who we are there.
    pub login: Login,
    /// The database's number.
    pub db: i64,
    /// The life of items whose writers say nothing about it.
    pub ttl: Option<i64>,
    /// How often to try again, and after what time.
    pub retries: Retries,
    /// How connections are made. Its `answer` is the time for the answer to a read.
    pub wire: Wire,
    /// Time for the answer to a write; none is for ever.
    pub write: Option<Duration>,
}

/// Where the data is.
pub(super) enum Target {
    /// On this server.
    Node(Host),
    /// On the server that these sentinels name.
    Sentinels {
        /// The sentinels.
        hosts: Vec<Host>,
        /// What they call it.
        master: String,
        /// Who we are at the sentinels.
        login: Login,
    },
    /// On the cluster that these nodes belong to.
    Cluster(Vec<Host>),
}

/// A name and a password; no password, no login.
pub(super) struct Login {
    /// Empty is the default user.
    pub username: String,
    /// Empty is none.
    pub password: String,
}

/// How often to try again what surely was not done, and after what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retries {
    /// At most so often.
    pub most: u32,
    /// After so long the first time, doubled each time.
    pub shortest: Duration,
    /// Never after more than this.
    pub longest: Duration,
}

impl Settings {
    /// Reads the metadata.
    ///
    /// # Errors
    /// All values that can't be read, or the first that can't be used.
    pub(super) fn read(properties: &Properties) -> Result<Self, OpenError> {
        let mut decoder = Decoder::new(properties);
        let port = decoder.port("redisPort");
        let failover = decoder.bool(&["failover"]);
        let encryption = Encryption::read(&mut decoder);
        let entra = decoder.bool(&["useEntraID", "useAzureAD"]);
        for unused in ["poolSize", "minIdleConns"] {
            decoder.int(&[unused]);
        }
        for unused in [
            "poolTimeout",
            "maxConnAge",
            "idleTimeout",
            "idleCheckFrequency",
        ] {
            decoder.duration(unused);
        }
        let dial = decoder.duration("dialTimeout");
        let read = limit(decoder.duration("readTimeout"), Some(READ));
        let settings = Self {
            target: Target::Node(Host::local()),
            login: login(properties, "redisUsername", "redisPassword"),
            db: decoder.int(&["redisDB"]).unwrap_or(0),
            ttl: decoder.int(&["ttlInSeconds"]),
            retries: retries(&mut decoder),
            wire: Wire {
                dial: limit(dial.filter(|dial| *dial > 0), None).unwrap_or(DIAL),
                answer: read,
                tls: None,
            },
            write: limit(decoder.duration("writeTimeout"), read),
        };
        decoder.end().map_err(unusable)?;
        if entra {
            return Err(unusable(
                "useEntraID is not available in this version; use redisUsername and redisPassword",
            ));
        }
        let mut settings = settings;
        settings.target = target(properties, port, failover).map_err(unusable)?;
        settings.wire.tls = encryption.connector(properties).map_err(unusable)?;
        settings.with_old_interval(properties)
    }

    /// `maxRetryBackoff`: nanoseconds, and the shortest time although it is called the longest.
    fn with_old_interval(mut self, properties: &Properties) -> Result<Self, OpenError> {
        if properties.get(&["redisMinRetryInterval"]).is_some() {
            return Ok(self);
        }
        if let Some(text) = properties.get(&["maxRetryBackoff"]) {
            let nanos = int64(text, "ParseInt").map_err(|why| {
                OpenError(format!(
                    "redis store error: can't parse maxRetryBackoff field: {why}"
                ))
            })?;
            self.retries.shortest = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        }
        Ok(self)
    }
}

impl Target {
    /// The place as errors at start name it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Node(host) => host.to_string(),
            Self::Sentinels { hosts, .. } | Self::Cluster(hosts) => {
                let names: Vec<String> = hosts.iter().map(Host::to_string).collect();
                names.join(",")
            }
        }
    }
}

/// Passwords and keys stay out of logs.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("target", &self.target.name())
            .field("db", &self.db)
            .field("ttl", &self.ttl)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// The times of the reference's library.
const DIAL: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_millis(512);

/// Zero is the default, below zero is no limit.
fn limit(nanos: Option<i64>, default: Option<Duration>) -> Option<Duration> {
    match nanos {
        None | Some(0) => default,
        Some(nanos) => u64::try_from(nanos).ok().map(Duration::from_nanos),
    }
}

fn retries(decoder: &mut Decoder<'_>) -> Retries {
    let most = decoder.int(&["redisMaxRetries", "maxRetries"]);
    let shortest = decoder.duration("redisMinRetryInterval");
    let longest = decoder.duration("redisMaxRetryInterval");
    Retries {
        // Zero is the library's default, -1 is none.
        most: match most {
            None | Some(0) => 3,
            Some(most) => u32::try_from(most.max(0)).unwrap_or(u32::MAX),
        },
        shortest: limit(shortest, None).unwrap_or(Duration::from_secs(2)),
        longest: limit(longest, None).unwrap_or(LONGEST),
    }
}

fn login(properties: &Properties, username: &str, password: &str) -> Login {
    let text = |name| properties.get(&[name]).unwrap_or_default().to_owned();
    Login {
        username: text(username),
        password: text(password),
    }
}

fn target(properties: &Properties, port: Option<u16>, failover: bool) -> Result<Target, String> {
    let text = properties.get(&["redisHost"]).unwrap_or_default();
    let mut hosts = Vec::new();
    for host in text.split(',') {
        hosts.push(Host::parse(host, port)?);
    }
    // The reference looks at this one first.
    if failover {
        let master = properties.get(&["sentinelMasterName"]).unwrap_or_default();
        if master.is_empty() {
            return Err("failover needs sentinelMasterName, the name of the master".into());
        }
        return Ok(Target::Sentinels {
            hosts,
            master: master.to_owned(),
            login: login(properties, "sentinelUsername", "sentinelPassword"),
        });
    }
    if properties.get(&["redisType"]) == Some("cluster") {
        return Ok(Target::Cluster(hosts));
    }
    match hosts.pop() {
        Some(host) if hosts.is_empty() => Ok(Target::Node(host)),
        _ => Err(format!(
            "redisHost {text:?} names several hosts, which are a cluster only with \
             redisType \"cluster\" and sentinels only with failover \"true\""
        )),
    }
}

/// As the reference begins whatever is wrong with the metadata.
pub(super) fn unusable(why: impl fmt::Display) -> OpenError {
    OpenError(format!("redis client configuration error: {why}"))
}
