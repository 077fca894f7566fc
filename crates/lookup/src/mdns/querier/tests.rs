//! The querier on a clock of the test's own.

use super::*;

fn heard(app_id: &str, addr: &str) -> Heard {
    Heard {
        app_id: app_id.into(),
        process: "box:7".into(),
        addr: addr.parse().unwrap(),
        gone: false,
    }
}

const ADDR: &str = "10.0.0.1:50002";

/// A querier and its time.
struct Rig {
    querier: Querier,
    start: Instant,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            querier: Querier::default(),
            start,
            now: start,
        }
    }

    /// One that knows an instance of `app`.
    fn knowing() -> Self {
        let mut rig = Self::new();
        rig.querier.ask("app", Cause::Wanted, rig.now);
        rig.querier.due(rig.now);
        rig.hear(ADDR);
        rig
    }

    fn hear(&mut self, addr: &str) {
        self.querier.hear(heard("app", addr), self.now);
    }

    /// Goes on for that time and says when it asked, in milliseconds since the beginning.
    fn asks(&mut self, millis: u64) -> Vec<u128> {
        let end = self.now + Duration::from_millis(millis);
        let mut asks = Vec::new();
        while let Some(due) = self.querier.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            for _ in self.querier.due(self.now) {
                asks.push((self.now - self.start).as_millis());
            }
        }
        self.now = end;
        asks
    }

    fn addrs(&mut self) -> Option<Vec<String>> {
        let mut listings = self.querier.take_changes()?;
        listings.sort_by(|a, b| a.addr.cmp(&b.addr));
        Some(listings.iter().map(|it| it.addr.to_string()).collect())
    }
}

#[test]
fn an_id_that_is_waited_for_is_asked_for_within_the_second() {
    let mut rig = Rig::new();
    rig.querier.ask("app", Cause::Wanted, rig.now);
    assert_eq!(rig.asks(300_000), [0, 100, 400, 800]);
    assert_eq!(rig.querier.next_due(), None, "and then no more");
}

#[test]
fn a_second_wait_asks_again() {
    let mut rig = Rig::new();
    rig.querier.ask("app", Cause::Wanted, rig.now);
    assert_eq!(rig.asks(50), [0]);
    rig.querier.ask("app", Cause::Wanted, rig.now);
    assert_eq!(rig.asks(200), [100], "the search that just began goes on");
    rig.querier.ask("app", Cause::Wanted, rig.now);
    assert_eq!(rig.asks(1_000), [250, 350, 650, 1_050]);
}

#[test]
fn an_answer_ends_the_search_and_is_listed() {
    let mut rig = Rig::knowing();
    assert_eq!(rig.addrs(), Some(vec![ADDR.to_owned()]));
    assert_eq!(rig.asks(999), []);
    assert_eq!(rig.addrs(), None);
}

#[test]
fn the_answers_of_others_get_a_second_chance() {
    let mut rig = Rig::knowing();
    assert_eq!(rig.asks(1_000), [1_000]);
    rig.hear("10.0.0.2:50002");
    let both = [ADDR, "10.0.0.2:50002"].map(str::to_owned);
    assert_eq!(rig.addrs(), Some(both.to_vec()));
}

#[test]
fn instances_are_asked_for_again_every_half_minute() {
    let mut rig = Rig::knowing();
    assert_eq!(rig.asks(1_500)[..], [1_000]);
    rig.hear(ADDR);
    assert_eq!(rig.asks(29_500), [31_000]);
    rig.hear(ADDR);
    assert_eq!(rig.asks(30_000), [61_000]);
}

#[test]
fn who_does_not_answer_is_asked_a_few_times_and_dropped_after_a_minute() {
    let mut rig = Rig::knowing();
    rig.addrs();
    let asks = rig.asks(59_000);
    assert_eq!(
        asks,
        [1_000, 2_000, 5_000, 13_000, 31_000, 32_000, 35_000, 43_000]
    );
    assert_eq!(rig.addrs(), None);
    assert_eq!(rig.asks(1_000), []);
    assert_eq!(rig.addrs(), Some(vec![]));
    assert_eq!(rig.querier.next_due(), None);
}

#[test]
fn a_goodbye_removes_the_instance_it_names_at_once() {
    let mut rig = Rig::knowing();
    rig.hear("10.0.0.2:50002");
    rig.addrs();
    let gone = |addr: &str, process: &str| Heard {
        gone: true,
        process: process.into(),
        ..heard("app", addr)
    };
    rig.querier.hear(gone(ADDR, "box:8"), rig.now);
    rig.querier.hear(gone("10.0.0.3:50002", "box:7"), rig.now);
    assert_eq!(rig.addrs(), None, "neither is known");
    rig.querier.hear(gone(ADDR, "box:7"), rig.now);
    assert_eq!(rig.addrs(), Some(vec!["10.0.0.2:50002".to_owned()]));
}

#[test]
fn a_goodbye_of_another_process_makes_the_instance_doubtful() {
    let mut rig = Rig::knowing();
    rig.asks(10_000);
    rig.addrs();
    let stranger = Heard {
        gone: true,
        process: "evil:1".into(),
        ..heard("app", ADDR)
    };
    rig.querier.hear(stranger.clone(), rig.now);
    assert_eq!(rig.asks(50), [10_000]);
    rig.hear(ADDR);
    assert_eq!(rig.asks(5_000), []);
    assert_eq!(rig.addrs(), None, "it answered");
    rig.querier.hear(stranger, rig.now);
    rig.asks(1_500);
    assert_eq!(rig.addrs(), Some(vec![]), "it did not");
}

#[test]
fn announcements_count_for_ids_that_were_asked_for_once() {
    let mut rig = Rig::new();
    rig.hear(ADDR);
    assert_eq!(rig.addrs(), None, "nobody asked");
    rig.querier.ask("app", Cause::Wanted, rig.now);
    rig.asks(3_600_000);
    rig.hear(ADDR);
    assert_eq!(rig.addrs(), Some(vec![ADDR.to_owned()]));
}

#[test]
fn an_instance_that_fails_and_does_not_answer_is_dropped_in_seconds() {
    let mut rig = Rig::knowing();
    rig.hear("10.0.0.2:50002");
    rig.asks(10_000);
    rig.addrs();
    let failing = [ADDR.parse().unwrap()];
    rig.querier.ask("app", Cause::Failing(&failing), rig.now);
    assert_eq!(rig.asks(500), [10_000, 10_100, 10_400]);
    rig.querier.ask("app", Cause::Failing(&failing), rig.now);
    assert_eq!(rig.asks(999), [10_800]);
    assert_eq!(rig.addrs(), None);
    rig.asks(1);
    assert_eq!(rig.addrs(), Some(vec!["10.0.0.2:50002".to_owned()]));
}

#[test]
fn an_instance_that_fails_and_answers_stays() {
    let mut rig = Rig::knowing();
    rig.asks(10_000);
    rig.addrs();
    let failing = [ADDR.parse().unwrap()];
    rig.querier.ask("app", Cause::Failing(&failing), rig.now);
    assert_eq!(rig.asks(50), [10_000]);
    rig.hear(ADDR);
    assert_eq!(rig.asks(5_000), []);
    assert_eq!(rig.addrs(), None);
}

#[test]
fn another_process_at_an_address_is_told() {
    let mut rig = Rig::knowing();
    rig.addrs();
    let process = "box:8".into();
    rig.querier.hear(
        Heard {
            process,
            ..heard("app", ADDR)
        },
        rig.now,
    );
    let listings = rig.querier.take_changes().unwrap();
    assert_eq!(listings[0].process.as_deref(), Some("box:8"));
    assert_eq!(listings[0].namespace, None);
}

#[test]
fn a_new_network_asks_again_for_what_is_used() {
    let mut rig = Rig::knowing();
    rig.asks(59_000);
    rig.hear(ADDR);
    rig.querier.ask("old", Cause::Wanted, rig.start);
    rig.asks(10_000);
    rig.querier.refresh(rig.now);
    let asked = rig.querier.due(rig.now);
    assert_eq!(asked, ["app".into()]);
}

#[test]
fn made_up_ids_and_instances_have_a_limit() {
    let mut rig = Rig::knowing();
    for n in 0..3 * MOST_APPS {
        rig.querier.ask(&format!("x{n}"), Cause::Wanted, rig.now);
    }
    assert_eq!(rig.querier.apps.len(), MOST_APPS);
    assert!(rig.querier.apps.contains_key("app"), "it has instances");
    for n in 1..=3 * MOST_PER_APP {
        rig.hear(&format!("10.0.{}.{}:1", n / 250, n % 250));
    }
    assert_eq!(rig.addrs().unwrap().len(), MOST_PER_APP);
    let ids: Vec<_> = rig.querier.apps.keys().cloned().collect();
    for app_id in ids {
        for n in 0..32 {
            let addr = format!("10.1.0.{n}:1");
            rig.querier.hear(heard(&app_id, &addr), rig.now);
        }
    }
    assert_eq!(rig.addrs().unwrap().len(), MOST_INSTANCES);
}

#[test]
fn who_comes_late_replaces_a_doubted_instance_or_else_the_oldest() {
    let mut rig = Rig::knowing();
    let fake = |n: usize| format!("10.9.0.{n}:1");
    for n in 1..MOST_PER_APP {
        rig.now += millis(1);
        rig.hear(&fake(n));
    }
    rig.asks(1_000);
    let doubted = [fake(9).parse().unwrap()];
    rig.querier.ask("app", Cause::Failing(&doubted), rig.now);
    rig.asks(1_200);
    rig.hear("10.0.0.2:50002");
    let addrs = rig.addrs().unwrap();
    assert_eq!(addrs.len(), MOST_PER_APP);
    assert!(!addrs.contains(&fake(9)) && addrs.contains(&ADDR.to_owned()));
    rig.hear("10.0.0.3:50002");
    let addrs = rig.addrs().unwrap();
    assert_eq!(addrs.len(), MOST_PER_APP);
    assert!(!addrs.contains(&ADDR.to_owned()), "the oldest");
    assert!(!rig.asks(10).is_empty(), "and asks whether it is there");
    rig.hear(ADDR);
    assert!(rig.addrs().unwrap().contains(&ADDR.to_owned()));
}

#[test]
fn a_full_table_takes_from_the_app_that_has_the_most() {
    let mut rig = Rig::new();
    let count = MOST_INSTANCES / MOST_PER_APP;
    for app in 0..=count {
        let app_id = format!("app{app}");
        rig.querier.ask(&app_id, Cause::Wanted, rig.now);
        for n in 0..MOST_PER_APP {
            let addr = format!("10.0.{app}.{n}:1");
            rig.querier.hear(heard(&app_id, &addr), rig.now);
        }
    }
    assert_eq!(rig.addrs().unwrap().len(), MOST_INSTANCES);
    let last = rig.querier.apps[&*format!("app{count}")].seen.len();
    assert!(last >= MOST_PER_APP - count - 1, "{last}");
}

#[test]
fn questions_have_a_limit_and_known_apps_go_first() {
    let mut rig = Rig::new();
    rig.querier.ask("app", Cause::Wanted, rig.now);
    rig.querier.due(rig.now);
    rig.hear(ADDR);
    rig.asks(10_000);
    let mut second = Vec::new();
    for n in 0..MOST_APPS {
        rig.querier.ask(&format!("x{n}"), Cause::Wanted, rig.now);
    }
    let failing = [ADDR.parse().unwrap()];
    rig.querier.ask("app", Cause::Failing(&failing), rig.now);
    let end = rig.now + millis(1_000);
    let mut wakes = 0;
    while let Some(due) = rig.querier.next_due().filter(|due| *due < end) {
        rig.now = rig.now.max(due);
        second.extend(rig.querier.due(rig.now));
        wakes += 1;
    }
    assert_eq!(&*second[0], "app");
    let most = BURST + 100;
    assert!(
        (most - 2..=most).contains(&second.len()),
        "{}",
        second.len()
    );
    assert!(wakes <= 110, "{wakes}");
    let mut distinct = second.clone();
    distinct.sort();
    distinct.dedup();
    let repeats = second.len() - distinct.len();
    assert!(repeats <= 3, "new ids before repeats: {repeats}");
    rig.asks(60_000);
    assert_eq!(
        rig.querier
            .apps
            .values()
            .filter(|it| it.search.is_some())
            .count(),
        0
    );
}

#[test]
fn it_never_asks_in_a_circle() {
    let mut rig = Rig::knowing();
    for _ in 0..100 {
        let asks = rig.asks(60_000);
        assert!(asks.len() <= 16, "{asks:?}");
        rig.hear(ADDR);
        rig.querier.ask("app", Cause::Failing(&[]), rig.now);
    }
}
