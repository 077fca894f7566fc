//! Getting in, or being told why not.

use std::time::{Duration, Instant};

use super::*;

async fn refusal(server: &Server, more: &[(&str, &str)]) -> String {
    open(server, more).await.err().unwrap()
}

#[tokio::test]
async fn nobody_there_is_told_in_time() {
    let port = server::free_port();
    let host = format!("127.0.0.1:{port}");
    let items = [("redisHost".to_owned(), host.clone())];
    let properties = Properties::try_new(items).unwrap();
    let began = Instant::now();
    let error = Redis::open(&properties).await.unwrap_err();
    assert_eq!(
        error.0,
        format!(
            "redis store: error connecting to redis at {host}: dial tcp {host}: connect: \
             connection refused"
        )
    );
    assert!(began.elapsed() < Duration::from_secs(4));
    let items = [("redisHost".to_owned(), "nosuch.invalid".to_owned())];
    let properties = Properties::try_new(items).unwrap();
    let error = Redis::open(&properties).await.unwrap_err().0;
    let head = "redis store: error connecting to redis at nosuch.invalid:6379: dial tcp: lookup \
                nosuch.invalid: ";
    assert!(error.starts_with(head), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let items = [
        ("redisHost".to_owned(), host.clone()),
        ("readTimeout".to_owned(), "200".to_owned()),
    ];
    let properties = Properties::try_new(items).unwrap();
    let error = Redis::open(&properties).await.unwrap_err().0;
    let tail = format!("at {host}: read tcp {host}: i/o timeout");
    assert!(error.ends_with(&tail), "{error}");
}

#[tokio::test]
async fn passwords_are_checked_and_the_servers_words_told() {
    let args = ["--requirepass", "geheim"];
    let Some(server) = Server::start_somewhere(|port| Server::try_start(port, &args)) else {
        return;
    };
    let head = format!(
        "redis store: error connecting to redis at {}:",
        server.host()
    );
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(
        refusal(&server, &[]).await,
        format!("{head} NOAUTH Authentication required.")
    );
    for user in ["", "default", "nobody"] {
        let more = [("redisPassword", "x"), ("redisUsername", user)];
        assert_eq!(refusal(&server, &more).await, format!("{head} {wrong}"));
    }
    let more = [("redisPassword", "geheim"), ("redisDB", "99")];
    assert_eq!(
        refusal(&server, &more).await,
        format!("{head} ERR DB index is out of range")
    );
    let more = [("redisPassword", "geheim"), ("redisDB", "3")];
    let s = open(&server, &more).await.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    assert!(
        server
            .say(&["INFO", "keyspace"])
            .await
            .contains("db3:keys=1")
    );
}

#[tokio::test]
async fn a_password_nobody_asked_for_does_no_harm() {
    let Some(server) = Server::start() else {
        return;
    };
    for more in [
        &[("redisPassword", "x")][..],
        &[("redisPassword", "x"), ("redisUsername", "default")],
        &[("redisPassword", ""), ("redisUsername", "ignored")],
    ] {
        let s = open(&server, more).await.unwrap().session();
        s.set(set("k", "1")).await.unwrap();
    }
}

#[tokio::test]
async fn sentinels_lead_to_the_master() {
    let Some(server) = Server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let sentinel = Server::sentinel(server.port(), folder.path(), None).unwrap();
    let nobody = format!("127.0.0.1:{}", server::free_port());
    let hosts = format!("{nobody},{}", sentinel.host());
    let connect = async |master: &str| {
        let items = [
            ("redisHost", hosts.as_str()),
            ("failover", "true"),
            ("sentinelMasterName", master),
            ("redisMaxRetries", "-1"),
        ];
        let items = items.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Redis::open(&Properties::try_new(items).unwrap()).await
    };
    let s = connect("m").await.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    assert_eq!(server.say(&["HGET", "k", "data"]).await, "1");
    assert_eq!(
        connect("other").await.unwrap_err().0,
        format!(
            "redis store: error connecting to redis at {hosts}: redis: all sentinels specified in \
             configuration are unreachable: the sentinel knows no master \"other\""
        )
    );
}
