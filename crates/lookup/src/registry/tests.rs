//! The registry with several sidecars in one process: locks belong to open files, not to
//! processes, so this shows the same as several processes would.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::table::{SAME_HOST, Table};

fn base() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn entry(app_id: &str, port: u16) -> Entry {
    Entry {
        app_id: app_id.into(),
        namespace: "default".into(),
        pid: std::process::id(),
        address: format!("127.0.0.1:{port}"),
        version: "0.1.0".into(),
        ..Entry::default()
    }
}

fn ids(registry: &Registry) -> Vec<String> {
    let entries = registry.list().unwrap();
    entries.into_iter().map(|it| it.app_id).collect()
}

fn files(registry: &Registry) -> Vec<PathBuf> {
    let found = fs::read_dir(registry.dir()).unwrap();
    found.map(|it| it.unwrap().path()).collect()
}

/// What a sidecar leaves that was killed: a whole file without a lock.
fn leave_dead(registry: &Registry, name: &str) -> PathBuf {
    registry.folder.prepare().unwrap();
    let path = registry.dir().join(name);
    fs::write(&path, entry("dead", 9).to_json()).unwrap();
    path
}

/// A file whose writer lives, with any content.
fn hold(registry: &Registry, name: &str, content: &[u8]) -> File {
    registry.folder.prepare().unwrap();
    let path = registry.dir().join(name);
    fs::write(&path, content).unwrap();
    let file = File::open(&path).unwrap();
    file.lock().unwrap();
    file
}

/// Waits until the table shows exactly these ports for app `a`.
async fn shows(table: &Table, ports: &[u16]) {
    let mut wanted: Vec<String> = ports.iter().map(|it| format!("127.0.0.1:{it}")).collect();
    wanted.sort();
    let reached = async {
        loop {
            let found = table.peek("default", "a");
            let all = found.iter().flat_map(|set| set.all());
            let mut addrs: Vec<&str> = all.map(|it| it.addr()).collect();
            addrs.sort_unstable();
            if addrs == wanted {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), reached).await.unwrap();
}

#[test]
fn an_announced_sidecar_is_listed_until_it_is_withdrawn() {
    let base = base();
    let registry = Registry::at(base.path());
    let first = registry.announce(entry("b", 1)).unwrap();
    let second = Registry::at(base.path()).announce(entry("a", 2)).unwrap();
    assert_eq!(ids(&registry), ["a", "b"]);
    assert_eq!(registry.list().unwrap()[0], *second.entry());
    assert!(!second.entry().host.is_empty(), "the host is filled in");
    drop(first);
    assert_eq!(ids(&registry), ["a"]);
    second.withdraw();
    let left = fs::read_dir(base.path()).unwrap().count();
    assert_eq!(left, 0, "the last one leaves nothing");
}

#[test]
fn listing_makes_no_folder() {
    let base = base();
    let registry = Registry::at(base.path());
    assert_eq!(registry.list().unwrap(), []);
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn the_folder_is_private_and_apart_for_each_network_namespace() {
    let base = base();
    let registry = Registry::at(base.path());
    let _one = registry.announce(entry("a", 1)).unwrap();
    let per_user = registry.dir().parent().unwrap().to_owned();
    for folder in [registry.dir(), &per_user] {
        let mode = fs::metadata(folder).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700);
    }
    let name = registry.dir().file_name().unwrap().to_string_lossy();
    assert_eq!(name, format!("net-{}", network_namespace()));
    let other = Registry {
        folder: Folder::new(base.path(), registry.folder.user(), 1),
    };
    assert_eq!(ids(&other), [""; 0]);
}

#[test]
fn an_update_replaces_the_entry_and_keeps_it_alive() {
    let base = base();
    let registry = Registry::at(base.path());
    let mut announced = registry.announce(entry("a", 1)).unwrap();
    let mut reader = Reader::new(registry.folder.clone());
    reader.read().unwrap();
    let later = Entry {
        app_port: Some(8080),
        ..announced.entry().clone()
    };
    announced.update(later.clone()).unwrap();
    assert_eq!(registry.list().unwrap()[0], later);
    assert_eq!(files(&registry).len(), 1);
    // A reader that holds the old file finds it unlocked, and must not take the writer for dead.
    reader.drop_dead();
    assert_eq!(reader.entries(), [later]);
}

#[test]
fn what_a_dead_sidecar_left_is_ignored_and_removed() {
    let base = base();
    let registry = Registry::at(base.path());
    let _live = registry.announce(entry("a", 1)).unwrap();
    let dead = leave_dead(&registry, "dead.json");
    assert_eq!(ids(&registry), ["a"]);
    assert!(!dead.exists());
}

#[test]
fn a_broken_file_is_skipped_and_left_to_its_writer() {
    let base = base();
    let registry = Registry::at(base.path());
    let _live = registry.announce(entry("a", 1)).unwrap();
    let _broken = hold(&registry, "broken.json", b"{\"format\":1,");
    let _newer = hold(&registry, "newer.json", b"{\"format\":2}");
    let _other = hold(&registry, "readme.txt", b"hello");
    symlink("/etc/passwd", registry.dir().join("link.json")).unwrap();
    fs::create_dir(registry.dir().join("folder.json")).unwrap();
    assert_eq!(ids(&registry), ["a"]);
    assert_eq!(files(&registry).len(), 6);
}

#[test]
fn an_abandoned_unfinished_file_is_removed_and_a_fresh_one_is_not() {
    let base = base();
    let registry = Registry::at(base.path());
    registry.folder.prepare().unwrap();
    let old = registry.dir().join("1.tmp");
    let fresh = registry.dir().join("2.tmp");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(120);
    File::create(&old).unwrap().set_modified(long_ago).unwrap();
    File::create(&fresh).unwrap();
    registry.list().unwrap();
    assert_eq!(files(&registry), [fresh]);
}

#[test]
fn an_entry_that_was_cleaned_away_can_be_put_back() {
    let base = base();
    let registry = Registry::at(base.path());
    let mut announced = registry.announce(entry("a", 1)).unwrap();
    fs::remove_dir_all(registry.dir().parent().unwrap()).unwrap();
    assert_eq!(ids(&registry), [""; 0]);
    announced.ensure().unwrap();
    announced.ensure().unwrap();
    assert_eq!(ids(&registry), ["a"]);
}

#[test]
fn many_sidecars_that_come_and_go_at_once_do_not_disturb_each_other() {
    let base = base();
    let registry = Registry::at(base.path());
    std::thread::scope(|scope| {
        for n in 0..8 {
            let registry = &registry;
            scope.spawn(move || {
                for _ in 0..50 {
                    let id = format!("app-{n}");
                    let announced = registry.announce(entry(&id, 1)).unwrap();
                    assert!(ids(registry).contains(&id));
                    drop(announced);
                    assert!(!ids(registry).contains(&id));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

fn refusal(registry: &Registry) -> String {
    let announced = registry.announce(entry("a", 1)).unwrap_err().to_string();
    let watched = registry.watch(Table::new().source(SAME_HOST)).unwrap_err();
    assert_eq!(announced, watched.to_string());
    announced
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let base = base();
    let ours = Registry::at(base.path());
    let user = ours.folder.user() + 1;
    let theirs = Registry::for_user(base.path(), user);
    let folder = base.path().join(format!("outrider-{user}"));
    fs::create_dir(&folder).unwrap();
    let folder = folder.display();
    assert_eq!(
        refusal(&theirs),
        format!(
            "the registry folder {folder} belongs to user {}, not to user {user} who runs this; \
             have its owner or root remove it, or turn the same-host registry off",
            user - 1
        )
    );
    assert!(matches!(theirs.list(), Err(Error::ForeignFolder { .. })));
}

#[test]
fn a_link_or_file_in_the_way_is_refused() {
    let base = base();
    let registry = Registry::at(base.path());
    let user = registry.folder.user();
    let path = base.path().join(format!("outrider-{user}"));
    let text = |found| {
        let path = path.display();
        format!(
            "{path} is a {found} owned by user {user}, where the same-host registry needs a \
             folder; remove it, or turn the same-host registry off"
        )
    };
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), &path).unwrap();
    assert_eq!(refusal(&registry), text("symbolic link"));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert_eq!(refusal(&registry), text("file"));
}

#[test]
fn a_missing_base_folder_is_named_with_the_cure() {
    let base = base();
    let missing = base.path().join("missing");
    let registry = Registry::at(&missing);
    let text = refusal(&registry);
    let missing = missing.display();
    let (says, cures) = (
        format!("cannot create the folder {missing}/outrider-"),
        format!("; create the folder {missing}, or turn the same-host registry off"),
    );
    assert!(text.starts_with(&says) && text.ends_with(&cures), "{text}");
}

#[test]
fn a_folder_that_may_not_be_written_is_named_with_the_cure() {
    let base = base();
    let registry = Registry::at(base.path());
    let user = registry.folder.user();
    fs::set_permissions(base.path(), Permissions::from_mode(0o500)).unwrap();
    // Root may write anywhere, so there the text alone is tested.
    let error = match registry.announce(entry("a", 1)) {
        Err(error) => error,
        Ok(_) => {
            let path = base.path().join("outrider");
            let denied = io::ErrorKind::PermissionDenied.into();
            registry.folder.error("create the folder", &path, denied)
        }
    };
    let cures = format!(
        "; make {} readable and writable for user {user}, or turn the same-host registry off",
        base.path().display()
    );
    assert!(error.to_string().ends_with(&cures), "{error}");
}

#[test]
fn a_folder_of_ours_that_is_open_to_others_is_closed() {
    let base = base();
    let registry = Registry::at(base.path());
    registry.folder.prepare().unwrap();
    fs::set_permissions(registry.dir(), Permissions::from_mode(0o777)).unwrap();
    let _one = registry.announce(entry("a", 1)).unwrap();
    let mode = fs::metadata(registry.dir()).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

#[tokio::test]
async fn a_watch_shows_what_was_there_before_it_runs() {
    let base = base();
    let registry = Registry::at(base.path());
    let _one = registry.announce(entry("a", 1)).unwrap();
    let table = Table::new();
    let _watch = registry.watch(table.source(SAME_HOST)).unwrap();
    let found = table.peek("default", "a").unwrap();
    assert_eq!(found.all()[0].source(), SAME_HOST);
    assert!(found.all()[0].process().is_some());
}

#[tokio::test]
async fn a_watch_follows_what_comes_changes_and_goes() {
    let base = base();
    let registry = Registry::at(base.path());
    let table = Table::new();
    let watch = registry.watch(table.source(SAME_HOST)).unwrap();
    let story = async {
        let other = Registry::at(base.path());
        let waiting = table.wait_for("default", "a", Duration::from_secs(30));
        let announce = async { other.announce(entry("a", 1)).unwrap() };
        let (found, mut first) = tokio::join!(waiting, announce);
        assert_eq!(found.unwrap().all()[0].addr(), "127.0.0.1:1");
        let second = other.announce(entry("a", 2)).unwrap();
        shows(&table, &[1, 2]).await;
        first.update(entry("a", 3)).unwrap();
        shows(&table, &[3, 2]).await;
        second.withdraw();
        shows(&table, &[3]).await;
        drop(first);
        shows(&table, &[]).await;
    };
    tokio::select! {
        () = watch.run() => unreachable!("a watch does not end"),
        () = story => {}
    }
}

#[tokio::test]
async fn a_watch_notices_a_killed_sidecar_and_clears_up_after_it() {
    let base = base();
    let registry = Registry::at(base.path());
    let lock = hold(&registry, "7.json", entry("a", 1).to_json().as_bytes());
    let table = Table::new();
    let watch = registry.watch(table.source(SAME_HOST)).unwrap();
    let story = async {
        shows(&table, &[1]).await;
        // Closing a file that was opened for reading makes no event: only the re-read can tell.
        drop(lock);
        shows(&table, &[]).await;
        assert!(files(&registry).is_empty());
    };
    tokio::select! {
        () = watch.run() => unreachable!("a watch does not end"),
        () = story => {}
    }
}

#[tokio::test]
async fn a_watch_goes_on_when_its_folder_is_removed_and_made_again() {
    let base = base();
    let registry = Registry::at(base.path());
    let first = registry.announce(entry("a", 1)).unwrap();
    let table = Table::new();
    let watch = registry.watch(table.source(SAME_HOST)).unwrap();
    let story = async {
        drop(first);
        assert!(!registry.dir().exists());
        shows(&table, &[]).await;
        let _second = registry.announce(entry("a", 2)).unwrap();
        shows(&table, &[2]).await;
        fs::remove_dir_all(registry.dir()).unwrap();
        let _third = registry.announce(entry("a", 3)).unwrap();
        shows(&table, &[3]).await;
        let _fourth = registry.announce(entry("a", 4)).unwrap();
        shows(&table, &[3, 4]).await;
    };
    tokio::select! {
        () = watch.run() => unreachable!("a watch does not end"),
        () = story => {}
    }
}
