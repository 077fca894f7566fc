//! The threads: how many there are, how long they are waited for, and what they survive.

use std::sync::mpsc;

use super::*;

#[tokio::test]
async fn only_files_that_two_can_use_have_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = |options: &str| format!("{}/state.db{options}", folder.path().display());
    for (file, two) in [
        (path(""), true),
        (path("?mode=ro"), true),
        (path("?cache=shared"), false),
        (path("?_pragma=locking_mode(EXCLUSIVE)"), false),
        (":memory:".to_owned(), false),
    ] {
        let store = open(&file, Clock::system(), &[]).await.unwrap();
        assert_eq!(store.threads.reader.is_some(), two, "{file}");
        let session = store.session();
        let written = session.set(set("k", "1")).await;
        assert_eq!(written.is_ok(), file != path("?mode=ro"));
        assert!(session.get(get("k")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_call_takes_no_longer_than_its_timeout() {
    let store = open(":memory:", Clock::system(), &[("timeout", "1s")])
        .await
        .unwrap();
    let worker = &store.threads.writer;
    let (go, gate) = mpsc::channel::<()>();
    let first = worker.ask(move |db| {
        gate.recv().unwrap();
        db.set(&set("a", "1"))
    });
    let second = worker.ask(|db| db.set(&set("b", "1")));
    let (first, second) = tokio::join!(first, second);
    let late = Error::failed("context deadline exceeded");
    assert_eq!((first, second), (Err(late.clone()), Err(late)));
    go.send(()).unwrap();
    // What was begun is done; what was not is not.
    let session = store.session();
    assert!(session.get(get("a")).await.unwrap().is_some());
    assert_eq!(session.get(get("b")).await, Ok(None));
}

#[tokio::test]
async fn a_call_that_panics_takes_nobody_with_it() {
    let store = open(":memory:", Clock::system(), &[]).await.unwrap();
    let worker = &store.threads.writer;
    let (first, second) = tokio::join!(
        worker.ask(|_| -> Result<(), Error> { panic!("as the test wants") }),
        worker.ask(|db| db.set(&set("a", "1"))),
    );
    let text = "the database call broke off; it may have been done all the same";
    assert_eq!(first, Err(Error::failed(text)));
    assert_eq!(second, Ok(Ok(())));
    assert!(store.session().get(get("a")).await.unwrap().is_some());
}
