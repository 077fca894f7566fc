//! The table as sources and calls see it, on a paused clock.

use std::pin::pin;

use super::*;
use crate::instance::Instance;

const SECOND: Duration = Duration::from_secs(1);

fn on(addr: &str) -> Listing {
    Listing::new(Some("default"), "app", addr)
}

fn of_process(namespace: Option<&str>, addr: &str, process: &str) -> Listing {
    Listing {
        process: Some(process.into()),
        ..Listing::new(namespace, "app", addr)
    }
}

fn addrs(table: &Table, namespace: &str) -> Vec<String> {
    let found = table.peek(namespace, "app");
    let all = found.iter().flat_map(|set| set.all());
    all.map(|it| it.addr().to_owned()).collect()
}

fn only(table: &Table) -> Arc<Instance> {
    let found = table.peek("default", "app").unwrap();
    assert_eq!(found.all().len(), 1);
    Arc::clone(&found.all()[0])
}

#[test]
fn the_table_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Table>();
    shared::<SourceHandle>();
    shared::<Asked>();
}

#[tokio::test(start_paused = true)]
async fn a_source_adds_replaces_and_removes() {
    let table = Table::new();
    let source = table.source("static");
    source.upsert(on("127.0.0.1:1"));
    source.upsert(on("127.0.0.1:2"));
    assert_eq!(addrs(&table, "default"), ["127.0.0.1:1", "127.0.0.1:2"]);
    assert_eq!(addrs(&table, "other"), ["127.0.0.1:1", "127.0.0.1:2"]);
    source.remove(Some("default"), "app", "127.0.0.1:1");
    assert_eq!(addrs(&table, "default"), ["127.0.0.1:2"]);
    source.replace_all([on("[::1]:3")]);
    assert_eq!(addrs(&table, "default"), ["[::1]:3"]);
    source.replace_all([]);
    assert!(table.peek("default", "app").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_generation_moves_only_with_a_change() {
    let table = Table::new();
    let source = table.source("static");
    assert_eq!(table.generation(), 0);
    source.upsert(on("127.0.0.1:1"));
    let set = table.peek("default", "app").unwrap();
    assert_eq!((table.generation(), set.generation()), (1, 1));
    source.upsert(on("127.0.0.1:1"));
    source.remove(Some("default"), "app", "127.0.0.1:9");
    assert_eq!(table.generation(), 1);
    source.upsert(Listing::new(Some("default"), "another", "127.0.0.1:2"));
    assert_eq!(table.generation(), 2);
    assert_eq!(table.snapshot().generation(), 2);
    let same = table.peek("default", "app").unwrap();
    assert!(Arc::ptr_eq(&set, &same), "an untouched set is shared");
    source.replace_all([]);
    assert_eq!(table.generation(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_instance_survives_updates_unless_its_process_changes() {
    let table = Table::new();
    let source = table.source(SAME_HOST);
    source.upsert(of_process(Some("default"), "127.0.0.1:1", "host:7"));
    let first = only(&table);
    first.eject(Instant::now());
    source.replace_all([
        of_process(Some("default"), "127.0.0.1:1", "host:7"),
        on("127.0.0.1:2"),
    ]);
    let set = table.peek("default", "app").unwrap();
    assert!(set.all().iter().any(|it| Arc::ptr_eq(it, &first)));
    source.replace_all([of_process(Some("default"), "127.0.0.1:1", "host:8")]);
    assert!(!only(&table).is_ejected(), "a new process starts afresh");
}

#[tokio::test(start_paused = true)]
async fn sources_that_name_the_same_address_make_one_instance() {
    let table = Table::new();
    let late = table.source("static");
    let registry = table.source(SAME_HOST);
    late.upsert(on("127.0.0.1:1"));
    let first = only(&table);
    assert_eq!(first.source(), "static");
    registry.upsert(on("127.0.0.1:1"));
    assert_eq!(only(&table).source(), SAME_HOST);
    registry.replace_all([]);
    assert!(Arc::ptr_eq(&first, &only(&table)));
    assert_eq!(first.source(), "static");
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_seen_in_two_ways_keeps_the_address_of_the_higher_source() {
    let table = Table::new();
    let mdns = table.source("mdns");
    let registry = table.source(SAME_HOST);
    mdns.upsert(of_process(None, "192.168.1.5:50002", "host:7"));
    mdns.upsert(of_process(None, "192.168.1.6:50002", "elsewhere:7"));
    registry.upsert(of_process(Some("default"), "127.0.0.1:50002", "host:7"));
    assert_eq!(
        addrs(&table, "default"),
        ["127.0.0.1:50002", "192.168.1.6:50002"]
    );
    registry.replace_all([]);
    assert_eq!(
        addrs(&table, "default"),
        ["192.168.1.5:50002", "192.168.1.6:50002"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_namespace_counts_in_every_namespace() {
    let table = Table::new();
    let mdns = table.source("mdns");
    mdns.upsert(Listing::new(None, "app", "10.0.0.1:1"));
    table.source("static").upsert(on("10.0.0.2:1"));
    assert_eq!(addrs(&table, "default"), ["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!(addrs(&table, "other"), ["10.0.0.1:1"]);
    mdns.replace_all([]);
    assert_eq!(addrs(&table, "default"), ["10.0.0.2:1"]);
}

#[tokio::test(start_paused = true)]
async fn another_namespace_answers_only_where_the_own_one_has_nobody() {
    let table = Table::new();
    let source = table.source("static");
    source.upsert(Listing::new(Some("prod"), "app", "10.0.0.1:1"));
    assert_eq!(addrs(&table, "default"), ["10.0.0.1:1"]);
    source.upsert(on("10.0.0.2:1"));
    assert_eq!(addrs(&table, "default"), ["10.0.0.2:1"]);
    assert_eq!(addrs(&table, "prod"), ["10.0.0.1:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_known_id_is_answered_without_waiting() {
    let table = Table::new();
    table.source("static").upsert(on("127.0.0.1:1"));
    let found = table.wait_for("default", "app", Duration::ZERO).await;
    assert_eq!(found.unwrap().all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_is_waited_for_and_woken_by_the_update() {
    let table = Table::new();
    let source = table.source("static");
    let started = Instant::now();
    let feed = async {
        tokio::time::sleep(SECOND / 4).await;
        source.upsert(Listing::new(Some("default"), "another", "127.0.0.1:2"));
        tokio::time::sleep(SECOND / 4).await;
        source.upsert(on("127.0.0.1:1"));
    };
    let (found, ()) = tokio::join!(table.wait_for("default", "app", SECOND), feed);
    assert_eq!(found.unwrap().all()[0].addr(), "127.0.0.1:1");
    assert_eq!(started.elapsed(), SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_ends_at_its_limit_and_is_remembered_for_a_second() {
    let table = Table::new();
    let started = Instant::now();
    let error = table.wait_for("default", "app", SECOND).await.unwrap_err();
    assert_eq!(error.to_string(), "couldn't find service: app");
    assert_eq!(started.elapsed(), SECOND);

    assert!(table.wait_for("default", "app", SECOND).await.is_err());
    assert_eq!(started.elapsed(), SECOND, "fails at once");

    tokio::time::advance(SECOND).await;
    assert!(table.wait_for("default", "app", SECOND).await.is_err());
    assert_eq!(started.elapsed(), SECOND * 3, "waits again");

    table.source("static").upsert(on("127.0.0.1:1"));
    assert!(table.wait_for("default", "app", SECOND).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_in_vain_does_not_fail_a_longer_one() {
    let table = Table::new();
    let source = table.source("static");
    let short = table.wait_for("default", "app", SECOND / 100).await;
    assert!(short.is_err());
    let feed = async {
        tokio::time::sleep(SECOND / 10).await;
        source.upsert(on("127.0.0.1:1"));
    };
    let (found, ()) = tokio::join!(table.wait_for("default", "app", SECOND), feed);
    assert!(found.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_wait_with_the_words_of_the_source() {
    let table = Table::new();
    let mut asked = table.asked();
    let why = NotFound {
        text: "no host found with the given ID".into(),
        cause: Cause::Unknown,
    };
    let started = Instant::now();
    let refuse = async {
        let query = asked.next().await.unwrap();
        tokio::time::sleep(SECOND / 10).await;
        table.refuse(&query, why.clone(), SECOND / 5);
    };
    let (one, two, ()) = tokio::join!(
        table.wait_for("default", "app", SECOND),
        table.wait_for("default", "app", SECOND),
        refuse
    );
    assert_eq!(
        (one.unwrap_err(), two.unwrap_err()),
        (why.clone(), why.clone())
    );
    assert_eq!(started.elapsed(), SECOND / 10);
    let again = table.wait_for("default", "app", SECOND * 9).await;
    assert_eq!(again.unwrap_err(), why);
    assert_eq!(started.elapsed(), SECOND / 10, "fails at once");

    tokio::time::advance(SECOND / 5).await;
    let source = table.source("static");
    let feed = async {
        assert_eq!(asked.next().await.unwrap().app_id(), "app");
        source.upsert(on("127.0.0.1:1"));
    };
    let (found, ()) = tokio::join!(table.wait_for("default", "app", SECOND), feed);
    assert!(found.is_ok(), "an old refusal does not count");
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_are_kept_apart_do_not_stand_in_for_each_other() {
    let table = Table::new();
    table.keep_namespaces_apart();
    let source = table.source("dns");
    source.upsert(Listing::new(Some("prod"), "app", "10.0.0.1:1"));
    assert!(table.peek("default", "app").is_none());
    assert_eq!(addrs(&table, "prod"), ["10.0.0.1:1"]);
    source.upsert(Listing::new(None, "app", "10.0.0.2:1"));
    assert_eq!(addrs(&table, "default"), ["10.0.0.2:1"]);
}

#[tokio::test]
async fn an_update_from_another_thread_wakes_the_wait() {
    let table = Table::new();
    let mut asked = table.asked();
    let source = table.source("static");
    let feeder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let query = runtime.unwrap().block_on(asked.next()).unwrap();
        source.upsert(on("127.0.0.1:1"));
        query
    });
    let found = table.wait_for("default", "app", SECOND * 30).await;
    assert!(found.is_ok());
    assert_eq!(feeder.join().unwrap(), Query::new("default", "app"));
}

#[tokio::test(start_paused = true)]
async fn an_id_is_told_once_however_many_calls_wait() {
    let table = Table::new();
    let mut asked = table.asked();
    let waits = || table.wait_for("default", "app", SECOND);
    let _ = tokio::join!(waits(), waits(), waits());
    table.ask("other", "another");
    assert_eq!(asked.next().await.unwrap().app_id(), "app");
    assert_eq!(asked.next().await.unwrap().namespace(), "other");
    drop(table);
    assert_eq!(asked.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_late_subscriber_learns_what_is_waited_for_but_not_what_was_given_up() {
    let table = Table::new();
    {
        let mut given_up = pin!(table.wait_for("default", "given-up", SECOND));
        let brief = tokio::time::timeout(SECOND / 10, &mut given_up).await;
        assert!(brief.is_err());
    }
    let mut waiting = pin!(table.wait_for("default", "app", SECOND));
    assert!(
        tokio::time::timeout(SECOND / 10, &mut waiting)
            .await
            .is_err()
    );
    let mut asked = table.asked();
    assert_eq!(asked.next().await.unwrap().app_id(), "app");
    table.ask("default", "end");
    assert_eq!(asked.next().await.unwrap().app_id(), "end");
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_loses_nothing_that_is_still_waited_for() {
    let table = Table::new();
    let mut asked = table.asked();
    let mut waiting = pin!(table.wait_for("default", "app", SECOND * 100));
    assert!(tokio::time::timeout(SECOND, &mut waiting).await.is_err());
    for n in 0..1_000 {
        table.ask("default", &format!("made-up-{n}"));
    }
    assert_eq!(asked.next().await.unwrap().app_id(), "app");
}

/// A table with two instances of `app`, and the first of them.
fn two_instances() -> (Table, SourceHandle, Arc<Instance>) {
    let table = Table::new();
    let source = table.source("static");
    source.replace_all([on("127.0.0.1:1"), on("127.0.0.1:2")]);
    let set = table.peek("default", "app").unwrap();
    (table, source, Arc::clone(&set.all()[0]))
}

fn choose(table: &Table) {
    let set = table.peek("default", "app").unwrap();
    assert!(set.choose(&mut || 0, &[], Instant::now()).is_some());
}

async fn is_never_probed(table: &Table) -> bool {
    let probe = tokio::time::timeout(SECOND * 600, table.next_probe());
    probe.await.is_err()
}

#[tokio::test(start_paused = true)]
async fn the_prober_gets_an_ejected_instance_when_its_pause_is_over() {
    let (table, _source, instance) = two_instances();
    let started = Instant::now();
    let eject = async {
        tokio::time::sleep(SECOND).await;
        instance.eject(Instant::now());
    };
    let (probed, ()) = tokio::join!(table.next_probe(), eject);
    assert!(Arc::ptr_eq(&probed, &instance));
    assert_eq!(started.elapsed(), Duration::from_millis(1_100));
    probed.report_success();
    assert!(is_never_probed(&table).await, "nothing is left to probe");
}

#[tokio::test(start_paused = true)]
async fn the_only_instance_of_an_app_is_asked_about_and_left_to_calls() {
    let (table, source, instance) = two_instances();
    let mut asked = table.asked();
    source.replace_all([on("127.0.0.1:1")]);
    instance.eject(Instant::now());
    assert!(is_never_probed(&table).await);
    assert_eq!(asked.next().await.unwrap().app_id(), "app");
    let again = tokio::time::timeout(SECOND, asked.next()).await;
    assert!(again.is_err(), "asked about once");

    source.upsert(on("127.0.0.1:2"));
    let probed = table.next_probe().await;
    assert!(
        Arc::ptr_eq(&probed, &instance),
        "it is one of two once more"
    );
}

#[tokio::test(start_paused = true)]
async fn what_no_call_asks_for_is_probed_no_more_until_one_does() {
    let (table, _source, instance) = two_instances();
    instance.eject(Instant::now());
    let started = Instant::now();
    while let Ok(probed) = tokio::time::timeout(SECOND * 30, table.next_probe()).await {
        probed.eject(Instant::now());
    }
    let probed_for = started.elapsed() - SECOND * 30;
    assert!((55..=60).contains(&probed_for.as_secs()), "{probed_for:?}");
    let call = async {
        tokio::time::sleep(SECOND * 100).await;
        choose(&table);
    };
    let (probed, ()) = tokio::join!(table.next_probe(), call);
    assert!(Arc::ptr_eq(&probed, &instance));
}

#[tokio::test(start_paused = true)]
async fn calls_in_any_namespace_keep_the_probes_going() {
    let table = Table::new();
    let mdns = table.source("mdns");
    mdns.upsert(Listing::new(None, "app", "10.0.0.1:1"));
    mdns.upsert(Listing::new(None, "app", "10.0.0.2:1"));
    let elsewhere = Listing::new(Some("prod"), "app", "10.0.0.3:1");
    table.source("static").upsert(elsewhere);
    tokio::time::sleep(SECOND * 100).await;
    choose(&table);
    let set = table.peek("default", "app").unwrap();
    assert_eq!(set.all().len(), 2);
    set.all()[1].eject(Instant::now());
    let probed = tokio::time::timeout(SECOND, table.next_probe()).await;
    assert!(probed.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_left_the_table_is_not_probed() {
    let (table, source, instance) = two_instances();
    instance.eject(Instant::now());
    source.replace_all([on("127.0.0.1:2"), on("127.0.0.1:3")]);
    assert!(is_never_probed(&table).await);
    assert!(table.inner.ejected.current().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_dispensable_while_another_one_lives() {
    let (table, source, instance) = two_instances();
    assert!(instance.is_dispensable());
    let set = table.peek("default", "app").unwrap();
    set.all()[1].eject(Instant::now());
    assert!(!instance.is_dispensable());
    source.replace_all([on("127.0.0.1:1")]);
    assert!(!instance.is_dispensable());
}
