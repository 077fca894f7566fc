//! Those who wait for answers on one connection, in the order of their questions. Reads and writes
//! nothing.

use std::{collections::VecDeque, task::Waker};

use tokio::time::Instant;

use super::Gap;
use crate::redis::value::Value;

/// Who waits.
#[derive(Default)]
pub(super) struct Line {
    /// The number of the first in `askers`.
    first: u64,
    askers: VecDeque<Asker>,
    /// How many of `askers`, from the first one, have all their answers.
    answered: usize,
    /// How many want answers that they have not got yet.
    waiting: usize,
}

struct Asker {
    /// So many answers are still to come, wanted or not.
    lacking: usize,
    answers: Vec<Value>,
    end: End,
    waker: Option<Waker>,
    until: Option<Instant>,
    /// Where in all that goes out the question begins.
    begins: u64,
}

enum End {
    Waiting,
    Answered,
    Failed(Gap),
    /// Nobody waits any more.
    Left,
}

impl Line {
    /// One who waits for so many answers, at most until then. His number.
    pub(super) fn join(&mut self, lacking: usize, begins: u64, until: Option<Instant>) -> u64 {
        self.waiting += 1;
        self.askers.push_back(Asker {
            lacking,
            answers: Vec::with_capacity(lacking),
            end: End::Waiting,
            waker: None,
            until,
            begins,
        });
        self.first + self.askers.len() as u64 - 1
    }

    pub(super) fn len(&self) -> usize {
        self.askers.len()
    }

    /// True if anybody wants an answer.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Notes whom to wake.
    pub(super) fn wait(&mut self, id: u64, waker: &Waker) {
        if let Some(asker) = self.asker(id) {
            match &mut asker.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }

    /// True if he need not wait any more.
    pub(super) fn has_ended(&mut self, id: u64) -> bool {
        self.asker(id)
            .is_none_or(|asker| !matches!(asker.end, End::Waiting))
    }

    /// How it ended, if it has.
    pub(super) fn take(&mut self, id: u64) -> Option<Result<Vec<Value>, Gap>> {
        let asker = self.asker(id)?;
        let end = match std::mem::replace(&mut asker.end, End::Left) {
            End::Answered => Ok(std::mem::take(&mut asker.answers)),
            End::Failed(gap) => Err(gap),
            other => {
                asker.end = other;
                return None;
            }
        };
        self.forget();
        Some(end)
    }

    /// He does not want his answers any more.
    pub(super) fn leave(&mut self, id: u64) {
        let Some(asker) = self.asker(id) else {
            return;
        };
        if matches!(asker.end, End::Waiting) {
            self.waiting -= 1;
        }
        let asker = self.asker(id).expect("he was there a moment ago");
        asker.end = End::Left;
        asker.waker = None;
        asker.answers = Vec::new();
        self.forget();
    }

    /// The next answer. False if nobody has asked for it.
    pub(super) fn answer(&mut self, value: Value) -> bool {
        let Some(asker) = self.askers.get_mut(self.answered) else {
            return false;
        };
        let is_waiting = matches!(asker.end, End::Waiting);
        if is_waiting {
            asker.answers.push(value);
        }
        asker.lacking -= 1;
        if asker.lacking > 0 {
            return true;
        }
        self.answered += 1;
        if is_waiting {
            asker.end = End::Answered;
            self.waiting -= 1;
            asker.wake();
        }
        self.forget();
        true
    }

    /// The first time at which somebody has waited long enough.
    pub(super) fn first_time(&self) -> Option<Instant> {
        self.those_who_wait().filter_map(|asker| asker.until).min()
    }

    /// Ends the waiting of those whose time is over. Their answers may still come.
    pub(super) fn end_late(&mut self, now: Instant) {
        for asker in self.askers.range_mut(self.answered..) {
            if matches!(asker.end, End::Waiting) && asker.until.is_some_and(|until| until <= now) {
                asker.end = End::Failed(Gap::Late);
                asker.answers = Vec::new();
                self.waiting -= 1;
                asker.wake();
            }
        }
    }

    /// Ends all waiting. `sent` is how much has gone out.
    pub(super) fn end_all(&mut self, sent: u64, why: &str) {
        for asker in self.askers.range_mut(self.answered..) {
            if matches!(asker.end, End::Waiting) {
                let why = why.to_owned();
                asker.end = End::Failed(match asker.begins < sent {
                    true => Gap::Lost(why),
                    false => Gap::Unsent(why),
                });
                asker.wake();
            }
        }
        self.waiting = 0;
    }

    /// Wakes the last of those who wait. His number.
    pub(super) fn wake_last(&mut self) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let waits = |asker: &Asker| matches!(asker.end, End::Waiting);
        let index = self.askers.iter().rposition(waits)?;
        if let Some(waker) = &self.askers[index].waker {
            waker.wake_by_ref();
        }
        Some(self.first + index as u64)
    }

    fn asker(&mut self, id: u64) -> Option<&mut Asker> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.askers.get_mut(index)
    }

    fn those_who_wait(&self) -> impl Iterator<Item = &Asker> {
        let rest = self.askers.range(self.answered..);
        rest.filter(|asker| matches!(asker.end, End::Waiting))
    }

    /// Those at the front who have left, and whose answers have all come.
    fn forget(&mut self) {
        while self.answered > 0 && matches!(self.askers[0].end, End::Left) {
            self.askers.pop_front();
            self.first += 1;
            self.answered -= 1;
        }
    }
}

impl Asker {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
