//! What a lane knows of the targets it has called: instances, connections, metric handles,
//! resolved once and reused until the table changes.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use http::HeaderValue;
use outrider_lookup::{Cause, Instance, Instances};

use super::LOOKUP_LIMIT;
use crate::{
    call::{Fault, Kind, Target},
    lane::Lane,
    link::pool::Group,
    metrics::TargetHandles,
};

/// Targets kept per lane; a client that calls more different ones starts over.
const ROUTES_KEPT: usize = 1024;

/// The targets called before, by the caller's spelling.
#[derive(Default)]
pub(crate) struct Routes {
    by_name: RefCell<HashMap<Box<str>, Rc<Route>>>,
}

/// One target.
pub(crate) struct Route {
    target: Target,
    /// Its app id as metadata.
    callee: HeaderValue,
    instances: RefCell<Arc<Instances>>,
    /// Generation of the table that `instances` was read from.
    generation: Cell<u64>,
    peers: RefCell<Vec<(Arc<Instance>, Rc<Group>)>>,
    metrics: Option<TargetHandles>,
}

impl Routes {
    /// The route to a target that has been called before, by the caller's spelling.
    pub(crate) fn known(&self, lane: &Lane, shown: &str) -> Option<Rc<Route>> {
        let route = self.by_name.borrow().get(shown).map(Rc::clone);
        route.filter(|route| route.is_live(lane))
    }

    /// The route to a target; waits only for one that nobody has seen yet.
    pub(crate) async fn route(&self, lane: &Rc<Lane>, target: &Target) -> Result<Rc<Route>, Fault> {
        if let Some(route) = self.known(lane, &target.shown) {
            return Ok(route);
        }
        let table = &lane.shared.table;
        let generation = table.generation();
        let instances = table
            .wait_for(&target.namespace, &target.app_id, LOOKUP_LIMIT)
            .await
            .map_err(|error| {
                let kind = match error.cause {
                    Cause::Unknown => Kind::UnknownApp,
                    Cause::Source => Kind::NoResolver,
                };
                Fault::new(kind, error.text)
            })?;
        let route = Rc::new(Route {
            callee: HeaderValue::from_str(target.app_id.as_str())
                .unwrap_or(HeaderValue::from_static("")),
            target: target.clone(),
            instances: RefCell::new(instances),
            generation: Cell::new(generation),
            peers: RefCell::default(),
            metrics: lane.metrics.target(target),
        });
        let mut by_name = self.by_name.borrow_mut();
        if by_name.len() >= ROUTES_KEPT {
            by_name.clear();
        }
        by_name.insert(target.shown.as_str().into(), Rc::clone(&route));
        Ok(route)
    }
}

impl Route {
    /// Who is called.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The app id of who is called, as metadata.
    pub(crate) fn callee(&self) -> &HeaderValue {
        &self.callee
    }

    /// True if the target still has instances; refreshes them if the table has changed.
    fn is_live(&self, lane: &Lane) -> bool {
        let generation = lane.shared.table.generation();
        if generation == self.generation.get() {
            return true;
        }
        let table = &lane.shared.table;
        match table.peek(&self.target.namespace, &self.target.app_id) {
            Some(instances) => {
                self.peers
                    .borrow_mut()
                    .retain(|(known, _)| instances.all().iter().any(|i| Arc::ptr_eq(i, known)));
                *self.instances.borrow_mut() = instances;
                self.generation.set(generation);
                true
            }
            None => false,
        }
    }

    /// The instances as they are now; the last known ones if all have gone meanwhile, so that the
    /// caller hears what happened to them.
    pub(crate) fn instances(&self, lane: &Lane) -> Arc<Instances> {
        self.is_live(lane);
        Arc::clone(&self.instances.borrow())
    }

    /// The connections to one of the instances.
    pub(crate) fn peer(&self, lane: &Lane, instance: &Arc<Instance>) -> Rc<Group> {
        let mut peers = self.peers.borrow_mut();
        if let Some((_, peer)) = peers.iter().find(|(known, _)| Arc::ptr_eq(known, instance)) {
            return Rc::clone(peer);
        }
        let peer = lane
            .pool
            .peer(instance, instance.namespace().unwrap_or_default());
        peers.push((Arc::clone(instance), Rc::clone(&peer)));
        peer
    }

    /// Records an attempt.
    pub(crate) fn sent(&self, streaming: bool) {
        if let Some(metrics) = &self.metrics {
            metrics.sent(streaming);
        }
    }

    /// Records an answer.
    pub(crate) fn received(&self, status: i32, streaming: bool, took: std::time::Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.received(status, streaming, took);
        }
    }
}
