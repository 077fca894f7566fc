//! The table of contract `state.md` 5.4, our deviations in it.

use super::*;

/// How an operation ended.
fn end(result: Result<(), Error>) -> &'static str {
    match result {
        Ok(()) => "done",
        Err(Error::EtagMismatch(_)) => "mismatch",
        Err(Error::EtagInvalid(_)) => "invalid",
        Err(Error::Failed(_)) => "failed",
    }
}

#[tokio::test]
async fn etags_decide_as_in_the_table() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    // What was done before, then the etag and concurrency of the set, then how it ends.
    let table: &[(&[(&str, &str)], &str, &str, &str, &str)] = &[
        (&[], "7", "", "done", "1"),
        (&[("", "")], "7", "", "mismatch", "1"),
        (&[("", "")], "1", "", "done", "2"),
        (&[("", "")], "+01", "", "done", "2"),
        (&[("", "")], "7", "last-write", "done", "2"),
        (&[("", "")], "x", "last-write", "done", "2"),
        (&[("", "first-write")], "7", "last-write", "mismatch", "1"),
        (&[("", "")], "0", "", "done", "2"),
        (&[("", "")], "abc", "", "invalid", "1"),
        (&[("", "")], "", "first-write", "done", "2"),
        (&[("", "first-write")], "", "first-write", "mismatch", "1"),
        (&[("", "first-write")], "", "", "mismatch", "1"),
        (&[("", "first-write")], "", "last-write", "mismatch", "1"),
        (&[("", "first-write")], "1", "", "done", "2"),
        (&[("", "first-write"), ("1", "")], "", "", "mismatch", "2"),
        (&[("", "")], "", "never", "failed", "1"),
    ];
    for (number, (before, etag, concurrency, how, after)) in table.iter().enumerate() {
        let key = format!("k{number}");
        for (etag, concurrency) in *before {
            s.set(set_with(&key, etag, concurrency)).await.unwrap();
        }
        let ended = end(s.set(set_with(&key, etag, concurrency)).await);
        assert_eq!(ended, *how, "row {number}");
        let item = seen(s.get(get(&key)).await);
        assert_eq!(item, pair("\"v\"", after), "row {number}");
    }
}

#[tokio::test]
async fn deletes_decide_as_in_the_table() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    for (etag, how, left) in [
        ("", "done", false),
        ("0", "done", false),
        ("1", "done", false),
        ("2", "mismatch", true),
        ("abc", "mismatch", true),
    ] {
        s.delete(delete("k", "")).await.unwrap();
        s.set(set("k", "1")).await.unwrap();
        assert_eq!(end(s.delete(delete("k", etag)).await), how, "{etag}");
        assert_eq!(s.get(get("k")).await.unwrap().is_some(), left, "{etag}");
    }
    s.delete(delete("k", "")).await.unwrap();
    assert_eq!(end(s.delete(delete("k", "5")).await), "done");
    s.set(set_with("k", "", "first-write")).await.unwrap();
    let mut first = delete("k", "");
    first.options.concurrency = "first-write".into();
    assert_eq!(end(s.delete(first).await), "done");
    let mut odd = delete("k", "");
    odd.options.consistency = "maybe".into();
    assert_eq!(
        s.delete(odd).await.unwrap_err().to_string(),
        "unrecognized consistency model 'maybe'"
    );
}

#[tokio::test]
async fn a_conflict_says_what_is_there() {
    let Some(server) = Server::start() else {
        return;
    };
    let s = session(&server).await;
    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    s.set(set_with("a||k", "", "first-write")).await.unwrap();
    assert_eq!(
        text(s.set(set_with("a||k", "7", "")).await),
        "possible etag mismatch. error from state store: failed to set key a||k: the etag is 1, \
         not 7"
    );
    assert_eq!(
        text(s.set(set("a||k", "2")).await),
        "possible etag mismatch. error from state store: failed to set key a||k: it was written \
         with first-write and needs its etag, which is 1"
    );
    assert_eq!(
        text(s.delete(delete("a||k", "7")).await),
        "possible etag mismatch. error from state store: failed to delete key a||k: the etag is \
         1, not 7"
    );
    assert_eq!(
        text(s.set(set_with("k", "abc", "")).await),
        "invalid etag value: strconv.Atoi: parsing \"abc\": invalid syntax"
    );
}

#[tokio::test]
async fn counting_with_etags_from_many_threads_loses_nothing() {
    const EACH: usize = 25;
    let Some(server) = Server::start() else {
        return;
    };
    let store = std::sync::Arc::new(open(&server, &[]).await.unwrap());
    store.session().set(set("n", "0")).await.unwrap();
    let count = |store: std::sync::Arc<Redis>| async move {
        let s = store.session();
        let mut done = 0;
        while done < EACH {
            let (value, etag) = seen(s.get(get("n")).await).unwrap();
            let next = (value.parse::<usize>().unwrap() + 1).to_string();
            let mut write = set("n", &next);
            write.etag = Some(etag);
            match s.set(write).await {
                Ok(()) => done += 1,
                Err(error) => assert!(error.is_etag(), "{error}"),
            }
        }
    };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = std::sync::Arc::clone(&store);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(count(store));
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let item = seen(store.session().get(get("n")).await);
    assert_eq!(item, pair("100", "101"));
}
