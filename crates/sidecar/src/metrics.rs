//! Metric handles, resolved once and kept per lane: recording is a look-up and an addition.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use outrider_telemetry::metrics::{
    Counter, CounterFamily, Histogram, HistogramFamily, Registry, names,
};

use crate::{call::Target, shared::Shared, state::Act};

/// The families this sidecar records (contract `observability.md` 4.1, 4.3).
pub(crate) struct Families {
    /// Everything the metrics page shows.
    pub registry: Registry,
    enabled: bool,
    request_count: CounterFamily,
    response_count: Option<CounterFamily>,
    latency: HistogramFamily,
    request_bytes: HistogramFamily,
    response_bytes: HistogramFamily,
    sent: CounterFamily,
    received: CounterFamily,
    received_latency: HistogramFamily,
    arrived: CounterFamily,
    answered: CounterFamily,
    error_codes: Option<CounterFamily>,
    state_count: CounterFamily,
    state_latencies: HistogramFamily,
    options: Options,
}

/// What the Configuration says about metrics (contract `observability.md` 3).
#[derive(Clone, Debug)]
pub struct Options {
    /// Nothing is recorded if false.
    pub enabled: bool,
    /// Errors are counted by their code.
    pub error_codes: bool,
    /// The `path` label holds the whole path.
    pub full_path: bool,
    /// The `method` label is empty.
    pub exclude_verbs: bool,
    /// Upper bounds of the latency histograms, in milliseconds.
    pub latency_bounds: Arc<[f64]>,
}

impl Families {
    /// Registers the families.
    pub(crate) fn new(options: Options) -> Self {
        let registry = Registry::new();
        let latencies = options.latency_bounds.clone();
        let sizes: Arc<[f64]> = names::SIZE_BOUNDS_BYTES.into();
        let response_count = options
            .full_path
            .then(|| names::HTTP_SERVER_RESPONSE_COUNT.counters(&registry));
        let error_codes = options
            .error_codes
            .then(|| names::ERROR_CODE.counters(&registry));
        Self {
            enabled: options.enabled,
            error_codes,
            state_count: names::STATE_COUNT.counters(&registry),
            state_latencies: names::STATE_LATENCIES.histograms(&registry, latencies.clone()),
            request_count: names::HTTP_SERVER_REQUEST_COUNT.counters(&registry),
            response_count,
            latency: names::HTTP_SERVER_LATENCY.histograms(&registry, latencies.clone()),
            request_bytes: names::HTTP_SERVER_REQUEST_BYTES.histograms(&registry, sizes.clone()),
            response_bytes: names::HTTP_SERVER_RESPONSE_BYTES.histograms(&registry, sizes),
            sent: names::INVOCATION_REQ_SENT.counters(&registry),
            received: names::INVOCATION_RES_RECV.counters(&registry),
            received_latency: names::INVOCATION_RES_RECV_LATENCY.histograms(&registry, latencies),
            arrived: names::INVOCATION_REQ_RECV.counters(&registry),
            answered: names::INVOCATION_RES_SENT.counters(&registry),
            registry,
            options,
        }
    }
}

/// Paths with handles of their own, per lane. Beyond it the `path` label is empty: a client that
/// puts ids into paths must not fill our memory.
const PATHS_KEPT: usize = 4096;

/// Peers with handles of their own, per lane.
const PEERS_KEPT: usize = 1024;

type PathHandles = Vec<(&'static str, u16, Rc<HttpHandles>)>;

/// Handles a lane has resolved.
pub(crate) struct LaneMetrics {
    shared: Arc<Shared>,
    http: RefCell<HashMap<Box<str>, PathHandles>>,
    sizes: OnceCell<(Arc<Histogram>, Arc<Histogram>)>,
    callers: RefCell<HashMap<Box<[u8]>, Rc<CallerHandles>>>,
    stores: RefCell<HashMap<Box<str>, StoreHandles>>,
    errors: RefCell<Vec<(ErrorCode, Arc<Counter>)>>,
}

/// An error that a client was answered, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorCode {
    /// What it is grouped under.
    pub category: Category,
    /// Its name, which is the `errorCode` of HTTP bodies.
    pub name: &'static str,
}

/// What errors are grouped under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// Requests that can't be read, whatever they are about.
    Common,
    /// Health.
    Health,
    /// Calls of apps.
    Invocation,
    /// State.
    State,
}

impl Category {
    fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Health => "health",
            Self::Invocation => "service-invocation",
            Self::State => "state",
        }
    }
}

/// Handles for one state store: by act, failures and successes.
type StoreHandles = [[Option<(Arc<Counter>, Arc<Histogram>)>; 2]; Act::COUNT];

/// Handles for one method, path and status.
pub(crate) struct HttpHandles {
    request_count: Arc<Counter>,
    response_count: Option<Arc<Counter>>,
    latency: Arc<Histogram>,
}

impl LaneMetrics {
    /// Handles for a lane of that sidecar.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            http: RefCell::default(),
            sizes: OnceCell::new(),
            callers: RefCell::default(),
            stores: RefCell::default(),
            errors: RefCell::default(),
        }
    }

    /// Records one call of a state store.
    pub(crate) fn state(&self, store: &str, act: Act, success: bool, took: Duration) {
        let families = &self.shared.families;
        if !families.enabled {
            return;
        }
        let mut stores = self.stores.borrow_mut();
        if !stores.contains_key(store) {
            stores.insert(store.into(), StoreHandles::default());
        }
        let Some(handles) = stores.get_mut(store) else {
            return;
        };
        let of_act = &mut handles[act as usize][usize::from(success)];
        let (count, latencies) = of_act.get_or_insert_with(|| {
            let plan = &self.shared.plan;
            let success = if success { "true" } else { "false" };
            let resources = plan.resources.as_ref();
            let namespace = resources.and_then(|resources| resources.namespace.as_deref());
            let namespace = namespace.unwrap_or_default();
            let labels = [plan.app_id.as_str(), store, namespace, act.name(), success];
            (
                families.state_count.with(&labels),
                families.state_latencies.with(&labels),
            )
        });
        count.inc();
        latencies.observe(took.as_secs_f64() * 1000.0);
    }

    /// Records an error that a client was answered.
    pub(crate) fn error(&self, error: ErrorCode) {
        let families = &self.shared.families;
        let Some(codes) = families.error_codes.as_ref().filter(|_| families.enabled) else {
            return;
        };
        let mut errors = self.errors.borrow_mut();
        if let Some((_, count)) = errors.iter().find(|(known, _)| *known == error) {
            return count.inc();
        }
        let own = self.shared.plan.app_id.as_str();
        let count = codes.with(&[own, error.category.name(), error.name]);
        count.inc();
        errors.push((error, count));
    }

    /// Records one request on the API or public port.
    pub(crate) fn http(&self, what: &HttpSeries<'_>, took: Duration, received: u64, sent: u64) {
        let families = &self.shared.families;
        if !families.enabled {
            return;
        }
        let handles = self.http_handles(what);
        handles.request_count.inc();
        if let Some(count) = &handles.response_count {
            count.inc();
        }
        handles.latency.observe(took.as_millis() as f64);
        let (request_bytes, response_bytes) = self.sizes.get_or_init(|| {
            let labels = [self.shared.plan.app_id.as_str()];
            (
                families.request_bytes.with(&labels),
                families.response_bytes.with(&labels),
            )
        });
        request_bytes.observe(received as f64);
        response_bytes.observe(sent as f64);
    }

    fn http_handles(&self, what: &HttpSeries<'_>) -> Rc<HttpHandles> {
        let options = &self.shared.families.options;
        let path = if options.full_path {
            what.path
        } else {
            static_path(what.path)
        };
        let method = if options.exclude_verbs {
            ""
        } else {
            method_label(what.method)
        };
        let find = |known: &PathHandles| {
            let found = known
                .iter()
                .find(|(m, s, _)| *m == method && *s == what.status);
            found.map(|(_, _, handles)| Rc::clone(handles))
        };
        let mut http = self.http.borrow_mut();
        if let Some(handles) = http.get(path).and_then(find) {
            return handles;
        }
        let path = if http.len() >= PATHS_KEPT { "" } else { path };
        if let Some(handles) = http.get(path).and_then(find) {
            return handles;
        }
        let families = &self.shared.families;
        let status = what.status.to_string();
        let labels = [self.shared.plan.app_id.as_str(), method, path, &status];
        let handles = Rc::new(HttpHandles {
            request_count: families.request_count.with(&labels),
            response_count: families.response_count.as_ref().map(|f| f.with(&labels)),
            latency: families.latency.with(&labels),
        });
        let known = http.entry(path.into()).or_default();
        known.push((method, what.status, Rc::clone(&handles)));
        handles
    }

    /// Records a call that a peer sent us. `caller` is what it says it is.
    pub(crate) fn arrived(&self, caller: Option<&[u8]>) -> Option<Rc<CallerHandles>> {
        if !self.shared.families.enabled {
            return None;
        }
        let caller = caller.unwrap_or(b"unknown");
        let mut callers = self.callers.borrow_mut();
        let handles = match callers.get(caller) {
            Some(handles) => Rc::clone(handles),
            None => {
                if callers.len() >= PEERS_KEPT {
                    callers.clear();
                }
                let name = String::from_utf8_lossy(caller).into_owned();
                let labels = [self.shared.plan.app_id.as_str(), &name];
                let handles = Rc::new(CallerHandles {
                    arrived: self.shared.families.arrived.with(&labels),
                    answered: RefCell::default(),
                    caller: name,
                });
                callers.insert(caller.into(), Rc::clone(&handles));
                handles
            }
        };
        handles.arrived.inc();
        Some(handles)
    }

    /// Records how such a call was answered: the app's status, or 0 if there is none.
    pub(crate) fn answered(&self, caller: &Option<Rc<CallerHandles>>, status: i32) {
        let Some(handles) = caller else {
            return;
        };
        let mut answered = handles.answered.borrow_mut();
        let index = answered
            .iter()
            .position(|(s, _)| *s == status)
            .unwrap_or_else(|| {
                let labels = [
                    self.shared.plan.app_id.as_str(),
                    &handles.caller,
                    &status.to_string(),
                ];
                answered.push((status, self.shared.families.answered.with(&labels)));
                answered.len() - 1
            });
        answered[index].1.inc();
    }

    /// Handles for calls to a target.
    pub(crate) fn target(&self, target: &Target) -> Option<TargetHandles> {
        let families = &self.shared.families;
        families.enabled.then(|| {
            let own = self.shared.plan.app_id.as_str();
            let id = target.app_id.as_str();
            TargetHandles {
                sent_unary: families.sent.with(&[own, id, "unary"]),
                sent_streaming: OnceCell::new(),
                received: RefCell::default(),
                shared: Arc::clone(&self.shared),
                target: id.into(),
            }
        })
    }
}

/// What the HTTP server families are labelled with.
pub(crate) struct HttpSeries<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The decoded path.
    pub path: &'a str,
    /// The status answered.
    pub status: u16,
}

/// Paths that keep their label in every mode.
fn static_path(path: &str) -> &str {
    match path {
        "/dapr/config" | "/dapr/metrics" | "/dapr/subscribe" | "/healthz" => path,
        _ => "",
    }
}

fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("UNKNOWN")
}

/// Handles for one calling app.
pub(crate) struct CallerHandles {
    caller: String,
    arrived: Arc<Counter>,
    answered: RefCell<Vec<(i32, Arc<Counter>)>>,
}

/// Answers of one status: how many, and how long they took.
type ByStatus = (i32, Arc<Counter>, Arc<Histogram>);

/// Handles for one called app.
pub(crate) struct TargetHandles {
    target: Box<str>,
    shared: Arc<Shared>,
    sent_unary: Arc<Counter>,
    sent_streaming: OnceCell<Arc<Counter>>,
    received: RefCell<Vec<ByStatus>>,
}

impl TargetHandles {
    /// Records an attempt.
    pub(crate) fn sent(&self, streaming: bool) {
        if streaming {
            let labels = [self.shared.plan.app_id.as_str(), &self.target, "streaming"];
            let sent = &self.shared.families.sent;
            self.sent_streaming.get_or_init(|| sent.with(&labels)).inc();
        } else {
            self.sent_unary.inc();
        }
    }

    /// Records an answer.
    pub(crate) fn received(&self, status: i32, streaming: bool, took: Duration) {
        let mut received = self.received.borrow_mut();
        let known = received.iter().position(|(s, ..)| *s == status);
        let index = known.unwrap_or_else(|| {
            let families = &self.shared.families;
            let text = status.to_string();
            let own = self.shared.plan.app_id.as_str();
            let kind = if streaming { "streaming" } else { "unary" };
            received.push((
                status,
                families.received.with(&[own, &self.target, &text, kind]),
                families.received_latency.with(&[own, &self.target, &text]),
            ));
            received.len() - 1
        });
        received[index].1.inc();
        if !streaming {
            received[index].2.observe(took.as_secs_f64() * 1000.0);
        }
    }
}
