//! The app's side of the start: wait for it, probe it, ask it.

use std::{rc::Rc, sync::Arc};

use outrider_telemetry::log::scope;
use tokio::task::spawn_local;

use crate::{
    app_channel::{Channel, config, health},
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
    let head_limit = shared.limits.app_head;
    // Probes take no slot of the app; its configuration does.
    let probing = Rc::new(Channel::new(
        app.addr.clone(),
        Rc::clone(&buffers),
        head_limit,
        None,
    ));
    let asking = Rc::new(Channel::new(app.addr.clone(), buffers, head_limit, slots));
    let ask = {
        let shared = Arc::clone(shared);
        move || {
            let (asking, shared) = (Rc::clone(&asking), Arc::clone(&shared));
            spawn_local(async move { config::ask(&asking, &shared.plan).await });
        }
    };
    match app.health {
        None => ask(),
        Some(settings) => {
            let shared = Arc::clone(shared);
            spawn_local(async move {
                let mut asked = false;
                health::probe(&probing, &settings, &shared.app_state, || {
                    if !std::mem::replace(&mut asked, true) {
                        ask();
                    }
                })
                .await;
            });
        }
    }
}
