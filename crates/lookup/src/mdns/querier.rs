//! What is asked when, and what is believed for how long. State and decisions only: time is an
//! argument, sending is done elsewhere.
//!
//! Unlike the reference (contract `naming.md` 5.4, Weakness) it listens to announcements and
//! goodbyes at all times, and drops an instance that can't be connected to and does not answer.
//! Bounded in ids and instances, whatever callers or strangers make up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::hearing::Heard;
use crate::table::Listing;

/// The ids that were ever asked for, and their instances.
#[derive(Debug, Default)]
pub(super) struct Querier {
    apps: HashMap<Box<str>, App>,
    changed: bool,
}

#[derive(Debug)]
struct App {
    seen: Vec<Seen>,
    asked: Instant,
    search: Option<Search>,
    /// When its instances are to be asked for again.
    refresh: Instant,
}

/// An instance. Known by its address: two containers may have the same host name and pid.
#[derive(Debug)]
struct Seen {
    addr: SocketAddr,
    process: Box<str>,
    at: Instant,
    /// Since when it is asked whether it is still there, because connections to it fail.
    doubted: Option<Instant>,
}

impl Seen {
    fn ends(&self) -> Instant {
        let lives_until = self.at + LIFE;
        match self.doubted {
            Some(since) => lives_until.min(since + DOUBT),
            None => lives_until,
        }
    }
}

/// A few questions, until everybody known has answered.
#[derive(Clone, Copy, Debug)]
struct Search {
    began: Instant,
    /// When to ask, counted from the beginning.
    steps: &'static [Duration],
    done: usize,
}

impl Search {
    fn new(steps: &'static [Duration], began: Instant) -> Self {
        let done = 0;
        Self { began, steps, done }
    }

    fn next(&self) -> Option<Instant> {
        Some(self.began + *self.steps.get(self.done)?)
    }
}

/// Why an id is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause<'a> {
    /// A call waits.
    Wanted,
    /// Connections fail, to these addresses of ours among others.
    Failing(&'a [SocketAddr]),
}

impl Querier {
    /// Somebody asks for an id. What is to be sent comes from [`due`](Self::due).
    pub(super) fn ask(&mut self, app_id: &str, cause: Cause<'_>, now: Instant) {
        if !self.apps.contains_key(app_id) {
            self.make_room();
            self.apps.insert(app_id.into(), App::new(now));
        }
        let app = self.apps.get_mut(app_id).expect("it was just put in");
        app.asked = now;
        match cause {
            Cause::Wanted => app.search_anew(now),
            Cause::Failing(addrs) => app.doubt(addrs, now),
        }
    }

    /// Takes in what a message told.
    pub(super) fn hear(&mut self, heard: Heard, now: Instant) {
        let total: usize = self.apps.values().map(|app| app.seen.len()).sum();
        if let Some(app) = self.apps.get_mut(&heard.app_id) {
            let has_room = total < MOST_INSTANCES && app.seen.len() < MOST_PER_APP;
            self.changed |= match heard.gone {
                true => app.forget(&heard),
                false => app.see(heard, has_room, now),
            };
        }
    }

    /// Asks for everything again that somebody uses or waits for, as on a new network.
    pub(super) fn refresh(&mut self, now: Instant) {
        for app in self.apps.values_mut() {
            if !app.seen.is_empty() || now < app.asked + LIFE {
                app.search = Some(Search::new(&REFRESH_STEPS, now));
                app.refresh = now + REFRESH;
            }
        }
    }

    /// Drops what has not been heard of, and says which ids to ask for now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Box<str>> {
        let mut ids = Vec::new();
        for (app_id, app) in &mut self.apps {
            let before = app.seen.len();
            app.seen.retain(|it| now < it.ends());
            self.changed |= app.seen.len() != before;
            if app.is_due(now) {
                ids.push(app_id.clone());
            }
        }
        ids
    }

    /// When [`due`](Self::due) has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.apps.values().filter_map(App::next_due).min()
    }

    /// Everything known, if it changed since the last time.
    pub(super) fn take_changes(&mut self) -> Option<Vec<Listing>> {
        std::mem::take(&mut self.changed).then(|| {
            let all = self.apps.iter().flat_map(|(app_id, app)| {
                let listing = |it: &Seen| Listing {
                    process: Some(it.process.clone()),
                    ..Listing::new(None, app_id, &it.addr.to_string())
                };
                app.seen.iter().map(listing)
            });
            all.collect()
        })
    }

    /// Gives up the id that was not asked for the longest, one without instances if there is one.
    fn make_room(&mut self) {
        if self.apps.len() < MOST_APPS {
            return;
        }
        let oldest = self.apps.iter();
        let oldest = oldest.min_by_key(|(_, app)| (!app.seen.is_empty(), app.asked));
        if let Some(app_id) = oldest.map(|(app_id, _)| app_id.clone()) {
            let app = self.apps.remove(&app_id);
            self.changed |= app.is_some_and(|app| !app.seen.is_empty());
        }
    }
}

impl App {
    fn new(now: Instant) -> Self {
        Self {
            seen: Vec::new(),
            asked: now,
            search: None,
            refresh: now + REFRESH,
        }
    }

    fn search_anew(&mut self, now: Instant) {
        let just_begun = |it: Search| it.steps == ASK_STEPS && now < it.began + ASK_STEPS[1];
        if !self.search.is_some_and(just_begun) {
            self.search = Some(Search::new(&ASK_STEPS, now));
        }
    }

    /// An instance that no one can connect to has to answer, or else it is dropped.
    fn doubt(&mut self, addrs: &[SocketAddr], now: Instant) {
        let mut is_new = false;
        for seen in &mut self.seen {
            if addrs.contains(&seen.addr) && seen.doubted.is_none() {
                // What was heard since connections failed is not known: ask.
                seen.doubted = Some(now);
                is_new = true;
            }
        }
        if is_new || self.search.is_none() {
            self.search = Some(Search::new(&ASK_STEPS, now));
        }
    }

    /// Whether that changes what is listed.
    fn see(&mut self, heard: Heard, has_room: bool, now: Instant) -> bool {
        if let Some(seen) = self.seen.iter_mut().find(|it| it.addr == heard.addr) {
            seen.at = now;
            seen.doubted = None;
            let is_other = seen.process != heard.process;
            seen.process = heard.process;
            return is_other;
        }
        if !has_room {
            return false;
        }
        if self.seen.is_empty() {
            // The answers of others may have been lost.
            self.refresh = now + AFTER_FIRST;
        }
        self.seen.push(Seen {
            addr: heard.addr,
            process: heard.process,
            at: now,
            doubted: None,
        });
        true
    }

    fn forget(&mut self, heard: &Heard) -> bool {
        let before = self.seen.len();
        let is_meant = |it: &Seen| it.addr == heard.addr && it.process == heard.process;
        self.seen.retain(|it| !is_meant(it));
        self.seen.len() != before
    }

    fn is_due(&mut self, now: Instant) -> bool {
        if self.search.is_none() && !self.seen.is_empty() && self.refresh <= now {
            self.search = Some(Search::new(&REFRESH_STEPS, now));
            self.refresh = now + REFRESH;
        }
        let Some(search) = &mut self.search else {
            return false;
        };
        let began = search.began;
        let all_answered = !self.seen.is_empty() && self.seen.iter().all(|it| began <= it.at);
        if all_answered && search.done > 0 {
            self.search = None;
            return false;
        }
        let mut is_due = false;
        while search.next().is_some_and(|at| at <= now) {
            search.done += 1;
            is_due = true;
        }
        if search.next().is_none() {
            self.search = None;
        }
        is_due
    }

    fn next_due(&self) -> Option<Instant> {
        let question = match &self.search {
            Some(search) => search.next(),
            None => (!self.seen.is_empty()).then_some(self.refresh),
        };
        let end = self.seen.iter().map(Seen::ends).min();
        question.into_iter().chain(end).min()
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A caller waits for a second.
const ASK_STEPS: [Duration; 4] = [millis(0), millis(100), millis(400), millis(800)];
const REFRESH_STEPS: [Duration; 4] = [millis(0), millis(1_000), millis(4_000), millis(12_000)];
const REFRESH: Duration = Duration::from_secs(30);
const AFTER_FIRST: Duration = Duration::from_secs(1);
/// Whatever the records say, as in the reference.
const LIFE: Duration = Duration::from_secs(60);
const DOUBT: Duration = millis(1_500);
const MOST_APPS: usize = 512;
const MOST_PER_APP: usize = 256;
const MOST_INSTANCES: usize = 4_096;

#[cfg(test)]
mod tests;
