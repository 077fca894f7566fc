//! The place that holds a thread's connection: made when first needed, made anew when it broke, by
//! one asker for all. If he leaves, the next one goes on where he was: however impatient they are,
//! it comes about. Failed tries are repeated after growing times, and then told to everyone who
//! waited.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use tokio::{
    sync::Mutex,
    time::{self, Instant},
};

use super::{
    dial::Failure,
    link::Link,
    reply::is_replica,
    sentinel,
    settings::{Host, Retries, Settings, Target},
};

/// A connection that comes about as long as somebody drives it.
type Dialing = Pin<Box<dyn Future<Output = Result<Link, String>>>>;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Where the settings say.
    Told,
    /// To this node of a cluster. One that is not there is not waited for: another one may have
    /// taken its place.
    Node(Host),
}

/// Holds one connection, or none.
pub(super) struct Slot {
    goal: Goal,
    link: RefCell<Option<Rc<Link>>>,
    /// The connection that is coming about. Whoever has the lock drives it on.
    dialing: Mutex<Option<Dialing>>,
    /// When the last one who drove it left.
    left: Cell<Option<Instant>>,
    // How often connecting has failed for good, and why the last time.
    failures: Cell<u64>,
    failure: RefCell<String>,
}

impl Slot {
    /// With no connection yet.
    pub(super) fn new(goal: Goal) -> Self {
        Self {
            goal,
            link: RefCell::default(),
            dialing: Mutex::default(),
            left: Cell::default(),
            failures: Cell::default(),
            failure: RefCell::default(),
        }
    }

    /// The connection, made if there is none.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn link(&self, settings: &Arc<Settings>) -> Result<Rc<Link>, String> {
        if let Some(link) = self.live() {
            return Ok(link);
        }
        // Rare and large: in a box, every operation would else have room for it.
        Box::pin(self.make(settings)).await
    }

    async fn make(&self, settings: &Arc<Settings>) -> Result<Rc<Link>, String> {
        let failures = self.failures.get();
        let mut dialing = self.dialing.lock().await;
        if let Some(link) = self.live() {
            return Ok(link);
        }
        if self.failures.get() != failures {
            return Err(self.failure.borrow().clone());
        }
        // What it has waited for while nobody was here may long have changed.
        let is_old = |left: Instant| left.elapsed() > settings.wire.dial;
        if self.left.take().is_some_and(is_old) {
            *dialing = None;
        }
        let begin = || self.goal.clone().dial(Arc::clone(settings));
        let leaving = Leaving(&self.left);
        let connected = dialing.get_or_insert_with(begin).await;
        *dialing = None;
        drop(leaving);
        self.left.set(None);
        match connected {
            Ok(link) => {
                let link = Rc::new(link);
                *self.link.borrow_mut() = Some(Rc::clone(&link));
                Ok(link)
            }
            Err(text) => {
                self.failures.set(failures + 1);
                self.failure.borrow_mut().clone_from(&text);
                Err(text)
            }
        }
    }

    /// Lets go of a connection that is no good. Questions under way on it end as they may.
    pub(super) fn retire(&self, link: &Rc<Link>) {
        self.link
            .borrow_mut()
            .take_if(|held| Rc::ptr_eq(held, link));
    }

    /// True if a connection is coming about, whether anybody drives it just now or not.
    pub(super) fn is_dialing(&self) -> bool {
        let dialing = self.dialing.try_lock();
        dialing.map_or(true, |dialing| dialing.is_some())
    }

    fn live(&self) -> Option<Rc<Link>> {
        self.link.borrow_mut().take_if(|held| held.is_dead());
        self.link.borrow().clone()
    }
}

impl Goal {
    fn dial(self, settings: Arc<Settings>) -> Dialing {
        Box::pin(async move {
            match self {
                Self::Told => connect(&settings, None).await,
                Self::Node(host) => {
                    let opened = Link::open(&host, &settings.login, 0, &settings.wire).await;
                    opened.map_err(Failure::text)
                }
            }
        })
    }
}

/// Notes when somebody left.
struct Leaving<'a>(&'a Cell<Option<Instant>>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.set(Some(Instant::now()));
    }
}

impl Retries {
    /// Waits before the next try, if there may be one after so many.
    pub(super) async fn pause(self, tried: u32) -> bool {
        if tried >= self.most {
            return false;
        }
        time::sleep(self.delay(tried)).await;
        true
    }

    fn delay(self, tried: u32) -> time::Duration {
        let factor = 1u32.checked_shl(tried).unwrap_or(u32::MAX);
        self.shortest.saturating_mul(factor).min(self.longest)
    }
}

/// Connects, trying again as the settings have it, not beyond `until`.
///
/// # Errors
/// The last reason.
pub(super) async fn connect(settings: &Settings, until: Option<Instant>) -> Result<Link, String> {
    let mut tried = 0;
    loop {
        let text = match reach_until(settings, until).await {
            Ok(link) => return Ok(link),
            Err(Failure::Lasting(text)) => return Err(text),
            Err(Failure::Passing(text)) => text,
        };
        let next = Instant::now() + settings.retries.delay(tried);
        if until.is_some_and(|until| next >= until) || !settings.retries.pause(tried).await {
            return Err(text);
        }
        tried += 1;
    }
}

async fn reach_until(settings: &Settings, until: Option<Instant>) -> Result<Link, Failure> {
    let Some(until) = until else {
        return reach(settings).await;
    };
    match time::timeout_at(until, reach(settings)).await {
        Ok(reached) => reached,
        Err(_) => {
            let name = settings.target.name();
            let hint = match settings.wire.tls {
                Some(_) => "; does it speak TLS on this port?",
                None => "",
            };
            let text = format!("dial tcp {name}: i/o timeout{hint}");
            Err(Failure::Lasting(text))
        }
    }
}

async fn reach(settings: &Settings) -> Result<Link, Failure> {
    let Settings {
        login, db, wire, ..
    } = settings;
    match &settings.target {
        Target::Node(host) => Link::open(host, login, *db, wire).await,
        Target::Sentinels { .. } => {
            let host = sentinel::master(settings).await?;
            let link = Link::open(&host, login, *db, wire).await?;
            // A sentinel may not have heard yet that another one is the master now.
            match is_replica(&link.ask_once(&["ROLE"], wire.answer).await?) {
                true => Err(Failure::Passing(format!(
                    "redis: {host} is a replica, though a sentinel names it as the master"
                ))),
                false => Ok(link),
            }
        }
        Target::Cluster(seeds) => {
            let mut last = Failure::Lasting("there are no nodes".into());
            for host in seeds {
                match Link::open(host, login, 0, wire).await {
                    Ok(link) => return Ok(link),
                    Err(failure) => last = failure,
                }
            }
            Err(last)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retries = Retries {
            most: 3,
            shortest: Duration::from_millis(100),
            longest: Duration::from_millis(350),
        };
        let delays = [0, 1, 2, 99].map(|tried| retries.delay(tried).as_millis());
        assert_eq!(delays, [100, 200, 350, 350]);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_wait_after_the_last_try() {
        let retries = Retries {
            most: 1,
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(1),
        };
        assert!(retries.pause(0).await);
        assert!(!retries.pause(1).await);
    }
}
