//! Servers that go away, come back, freeze and forget.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Short waits.
const QUICK: &[(&str, &str)] = &[
    ("redisMinRetryInterval", "10ms"),
    ("redisMaxRetryInterval", "40ms"),
    ("readTimeout", "300ms"),
];

#[tokio::test]
async fn a_server_that_is_gone_is_named_and_found_again() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let s = open(&server, QUICK).await.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    server.kill();
    let refused = format!("dial tcp {}: connect: connection refused", server.host());
    assert_eq!(s.get(get("k")).await, Err(Error::failed(&refused)));
    assert_eq!(
        s.set(set("k", "2")).await,
        Err(Error::Failed(format!("failed to set key k: {refused}")))
    );
    assert_eq!(
        s.delete(delete("k", "1")).await,
        Err(Error::Failed(format!("failed to delete key k: {refused}")))
    );
    let many = s.get_many(vec![get("k"), get("l")]).await;
    assert_eq!(many, vec![Err(Error::failed(&refused)); 2]);
    let many = s
        .set_many(vec![set("k", "1"), set_with("l", "x", "")])
        .await;
    assert!(matches!(
        many[..],
        [Err(Error::Failed(_)), Err(Error::EtagInvalid(_))]
    ));
    let began = Instant::now();
    let deletes: Vec<_> = (0..50).map(|n| delete(&n.to_string(), "1")).collect();
    let many = s.delete_many(deletes).await;
    let text = format!("failed to delete key 49: {refused}");
    assert_eq!(many.last(), Some(&Err(Error::Failed(text))));
    assert!(began.elapsed() < Duration::from_secs(2), "one try for all");
    let server = Server::start_with(server.port(), &[]).unwrap();
    assert_eq!(s.get(get("k")).await, Ok(None), "a new server is empty");
    s.set(set("k", "3")).await.unwrap();
    assert_eq!(server.say(&["HGET", "k", "data"]).await, "3");
}

#[tokio::test]
async fn a_short_absence_is_waited_out() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let more = [
        ("redisMinRetryInterval", "50ms"),
        ("redisMaxRetries", "100"),
    ];
    let s = open(&server, &more).await.unwrap().session();
    server.kill();
    let write = s.set(set("k", "1"));
    let port = server.port();
    let back = tokio::task::spawn_blocking(move || Server::start_with(port, &[]).unwrap());
    let (written, server) = tokio::join!(write, back);
    written.unwrap();
    assert_eq!(server.unwrap().say(&["HGET", "k", "version"]).await, "1");
}

#[tokio::test]
async fn a_connection_cut_by_the_server_is_made_anew() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    for number in 1..=5 {
        s.set(set("k", "1")).await.unwrap();
        server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        let item = seen(s.get(get("k")).await);
        assert_eq!(item, pair("1", &number.to_string()));
    }
}

/// Answers everything but writes and the first read: those end the connection. Counts both.
async fn hang_up(listener: TcpListener, writes: Rc<Cell<u32>>, reads: Rc<Cell<u32>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            let question = String::from_utf8_lossy(&buffer[..n]);
            let answer = match &*question {
                q if q.contains("EVALSHA") => {
                    writes.set(writes.get() + 1);
                    break;
                }
                q if q.contains("HGETALL") => {
                    reads.set(reads.get() + 1);
                    if reads.get() == 1 {
                        break;
                    }
                    "*0\r\n"
                }
                q if q.contains("PING") => "+PONG\r\n",
                _ => "$0\r\n\r\n",
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (writes, reads) = (Rc::default(), Rc::default());
    let server = hang_up(listener, Rc::clone(&writes), Rc::clone(&reads));
    let test = async {
        let items = [("redisHost".to_owned(), host.clone())];
        let store = Redis::open(&Properties::try_new(items).unwrap()).await;
        let s = store.unwrap().session();
        assert_eq!(s.get(get("k")).await, Ok(None));
        assert_eq!(reads.get(), 2, "a read is asked again");
        let lost = format!(
            "read tcp {host}: connection lost before the answer came; it may have been written \
             all the same"
        );
        assert_eq!(
            s.set(set("k", "2")).await,
            Err(Error::Failed(format!("failed to set key k: {lost}")))
        );
        assert_eq!(writes.get(), 1);
        let refused = s.transact(vec![Operation::Delete(delete("k", "1"))]).await;
        assert_eq!(refused, Err(Error::Failed(lost)));
        assert_eq!(writes.get(), 2);
    };
    tokio::select! {
        () = server => {}
        () = test => {}
    }
}

#[tokio::test]
async fn a_frozen_server_is_not_waited_for_without_end() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = open(&server, QUICK).await.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    server.signal("STOP");
    let began = Instant::now();
    let (read, write) = tokio::join!(s.get(get("k")), s.set(set("k", "2")));
    let late = format!("read tcp {}: i/o timeout", server.host());
    assert_eq!(read, Err(Error::failed(&late)));
    let text = write.unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("failed to set key k: {late}; ")),
        "{text}"
    );
    // On a connection that only the kernel has accepted.
    assert_eq!(s.get(get("k")).await, Err(Error::failed(&late)));
    assert!(began.elapsed() < Duration::from_secs(3));
    server.signal("CONT");
    s.set(set("k", "3")).await.unwrap();
    assert_eq!(seen(s.get(get("k")).await).unwrap().0, "3");
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_them() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    for number in 1..=3 {
        let etag = (2 * number).to_string();
        s.set(set("k", "1")).await.unwrap();
        server.run(&["SCRIPT", "FLUSH"]).await;
        let ends = s.set_many(vec![set("k", "2"), set("l", "3")]).await;
        assert_eq!(ends, [Ok(()), Ok(())]);
        assert_eq!(seen(s.get(get("k")).await), pair("2", &etag));
        server.run(&["SCRIPT", "FLUSH"]).await;
    }
    s.transact(vec![Operation::Set(set("k", "9"))])
        .await
        .unwrap();
    server.run(&["SCRIPT", "FLUSH"]).await;
    s.delete(delete("k", "7")).await.unwrap();
    assert_eq!(s.get(get("k")).await, Ok(None));
}

#[tokio::test]
async fn askers_that_give_up_disturb_nobody() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    for number in 1..=50 {
        let write = set("k", &number.to_string());
        // Dropped in the middle: it may have been done or not.
        tokio::select! {
            biased;
            _ = s.set(write) => {}
            () = tokio::task::yield_now() => {}
        }
        s.set(set("l", &number.to_string())).await.unwrap();
        let item = seen(s.get(get("l")).await);
        assert_eq!(item, pair(&number.to_string(), &number.to_string()));
    }
}

#[tokio::test]
async fn a_master_turned_replica_is_told_and_a_new_master_found() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = open(&server, QUICK).await.unwrap().session();
    let nobody = server::free_port().to_string();
    server.run(&["REPLICAOF", "127.0.0.1", &nobody]).await;
    let told = "READONLY You can't write against a read only replica.";
    let text = s.set(set("k", "1")).await.unwrap_err().to_string();
    assert!(text.starts_with(&format!("failed to set key k: {told}")));
    let step = || vec![Operation::Set(set("k", "2"))];
    let text = s.transact(step()).await.unwrap_err().to_string();
    assert!(text.starts_with(told), "{text}");
    let turn = server.run(&["REPLICAOF", "NO", "ONE"]);
    let (written, _) = tokio::join!(s.transact(step()), turn);
    written.unwrap();
    assert_eq!(seen(s.get(get("k")).await), pair("2", "1"));
}

#[tokio::test]
async fn who_may_not_write_one_key_may_write_the_others() {
    let Some(server) = Server::start() else {
        return;
    };
    let rules = ["ACL", "SETUSER", "some", "on", ">x", "~ok*", "+@all"];
    server.run(&rules).await;
    let more = [("redisUsername", "some"), ("redisPassword", "x")];
    let s = open(&server, &more).await.unwrap().session();
    server.run(&["SCRIPT", "FLUSH"]).await;
    let sets = vec![
        set("no", "1"),
        set("ok1", "1"),
        set("no2", "1"),
        set("ok2", "2"),
    ];
    let ends: Vec<bool> = s.set_many(sets).await.iter().map(Result::is_ok).collect();
    assert_eq!(ends, [false, true, false, true]);
    assert_eq!(server.say(&["HGET", "ok2", "data"]).await, "2");
    server.run(&["SCRIPT", "FLUSH"]).await;
    let deletes = vec![delete("no", "1"), delete("ok1", "1"), delete("ok2", "7")];
    let ends = s.delete_many(deletes).await;
    assert!(matches!(
        ends[..],
        [Err(Error::Failed(_)), Ok(()), Err(Error::EtagMismatch(_))]
    ));
    assert_eq!(server.say(&["DBSIZE"]).await, "1");
}
