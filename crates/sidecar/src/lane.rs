//! A lane: one thread, one runtime, everything a call needs (`docs/decisions/0002-lanes.md`).
//!
//! A call is accepted, carried and answered on the lane that accepted it. Lanes share snapshots
//! behind atomically swapped pointers and atomic counters, nothing else; `Rc` keeps it that way.

use std::{
    cell::Cell,
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;

use crate::{
    app_channel::App,
    call::{Fault, Kind},
    http1::Date,
    io::Buffers,
    link::pool::Pool,
    metrics::LaneMetrics,
    outbound::Routes,
    shared::Shared,
    stores::Sessions,
};

/// What one lane owns.
pub(crate) struct Lane {
    /// What all lanes read.
    pub shared: Arc<Shared>,
    /// Read buffers.
    pub buffers: Rc<Buffers>,
    /// The `Date` field.
    pub date: Date,
    /// Connections to other sidecars.
    pub pool: Pool,
    /// Targets called before.
    pub routes: Routes,
    /// The app, if there is one.
    pub app: Option<App>,
    /// Sessions with state stores.
    pub stores: Sessions,
    /// Our app's id as other sidecars are told it.
    pub own_id: HeaderValue,
    /// What our app is shown as `dapr-api-token`.
    pub app_token: Option<HeaderValue>,
    /// Metric handles resolved before.
    pub metrics: LaneMetrics,
    random: Cell<u64>,
}

impl Lane {
    /// A lane of that sidecar.
    pub(crate) fn new(shared: Arc<Shared>) -> Rc<Self> {
        let buffers = Rc::<Buffers>::default();
        let app = shared.plan.app.as_ref();
        let app = app.map(|app| App::new(app, &buffers, &shared.limits, shared.app_slots.clone()));
        let value = |text: &str| HeaderValue::from_str(text).ok();
        let own_id = value(shared.plan.app_id.as_str());
        let mut app_token = shared.app_token.as_deref().and_then(value);
        if let Some(token) = &mut app_token {
            token.set_sensitive(true);
        }
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64);
        Rc::new(Self {
            metrics: LaneMetrics::new(&shared),
            shared,
            buffers,
            date: Date::default(),
            pool: Pool::default(),
            routes: Routes::default(),
            app,
            own_id: own_id.unwrap_or(HeaderValue::from_static("")),
            app_token,
            stores: Sessions::default(),
            random: Cell::new(seed | 1),
        })
    }

    /// A random number; good enough to spread calls and to make trace ids, not for secrets.
    pub(crate) fn random(&self) -> u64 {
        // SplitMix64, which passes BigCrush and costs three multiplications.
        let seed = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(seed);
        let mut z = seed ^ (std::ptr::from_ref(self).addr() as u64).rotate_left(32);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A fault unless there is an app to call.
    pub(crate) fn needs_app(&self) -> Result<(), Fault> {
        match self.app {
            Some(_) => Ok(()),
            None => Err(Fault::new(
                Kind::NoApp,
                "cannot invoke local endpoint: app channel not initialized",
            )),
        }
    }
}
