//! The items of the memory store, with the time as an argument. Neither locks nor knows a clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{Error, Item};

/// How many ended items one call removes. More than one, so that they never pile up while calls
/// write no faster than this.
const SWEPT_PER_CALL: usize = 16;

/// The end of the year 9999 in seconds, the last moment that can be told to clients.
const LAST_SECOND: u64 = 253_402_300_799;

/// Keys with what is under them.
#[derive(Default)]
pub(super) struct Items {
    entries: HashMap<Arc<str>, Entry>,
    /// Every entry that ends, the next one first.
    ends: BTreeSet<(Duration, Arc<str>)>,
}

/// What is under a key.
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) etag: String,
    /// When it ends, counted from 1970.
    pub(super) expires: Option<Duration>,
}

/// Something to be done to one key, ready to be done.
pub(super) struct Change {
    pub(super) key: String,
    pub(super) only: Only,
    /// What is to be there; none removes it.
    pub(super) entry: Option<Entry>,
}

/// What must be so for a change to be made.
pub(super) enum Only {
    Always,
    IfEtag(String),
    IfAbsent,
}

/// When something ends that is to live for so many seconds, if it does.
pub(super) fn end(now: Duration, seconds: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok().filter(|s| *s > 0)?;
    let end = now.saturating_add(Duration::from_secs(seconds));
    Some(end.min(Duration::from_secs(LAST_SECOND)))
}

impl Entry {
    fn has_ended(&self, now: Duration) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl Items {
    fn find(&self, key: &str, now: Duration) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.has_ended(now))
    }

    /// What a reader gets.
    pub(super) fn item(&self, key: &str, now: Duration) -> Option<Item> {
        self.find(key, now).map(|entry| Item {
            value: entry.value.clone(),
            etag: Some(entry.etag.clone()),
            expires: entry.expires.and_then(|e| i64::try_from(e.as_secs()).ok()),
        })
    }

    /// Refuses a change whose condition does not hold.
    pub(super) fn check(&self, change: &Change, now: Duration) -> Result<(), Error> {
        let key = &change.key;
        let refusal = match (&change.only, self.find(key, now)) {
            (Only::IfEtag(etag), Some(entry)) if entry.etag != *etag => format!(
                "state etag not match for key={key}: current={}, expect={etag}",
                entry.etag
            ),
            (Only::IfEtag(_), None) => format!("state not exist or expired for key={key}"),
            (Only::IfAbsent, Some(_)) => "item already exists and no etag was passed".to_owned(),
            _ => return Ok(()),
        };
        Err(Error::EtagMismatch(refusal))
    }

    /// Makes a change whatever its condition. Returns what was there.
    pub(super) fn apply(&mut self, change: Change) -> Option<Entry> {
        let key = Arc::<str>::from(change.key);
        let old = match change.entry {
            Some(entry) => {
                if let Some(end) = entry.expires {
                    self.ends.insert((end, Arc::clone(&key)));
                }
                let new_end = entry.expires;
                let old = self.entries.insert(Arc::clone(&key), entry)?;
                if old.expires == new_end {
                    return Some(old);
                }
                old
            }
            None => self.entries.remove(&key)?,
        };
        if let Some(end) = old.expires {
            self.ends.remove(&(end, key));
        }
        Some(old)
    }

    /// Removes some of the entries that have ended.
    pub(super) fn sweep(&mut self, now: Duration) -> Vec<Entry> {
        let mut ended = Vec::new();
        while ended.len() < SWEPT_PER_CALL
            && self.ends.first().is_some_and(|(end, _)| *end <= now)
            && let Some((_, key)) = self.ends.pop_first()
        {
            ended.extend(self.entries.remove(&key));
        }
        ended
    }

    /// How many entries there are, ended ones included, and how many of all will end.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.ends.len())
    }
}
