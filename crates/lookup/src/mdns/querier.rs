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
    budget: Budget,
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
        let Some(app) = self.apps.get_mut(&heard.app_id) else {
            return;
        };
        if heard.gone {
            self.changed |= app.forget(&heard, now);
            return;
        }
        if !app.knows(heard.addr) {
            self.make_place(&heard.app_id, now);
        }
        if let Some(app) = self.apps.get_mut(&heard.app_id) {
            self.changed |= app.see(heard, now);
        }
    }

    /// Gives up an instance if one more of that app would be too many: of the app itself, or of
    /// the one that has the most.
    fn make_place(&mut self, app_id: &str, now: Instant) {
        let total: usize = self.apps.values().map(|app| app.seen.len()).sum();
        let is_full = |app: &&mut App| app.seen.len() >= MOST_PER_APP;
        let crowded = match self.apps.get_mut(app_id).filter(is_full) {
            None if total >= MOST_INSTANCES => {
                self.apps.values_mut().max_by_key(|app| app.seen.len())
            }
            full => full,
        };
        if let Some(app) = crowded {
            app.drop_worst(now);
            self.changed = true;
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

    /// Drops what has not been heard of, and says which ids to ask for now. Not too many at once:
    /// first come those that have instances, then those that were never asked for.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Box<str>> {
        let mut waiting = Vec::new();
        for (app_id, app) in &mut self.apps {
            let before = app.seen.len();
            app.seen.retain(|it| now < it.ends());
            self.changed |= app.seen.len() != before;
            app.renew(now);
            if let Some(search) = app.search
                && let Some(at) = search.next().filter(|at| *at <= now)
            {
                let rank = (app.seen.is_empty(), search.done, at);
                waiting.push((rank, app_id, app));
            }
        }
        let granted = self.budget.take(waiting.len(), now);
        if granted < waiting.len() {
            waiting.sort_by_key(|(rank, ..)| *rank);
        }
        let asked = waiting.into_iter().take(granted);
        let asked = asked.map(|(_, app_id, app)| {
            app.note_question(now);
            app_id.clone()
        });
        asked.collect()
    }

    /// When [`due`](Self::due) has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let question = self.apps.values().filter_map(App::next_question).min();
        let question = question.max(question.and(self.budget.next()));
        let end = self.apps.values().filter_map(App::next_end).min();
        question.into_iter().chain(end).min()
    }

    /// Whether [`take_changes`](Self::take_changes) has any.
    pub(super) fn has_changes(&self) -> bool {
        self.changed
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

    fn knows(&self, addr: SocketAddr) -> bool {
        self.seen.iter().any(|it| it.addr == addr)
    }

    /// Drops a doubted instance, or else the one that was heard of the longest ago. So strangers
    /// can't keep the real ones out by having come first; those that were dropped for them are
    /// asked for again.
    fn drop_worst(&mut self, now: Instant) {
        let rank = |it: &Seen| (it.doubted.is_none(), it.at);
        let worst = (0..self.seen.len()).min_by_key(|at| rank(&self.seen[*at]));
        if let Some(at) = worst {
            let dropped = self.seen.swap_remove(at);
            if dropped.doubted.is_none() {
                self.search_anew(now);
            }
        }
    }

    /// Whether that changes what is listed.
    fn see(&mut self, heard: Heard, now: Instant) -> bool {
        if let Some(seen) = self.seen.iter_mut().find(|it| it.addr == heard.addr) {
            seen.at = now;
            seen.doubted = None;
            let is_other = seen.process != heard.process;
            seen.process = heard.process;
            return is_other;
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

    /// Whether that changes what is listed. A goodbye of another process than the one that we know
    /// there may be late, or we may have been told lies: ask.
    fn forget(&mut self, heard: &Heard, now: Instant) -> bool {
        let Some(at) = self.seen.iter().position(|it| it.addr == heard.addr) else {
            return false;
        };
        if self.seen[at].process != heard.process {
            self.doubt(&[heard.addr], now);
            return false;
        }
        self.seen.remove(at);
        true
    }

    /// Begins a search that is due, and ends one that found everybody.
    fn renew(&mut self, now: Instant) {
        if self.search.is_none() && !self.seen.is_empty() && self.refresh <= now {
            self.search = Some(Search::new(&REFRESH_STEPS, now));
            self.refresh = now + REFRESH;
        }
        if let Some(search) = self.search {
            let has_answered = |it: &Seen| search.began <= it.at;
            let all_answered = !self.seen.is_empty() && self.seen.iter().all(has_answered);
            if all_answered && search.done > 0 {
                self.search = None;
            }
        }
    }

    /// It is asked for now, which makes up for all that was to be asked before.
    fn note_question(&mut self, now: Instant) {
        if let Some(search) = &mut self.search {
            while search.next().is_some_and(|at| at <= now) {
                search.done += 1;
            }
            if search.next().is_none() {
                self.search = None;
            }
        }
    }

    fn next_question(&self) -> Option<Instant> {
        match &self.search {
            Some(search) => search.next(),
            None => (!self.seen.is_empty()).then_some(self.refresh),
        }
    }

    fn next_end(&self) -> Option<Instant> {
        self.seen.iter().map(Seen::ends).min()
    }
}

/// How many questions may be sent: what others make up is not to flood the network.
#[derive(Debug)]
struct Budget {
    left: usize,
    filled: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        let left = BURST;
        Self { left, filled: None }
    }
}

impl Budget {
    /// So many of those that are wanted.
    fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let filled = *self.filled.get_or_insert(now);
        let passed = now.saturating_duration_since(filled).as_millis() / QUESTION_GAP.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.left = BURST.min(self.left.saturating_add(passed as usize));
        self.filled = match self.left == BURST {
            true => Some(now),
            false => Some(filled + QUESTION_GAP * passed),
        };
        let granted = wanted.min(self.left);
        self.left -= granted;
        granted
    }

    /// When there will be another one; none if there is one now.
    fn next(&self) -> Option<Instant> {
        let filled = self.filled.filter(|_| self.left == 0)?;
        Some(filled + QUESTION_GAP)
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
/// A hundred questions a second, and some at once.
const QUESTION_GAP: Duration = millis(10);
const BURST: usize = 50;
const MOST_APPS: usize = 512;
const MOST_PER_APP: usize = 256;
const MOST_INSTANCES: usize = 4_096;

#[cfg(test)]
mod tests;
