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

/// A store that requests can name.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its name in URLs.
    pub name: String,
    /// Makes whole keys of the clients' keys.
    pub prefix: KeyPrefix,
    /// Where the data is.
    pub store: Arc<dyn Store>,
}

/// All stores, seen from any thread.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    current: ArcSwap<BTreeMap<String, Arc<Loaded>>>,
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
        self.current.store(Arc::new(next));
    }

    /// Takes a store away. Operations under way end as they would have. Called by one thread only.
    pub(crate) fn remove(&self, name: &str) {
        let mut next = BTreeMap::clone(&self.current.load());
        next.remove(name);
        self.current.store(Arc::new(next));
    }
}

/// The sessions of one lane.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RefCell<Vec<(Weak<Loaded>, Rc<dyn Session>)>>,
}

impl Sessions {
    /// This lane's session with a store. Sessions with stores that are gone are dropped.
    pub(crate) fn with(&self, loaded: &Arc<Loaded>) -> Rc<dyn Session> {
        let mut open = self.open.borrow_mut();
        let known = open
            .iter()
            .find(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(loaded)));
        if let Some((_, session)) = known {
            return Rc::clone(session);
        }
        open.retain(|(of, _)| of.strong_count() > 0);
        let session = loaded.store.session();
        open.push((Arc::downgrade(loaded), Rc::clone(&session)));
        session
    }
}
