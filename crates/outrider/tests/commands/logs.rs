//! `outrider logs`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use outrider_testkit::unique_id;

use super::{BIN, outrider, sidecar, tell};

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_id("logs"));
        fs::create_dir_all(path.join("shop/.dapr/logs")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join("shop/.dapr/logs").join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn the_newest_files_of_an_app_that_does_not_run_are_shown() {
    let folder = Folder::new();
    let id = unique_id("shop");
    folder.write(&format!("{id}_app_20260101000000.log"), "old\n");
    let app = folder.write(&format!("{id}_app_20260102000000.log"), "one\ntwo\n");
    let daprd = folder.write(&format!("{id}_daprd_20260102000000.log"), "ready\n");
    let both = outrider(&["logs", &id, "--dir", folder.path()]).await;
    let expected = format!("==> app: {app} <==\none\ntwo\n\n==> sidecar: {daprd} <==\nready\n");
    assert_eq!((both.code, both.stdout), (Some(0), expected));
    let line = ["logs", &id, "--app", "--tail", "1", "--dir", folder.path()];
    assert_eq!(outrider(&line).await.stdout, "two\n");
}

#[tokio::test]
async fn a_sidecar_tells_where_its_app_logs() {
    let folder = Folder::new();
    let path = folder.write("any.log", "hello\n");
    let sidecar = sidecar().start().await.unwrap();
    let id = sidecar.app_id();
    let console = outrider(&["logs", id]).await;
    assert_eq!(console.code, Some(1));
    assert!(
        console.stderr.contains("it goes to the console"),
        "{console:?}"
    );
    tell(&sidecar, "appLogPath", &path).await;
    let done = outrider(&["logs", id]).await;
    assert_eq!((done.code, &*done.stdout), (Some(0), "hello\n"));
}

#[tokio::test]
async fn followed_files_go_on() {
    let folder = Folder::new();
    let id = unique_id("shop");
    let path = folder.write(&format!("{id}_app_20260101000000.log"), "one\n");
    let mut child = Command::new(BIN)
        .args(["logs", "-f", &id, "--dir", folder.path()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"two\n").unwrap();
    let second = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!([first, second], ["one", "two"]);
}

#[tokio::test]
async fn an_app_that_nobody_knows_is_told() {
    let folder = Folder::new();
    let done = outrider(&["logs", "nobody", "--dir", folder.path()]).await;
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.starts_with("no sidecar of nobody runs"),
        "{done:?}"
    );
}
