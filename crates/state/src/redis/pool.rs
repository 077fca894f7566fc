//! Connections for writes that wait for replicas. Such a write has one for itself, because a server
//! answers nothing on a connection while it waits there: whoever shared it would wait as well.
//! Connections are kept for the next ones. There is a most of them; who finds none stands in line,
//! not longer than those in front may take.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time,
};

use super::slot::{Goal, Slot};

/// The connections of one thread to one server.
pub(super) struct Pool {
    goal: Goal,
    places: Semaphore,
    idle: RefCell<Vec<Slot>>,
    in_line: Cell<usize>,
}

/// A connection, or the place for one, that nobody else uses. Closed when dropped, because an answer
/// may be under way on it that nobody waits for any more; one that is still coming about is kept.
pub(super) struct Place<'a> {
    pool: &'a Pool,
    slot: Option<Slot>,
    _permit: SemaphorePermit<'a>,
}

/// How many writes of a thread can wait for replicas at the same time.
const PLACES: usize = 32;

impl Pool {
    /// With no connection yet.
    pub(super) fn new(goal: Goal) -> Self {
        Self {
            goal,
            places: Semaphore::new(PLACES),
            idle: RefCell::default(),
            in_line: Cell::default(),
        }
    }

    /// A place; if all are taken, the next one. `turn` is how long one write may keep its place.
    ///
    /// # Errors
    /// That it took longer than those in front should have taken.
    pub(super) async fn take(&self, turn: Option<Duration>) -> Result<Place<'_>, String> {
        let permit = match self.places.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.next(turn).await?,
        };
        let idle = self.idle.borrow_mut().pop();
        Ok(Place {
            pool: self,
            slot: Some(idle.unwrap_or_else(|| Slot::new(self.goal.clone()))),
            _permit: permit,
        })
    }

    async fn next(&self, turn: Option<Duration>) -> Result<SemaphorePermit<'_>, String> {
        let line = Line::join(&self.in_line);
        let rounds = u32::try_from(line.ahead / PLACES).unwrap_or(u32::MAX);
        let limit = turn.map(|turn| turn.saturating_mul(rounds.saturating_add(1)));
        let permit = self.places.acquire();
        let permit = match limit {
            None => permit.await,
            Some(limit) => time::timeout(limit, permit).await.map_err(|_| {
                "redis: connection pool timeout: too many writes wait for replicas; nothing was sent"
            })?,
        };
        Ok(permit.expect("nobody closes the semaphore"))
    }
}

impl Place<'_> {
    /// Where the connection is held.
    pub(super) fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("it is taken only at the end")
    }

    /// Keeps the connection for others. Everything that was asked on it has been answered.
    pub(super) fn keep(mut self) {
        self.pool.idle.borrow_mut().extend(self.slot.take());
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let coming = self.slot.take().filter(Slot::is_dialing);
        self.pool.idle.borrow_mut().extend(coming);
    }
}

/// Somebody who waits, with how many before.
struct Line<'a> {
    count: &'a Cell<usize>,
    ahead: usize,
}

impl<'a> Line<'a> {
    fn join(count: &'a Cell<usize>) -> Self {
        let ahead = count.replace(count.get() + 1);
        Self { count, ahead }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const TURN: Duration = Duration::from_secs(4);

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_as_long_as_those_in_front_may_take() {
        let pool = Pool::new(Goal::Told);
        let mut taken = Vec::new();
        for _ in 0..PLACES {
            taken.push(pool.take(Some(TURN)).await.ok().unwrap());
        }
        let late = async || {
            let began = Instant::now();
            pool.take(Some(TURN)).await.err().unwrap();
            began.elapsed().as_secs()
        };
        assert_eq!(late().await, 4);
        // A round for each full set of places in front.
        let in_front: Vec<_> = (0..PLACES).map(|_| Line::join(&pool.in_line)).collect();
        assert_eq!(late().await, 8);
        drop(in_front);
        assert_eq!(late().await, 4);
        let freed = async {
            time::sleep(TURN / 2).await;
            taken.pop().unwrap().keep();
        };
        let (next, ()) = tokio::join!(pool.take(Some(TURN)), freed);
        assert!(next.is_ok());
        assert_eq!(pool.in_line.get(), 0);
        assert!(pool.idle.borrow().is_empty(), "the next one has it");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_line_frees_what_was_taken() {
        let pool = Pool::new(Goal::Told);
        let mut taken = Vec::new();
        for _ in 0..PLACES {
            taken.push(pool.take(None).await.ok().unwrap());
        }
        let gone = time::timeout(TURN, pool.take(None)).await;
        assert!(gone.is_err());
        assert_eq!(pool.in_line.get(), 0);
        drop(taken);
        assert_eq!(pool.places.available_permits(), PLACES);
        assert!(pool.idle.borrow().is_empty(), "given up, not kept");
    }
}
