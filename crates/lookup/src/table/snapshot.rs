//! What the table says at one moment. Immutable; a new one replaces it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::instance::{Instance, Instances};

/// Everything the table knew at one generation.
#[derive(Debug, Default)]
pub struct Snapshot {
    generation: u64,
    apps: HashMap<Box<str>, App>,
    /// Namespaces do not stand in for each other.
    apart: bool,
}

/// The sets of one app id.
#[derive(Debug, Default)]
pub(super) struct App {
    /// Those of sources that know no namespaces: they answer for every namespace.
    pub(super) anywhere: Option<Arc<Instances>>,
    /// Per namespace that a source named, `anywhere` included. Few, so searched one by one.
    pub(super) in_namespace: Vec<(Box<str>, Arc<Instances>)>,
}

impl App {
    pub(super) fn set(&self, namespace: Option<&str>) -> Option<&Arc<Instances>> {
        match namespace {
            None => self.anywhere.as_ref(),
            Some(name) => self
                .in_namespace
                .iter()
                .find(|(it, _)| **it == *name)
                .map(|(_, set)| set),
        }
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = &Arc<Instances>> {
        let named = self.in_namespace.iter().map(|(_, set)| set);
        self.anywhere.iter().chain(named)
    }

    pub(super) fn set_count(&self) -> usize {
        self.sets().count()
    }
}

impl Snapshot {
    pub(super) fn new(generation: u64, apps: HashMap<Box<str>, App>, apart: bool) -> Self {
        Self {
            generation,
            apps,
            apart,
        }
    }

    /// Which change of the table made it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The instances of an app in a namespace; never an empty set.
    ///
    /// Where the namespace has none, those of another one answer: name resolution on one host
    /// knows no namespaces in the reference either, and who may call whom is not decided here.
    /// Sources that know better keep them apart.
    pub fn find(&self, namespace: &str, app_id: &str) -> Option<&Arc<Instances>> {
        let app = self.apps.get(app_id)?;
        let elsewhere = || {
            let first = app.in_namespace.first().filter(|_| !self.apart);
            first.map(|(_, set)| set)
        };
        app.set(Some(namespace))
            .or(app.anywhere.as_ref())
            .or_else(elsewhere)
    }

    /// The namespaces in which some source lists an app.
    pub(crate) fn namespaces_of(&self, app_id: &str) -> impl Iterator<Item = &str> {
        let app = self.apps.get(app_id);
        let named = app.into_iter().flat_map(|it| &it.in_namespace);
        named.map(|(name, _)| &**name)
    }

    /// Every instance, in no order; one that answers for several namespaces comes repeatedly.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.apps
            .values()
            .flat_map(App::sets)
            .flat_map(|set| set.all())
    }

    pub(super) fn app(&self, app_id: &str) -> Option<&App> {
        self.apps.get(app_id)
    }

    pub(super) fn set_count(&self) -> usize {
        self.apps.values().map(App::set_count).sum()
    }
}
