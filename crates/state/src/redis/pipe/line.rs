//! Those who wait for answers on one connection, in the order of their questions. Reads and writes
//! nothing, and wakes nobody itself: see [`Line::woken`].

use std::{collections::VecDeque, ops::Range, task::Waker, time::Duration};

use tokio::time::Instant;

use super::Gap;
use crate::redis::value::Value;

/// Who waits.
#[derive(Default)]
pub(super) struct Line {
    /// The number of the first in `askers`.
    first: u64,
    askers: VecDeque<Asker>,
    /// How many of `askers`, from the first one, lack no answer.
    answered: usize,
    /// How many want answers that they have not got yet.
    waiting: usize,
    /// Whom to wake as soon as nothing is borrowed any more: waking may run anything.
    pub woken: Vec<Waker>,
}

struct Asker {
    /// So many answers are still to come, wanted or not.
    lacking: usize,
    answers: Vec<Value>,
    end: End,
    waker: Option<Waker>,
    /// How long the server may be silent.
    limit: Option<Duration>,
    /// When it has been silent for too long, if it says nothing from now on.
    until: Option<Instant>,
    /// When it has taken too long whatever it says.
    last: Option<Instant>,
    /// Where in all that goes out the question is.
    place: Range<u64>,
}

enum End {
    Waiting,
    Answered,
    Failed(Gap),
    /// Nobody waits any more.
    Left,
}

/// A server that goes on sending may take so many times longer.
const LONGER: u32 = 20;

impl Line {
    /// One who waits for so many answers. His number, and until when he waits at a silent server.
    pub(super) fn join(
        &mut self,
        lacking: usize,
        place: Range<u64>,
        limit: Option<Duration>,
    ) -> (u64, Option<Instant>) {
        self.waiting += 1;
        let now = limit.map(|_| Instant::now());
        let after = |limit: Duration| now.and_then(|now| now.checked_add(limit));
        let until = limit.and_then(after);
        self.askers.push_back(Asker {
            lacking,
            answers: Vec::with_capacity(lacking),
            end: End::Waiting,
            waker: None,
            limit,
            until,
            last: limit.and_then(|limit| after(limit.saturating_mul(LONGER))),
            place,
        });
        (self.first + self.askers.len() as u64 - 1, until)
    }

    pub(super) fn len(&self) -> usize {
        self.askers.len()
    }

    /// True if anybody wants an answer.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// True if most of them do not wait any more.
    pub(super) fn is_mostly_left(&self) -> bool {
        self.waiting < self.askers.len() / 2
    }

    /// True if the server owes an answer, wanted or not.
    pub(super) fn is_owed(&self) -> bool {
        self.answered < self.askers.len()
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

    /// He does not want his answers any more. The place of his question, if answers to it are still
    /// to come.
    pub(super) fn leave(&mut self, id: u64) -> Option<Range<u64>> {
        let asker = self.asker(id)?;
        let place = (asker.lacking > 0).then(|| asker.place.clone());
        asker.waker = None;
        asker.answers = Vec::new();
        if matches!(std::mem::replace(&mut asker.end, End::Left), End::Waiting) {
            self.waiting -= 1;
        }
        self.forget();
        place
    }

    /// He has left, and his question does not go out: no answer comes.
    pub(super) fn strike(&mut self, id: u64) {
        if let Some(asker) = self.asker(id) {
            asker.lacking = 0;
        }
        self.pass();
        let is_over = |asker: &Asker| asker.lacking == 0 && matches!(asker.end, End::Left);
        while self.askers.back().is_some_and(is_over) {
            self.askers.pop_back();
        }
        self.answered = self.answered.min(self.askers.len());
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
        if is_waiting {
            asker.end = End::Answered;
            self.waiting -= 1;
            self.woken.extend(asker.waker.take());
        }
        self.pass();
        self.forget();
        true
    }

    /// The first time at which somebody has waited long enough.
    pub(super) fn first_time(&self) -> Option<Instant> {
        let rest = self.askers.range(self.answered..);
        let waiting = rest.filter(|asker| matches!(asker.end, End::Waiting));
        waiting.filter_map(|asker| asker.until).min()
    }

    /// Ends the waiting of those whose time is over. Their answers may still come. `heard` is when
    /// the server has sent something the last time.
    pub(super) fn end_late(&mut self, now: Instant, heard: Option<Instant>) {
        for asker in self.askers.range_mut(self.answered..) {
            if !matches!(asker.end, End::Waiting) || asker.until.is_none_or(|until| until > now) {
                continue;
            }
            asker.until = asker.until_after(heard);
            if asker.until.is_some_and(|until| until <= now) {
                asker.end = End::Failed(Gap::Late);
                asker.answers = Vec::new();
                self.waiting -= 1;
                self.woken.extend(asker.waker.take());
            }
        }
    }

    /// True if the oldest question should have been answered by now, and whoever asked it is not
    /// there any more to say so.
    pub(super) fn is_overdue(&self, heard: Option<Instant>) -> bool {
        self.askers.get(self.answered).is_some_and(|asker| {
            !matches!(asker.end, End::Waiting)
                && asker
                    .until_after(heard)
                    .is_some_and(|until| until <= Instant::now())
        })
    }

    /// Ends the waiting of those whose questions have not wholly gone out: that is, beyond `whole`.
    /// Beyond `sent` nothing has gone out.
    pub(super) fn end_beyond(&mut self, whole: u64, sent: u64, why: &str) {
        for asker in self.askers.range_mut(self.answered..) {
            if !matches!(asker.end, End::Waiting) || asker.place.end <= whole {
                continue;
            }
            let why = why.to_owned();
            asker.end = End::Failed(match asker.place.start < sent {
                true => Gap::Lost(why),
                false => Gap::Unsent(why),
            });
            self.waiting -= 1;
            self.woken.extend(asker.waker.take());
        }
    }

    /// Has the last of those who wait woken. His number.
    pub(super) fn wake_last(&mut self) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let waits = |asker: &Asker| matches!(asker.end, End::Waiting);
        let index = self.askers.iter().rposition(waits)?;
        self.woken.extend(self.askers[index].waker.clone());
        Some(self.first + index as u64)
    }

    fn asker(&mut self, id: u64) -> Option<&mut Asker> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.askers.get_mut(index)
    }

    /// Counts those who lack no answer.
    fn pass(&mut self) {
        let lacks_none = |asker: &Asker| asker.lacking == 0;
        while self.askers.get(self.answered).is_some_and(lacks_none) {
            self.answered += 1;
        }
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
    fn until_after(&self, heard: Option<Instant>) -> Option<Instant> {
        let renewed = heard.and_then(|heard| heard.checked_add(self.limit?));
        let until = self.until.max(renewed)?;
        Some(self.last.map_or(until, |last| until.min(last)))
    }
}
