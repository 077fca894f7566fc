//! Clients that give up before the server answers: what they leave behind must do no harm.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};

use super::*;

/// Short waits.
const QUICK: &[(&str, &str)] = &[
    ("redisMinRetryInterval", "10ms"),
    ("redisMaxRetryInterval", "40ms"),
    ("readTimeout", "1s"),
];
const IMPATIENT: Duration = Duration::from_millis(100);

fn large(key: &str) -> Set {
    set(key, &format!("\"{}\"", "x".repeat(3_900_000)))
}

#[tokio::test]
async fn writes_that_were_given_up_leave_the_way_free() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = open(&server, QUICK).await.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    server.signal("STOP");
    for number in 0..20 {
        let write = timeout(IMPATIENT, s.set(large(&number.to_string())));
        assert!(!matches!(write.await, Ok(Ok(()))));
    }
    server.signal("CONT");
    assert_eq!(seen(s.get(get("k")).await).unwrap().0, "1");
    s.set(set("k", "2")).await.unwrap();
}

#[tokio::test]
async fn a_write_that_was_given_up_does_not_come_later() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = open(&server, QUICK).await.unwrap().session();
    s.set(set("a", "\"old\"")).await.unwrap();
    server.signal("STOP");
    // More than the kernel keeps.
    for number in 0..4 {
        drop(timeout(IMPATIENT, s.set(large(&number.to_string()))).await);
    }
    let stale = timeout(IMPATIENT, s.set(set("a", "\"stale\""))).await;
    assert!(!matches!(stale, Ok(Ok(()))));
    server.signal("CONT");
    server
        .run(&["HSET", "a", "data", "\"new\"", "version", "7"])
        .await;
    assert_eq!(seen(s.get(get("other")).await), None);
    assert_eq!(seen(s.get(get("a")).await), pair("\"new\"", "7"));
}

/// Carries connections to `port`. Those that were there when `swallows` is set are swallowed.
async fn carry(listener: TcpListener, port: u16, swallows: Rc<Cell<bool>>) {
    let mut tasks = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let swallows = Rc::clone(&swallows);
        let is_new = swallows.get();
        tasks.spawn_local(async move {
            let swallowed = async {
                while is_new || !swallows.get() {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                () = swallowed => std::future::pending().await,
            }
        });
    }
}

#[tokio::test]
async fn a_connection_that_went_dead_is_replaced_though_nobody_waits_long() {
    let Some(server) = Server::start() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let local = LocalSet::new();
    let swallows = Rc::new(Cell::new(false));
    local.spawn_local(carry(listener, server.port(), Rc::clone(&swallows)));
    let work = async {
        let items = QUICK.iter().copied().chain([("redisHost", host.as_str())]);
        let items = items.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let store = Redis::open(&Properties::try_new(items).unwrap()).await;
        let s = store.unwrap().session();
        s.set(set("k", "1")).await.unwrap();
        swallows.set(true);
        sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        let patience = Duration::from_millis(300);
        while timeout(patience, s.get(get("k"))).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(6));
        }
        assert!(began.elapsed() > Duration::from_millis(500));
    };
    local.run_until(work).await;
}

#[tokio::test]
async fn a_frozen_sentinel_holds_up_nobody() {
    let Some(server) = Server::start() else {
        return;
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [frozen, good] = folders
        .each_ref()
        .map(|folder| Server::sentinel(server.port(), folder.path(), None).unwrap());
    let hosts = format!("{},{}", frozen.host(), good.host());
    let items = [
        ("redisHost", hosts.as_str()),
        ("failover", "true"),
        ("sentinelMasterName", "m"),
    ];
    let items = items.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let store = Redis::open(&Properties::try_new(items).unwrap()).await;
    let s = store.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    frozen.signal("STOP");
    server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let began = Instant::now();
    assert_eq!(seen(s.get(get("k")).await).unwrap().0, "1");
    // Less than a dial to the frozen one.
    assert!(began.elapsed() < Duration::from_millis(2500));
}

/// Carries connections to `port`, each after a while.
async fn carry_slowly(listener: TcpListener, port: u16) {
    let mut tasks = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        tasks.spawn_local(async move {
            sleep(3 * IMPATIENT).await;
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            copy_bidirectional(&mut near, &mut far).await.ok();
        });
    }
}

/// More than a slow machine needs; a dial that starts anew each time needs more than any number.
const PATIENT_TRIES: u32 = 100;

#[tokio::test]
async fn a_connection_comes_about_however_impatient_they_are() {
    let Some((master, replica)) = strong::pair_of_servers().await else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let local = LocalSet::new();
    local.spawn_local(carry_slowly(listener, master.port()));
    let work = async {
        let items = [("redisHost".to_owned(), host)];
        let store = Redis::open(&Properties::try_new(items).unwrap()).await;
        let s = store.unwrap().session();
        let mut tries = 0;
        while timeout(IMPATIENT, s.get(get("k"))).await.is_err() {
            tries += 1;
            assert!(tries < PATIENT_TRIES);
        }
        assert!(tries > 0);
        // Those that wait for replicas have connections of their own.
        let mut tries = 0;
        while timeout(IMPATIENT, s.set(strong::strong(set("k", "1"))))
            .await
            .is_err()
        {
            tries += 1;
            assert!(tries < PATIENT_TRIES);
        }
        assert!(tries > 0);
        assert_eq!(replica.say(&["HGET", "k", "data"]).await, "1");
    };
    local.run_until(work).await;
}

#[tokio::test]
async fn a_replica_is_no_master_whatever_a_sentinel_says() {
    let Some(server) = Server::start() else {
        return;
    };
    let port = server.port();
    let nobody = server::free_port().to_string();
    server.run(&["REPLICAOF", "127.0.0.1", &nobody]).await;
    // A sentinel that has not heard of it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let sentinel = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                let port = port.to_string();
                let answer = match String::from_utf8_lossy(&buffer[..n]).contains("PING") {
                    true => "+PONG\r\n".to_owned(),
                    false => format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len()),
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    };
    let items = [
        ("redisHost", host.as_str()),
        ("failover", "true"),
        ("sentinelMasterName", "m"),
        ("redisMaxRetries", "-1"),
    ];
    let items = items.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let properties = Properties::try_new(items).unwrap();
    let opened = tokio::select! {
        () = sentinel => return,
        opened = Redis::open(&properties) => opened,
    };
    let text = opened.unwrap_err().0;
    assert!(text.contains("is a replica"), "{text}");
}
