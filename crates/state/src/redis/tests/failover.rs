//! Sentinels that make a replica the master when the master has died.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::*;

/// More than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn writes_go_on_with_the_new_master_and_none_is_lost() {
    let Some(mut master) = Server::start() else {
        return;
    };
    let port = master.port().to_string();
    let args = ["--replicaof", "127.0.0.1", &port];
    let replica = Server::start_somewhere(|port| Server::try_start(port, &args)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sentinel = Server::sentinel(master.port(), folder.path(), None).unwrap();
    let wait = async {
        loop {
            let known = sentinel.say(&["SENTINEL", "REPLICAS", "m"]).await;
            let linked = replica.say(&["INFO", "replication"]).await;
            if known.contains(&replica.port().to_string())
                && linked.contains("master_link_status:up")
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    let host = sentinel.host();
    let items = [
        ("redisHost", host.as_str()),
        ("failover", "true"),
        ("sentinelMasterName", "m"),
        ("redisMinRetryInterval", "20ms"),
        ("redisMaxRetryInterval", "100ms"),
    ];
    let items = items.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let store = Redis::open(&Properties::try_new(items).unwrap()).await;
    let s = store.unwrap().session();
    let write = |number: u32| set(&format!("k{number}"), &number.to_string());
    for number in 0..50 {
        // Confirmed by the replica: what only the master has dies with it.
        let mut write = write(number);
        write.options.consistency = "strong".into();
        s.set(write).await.unwrap();
    }
    master.kill();
    let began = Instant::now();
    let mut failures = String::new();
    for number in 50..100 {
        while let Err(error) = s.set(write(number)).await {
            writeln!(failures, "{error}").unwrap();
            assert!(began.elapsed() < PATIENCE, "{failures}");
        }
    }
    for number in 0..100 {
        let item = seen(s.get(get(&format!("k{number}"))).await);
        assert_eq!(item.unwrap().0, number.to_string());
        let held = replica.say(&["HGET", &format!("k{number}"), "data"]).await;
        assert_eq!(held, number.to_string());
    }
    assert!(!failures.contains("makes no sense"), "{failures}");
}
