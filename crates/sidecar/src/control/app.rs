//! The app's side of the start: wait for it, probe it, ask it.

use std::{rc::Rc, sync::Arc};

use outrider_telemetry::log::scope;
use tokio::task::spawn_local;

use crate::{
    app_channel::{App, config, health},
    io::Buffers,
    shared::Shared,
};

/// Starts what goes on beside calls once the app listens.
pub(crate) fn attend(shared: &Arc<Shared>) {
    let Some(app) = shared.plan.app.clone() else {
        return;
    };
    if let Some(limit) = app.max_concurrency {
        tracing::info!(target: scope::RUNTIME, "app max concurrency set to {limit}");
    }
    let buffers = Rc::<Buffers>::default();
    let slots = shared.app_slots.clone();
    let channel = Rc::new(App::new(&app, &buffers, &shared.limits, slots));
    let ask = {
        let (channel, shared) = (Rc::clone(&channel), Arc::clone(shared));
        move || {
            let (channel, shared) = (Rc::clone(&channel), Arc::clone(&shared));
            spawn_local(async move { config::ask(&channel, &shared.plan).await });
        }
    };
    match app.health {
        None => ask(),
        Some(settings) => {
            let shared = Arc::clone(shared);
            spawn_local(async move {
                let mut asked = false;
                health::probe(&channel, &settings, &shared.app_state, || {
                    if !std::mem::replace(&mut asked, true) {
                        ask();
                    }
                })
                .await;
            });
        }
    }
}
