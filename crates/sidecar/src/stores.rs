//! The state stores that are loaded, by name: written by the control thread when components come
//! and go, read by the lanes.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Weak},
};

use arc_swap::ArcSwap;
use outrider_state::{Session, Store, prefix::KeyPrefix};
use tokio::sync::watch;

/// A store that requests can name.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its name in URLs.
    pub name: String,
    /// Makes whole keys of the clients' keys.
    pub prefix: KeyPrefix,
    /// Where the data is.
    pub store: Arc<dyn Store>,
    /// What it says to queries.
    pub querying: Querying,
}

/// What a store says to queries. None here can answer them, and clients are told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Querying {
    /// Stores of its kind have none.
    Unsupported,
    /// The server would need a module for it.
    NoModule,
    /// What is stored can't be read by the server.
    Encrypted,
}

/// All stores, seen from any thread.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    current: ArcSwap<BTreeMap<String, Arc<Loaded>>>,
    changed: watch::Sender<()>,
}

impl Stores {
    /// The store of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Loaded>> {
        self.current.load().get(name).cloned()
    }

    /// True if no store is loaded at all, which clients are told in other words.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.load().is_empty()
    }

    /// Adds a store, or puts it in the place of the one of that name. Called by one thread only.
    pub(crate) fn insert(&self, loaded: Loaded) {
        let mut next = BTreeMap::clone(&self.current.load());
        next.insert(loaded.name.clone(), Arc::new(loaded));
        self.replace(next);
    }

    /// Takes a store away. Operations under way end as they would have. Called by one thread only.
    pub(crate) fn remove(&self, name: &str) {
        let mut next = BTreeMap::clone(&self.current.load());
        next.remove(name);
        self.replace(next);
    }

    fn replace(&self, next: BTreeMap<String, Arc<Loaded>>) {
        self.current.store(Arc::new(next));
        self.changed.send_replace(());
    }

    fn holds(&self, loaded: &Weak<Loaded>) -> bool {
        let current = self.current.load();
        let mut all = current.values();
        all.any(|known| std::ptr::eq(Arc::as_ptr(known), loaded.as_ptr()))
    }
}

/// The sessions of one lane.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RefCell<Vec<(Weak<Loaded>, Rc<dyn Session>)>>,
}

impl Sessions {
    /// This lane's session with a store.
    pub(crate) fn with(&self, loaded: &Arc<Loaded>) -> Rc<dyn Session> {
        let mut open = self.open.borrow_mut();
        let known = open
            .iter()
            .find(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(loaded)));
        if let Some((_, session)) = known {
            return Rc::clone(session);
        }
        let session = loaded.store.session();
        open.push((Arc::downgrade(loaded), Rc::clone(&session)));
        session
    }

    /// Ends sessions with stores that are taken away, as soon as that happens: nobody may ever call
    /// this lane again. Operations under way keep theirs until they end. Lasts as long as `stores`.
    pub(crate) async fn follow(&self, stores: &Stores) {
        let mut changed = stores.changed.subscribe();
        while changed.changed().await.is_ok() {
            self.open.borrow_mut().retain(|(of, _)| stores.holds(of));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        task::{Context, Waker},
    };

    use super::*;

    fn loaded(store: &Arc<dyn Store>) -> Loaded {
        Loaded {
            name: "s".into(),
            prefix: KeyPrefix::try_new(None, "a", None, "s").unwrap(),
            store: Arc::clone(store),
            querying: Querying::Unsupported,
        }
    }

    #[tokio::test]
    async fn a_store_that_is_taken_away_is_let_go_without_another_call() {
        let properties = outrider_state::Properties::default();
        let store = outrider_state::Kind::Memory.open(&properties);
        let store = store.await.unwrap();
        let (stores, sessions) = (Stores::default(), Sessions::default());
        let mut follow = Box::pin(sessions.follow(&stores));
        let mut look = || {
            let polled = follow
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        };
        stores.insert(loaded(&store));
        look();
        drop(sessions.with(&stores.find("s").unwrap()));
        let open = || sessions.open.borrow().len();
        look();
        assert_eq!(open(), 1);
        // An operation that another lane has under way does not keep ours.
        let elsewhere = stores.find("s");
        stores.insert(loaded(&store));
        look();
        assert_eq!(open(), 0);
        drop(sessions.with(&stores.find("s").unwrap()));
        stores.remove("s");
        look();
        assert_eq!(open(), 0);
        drop(elsewhere);
        assert_eq!(Arc::strong_count(&store), 1);
    }
}
