//! Others who use the file at the same time.

use std::time::{Duration, Instant};

use super::*;

fn locked() -> Error {
    Error::failed("database is locked (5) (SQLITE_BUSY)")
}

#[tokio::test]
async fn a_locked_file_is_waited_for_and_then_named() {
    let temp = TempStore::open(Hands::default().clock(), &[("busyTimeout", "10ms")]).await;
    let plain = temp.plain();
    plain.execute_batch("BEGIN IMMEDIATE").unwrap();
    let session = temp.store.session();
    let refused = session.set(set("k", "1")).await.unwrap_err();
    assert_eq!(
        refused,
        Error::failed("database is locked (5) (SQLITE_BUSY)")
    );
    assert_eq!(session.get(get("k")).await, Ok(None));
    let many = session.set_many(vec![set("k", "1"), set("l", "1")]).await;
    assert!(many.iter().all(Result::is_err));
    plain.execute_batch("COMMIT").unwrap();
    session.set(set("k", "1")).await.unwrap();
}

#[tokio::test]
async fn readers_do_not_wait_for_writers_and_writers_wait_together() {
    let temp = TempStore::open(Hands::default().clock(), &[("busyTimeout", "1s")]).await;
    let session = temp.store.session();
    session.set(set("k", "1")).await.unwrap();
    let plain = temp.plain();
    plain.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let session = &session;
    let write = async |n: usize| {
        let key = format!("k{n}");
        let written = match n % 3 {
            0 => session.set(set(&key, "1")).await,
            1 => session
                .set_many(vec![set(&key, "1"), set("k", "2")])
                .await
                .remove(1),
            _ => session.delete(delete("k")).await,
        };
        assert_eq!(written, Err(locked()));
        began.elapsed()
    };
    let read = async {
        for _ in 0..20 {
            assert!(session.get(get("k")).await.unwrap().is_some());
            tokio::task::yield_now().await;
        }
        began.elapsed()
    };
    let writes = async {
        tokio::join!(
            write(0),
            write(1),
            write(2),
            write(3),
            write(4),
            write(5),
            write(6),
            write(7),
        )
    };
    let (writes, read) = tokio::join!(writes, read);
    assert!(read < Duration::from_millis(900), "{read:?}");
    assert!(writes.0 >= Duration::from_millis(900), "{writes:?}");
    assert!(writes.7 < Duration::from_secs(3), "{writes:?}");
    plain.execute_batch("COMMIT").unwrap();
    session.set(set("k", "3")).await.unwrap();
}

#[tokio::test]
async fn who_asks_later_waits_longer_for_the_same_lock() {
    let temp = TempStore::open(Hands::default().clock(), &[("busyTimeout", "1s")]).await;
    let session = temp.store.session();
    let plain = temp.plain();
    plain.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let late = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(session.set(set("b", "1")).await, Err(locked()));
        began.elapsed()
    };
    let (first, late) = tokio::join!(session.set(set("a", "1")), late);
    assert_eq!(first, Err(locked()));
    assert!(late >= Duration::from_millis(1400), "{late:?}");
    let rest = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        plain.execute_batch("COMMIT").unwrap();
    };
    let (first, second, ()) =
        tokio::join!(session.set(set("a", "1")), session.set(set("b", "1")), rest);
    assert_eq!((first, second), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_lock_is_named_even_if_the_call_has_no_time_to_wait_for_it() {
    let more = [("busyTimeout", "60s"), ("timeout", "1s")];
    let temp = TempStore::open(Hands::default().clock(), &more).await;
    let plain = temp.plain();
    plain.execute_batch("BEGIN IMMEDIATE").unwrap();
    let session = temp.store.session();
    let (first, second) = tokio::join!(session.set(set("a", "1")), session.set(set("b", "1")));
    assert_eq!((first, second), (Err(locked()), Err(locked())));
    plain.execute_batch("COMMIT").unwrap();
    // What was told as failed is not done later.
    session.set(set("c", "1")).await.unwrap();
    assert_eq!(session.get(get("a")).await, Ok(None));
    assert_eq!(session.get(get("b")).await, Ok(None));
}

#[tokio::test]
async fn many_keys_wait_once_for_a_lock() {
    let more = [("busyTimeout", "200ms"), ("disableWAL", "true")];
    let temp = TempStore::open(Hands::default().clock(), &more).await;
    let session = temp.store.session();
    let plain = temp.plain();
    plain.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let gets = || keys.iter().map(|key| get(key)).collect();
    assert_eq!(session.get_many(gets()).await, vec![Err(locked()); 50]);
    let sets = keys.iter().map(|key| set(key, "1")).collect();
    assert_eq!(session.set_many(sets).await, vec![Err(locked()); 50]);
    let deletes = keys.iter().map(|key| delete(key)).collect();
    assert_eq!(session.delete_many(deletes).await, vec![Err(locked()); 50]);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    plain.execute_batch("COMMIT").unwrap();
    assert_eq!(session.get_many(gets()).await, vec![Ok(None); 50]);
}
