//! Over TLS, to servers that speak nothing else.

use std::time::{Duration, Instant};

use outrider_trust::Connector;

use super::{papers::Papers, *};
use crate::redis::settings::Settings;

/// A store on a server with those metadata, and authorities that the system does not know.
async fn open_with(
    host: &str,
    more: &[(&str, &str)],
    trusted: Option<Connector>,
) -> Result<Redis, String> {
    let items = [("redisHost", host), ("enableTLS", "true")];
    let items = items.iter().chain(more);
    let items = items.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let properties = Properties::try_new(items).unwrap();
    let mut settings = Settings::read(&properties).map_err(|error| error.0)?;
    if trusted.is_some() {
        settings.wire.tls = trusted;
    }
    Redis::start(settings).await.map_err(|error| error.0)
}

#[tokio::test]
async fn everything_goes_over_tls() {
    let papers = Papers::new();
    let Some(server) = Server::start_encrypted(&papers, &["--requirepass", "p"]) else {
        return;
    };
    let more = [("redisPassword", "p"), ("redisDB", "2")];
    let trusted = Some(papers.connector(false));
    let store = open_with(&server.host(), &more, trusted).await;
    let s = store.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    assert_eq!(seen(s.get(get("k")).await), pair("1", "1"));
    let large = format!("\"{}\"", "x".repeat(3_000_000));
    let sets = (0..4).map(|n| set(&format!("l{n}"), &large));
    assert_eq!(s.set_many(sets.collect()).await, vec![Ok(()); 4]);
    let gets = (0..4).map(|n| get(&format!("l{n}"))).collect();
    for item in s.get_many(gets).await {
        assert_eq!(seen(item), pair(&large, "1"));
    }
    server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert_eq!(seen(s.get(get("k")).await), pair("1", "1"));
}

#[tokio::test]
async fn only_whom_the_system_trusts_is_believed_unless_told_otherwise() {
    let papers = Papers::new();
    let Some(server) = Server::start_encrypted(&papers, &[]) else {
        return;
    };
    let began = Instant::now();
    let error = open_with(&server.host(), &[], None).await.err().unwrap();
    let head = format!(
        "redis store: error connecting to redis at {}: tls: the certificate of 127.0.0.1 is \
         signed by nobody whom this system trusts",
        server.host()
    );
    // A machine that trusts nobody says so.
    let nobody = "redis client configuration error: enableTLS: this system has no certificates";
    assert!(
        error.starts_with(&head) || error.starts_with(nobody),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(3), "at once");
    let anybody = [("insecureSkipTLSVerify", "true")];
    let store = open_with(&server.host(), &anybody, None).await;
    let s = store.unwrap().session();
    s.set(set("k", "1")).await.unwrap();
    let name = format!("localhost:{}", server.port());
    let error = open_with(&name, &[], Some(papers.connector(false))).await;
    let error = error.err().unwrap();
    assert!(
        error.contains("the certificate of localhost is for"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_wants_to_know_us_is_shown_our_certificate() {
    let papers = Papers::new();
    let wants = ["--tls-auth-clients", "yes"];
    let Some(server) = Server::start_encrypted(&papers, &wants) else {
        return;
    };
    let (cert, key) = papers.issue("client");
    let quick = [("insecureSkipTLSVerify", "true"), ("redisMaxRetries", "-1")];
    let error = open_with(&server.host(), &quick, None).await.err().unwrap();
    assert!(error.contains("wants a certificate of ours"), "{error}");
    let more = [
        quick[0],
        ("clientCert", cert.as_str()),
        ("clientKey", key.as_str()),
    ];
    let s = open_with(&server.host(), &more, None).await;
    s.unwrap().session().set(set("k", "1")).await.unwrap();
}

#[tokio::test]
async fn a_port_with_the_wrong_idea_is_told() {
    let papers = Papers::new();
    let (Some(plain), Some(encrypted)) = (Server::start(), Server::start_encrypted(&papers, &[]))
    else {
        return;
    };
    let anybody = [("insecureSkipTLSVerify", "true"), ("dialTimeout", "300")];
    let error = open_with(&plain.host(), &anybody, None)
        .await
        .err()
        .unwrap();
    assert!(error.contains("does it speak TLS"), "{error}");
    let more = [("redisMaxRetries", "-1")];
    let error = open(&encrypted, &more).await.err().unwrap();
    assert!(error.contains("enableTLS"), "{error}");
}

#[tokio::test]
async fn sentinels_are_asked_over_tls_as_well() {
    let papers = Papers::new();
    let Some(server) = Server::start_encrypted(&papers, &[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let sentinel = Server::sentinel(server.port(), folder.path(), Some(&papers)).unwrap();
    let more = [("failover", "true"), ("sentinelMasterName", "m")];
    let trusted = Some(papers.connector(true));
    let store = open_with(&sentinel.host(), &more, trusted).await;
    store.unwrap().session().set(set("k", "1")).await.unwrap();
    assert_eq!(server.say(&["HGET", "k", "data"]).await, "1");
}
