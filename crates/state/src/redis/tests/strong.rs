//! Writes that are to be safe on replicas.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::*;

/// A server and its replica, which is there.
pub(super) async fn pair_of_servers() -> Option<(Server, Server)> {
    let master = Server::start()?;
    let port = master.port().to_string();
    let args = ["--replicaof", "127.0.0.1", &port];
    let replica = Server::start_somewhere(|port| Server::try_start(port, &args))?;
    // The replica's answer proves that it is there.
    while master.say(&["WAIT", "1", "5000"]).await != "1" {
        master.run(&["SET", "x", "y"]).await;
    }
    master.run(&["DEL", "x"]).await;
    Some((master, replica))
}

pub(super) fn strong(mut set: Set) -> Set {
    set.options.consistency = "strong".into();
    set
}

#[tokio::test]
async fn strong_writes_wait_for_replicas() {
    let Some((master, replica)) = pair_of_servers().await else {
        return;
    };
    let s = open(&master, &[]).await.unwrap().session();
    for number in 1..=20 {
        let write = strong(set("k", &number.to_string()));
        match number % 2 {
            0 => s.set(write).await.unwrap(),
            _ => assert_eq!(s.set_many(vec![write]).await, [Ok(())]),
        }
        let there = replica.say(&["HGET", "k", "data"]).await;
        assert_eq!(there, number.to_string());
    }
    let stats = master.say(&["INFO", "commandstats"]).await;
    assert!(stats.contains("cmdstat_wait:calls="), "{stats}");
}

#[tokio::test]
async fn a_replica_that_lags_holds_up_one_write_no_longer_than_many() {
    let Some((master, replica)) = pair_of_servers().await else {
        return;
    };
    let more = [("readTimeout", "900ms")];
    let s = open(&master, &more).await.unwrap().session();
    replica.signal("STOP");
    master.run(&["SCRIPT", "FLUSH"]).await;
    let began = Instant::now();
    let local = tokio::task::LocalSet::new();
    let writes = local.run_until(async {
        let mut writes = JoinSet::new();
        // More than there are connections for: those wait for a second round.
        for number in 0..40 {
            let s = Rc::clone(&s);
            let write = strong(set(&format!("k{number}"), "1"));
            writes.spawn_local(async move { s.set(write).await });
        }
        let mut plain = Instant::now();
        s.set(set("plain", "1")).await.unwrap();
        let quick = plain.elapsed() < Duration::from_millis(900);
        assert!(quick, "who waits for nobody is not held up");
        while let Some(written) = writes.join_next().await {
            written.unwrap().unwrap();
            plain = Instant::now();
        }
        plain
    });
    let last = writes.await.duration_since(began);
    assert!(last >= Duration::from_millis(1900), "{last:?}");
    assert!(last < Duration::from_secs(6), "{last:?}");
    assert_eq!(master.say(&["DBSIZE"]).await, "41");
    let clients = master.say(&["CLIENT", "LIST", "TYPE", "normal"]).await;
    // Besides them that of the plain writes and the one that asks.
    assert!(clients.lines().count() <= 34, "{clients}");
    replica.signal("CONT");
    s.set(strong(set("k0", "2"))).await.unwrap();
    assert_eq!(replica.say(&["HGET", "k0", "data"]).await, "2");
}
