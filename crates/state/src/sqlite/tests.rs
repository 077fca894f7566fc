//! The file as other programs see it, and what only this store does; the rest is in the tests of
//! all stores.

use std::path::PathBuf;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::Value;
use crate::clock::tests::Hands;
use crate::tests::{Asking as _, delete, get, set};

mod locks;
mod threads;

/// A store on a file that goes with it.
pub(crate) struct TempStore {
    pub(crate) store: Arc<dyn Store>,
    path: PathBuf,
    _folder: TempDir,
}

impl TempStore {
    pub(crate) async fn open(clock: Clock, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let store = open(path.to_str().unwrap(), clock, more).await.unwrap();
        Self {
            store: Arc::new(store),
            path,
            _folder: folder,
        }
    }

    fn plain(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }
}

async fn open(file: &str, clock: Clock, more: &[(&str, &str)]) -> Result<Sqlite, OpenError> {
    // No test should depend on the speed of a disk.
    let separator = if file.contains('?') { '&' } else { '?' };
    let file = format!("{file}{separator}_pragma=synchronous(0)");
    let pairs = more.iter().copied().chain([("connectionString", &*file)]);
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Sqlite::open_with_clock(&Properties::try_new(pairs).unwrap(), clock).await
}

fn columns(
    connection: &Connection,
    table: &str,
) -> Vec<(String, String, bool, Option<String>, bool)> {
    let sql = format!(
        r#"SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info('{table}')"#
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |r| {
        Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_tables_have_the_layout_of_the_reference() {
    let temp = TempStore::open(Hands::default().clock(), &[]).await;
    let plain = temp.plain();
    let now = Some("CURRENT_TIMESTAMP".to_owned());
    let null = Some("NULL".to_owned());
    let row = |name: &str, kind: &str, not_null, default: &Option<String>, key| {
        (
            name.to_owned(),
            kind.to_owned(),
            not_null,
            default.clone(),
            key,
        )
    };
    let expected = [
        row("key", "TEXT", true, &None, true),
        row("value", "TEXT", true, &None, false),
        row("is_binary", "BOOLEAN", true, &None, false),
        row("etag", "TEXT", true, &None, false),
        row("expiration_time", "TIMESTAMP", false, &null, false),
        row("update_time", "TIMESTAMP", true, &now, false),
    ];
    assert_eq!(columns(&plain, "state"), expected);
    let expected = [
        row("key", "TEXT", true, &None, true),
        row("value", "TEXT", true, &None, false),
    ];
    let mut found = columns(&plain, "metadata");
    for column in &mut found {
        column.1.make_ascii_uppercase();
    }
    assert_eq!(found, expected);
    let level: String = plain
        .query_row(
            "SELECT value FROM metadata WHERE key = 'migrations'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(level, "1");
    let journal: String = plain
        .query_row("PRAGMA journal_mode", [], |r| r.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
}

type Row = (String, String, bool, String, Option<String>, String, String);

fn row(connection: &Connection, key: &str) -> Row {
    let sql = "SELECT typeof(value), CAST(value AS TEXT), is_binary, etag, \
        CAST(expiration_time AS TEXT), CAST(update_time AS TEXT), typeof(is_binary) \
        FROM state WHERE key = ?1";
    let read = connection.query_row(sql, [key], |r| {
        Ok((
            r.get(0)?,
            r.get(1)?,
            r.get(2)?,
            r.get(3)?,
            r.get(4)?,
            r.get(5)?,
            r.get(6)?,
        ))
    });
    read.unwrap()
}

#[tokio::test]
async fn rows_have_the_form_of_the_reference() {
    let temp = TempStore::open(Hands::default().clock(), &[]).await;
    let session = temp.store.session();
    session
        .set(set("app||j", r#"{"a":"é"}"#).ttl("60"))
        .await
        .unwrap();
    let raw = Value::Raw(Bytes::from_static(b"\0\xff"));
    let raw = Set {
        value: raw,
        ..set("app||r", "")
    };
    session.set(raw).await.unwrap();
    let plain = temp.plain();
    let etag = session
        .get(get("app||j"))
        .await
        .unwrap()
        .unwrap()
        .etag
        .unwrap();
    let text = |text: &str| text.to_owned();
    let json = row(&plain, "app||j");
    let (end, now) = ("2026-09-21 14:14:20", "2026-09-21 14:13:20");
    assert_eq!(
        json,
        (
            text("text"),
            text(r#"{"a":"é"}"#),
            false,
            etag,
            Some(text(end)),
            text(now),
            text("integer")
        )
    );
    let raw = row(&plain, "app||r");
    assert_eq!(
        (&*raw.0, &*raw.1, raw.2, raw.4),
        ("text", "AP8=", true, None)
    );
}

#[tokio::test]
async fn rows_of_the_reference_are_read() {
    let hands = Hands::default();
    let temp = TempStore::open(hands.clock(), &[]).await;
    let plain = temp.plain();
    plain
        .execute_batch(
            "INSERT INTO state VALUES ('a', '[1]', 0, 'e1', NULL, CURRENT_TIMESTAMP);
             INSERT INTO state VALUES ('b', 'AP8=', 1, 'e2', DATETIME(1790000060, 'unixepoch'), CURRENT_TIMESTAMP);
             INSERT INTO state VALUES ('c', '*', 1, 'e3', NULL, CURRENT_TIMESTAMP);",
        )
        .unwrap();
    let session = temp.store.session();
    let found = session
        .get_many(vec![get("b"), get("x"), get("c"), get("a"), get("")])
        .await;
    let item = |value: &'static [u8], etag: &str, expires| Item {
        value: Bytes::from_static(value),
        etag: Some(etag.to_owned()),
        expires,
    };
    assert_eq!(
        found[0],
        Ok(Some(item(b"\0\xff", "e2", Some(Hands::START + 60))))
    );
    assert_eq!(found[1], Ok(None));
    assert!(
        found[2]
            .as_ref()
            .is_err_and(|e| e.to_string().contains("base64"))
    );
    assert_eq!(found[3], Ok(Some(item(b"[1]", "e1", None))));
    assert_eq!(found[4], Ok(None));
    session.set(set("a", "[2]").etag("e1")).await.unwrap();
}

#[tokio::test]
async fn data_outlives_the_store_and_other_tables_can_be_named() {
    let hands = Hands::default();
    let temp = TempStore::open(hands.clock(), &[]).await;
    temp.store.session().set(set("k", "1")).await.unwrap();
    let file = temp.path.to_str().unwrap();
    let again = open(file, hands.clock(), &[]).await.unwrap();
    assert!(again.session().get(get("k")).await.unwrap().is_some());
    // The level in the metadata table is that of the first table; the second is made all the same.
    let more = [("tableName", "other_1")];
    let other = open(file, hands.clock(), &more).await.unwrap();
    assert_eq!(other.session().get(get("k")).await, Ok(None));
    other.session().set(set("k", "2")).await.unwrap();
    let read_only = open(&format!("{file}?mode=ro"), hands.clock(), &[])
        .await
        .unwrap();
    assert!(read_only.session().get(get("k")).await.unwrap().is_some());
    let refused = read_only.session().set(set("k", "1")).await.unwrap_err();
    let text = "attempt to write a readonly database (8)";
    assert_eq!(refused, Error::failed(text));
}

#[tokio::test]
async fn empty_keys_and_odd_lives_are_refused() {
    let temp = TempStore::open(Hands::default().clock(), &[]).await;
    let session = temp.store.session();
    let missing = |what: &str| Error::Failed(format!("missing key in {what}"));
    assert_eq!(session.get(get("")).await, Err(missing("get operation")));
    assert_eq!(session.set(set("", "1")).await, Err(missing("set option")));
    assert_eq!(
        session.delete(delete("")).await,
        Err(missing("delete operation"))
    );
    let prefix = "error parsing TTL: incorrect value for metadata 'ttlInSeconds':";
    for (text, why) in [
        ("-2", "must be -1 or greater"),
        ("2147483648", "must be -1 or greater"),
        ("abc", r#"strconv.ParseInt: parsing "abc": invalid syntax"#),
    ] {
        let refused = session.set(set("k", "1").ttl(text)).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("{prefix} {why}"));
    }
    for text in ["-1", "0", "2147483647"] {
        session.set(set("k", "1").ttl(text)).await.unwrap();
    }
    let end = session.get(get("k")).await.unwrap().unwrap().expires;
    assert_eq!(end, Some(Hands::START + 2_147_483_647));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_by_name() {
    let clock = Clock::system();
    let error = open("/no/such/folder/x.db", clock.clone(), &[])
        .await
        .unwrap_err();
    let start = "failed to ping: unable to open database file: out of memory (14): ";
    assert!(error.0.starts_with(start), "{error}");
    assert!(error.0.contains("'/no/such/folder/x.db"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, "no database, but long enough to have a header").unwrap();
    let error = open(path.to_str().unwrap(), clock, &[]).await.unwrap_err();
    assert_eq!(error.0, "failed to ping: file is not a database (26)");
}

#[tokio::test]
async fn a_database_in_memory_needs_no_file() {
    let hands = Hands::default();
    let store = open(":memory:", hands.clock(), &[]).await.unwrap();
    let session = store.session();
    session.set(set("k", "1")).await.unwrap();
    let good = vec![Operation::Set(set("k", "2")), Operation::Set(set("l", "1"))];
    session.transact(good).await.unwrap();
    let item = session.get(get("k")).await.unwrap().unwrap();
    assert_eq!(item.value, "2");
}

#[tokio::test]
async fn what_a_full_disk_undoes_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db?_pragma=max_page_count(40)");
    let store = open(file.to_str().unwrap(), Clock::system(), &[]).await;
    let session = store.unwrap().session();
    let big = set("big", &"1".repeat(1_000_000));
    let sets = vec![
        set("a", "1"),
        set("b", "1").etag("x"),
        big.clone(),
        set("c", "1"),
    ];
    let answers = session.set_many(sets).await;
    assert!(answers[1].as_ref().is_err_and(Error::is_etag));
    let full = Err(Error::failed("database or disk is full (13)"));
    assert_eq!(
        (&answers[0], &answers[2], &answers[3]),
        (&Ok(()), &full, &Ok(()))
    );
    for (key, is_there) in [("a", true), ("b", false), ("big", false), ("c", true)] {
        assert_eq!(
            session.get(get(key)).await.unwrap().is_some(),
            is_there,
            "{key}"
        );
    }
    let all = vec![Operation::Delete(delete("a")), Operation::Set(big)];
    assert_eq!(session.transact(all).await, full);
    assert!(session.get(get("a")).await.unwrap().is_some());
    assert_eq!(
        session.delete_many(vec![delete("a"), delete("c")]).await,
        [Ok(()), Ok(())]
    );
}

#[test]
fn clean_up_removes_ended_rows_once_per_interval() {
    let hands = Hands::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let pairs = [("url".to_owned(), file.to_str().unwrap().to_owned())];
    let settings = Settings::try_new(&Properties::try_new(pairs).unwrap()).unwrap();
    let mut database = database::Database::open(&settings, hands.clock()).unwrap();
    let interval = std::time::Duration::from_secs(60);
    assert_eq!(database.clean_up(interval), Ok(Some(0)));
    database.set(&set("ends", "1").ttl("10")).unwrap();
    database.set(&set("stays", "1")).unwrap();
    hands.forward(59_000);
    assert_eq!(database.clean_up(interval), Ok(None));
    hands.forward(1_000);
    assert_eq!(database.clean_up(interval), Ok(Some(1)));
    let plain = Connection::open(&file).unwrap();
    let left = plain.query_row("SELECT group_concat(key) FROM state", [], |r| r.get(0));
    assert_eq!(left, Ok("stays".to_owned()));
    let guard = "SELECT value FROM metadata WHERE key = 'last-cleanup'";
    let guard = plain.query_row(guard, [], |r| r.get(0));
    assert_eq!(guard, Ok("2026-09-21 14:14:20".to_owned()));
}

#[tokio::test]
async fn the_worker_cleans_up_by_itself() {
    let hands = Hands::default();
    let temp = TempStore::open(hands.clock(), &[("cleanupInterval", "1ns")]).await;
    let session = temp.store.session();
    session.set(set("k", "1").ttl("1")).await.unwrap();
    let plain = temp.plain();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        hands.forward(1_000);
        let left = plain.query_row("SELECT count(*) FROM state", [], |r| r.get::<_, i64>(0));
        if left == Ok(0) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "the row stays");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_thread_closes_the_file_when_store_and_sessions_are_gone() {
    let temp = TempStore::open(Hands::default().clock(), &[]).await;
    let wal = temp.path.with_extension("db-wal");
    let session = temp.store.session();
    session.set(set("k", "1")).await.unwrap();
    let TempStore { store, _folder, .. } = temp;
    drop(store);
    session.set(set("k", "2")).await.unwrap();
    assert!(wal.exists());
    drop(session);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while wal.exists() {
        assert!(std::time::Instant::now() < deadline, "the file stays open");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[test]
fn stores_that_open_a_new_file_at_once_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    std::thread::scope(|scope| {
        for n in 0..6 {
            let file = file.to_str().unwrap();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                runtime.block_on(async {
                    let store = open(file, Clock::system(), &[]).await.unwrap();
                    store
                        .session()
                        .set(set(&format!("k{n}"), "1"))
                        .await
                        .unwrap();
                });
            });
        }
    });
    let plain = Connection::open(&file).unwrap();
    let count = plain.query_row("SELECT count(*) FROM state", [], |r| r.get(0));
    assert_eq!(count, Ok(6));
}
