//! What the sources say, and how their statements become one snapshot.
//!
//! Several sources may see the same sidecar. Within one set an address appears once, and a
//! statement that names a process and port which a source of higher rank named too is left out:
//! the loopback address of the same-host registry beats the LAN address of mDNS.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::snapshot::{App, Snapshot};
use super::{SAME_HOST, Table};
use crate::instance::{Ejected, Instance, Instances};

/// One statement of a source: this app can be reached there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// `None` when the source knows no namespaces; then it counts for every namespace.
    pub namespace: Option<Box<str>>,
    /// The app served there.
    pub app_id: Box<str>,
    /// `host:port` of the internal gRPC server, IPv6 in brackets.
    pub addr: Box<str>,
    /// `<hostname>:<pid>` where known, as mDNS names its instances: it tells that two sources mean
    /// the same sidecar, and that a new one took over an old address.
    pub process: Option<Box<str>>,
}

impl Listing {
    /// A listing without a known process.
    pub fn new(namespace: Option<&str>, app_id: &str, addr: &str) -> Self {
        Self {
            namespace: namespace.map(Box::from),
            app_id: app_id.into(),
            addr: addr.into(),
            process: None,
        }
    }

    fn port(&self) -> Option<&str> {
        self.addr.rsplit_once(':').map(|(_, port)| port)
    }

    /// Whether another source's statement is about the same sidecar.
    fn is_same_sidecar(&self, other: &Self) -> bool {
        self.process.is_some() && self.process == other.process && self.port() == other.port()
    }

    fn key(&self) -> Key {
        (
            self.app_id.clone(),
            self.namespace.clone(),
            self.addr.clone(),
        )
    }
}

/// App id, namespace, address: what a source may state once.
type Key = (Box<str>, Option<Box<str>>, Box<str>);

/// The writing end of one source. Dropping it leaves its listings in place, so that a source that
/// ends during a drain does not take the peers of the calls in flight with it.
#[derive(Debug)]
pub struct SourceHandle {
    table: Table,
    slot: usize,
}

impl SourceHandle {
    pub(super) fn new(table: Table, slot: usize) -> Self {
        Self { table, slot }
    }

    /// Replaces everything this source said.
    pub fn replace_all(&self, listings: impl IntoIterator<Item = Listing>) {
        let next = listings.into_iter().map(|it| (it.key(), it)).collect();
        self.change(|said| *said = next);
    }

    /// Adds a listing, or replaces the one with the same app id, namespace and address.
    pub fn upsert(&self, listing: Listing) {
        self.change(|said| {
            said.insert(listing.key(), listing);
        });
    }

    /// Takes back one listing.
    pub fn remove(&self, namespace: Option<&str>, app_id: &str, addr: &str) {
        let key = Listing::new(namespace, app_id, addr).key();
        self.change(|said| {
            said.remove(&key);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        let mut feeds = self.table.feeds();
        change(&mut feeds.sources[self.slot].said);
        self.table.publish(&mut feeds);
    }
}

type Said = BTreeMap<Key, Listing>;

#[derive(Debug, Default)]
pub(super) struct Feeds {
    /// In order of arrival; slots are never given up, so a handle's index stays right.
    sources: Vec<Source>,
    /// Namespaces do not stand in for each other.
    pub(super) apart: bool,
    /// Every instance of the current snapshot.
    instances: HashMap<Key, Arc<Instance>>,
}

#[derive(Debug)]
struct Source {
    name: &'static str,
    said: Said,
}

/// A listing and the source that made it.
type Statement<'a> = (&'a Listing, &'static str);

impl Feeds {
    pub(super) fn slot(&mut self, name: &'static str) -> usize {
        let known = self.sources.iter().position(|it| it.name == name);
        known.unwrap_or_else(|| {
            let said = Said::new();
            self.sources.push(Source { name, said });
            self.sources.len() - 1
        })
    }

    /// The next snapshot, or `None` if it would equal `old`. Sets that did not change are shared
    /// with the old snapshot, and so are instances.
    pub(super) fn compile(&mut self, old: &Snapshot, ejected: &Arc<Ejected>) -> Option<Snapshot> {
        let mut compiler = Compiler {
            old,
            ejected,
            known: &self.instances,
            kept: HashMap::new(),
            changed: false,
        };
        let apps: HashMap<_, _> = by_app(&self.sources)
            .into_iter()
            .map(|(app_id, statements)| (app_id.into(), compiler.app(app_id, &statements)))
            .collect();
        let Compiler { kept, changed, .. } = compiler;
        for (key, gone) in std::mem::replace(&mut self.instances, kept) {
            let stays = self.instances.get(&key);
            if !stays.is_some_and(|it| Arc::ptr_eq(it, &gone)) {
                gone.leave_sets();
            }
        }
        let sets: usize = apps.values().map(App::set_count).sum();
        let differs = changed || sets != old.set_count();
        differs.then(|| Snapshot::new(old.generation() + 1, apps, self.apart))
    }
}

/// All statements per app id, those of higher rank first.
fn by_app(sources: &[Source]) -> BTreeMap<&str, Vec<Statement<'_>>> {
    let mut ranked: Vec<&Source> = sources.iter().collect();
    ranked.sort_by_key(|source| source.name != SAME_HOST);
    let mut apps: BTreeMap<&str, Vec<Statement<'_>>> = BTreeMap::new();
    for source in ranked {
        for listing in source.said.values() {
            let statements = apps.entry(&listing.app_id).or_default();
            statements.push((listing, source.name));
        }
    }
    apps
}

struct Compiler<'a> {
    old: &'a Snapshot,
    ejected: &'a Arc<Ejected>,
    known: &'a HashMap<Key, Arc<Instance>>,
    kept: HashMap<Key, Arc<Instance>>,
    changed: bool,
}

impl Compiler<'_> {
    fn app(&mut self, app_id: &str, statements: &[Statement<'_>]) -> App {
        let namespaces: BTreeSet<&str> = statements
            .iter()
            .filter_map(|(listing, _)| listing.namespace.as_deref())
            .collect();
        let in_namespace = namespaces
            .into_iter()
            .filter_map(|name| Some((name.into(), self.set(app_id, Some(name), statements)?)))
            .collect();
        let app = App {
            anywhere: self.set(app_id, None, statements),
            in_namespace,
        };
        let each = || {
            app.sets()
                .flat_map(|set| set.all().iter().map(move |it| (it, set)))
        };
        each().for_each(|(instance, _)| instance.leave_sets());
        each().for_each(|(instance, set)| instance.enter_set(set));
        app
    }

    fn set(
        &mut self,
        app_id: &str,
        namespace: Option<&str>,
        statements: &[Statement<'_>],
    ) -> Option<Arc<Instances>> {
        let all: Vec<_> = merged(namespace, statements)
            .into_iter()
            .map(|(listing, source)| self.instance(listing, source))
            .collect();
        if all.is_empty() {
            return None;
        }
        let before = self.old.app(app_id).and_then(|app| app.set(namespace));
        if let Some(same) = before.filter(|set| set.is_same_as(&all)) {
            return Some(Arc::clone(same));
        }
        self.changed = true;
        Some(Arc::new(Instances::new(all, self.old.generation() + 1)))
    }

    /// The instance that is known at that address, unless another process took the address over.
    fn instance(&mut self, listing: &Listing, source: &'static str) -> Arc<Instance> {
        let key = listing.key();
        let known = self.kept.get(&key).or_else(|| self.known.get(&key));
        let same = known.filter(|it| match (it.process(), listing.process.as_deref()) {
            (Some(old), Some(new)) => old == new,
            _ => true,
        });
        let instance = same.map_or_else(
            || {
                let ejected = Arc::clone(self.ejected);
                Arc::new(Instance::new(listing.clone(), source, ejected))
            },
            Arc::clone,
        );
        instance.set_source(source);
        self.kept.insert(key, Arc::clone(&instance));
        instance
    }
}

/// The statements that count in a namespace (`None`: only those without one), doubles left out.
fn merged<'a>(namespace: Option<&str>, statements: &[Statement<'a>]) -> Vec<Statement<'a>> {
    let mut merged: Vec<Statement<'a>> = Vec::new();
    for &(listing, source) in statements {
        let counts = listing.namespace.is_none() || listing.namespace.as_deref() == namespace;
        let is_double = merged.iter().any(|(other, other_source)| {
            other.addr == listing.addr
                || (*other_source != source && other.is_same_sidecar(listing))
        });
        if counts && !is_double {
            merged.push((listing, source));
        }
    }
    merged
}
