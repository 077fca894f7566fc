use super::*;

fn read(list: &[(&str, &str)]) -> Result<Settings, String> {
    let items = list
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let properties = Properties::try_new(items).unwrap();
    Settings::read(&properties).map_err(|error| error.0)
}

fn refusal(list: &[(&str, &str)]) -> String {
    read(list).err().unwrap()
}

#[test]
fn nothing_said_is_redis_on_this_machine() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.target.name(), "localhost:6379");
    assert_eq!((settings.db, settings.ttl), (0, None));
    assert!(settings.login.password.is_empty());
    assert_eq!(settings.wire.dial, Duration::from_secs(5));
    assert_eq!(settings.wire.answer, Some(Duration::from_secs(3)));
    assert_eq!(settings.write, Some(Duration::from_secs(3)));
    let retries = Retries {
        most: 3,
        shortest: Duration::from_secs(2),
        longest: Duration::from_millis(512),
    };
    assert_eq!(settings.retries, retries);
}

#[test]
fn names_have_no_case_and_old_names_count() {
    let settings = read(&[
        ("REDISHOST", "h"),
        ("redisdb", "+3"),
        ("maxRetries", "7"),
        ("maxRetryBackoff", "5000000"),
        ("ttlinseconds", "-1"),
        ("redisMaxRetryInterval", "1s"),
    ])
    .unwrap();
    assert_eq!(settings.target.name(), "h:6379");
    assert_eq!((settings.db, settings.ttl), (3, Some(-1)));
    let retries = Retries {
        most: 7,
        shortest: Duration::from_millis(5),
        longest: Duration::from_secs(1),
    };
    assert_eq!(settings.retries, retries);
    assert_eq!(read(&[("redisMaxRetries", "-1")]).unwrap().retries.most, 0);
}

#[test]
fn whole_numbers_are_milliseconds_and_less_than_zero_is_no_limit() {
    let settings = read(&[
        ("dialTimeout", "1500"),
        ("readTimeout", "1m"),
        ("writeTimeout", "-1"),
    ])
    .unwrap();
    assert_eq!(settings.wire.dial, Duration::from_millis(1500));
    assert_eq!(settings.wire.answer, Some(Duration::from_secs(60)));
    assert_eq!(settings.write, None);
    let settings = read(&[("readTimeout", "1s"), ("dialTimeout", "-1")]).unwrap();
    assert_eq!(settings.write, Some(Duration::from_secs(1)));
    assert_eq!(settings.wire.dial, DIAL);
}

#[test]
fn what_cannot_be_read_is_told_in_the_references_words() {
    let head = "redis client configuration error: decode failed.";
    for (list, tail) in [
        (
            &[("redisDB", "x")][..],
            "1 error(s) decoding:\n\n* error decoding 'redisDB': invalid int \"x\"",
        ),
        (
            &[("enableTLS", "yes")],
            "1 error(s) decoding:\n\n* error decoding 'enableTLS': invalid bool \"yes\"",
        ),
        (
            &[("redisPort", "abc")],
            "1 error(s) decoding:\n\n* error decoding 'redisPort': invalid uint16 \"abc\"",
        ),
        (
            &[("readTimeout", "1h2")],
            "1 error(s) decoding:\n\n* error decoding 'readTimeout': invalid Duration \"1h2\": \
             time: missing unit in duration \"1h2\"",
        ),
        (
            &[("ttlInSeconds", "")],
            "1 error(s) decoding:\n\n* error decoding 'ttlInSeconds': invalid int \"\"",
        ),
        (
            &[("redisMinRetryInterval", "x"), ("maxRetries", "y")],
            "2 error(s) decoding:\n\n* error decoding 'redisMaxRetries': invalid int \"y\"\n\
             * error decoding 'redisMinRetryInterval': invalid Duration \"x\": time: invalid \
             duration \"x\"",
        ),
    ] {
        assert_eq!(refusal(list), format!("{head} {tail}"));
    }
    assert_eq!(
        refusal(&[("maxRetryBackoff", "x")]),
        "redis store error: can't parse maxRetryBackoff field: strconv.ParseInt: parsing \"x\": \
         invalid syntax"
    );
}

#[test]
fn hosts_come_with_or_without_a_port() {
    for (host, port, name) in [
        ("", "", "localhost:6379"),
        ("h", "", "h:6379"),
        ("h", "7000", "h:7000"),
        ("h:7000", "7000", "h:7000"),
        (" h:7 ", "", "h:7"),
        (":7000", "", "localhost:7000"),
        ("::1", "7000", "[::1]:7000"),
        ("[::1]:7000", "", "[::1]:7000"),
        ("[::1]", "", "[::1]:6379"),
    ] {
        let mut list = vec![("redisHost", host)];
        if !port.is_empty() {
            list.push(("redisPort", port));
        }
        assert_eq!(read(&list).unwrap().target.name(), name, "{host} {port}");
    }
    assert_eq!(
        refusal(&[("redisHost", "h:1"), ("redisPort", "2")]),
        "redis client configuration error: redis host \"h:1\" already contains port 1, but \
         redisPort is set to 2; either remove the port from redisHost or remove the redisPort \
         setting"
    );
    for host in ["h:x", "h:0", "h:65536", "h:"] {
        assert!(refusal(&[("redisHost", host)]).contains("from 1 to 65535"));
    }
}

#[test]
fn what_this_store_does_not_do_is_refused() {
    for (list, word) in [
        (&[("useAzureAD", "true")][..], "useEntraID is not available"),
        (&[("redisHost", "a:1,b:2")], "several hosts"),
        (&[("failover", "true")], "sentinelMasterName"),
    ] {
        let refusal = refusal(list);
        assert!(refusal.contains(word), "{refusal}");
    }
    assert!(read(&[("consumerID", "x"), ("redeliverInterval", "y")]).is_ok());
}

#[test]
fn a_cluster_is_a_list_of_seeds() {
    let list = [("redisHost", "a:1,b"), ("redisType", "cluster")];
    let settings = read(&list).unwrap();
    assert!(matches!(&settings.target, Target::Cluster(seeds) if seeds.len() == 2));
    assert_eq!(settings.target.name(), "a:1,b:6379");
    // Only the exact word means one, as in the reference.
    let settings = read(&[("redisType", "Cluster")]).unwrap();
    assert!(matches!(settings.target, Target::Node(_)));
    let list = [
        ("redisType", "cluster"),
        ("failover", "true"),
        ("sentinelMasterName", "m"),
    ];
    let settings = read(&list).unwrap();
    assert!(matches!(settings.target, Target::Sentinels { .. }));
}

#[test]
fn encryption_is_checked_before_anything_is_connected() {
    assert!(read(&[]).unwrap().wire.tls.is_none());
    // Without the switch nothing else is looked at.
    let settings = read(&[("clientCert", "x"), ("insecureSkipTLSVerify", "true")]);
    assert!(settings.unwrap().wire.tls.is_none());
    let on = [("enableTLS", "true"), ("insecureSkipTLSVerify", "true")];
    assert!(read(&on).unwrap().wire.tls.is_some());
    let with = |cert: &'static str, key: &'static str| {
        let more = [("clientCert", cert), ("clientKey", key)];
        let list: Vec<_> = on.into_iter().chain(more).collect();
        read(&list).map(drop)
    };
    // The reference takes no notice of half a pair.
    assert_eq!((with("x", ""), with("", "y")), (Ok(()), Ok(())));
    let refusal = with("x", "y").unwrap_err();
    let words = "redis client configuration error: clientCert and clientKey: there is no \
                 certificate in the text";
    assert!(refusal.starts_with(words), "{refusal}");
}

#[test]
fn sentinels_are_a_list() {
    let settings = read(&[
        ("redisHost", "a, b:2"),
        ("redisPort", ""),
        ("failover", "true"),
        ("sentinelMasterName", "m"),
    ]);
    assert!(settings.is_err(), "an empty port is no number");
    let settings = read(&[
        ("redisHost", "a, b:2"),
        ("failover", "1"),
        ("sentinelMasterName", "m"),
    ])
    .unwrap();
    assert_eq!(settings.target.name(), "a:6379,b:2");
}

#[test]
fn secrets_are_not_printed() {
    let settings = read(&[("redisPassword", "geheim"), ("redisUsername", "u")]).unwrap();
    assert!(!format!("{settings:?}").contains("geheim"));
}
