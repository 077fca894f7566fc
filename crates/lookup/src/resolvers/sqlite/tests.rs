//! The source against real database files, others' rows planted by hand.

use std::path::Path;

use rusqlite::Connection;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn config(path: &Path) -> Config {
    let path = path.to_str().unwrap();
    Config {
        dsn: SqliteDsn::parse(path, Duration::from_millis(800), false).unwrap(),
        table: "hosts".to_owned(),
        metadata_table: "metadata".to_owned(),
        update_interval: SECOND * 5,
        timeout: SECOND,
        cleanup_interval: None,
    }
}

fn host(port: u16) -> Host {
    Host {
        app_id: "ours".to_owned(),
        address: format!("127.0.0.1:{port}"),
    }
}

/// Another program's view of the file.
struct Other(Connection);

impl Other {
    fn new(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(SECOND * 10).unwrap();
        Self(connection)
    }

    fn plant(&self, id: &str, address: &str, app_id: &str, age: i64) {
        self.0
            .execute(
                "REPLACE INTO hosts VALUES (?1, ?2, ?3, '', unixepoch() - ?4)",
                (id, address, app_id, age),
            )
            .unwrap();
    }

    fn addresses(&self) -> Vec<String> {
        let mut statement = self
            .0
            .prepare("SELECT address FROM hosts ORDER BY address")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }
}

async fn opened() -> (tempfile::TempDir, Sqlite, Other) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.db");
    let sqlite = Sqlite::open(&config(&path)).await.unwrap();
    let other = Other::new(&path);
    (folder, sqlite, other)
}

fn addrs(table: &Table, app_id: &str) -> Vec<String> {
    let found = table.peek("default", app_id);
    let all = found.iter().flat_map(|set| set.all());
    let mut addrs: Vec<_> = all.map(|it| it.addr().to_owned()).collect();
    addrs.sort();
    addrs
}

#[tokio::test]
async fn the_tables_are_those_of_the_reference() {
    let (_folder, sqlite, other) = opened().await;
    let columns: Vec<String> = other
        .0
        .prepare("SELECT name || ' ' || type FROM pragma_table_info('hosts')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        columns,
        [
            "registration_id TEXT",
            "address TEXT",
            "app_id TEXT",
            "namespace TEXT",
            "last_update INTEGER"
        ]
    );
    let level: String = other
        .0
        .query_row(
            "SELECT value FROM metadata WHERE key = 'nr-migrations'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(level, "1");
    // Opening again finds everything in place.
    sqlite.worker.run(Database::prepare).await.unwrap();
}

#[tokio::test]
async fn fresh_rows_are_found_and_old_ones_are_not() {
    let (_folder, sqlite, other) = opened().await;
    other.plant("a", "10.0.0.1:1", "cart", 0);
    other.plant("b", "10.0.0.2:1", "cart", 3);
    other.plant("c", "10.0.0.3:1", "cart", 6);
    other.plant("d", "10.0.0.4:1", "old", 60);
    let table = Table::new();
    tokio::select! {
        () = sqlite.resolve(&table) => {}
        () = async {
            table.wait_for("default", "cart", SECOND * 20).await.unwrap();
            assert_eq!(addrs(&table, "cart"), ["10.0.0.1:1", "10.0.0.2:1"]);
            for app_id in ["old", "nosuch", ""] {
                let error = table.wait_for("default", app_id, SECOND * 20).await.unwrap_err();
                assert_eq!(error.to_string(), "no host found with the given ID");
            }
            // What comes later is seen without being asked for.
            other.plant("e", "10.0.0.5:1", "cart", 0);
            while !addrs(&table, "cart").contains(&"10.0.0.5:1".to_owned()) {
                tokio::task::yield_now().await;
            }
        } => {}
    }
}

#[tokio::test]
async fn a_database_that_fails_is_told_apart_from_an_unknown_id() {
    let (_folder, sqlite, other) = opened().await;
    other.run("DROP TABLE hosts");
    let table = Table::new();
    tokio::select! {
        () = sqlite.resolve(&table) => {}
        error = table.wait_for("default", "cart", SECOND * 20) => {
            let error = error.unwrap_err();
            assert_eq!(error.cause, crate::Cause::Source);
            let text = error.to_string();
            assert!(text.starts_with("failed to look up address: no such table"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_registration_takes_over_its_address_and_is_made_again_when_lost() {
    let (_folder, sqlite, other) = opened().await;
    other.plant("dead", "127.0.0.1:7", "someone", 600);
    sqlite.worker.run(|it| it.register(host(7))).await.unwrap();
    assert_eq!(other.addresses(), ["127.0.0.1:7"]);
    let renewed = sqlite.worker.run(Database::renew).await.unwrap();
    assert_eq!(renewed, Renewed::Yes);
    other.run("DELETE FROM hosts");
    let renewed = sqlite.worker.run(Database::renew).await.unwrap();
    assert_eq!(renewed, Renewed::Anew);
    assert_eq!(other.addresses(), ["127.0.0.1:7"]);
    sqlite.withdraw().await;
    assert_eq!(other.addresses(), [] as [&str; 0]);
    // A renewal that comes too late must not bring it back.
    sqlite.worker.run(Database::renew).await.unwrap();
    assert_eq!(other.addresses(), [] as [&str; 0]);
}

#[tokio::test]
async fn clean_up_removes_what_is_long_dead_and_nothing_else() {
    let (_folder, sqlite, other) = opened().await;
    sqlite.worker.run(|it| it.register(host(7))).await.unwrap();
    other.plant("slow", "10.0.0.1:1", "cart", 40);
    other.plant("dead", "10.0.0.2:1", "cart", 3_600);
    let clean = || sqlite.worker.run(|it| it.clean_up(SECOND * 3_600));
    assert_eq!(clean().await.unwrap(), 0, "the file is new");
    other.run(
        "UPDATE metadata SET value = datetime('now', '-2 hours') WHERE key = 'nr-last-cleanup'",
    );
    assert_eq!(clean().await.unwrap(), 1);
    assert_eq!(other.addresses(), ["10.0.0.1:1", "127.0.0.1:7"]);
    other.plant("dead", "10.0.0.2:1", "cart", 3_600);
    assert_eq!(clean().await.unwrap(), 0, "another one did it just now");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = Sqlite::open(&config(&folder.path().join("no/such.db"))).await;
    let text = error.unwrap_err().to_string();
    assert!(
        text.starts_with("failed to perform migrations: unable to open database file"),
        "{text}"
    );
}

#[tokio::test]
async fn a_database_in_memory_works_within_the_process() {
    let memory = Config {
        dsn: SqliteDsn::parse("file:names?mode=memory", SECOND, false).unwrap(),
        ..config(Path::new("unused"))
    };
    let sqlite = Sqlite::open(&memory).await.unwrap();
    sqlite.worker.run(|it| it.register(host(7))).await.unwrap();
    let found = sqlite.worker.run(|it| it.find(&["ours".into()])).await;
    assert_eq!(found.unwrap()["ours"].len(), 1);
}
