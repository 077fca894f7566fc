use super::super::{Discovery, Mode};
use super::*;
use serde_json::json;
use std::time::Duration;

fn read(name: &str, settings: Value) -> Result<Resolver, ResolverFault> {
    of_version(name, "v1", settings)
}

fn of_version(name: &str, version: &str, settings: Value) -> Result<Resolver, ResolverFault> {
    Resolver::try_new(&Discovery {
        mode: Mode::Standalone,
        resolver: name.to_owned(),
        resolver_version: version.to_owned(),
        resolver_settings: settings,
        host_address: None,
        same_host_registry: true,
        mdns: true,
        resources: Vec::new(),
        reconcile: Duration::from_secs(60),
    })
}

fn refused(name: &str, settings: Value) -> String {
    read(name, settings).expect_err(name).to_string()
}

#[test]
fn names_and_versions_are_read_in_any_case() {
    for (name, version) in [("mdns", "v1"), ("MDNS", "V0"), ("mDNS", "")] {
        let resolver = of_version(name, version, Value::Null);
        assert_eq!(resolver, Ok(Resolver::Mdns), "{name}/{version}");
    }
    for (name, version) in [
        ("Foo", "V2"),
        ("sqlite", "v2"),
        ("consul", "v1"),
        ("kubernetes", "v1"),
    ] {
        let error = of_version(name, version, Value::Null).expect_err(name);
        let text = format!("couldn't find name resolver {name}/{version}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_name_format_must_have_its_placeholder() {
    let format = "{appid}.svc:1".to_owned();
    let good = read("NameFormat", json!({"FORMAT": "{appid}.svc:1"}));
    assert_eq!(good, Ok(Resolver::Nameformat { format }));
    for (settings, error) in [
        (
            Value::Null,
            "failed to decode metadata: input object cannot be cast to map[string]string: unable \
             to cast <nil> of type <nil> to map[string]string",
        ),
        (json!({}), "format is required in metadata"),
        (json!({"format": ""}), "format is required in metadata"),
        (
            json!({"format": 5}),
            "format must contain {appid} placeholder",
        ),
    ] {
        assert_eq!(refused("nameformat", settings), error);
    }
}

fn sqlite(settings: Value) -> SqliteResolver {
    match read("sqlite", settings) {
        Ok(Resolver::Sqlite(sqlite)) => sqlite,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sqlite_has_the_references_defaults_and_aliases() {
    let plain = sqlite(json!({"URL": "/d/a.db"}));
    assert_eq!(plain.dsn.uri, "file:/d/a.db");
    assert_eq!(
        plain.dsn.pragmas,
        ["busy_timeout = 800", "journal_mode = WAL"]
    );
    assert_eq!(
        (plain.table.as_str(), plain.metadata_table.as_str()),
        ("hosts", "metadata")
    );
    let seconds = Duration::from_secs;
    assert_eq!(
        (plain.update_interval, plain.timeout),
        (seconds(5), seconds(1))
    );
    assert_eq!(plain.cleanup_interval, Some(seconds(3600)));
    let told = sqlite(json!({
        "connectionString": "a.db", "updateInterval": 10, "timeoutInSeconds": "2", "disableWAL": "Yes",
        "cleanupIntervalInSeconds": 0, "busyTimeout": "-1s", "tableName": "h_1", "other": [1],
    }));
    assert_eq!(
        (told.update_interval, told.timeout),
        (seconds(10), seconds(2))
    );
    assert_eq!(told.cleanup_interval, None);
    assert_eq!(
        told.dsn.pragmas,
        ["busy_timeout = 0", "journal_mode = DELETE"]
    );
}

#[test]
fn sqlite_faults_have_the_references_words() {
    for (settings, error) in [
        (
            Value::Null,
            "input object cannot be cast to map[string]string: unable to cast <nil> of type <nil> \
             to map[string]string",
        ),
        (json!({"a": "b"}), "missing connection string"),
        (
            json!({"url": "x", "tableName": "a b"}),
            "invalid identifier for table name: a b",
        ),
        (
            json!({"url": "x", "metadataTableName": "x-y"}),
            "invalid identifier for metadata table name: x-y",
        ),
        (
            json!({"url": "x", "updateInterval": "1500ms"}),
            "update interval must not contain fractions of seconds",
        ),
        (
            json!({"url": "x", "updateInterval": 1, "timeout": "500ms"}),
            "invalid value for 'timeout': must be greater than 1s",
        ),
        (
            json!({"url": "x", "updateInterval": "2s", "timeout": "1500ms"}),
            "update interval must be at least 1s greater than timeout",
        ),
        (
            json!({"url": "x", "updateInterval": "abc"}),
            "1 error(s) decoding:\n\n* error decoding 'updateInterval': time: invalid duration \
             \"abc\"\nstrconv.ParseInt: parsing \"abc\": invalid syntax",
        ),
        (
            json!({"url": "x?_pragma=busy_timeout(1)"}),
            "found forbidden option '_pragma=busy_timeout' in the connection string",
        ),
    ] {
        assert_eq!(refused("sqlite", settings), error);
    }
}

#[test]
fn a_static_list_names_addresses_with_or_without_namespace() {
    let listed = read(
        "static",
        json!({"apps": {
            "cart": ["10.0.0.1:50002", "[::1]:50002"],
            "pay": [{"address": "pay.example:1", "namespace": "prod"}],
        }}),
    );
    let Ok(Resolver::Static(StaticList::Listed(entries))) = listed else {
        panic!("{listed:?}");
    };
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[2].namespace.as_deref(), Some("prod"));
    let file = read("static", json!({"file": "/a.yaml"}));
    let path = "/a.yaml".to_owned();
    assert_eq!(file, Ok(Resolver::Static(StaticList::File(path))));
    let read = read_static_list("apps:\n  cart:\n  - 10.0.0.1:50002\n").expect("list");
    assert_eq!(read, entries[..1]);
    assert_eq!(read_static_list("apps:\n").expect("list"), []);
}

#[test]
fn a_bad_static_list_says_where_and_why() {
    for (settings, error) in [
        (
            Value::Null,
            "the static name resolver needs a configuration with apps, file",
        ),
        (
            json!({"app": {}}),
            "unknown key app; the static name resolver knows apps, file",
        ),
        (
            json!({"apps": {"a": "b:1"}}),
            "apps.a must be a list of addresses",
        ),
        (
            json!({"apps": {"a": ["h:1", "h"]}}),
            "apps.a[1] is \"h\", which has no port; write host:port",
        ),
        (
            json!({"apps": {"a": ["::1:5"]}}),
            "apps.a[0] is \"::1:5\", whose IPv6 address must stand in brackets",
        ),
        (
            json!({"apps": {"a": [{"addr": "h:1"}]}}),
            "apps.a[0] has the unknown key addr; known are address and namespace",
        ),
        (json!({"file": 1}), "file must be the path of a file"),
    ] {
        assert_eq!(refused("static", settings), error);
    }
    for text in ["", "apps: [", "apps: {a: [h:0]}", "- x"] {
        read_static_list(text).expect_err(text);
    }
}

#[test]
fn dns_reads_a_template_and_bounds() {
    let dns = read(
        "dns",
        json!({
            "template": "{appid}.{namespace}.svc:50003", "refreshMax": "10s", "refreshMin": 2,
            "nameServers": ["127.0.0.1:5300", "::1"],
        }),
    );
    let Ok(Resolver::Dns(dns)) = dns else {
        panic!("{dns:?}");
    };
    assert_eq!(dns.template, "{appid}.{namespace}.svc");
    assert_eq!(dns.records, DnsRecords::Addresses { port: 50003 });
    assert_eq!(dns.refresh_max, Duration::from_secs(10));
    assert_eq!(dns.refresh_min, Duration::from_secs(2));
    assert_eq!(dns.name_servers[1].to_string(), "[::1]:53");
    for (settings, error) in [
        (
            json!({}),
            "template must hold {appid}, as in {appid}.{namespace}.svc.example:50002",
        ),
        (
            json!({"template": "{appid}.{x}"}),
            "template can hold {appid} and {namespace}, and no other braces",
        ),
        (
            json!({"template": "{appid}:0"}),
            "template ends in :0, which is no port",
        ),
        (
            json!({"template": "{appid}:1", "type": "SRV"}),
            "template ends in :1, but SRV records hold the ports; leave it out",
        ),
        (
            json!({"template": "{appid}", "type": "mx"}),
            "type is mx; it can be a or srv",
        ),
        (
            json!({"template": "{appid}", "refreshMin": "2m"}),
            "refreshMin must be longer than 0s and not longer than refreshMax",
        ),
        (
            json!({"template": "{appid}", "nameServers": ["x"]}),
            "nameServers holds \"x\", which is no IP address, with or without port",
        ),
    ] {
        assert_eq!(refused("dns", settings), error);
    }
}
