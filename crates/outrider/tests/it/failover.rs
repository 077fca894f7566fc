//! Three instances of an app, and what happens to calls when one of them goes away: its sidecar
//! killed, its app gone while the sidecar lives, all of them restarted in turn. No call that may be
//! repeated fails, and none is carried out twice that must not be.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use outrider_testkit::{RawApp, Script, Sidecar, Signal, unique_id};
use tokio::task::JoinSet;

use crate::support::{invoke, sidecar};

/// Connections that call at the same time.
const CALLERS: usize = 8;

/// How often each call id reached an app.
type Seen = Arc<Mutex<HashMap<String, usize>>>;

/// One instance: an app that notes what it is called for, and its sidecar.
struct Instance {
    app: RawApp,
    sidecar: Sidecar,
}

impl Instance {
    async fn start(id: &str, seen: &Seen) -> Self {
        let seen = Arc::clone(seen);
        let app = RawApp::start(move |req| {
            let call = req.target().trim_start_matches('/').to_owned();
            *seen.lock().unwrap().entry(call).or_default() += 1;
            Script::answer("200 OK", &[], "done")
        });
        let app = app.await.unwrap();
        let sidecar = sidecar().app_id(id).app_port(app.port());
        let sidecar = sidecar.start().await.unwrap();
        Self { app, sidecar }
    }

    async fn three(id: &str, seen: &Seen) -> Vec<Self> {
        let mut three = Vec::new();
        for _ in 0..3 {
            three.push(Self::start(id, seen).await);
        }
        three
    }
}

/// Calls under way: numbers, outcomes, and the wish to stop.
struct Load {
    made: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<(String, u16, String)>>,
}

impl Load {
    /// Calls `id` through `caller`, at most `calls` times, until told to stop.
    async fn start(caller: &Sidecar, id: &str, verb: &'static str, calls: usize) -> Self {
        let made = Arc::<AtomicUsize>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let mut client = caller.connect().await.unwrap();
            let (made, stop, id) = (Arc::clone(&made), Arc::clone(&stop), id.to_owned());
            tasks.spawn(async move {
                let mut outcomes = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = made.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        break;
                    }
                    let call = format!("call-{number}");
                    let target = invoke(&id, &call);
                    let rsp = client.call(verb, &target, &[], b"").await.unwrap();
                    outcomes.push((call, rsp.status(), rsp.text()));
                }
                outcomes
            });
        }
        Self { made, stop, tasks }
    }

    /// Waits until that many calls have begun.
    async fn reached(&self, calls: usize) {
        while self.made.load(Ordering::Relaxed) < calls {
            tokio::task::yield_now().await;
        }
    }

    /// What all calls came to, in no order.
    async fn outcomes(mut self) -> Vec<(String, u16, String)> {
        let mut all = Vec::new();
        while let Some(outcomes) = self.tasks.join_next().await {
            all.extend(outcomes.unwrap());
        }
        all
    }

    async fn stopped(self) -> Vec<(String, u16, String)> {
        self.stop.store(true, Ordering::Relaxed);
        self.outcomes().await
    }
}

fn failures(outcomes: &[(String, u16, String)]) -> Vec<&(String, u16, String)> {
    outcomes
        .iter()
        .filter(|(_, status, _)| *status != 200)
        .collect()
}

async fn caller() -> Sidecar {
    sidecar().app_id(unique_id("caller")).start().await.unwrap()
}

#[tokio::test]
async fn no_get_fails_when_a_sidecar_is_killed() {
    let (id, seen) = (unique_id("killed"), Seen::default());
    let three = Instance::three(&id, &seen).await;
    let caller = caller().await;
    let load = Load::start(&caller, &id, "GET", 1_000).await;
    load.reached(300).await;
    three[0].sidecar.signal(Signal::Kill).unwrap();
    let outcomes = load.outcomes().await;
    assert_eq!(outcomes.len(), 1_000);
    assert_eq!(failures(&outcomes), Vec::<&(String, u16, String)>::new());
}

#[tokio::test]
async fn no_get_fails_when_an_app_dies_beside_its_living_sidecar() {
    let (id, seen) = (unique_id("orphan"), Seen::default());
    let mut three = Instance::three(&id, &seen).await;
    let caller = caller().await;
    let load = Load::start(&caller, &id, "GET", 3_000).await;
    load.reached(500).await;
    three.remove(0).app.stop().await;
    let outcomes = load.outcomes().await;
    assert_eq!(outcomes.len(), 3_000);
    assert_eq!(failures(&outcomes), Vec::<&(String, u16, String)>::new());
}

#[tokio::test]
async fn an_app_that_comes_back_is_called_again() {
    let (id, seen) = (unique_id("back"), Seen::default());
    let three = Instance::three(&id, &seen).await;
    let caller = caller().await;
    let mut three = three.into_iter();
    let Instance { app, sidecar: left } = three.next().unwrap();
    let port = app.port();
    app.stop().await;
    let load = Load::start(&caller, &id, "GET", 200).await;
    assert_eq!(failures(&load.outcomes().await).len(), 0);

    let back = RawApp::builder().port(port);
    let back = back
        .start(|_| Script::answer("200 OK", &[], "again"))
        .await
        .unwrap();
    let load = Load::start(&caller, &id, "GET", usize::MAX).await;
    back.wait_requests(20).await.unwrap();
    assert_eq!(failures(&load.stopped().await).len(), 0);
    drop(left);
}

#[tokio::test]
async fn nothing_fails_while_all_instances_are_restarted_in_turn() {
    let (id, seen) = (unique_id("rolling"), Seen::default());
    let mut three = Instance::three(&id, &seen).await;
    let caller = caller().await;
    let load = Load::start(&caller, &id, "POST", usize::MAX).await;
    load.reached(200).await;
    for round in 1..=3 {
        let mut old = three.remove(0);
        old.sidecar.signal(Signal::Term).unwrap();
        assert_eq!(old.sidecar.wait_exit().await.unwrap(), 0);
        old.app.stop().await;
        three.push(Instance::start(&id, &seen).await);
        load.reached(200 + round * 200).await;
    }
    let outcomes = load.stopped().await;
    assert_eq!(failures(&outcomes), Vec::<&(String, u16, String)>::new());
    let seen = seen.lock().unwrap();
    assert!(seen.values().all(|times| *times == 1), "each once");
}

#[tokio::test]
async fn no_post_is_carried_out_twice_when_peers_are_killed_mid_call() {
    let (id, seen) = (unique_id("once"), Seen::default());
    let mut three = Instance::three(&id, &seen).await;
    let caller = caller().await;
    let load = Load::start(&caller, &id, "POST", usize::MAX).await;
    for round in 1..=6 {
        load.reached(round * 200).await;
        let old = three.remove(0);
        old.sidecar.signal(Signal::Kill).unwrap();
        three.push(Instance::start(&id, &seen).await);
    }
    let outcomes = load.stopped().await;
    let seen = seen.lock().unwrap();
    for (call, status, text) in &outcomes {
        let times = seen.get(call).copied().unwrap_or(0);
        match status {
            200 => assert_eq!(times, 1, "{call}"),
            _ => assert!(times <= 1, "{call} was carried out {times} times: {text}"),
        }
    }
}
