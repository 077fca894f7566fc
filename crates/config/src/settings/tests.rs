//! Contract, configuration 1.2 to 1.4 and 2.1; expected texts come from runs of the reference.

use super::*;
use crate::env::Env;
use crate::sidecar_flags::{Command, Form, parse};
use proptest::prelude::*;
use std::time::Duration;

fn raw(line: &str) -> RawFlags {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match parse(Form::Outrider, &words).expect(line).command {
        Command::Run(raw) => *raw,
        other => panic!("{other:?}"),
    }
}

fn env(variables: &[(&str, &str)]) -> Env {
    Env::new(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn with(line: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let settings = Settings::try_new(
        raw(line),
        &env(variables),
        Configuration::default(),
        &Host::default(),
    );
    settings.map_err(|error| error.to_string())
}

fn settings(line: &str) -> Settings {
    with(&format!("--app-id a {line}"), &[]).expect(line)
}

fn refused(line: &str) -> String {
    with(line, &[]).expect_err(line)
}

const WRONG_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

#[test]
fn each_refusal_has_the_text_of_the_reference() {
    let flags = "Failed to parse flags: invalid value for";
    let fatal = "Fatal error from runtime:";
    for (line, text) in [
        (
            "--max-body-size=x",
            format!("{flags} 'max-body-size' option: {WRONG_QUANTITY}"),
        ),
        (
            "--read-buffer-size=x",
            format!("{flags} 'read-buffer-size' option: {WRONG_QUANTITY}"),
        ),
        (
            "--max-body-size=1500m",
            format!(
                "{flags} 'max-body-size' option: cannot get bytes from resource quantity value \
                 '{{{{1500 -3}} {{<nil>}} 1500m DecimalSI}}'"
            ),
        ),
        (
            "--actors-disseminate-timeout=0",
            format!("{flags} 'actors-disseminate-timeout' option: must be positive, got 0s"),
        ),
        (
            "--log-level=foo",
            "invalid value for --log-level: foo".to_owned(),
        ),
        ("--log-level=", "invalid value for --log-level: ".to_owned()),
        (
            "--control-plane-trust-domain=",
            format!("{fatal} control plane trust domain is required"),
        ),
        (
            "--enable-mtls",
            format!("{fatal} trust anchors are required"),
        ),
        ("--mode=foo", format!("{fatal} invalid mode: foo")),
        ("", format!("{fatal} parameter app-id cannot be empty")),
        (
            "--app-id=a.b",
            format!("{fatal} parameter app-id cannot contain dots"),
        ),
    ] {
        assert_eq!(refused(line), text, "{line}");
    }
}

#[test]
fn ports_are_refused_with_the_text_of_their_flag() {
    let fatal = "Fatal error from runtime:";
    let invalid = "strconv.Atoi: parsing \"x\": invalid syntax";
    for (line, text) in [
        (
            "--dapr-http-port=x",
            format!("{fatal} error parsing dapr-http-port flag: {invalid}"),
        ),
        (
            "--dapr-grpc-port=x",
            format!("{fatal} error parsing dapr-grpc-port flag: {invalid}"),
        ),
        (
            "--profile-port=x",
            format!("{fatal} error parsing profile-port flag: {invalid}"),
        ),
        (
            "--dapr-internal-grpc-port=x",
            format!("{fatal} error parsing dapr-internal-grpc-port: {invalid}"),
        ),
        (
            "--dapr-public-port=x",
            format!("{fatal} error parsing dapr-public-port: {invalid}"),
        ),
        (
            "--app-port=x",
            format!("{fatal} error parsing app-port: {invalid}"),
        ),
        (
            "--metrics-port=x",
            format!("{fatal} failed to parse metrics port: {invalid}"),
        ),
        (
            "--dapr-http-port=",
            format!(
                "{fatal} error parsing dapr-http-port flag: strconv.Atoi: parsing \"\": invalid syntax"
            ),
        ),
        (
            "--dapr-http-port=99999999999999999999",
            format!(
                "{fatal} error parsing dapr-http-port flag: strconv.Atoi: parsing \"99999999999999999999\": value out of range"
            ),
        ),
        (
            "--dapr-http-port=0",
            format!("{fatal} the 'dapr-http-port' argument value 0 conflicts with 'app-port'"),
        ),
        (
            "--app-port=3500",
            format!("{fatal} the 'dapr-http-port' argument value 3500 conflicts with 'app-port'"),
        ),
        (
            "--app-port=50001",
            format!("{fatal} the 'dapr-grpc-port' argument value 50001 conflicts with 'app-port'"),
        ),
        (
            "--dapr-http-port=70000",
            format!(
                "{fatal} invalid value for 'dapr-http-port': 70000 is no port; allowed are 0 to 65535"
            ),
        ),
        (
            "--app-port=-1",
            format!("{fatal} invalid value for 'app-port': -1 is no port; allowed are 0 to 65535"),
        ),
        (
            "--app-protocol=zz",
            format!("{fatal} invalid value for 'app-protocol': zz"),
        ),
        (
            "--disable-init-endpoints=config,Foo",
            format!("{fatal} invalid value for 'disable-init-endpoints': foo"),
        ),
        (
            "--app-health-probe-timeout=5001",
            format!(
                "{fatal} value for 'health-probe-timeout' must be smaller than 'health-probe-interval'"
            ),
        ),
    ] {
        assert_eq!(refused(&format!("--app-id=a {line}")), text, "{line}");
    }
}

#[test]
fn the_first_check_that_fails_decides() {
    // Each line breaks all later rules too.
    let mut line = String::new();
    for (flag, beginning) in [
        ("--metrics-port=x", "failed to parse metrics port"),
        (
            "--app-health-probe-timeout=99999",
            "value for 'health-probe-timeout'",
        ),
        (
            "--disable-init-endpoints=z",
            "invalid value for 'disable-init-endpoints'",
        ),
        ("--app-protocol=z", "invalid value for 'app-protocol'"),
        ("--dapr-grpc-port=0", "the 'dapr-grpc-port' argument"),
        ("--dapr-http-port=0", "the 'dapr-http-port' argument"),
        ("--app-port=x", "error parsing app-port"),
        ("--dapr-public-port=x", "error parsing dapr-public-port"),
        (
            "--dapr-internal-grpc-port=x",
            "error parsing dapr-internal-grpc-port",
        ),
        ("--profile-port=x", "error parsing profile-port"),
        ("--dapr-grpc-port=x", "error parsing dapr-grpc-port"),
        ("--dapr-http-port=x", "error parsing dapr-http-port"),
        ("--app-id=a.b", "parameter app-id cannot contain dots"),
        ("--mode=foo", "invalid mode"),
        ("--enable-mtls", "trust anchors"),
        (
            "--control-plane-trust-domain=",
            "control plane trust domain",
        ),
    ] {
        line.push_str(&format!(" {flag}"));
        let id = if line.contains("app-id") {
            ""
        } else {
            "--app-id=a"
        };
        let text = refused(&format!("{id} {line}"));
        let expected = format!("Fatal error from runtime: {beginning}");
        assert!(text.starts_with(&expected), "{line}: {text}");
    }
    for (flag, beginning) in [
        ("--log-level=x", "invalid value for --log-level"),
        (
            "--actors-disseminate-timeout=-3s",
            "Failed to parse flags: invalid value for 'actors",
        ),
        (
            "--read-buffer-size=x",
            "Failed to parse flags: invalid value for 'read-buffer-size'",
        ),
        (
            "--max-body-size=x",
            "Failed to parse flags: invalid value for 'max-body-size'",
        ),
    ] {
        line.push_str(&format!(" {flag}"));
        let text = refused(&line);
        assert!(text.starts_with(beginning), "{line}: {text}");
    }
}

#[test]
fn sizes_are_normalised() {
    let limits = |line: &str| settings(line).limits;
    let mebi = 1 << 20;
    for (line, body) in [
        ("", Some(4 * mebi)),
        ("--max-body-size=-1", Some(4 * mebi)),
        ("--max-body-size=1.5Mi", Some(3 * mebi / 2)),
        ("--max-body-size=0", None),
        ("--max-body-size=-1Ki", None),
        ("--dapr-http-max-request-size=8", Some(8 * mebi)),
        ("--dapr-http-max-request-size=-1", Some(4 * mebi)),
        ("--dapr-http-max-request-size=0", None),
        (
            "--dapr-http-max-request-size=8 --max-body-size=400",
            Some(400),
        ),
        (
            "--dapr-http-max-request-size=9223372036854775807",
            Some(i64::MAX as u64),
        ),
    ] {
        assert_eq!(limits(line).body, body, "{line}");
    }
    for (line, head) in [
        ("", 8192),
        ("--read-buffer-size=-1", 8192),
        ("--read-buffer-size=8Ki", 12288),
        ("--read-buffer-size=0", 1_052_672),
        ("--dapr-http-read-buffer-size=8", 12288),
        (
            "--dapr-http-read-buffer-size=8 --read-buffer-size=4Ki",
            8192,
        ),
    ] {
        assert_eq!(limits(line).request_head, head, "{line}");
    }
    assert_eq!(limits("--read-buffer-size=8Ki").response_head, 8192);
    assert!(limits("--read-buffer-size=0").response_head >= 2 * mebi);
}

#[test]
fn health_values_are_normalised() {
    let health = |line: &str| {
        settings(&format!("--app-port 1 --enable-app-health-check {line}"))
            .app
            .health
            .expect("on")
    };
    let standard = Health {
        interval: Duration::from_secs(5),
        timeout: Duration::from_millis(500),
        threshold: 3,
        path: "/healthz".to_owned(),
    };
    assert_eq!(health(""), standard);
    let zero =
        "--app-health-probe-interval=0 --app-health-probe-timeout=-1 --app-health-threshold=0";
    assert_eq!(health(zero), standard);
    assert_eq!(health("--app-health-threshold=2147483648").threshold, 3);
    assert_eq!(
        health("--app-health-threshold=2147483647").threshold,
        2_147_483_647
    );
    assert_eq!(health("--app-health-check-path=up").path, "/up");
    assert_eq!(health("--app-health-check-path=").path, "/");
    assert_eq!(
        health("--app-health-probe-timeout=5000").timeout,
        Duration::from_secs(5)
    );
    assert_eq!(
        settings("--enable-app-health-check").app.health,
        None,
        "there is no app port"
    );
    assert_eq!(settings("--app-port=1").app.health, None);
}

#[test]
fn the_app_is_described() {
    let app = settings("").app;
    assert_eq!(
        (app.port, app.max_concurrency, app.protocol),
        (None, None, AppProtocol::Http)
    );
    assert_eq!(app.namespace.as_str(), "default");
    assert_eq!(settings("--app-port=0 --dapr-http-port=1").app.port, None);
    assert_eq!(settings("--app-port=+5").app.port, Some(5));
    assert_eq!(
        settings("--app-max-concurrency=-10").app.max_concurrency,
        None
    );
    assert_eq!(
        settings("--app-max-concurrency=3")
            .app
            .max_concurrency
            .map(usize::from),
        Some(3)
    );
    let app = settings("--disable-init-endpoints= --disable-init-endpoints=,CONFIG").app;
    assert!(app.skip_config && !app.skip_subscribe);
    let both = with("--app-id=a", &[("APP_API_TOKEN", "s"), ("NAMESPACE", "")])
        .expect("fine")
        .app;
    assert_eq!(both.token.as_ref().map(Secret::reveal), Some("s"));
    assert_eq!(both.namespace.as_str(), "");
}

#[test]
fn protocols_are_read_in_any_case_and_ssl_lifts_two_of_them() {
    for (line, protocol, warned) in [
        ("--app-protocol=", AppProtocol::Http, 0),
        ("--app-protocol=GRPC", AppProtocol::Grpc, 0),
        ("--app-protocol=h2c", AppProtocol::H2c, 0),
        ("--app-ssl", AppProtocol::Https, 1),
        ("--app-ssl --app-protocol=grpc", AppProtocol::Grpcs, 1),
        ("--app-ssl --app-protocol=h2c", AppProtocol::H2c, 1),
    ] {
        let settings = settings(line);
        assert_eq!(
            (settings.app.protocol, settings.warnings.len()),
            (protocol, warned),
            "{line}"
        );
    }
}

#[test]
fn listeners_are_described() {
    let listen = settings("").listen;
    assert_eq!((listen.http_port, listen.grpc_port), (3500, 50001));
    assert_eq!(listen.addresses, [""]);
    assert_eq!((listen.public_port, listen.profile_port), (None, None));
    let stable = InternalPort::Stable(stable_port("a", &Host::default()));
    assert_eq!(listen.internal_port, stable);
    assert_eq!(
        settings("--dapr-internal-grpc-port=0").listen.internal_port,
        stable
    );
    let listen = settings(
        "--dapr-internal-grpc-port=5 --dapr-internal-grpc-listen-address=[::1] --dapr-public-port=6 \
         --enable-profiling --unix-domain-socket=/s --dapr-listen-addresses=a,b,",
    )
    .listen;
    assert_eq!(listen.internal_port, InternalPort::Chosen(5));
    assert_eq!(listen.advertised_loopback(), Some("[::1]"));
    assert_eq!(
        (listen.public_port, listen.profile_port),
        (Some(6), Some(7777))
    );
    assert_eq!(listen.addresses, ["a", "b", ""]);
    assert_eq!(listen.unix_socket_folder.as_deref(), Some("/s"));
    assert_eq!(
        settings("--dapr-internal-grpc-listen-address=127.0.0.2")
            .listen
            .advertised_loopback(),
        None
    );
}

#[test]
fn the_end_of_life_is_described() {
    let grace = |line: &str| settings(line).lifecycle.grace;
    assert_eq!(grace(""), Some(Duration::from_secs(5)));
    assert_eq!(
        grace("--dapr-graceful-shutdown-seconds=-3"),
        Some(Duration::from_secs(5))
    );
    assert_eq!(grace("--dapr-graceful-shutdown-seconds=0"), None);
    let block = |line: &str| settings(line).lifecycle.block;
    assert_eq!(block(""), None);
    assert_eq!(
        block("--dapr-block-shutdown-duration=0"),
        Some(Duration::ZERO)
    );
    assert_eq!(
        block("--dapr-block-shutdown-duration=2s"),
        Some(Duration::from_secs(2))
    );
}

#[test]
fn the_flag_for_api_logging_overrides_the_configuration() {
    let mut configuration = Configuration::default();
    let text = "spec: {logging: {apiLogging: {enabled: true, obfuscateURLs: true}}}";
    configuration
        .merge("f", text, &Default::default())
        .expect("fits");
    for (line, logged) in [("", true), ("--enable-api-logging=false", false)] {
        let raw = raw(&format!("--app-id=a {line}"));
        let settings = Settings::try_new(
            raw,
            &Env::default(),
            configuration.clone(),
            &Host::default(),
        );
        let api = settings.expect("fine").api;
        assert_eq!(
            (api.log_calls, api.log_obfuscated),
            (logged, true),
            "{line}"
        );
    }
    assert!(settings("--enable-api-logging").api.log_calls);
    assert!(!settings("").api.log_calls);
}

#[test]
fn variables_stand_in_for_flags_that_are_not_given() {
    let variables = [
        ("DAPR_CONTROLPLANE_TRUST_DOMAIN", "td"),
        ("DAPR_CONTROLPLANE_NAMESPACE", ""),
    ];
    let security = with("--app-id=a", &variables).expect("fine").security;
    assert_eq!(
        (
            security.trust_domain.as_str(),
            security.control_plane_namespace.as_str()
        ),
        ("td", "")
    );
    let given = "--app-id=a --control-plane-trust-domain=x --control-plane-namespace=y";
    let security = with(given, &variables).expect("fine").security;
    assert_eq!(
        (
            security.trust_domain.as_str(),
            security.control_plane_namespace.as_str()
        ),
        ("x", "y")
    );
    let empty = with("--app-id=a", &[("DAPR_CONTROLPLANE_TRUST_DOMAIN", "")]);
    assert!(
        empty
            .expect_err("empty")
            .ends_with("control plane trust domain is required")
    );
    assert!(with("--app-id=a --enable-mtls", &[("DAPR_TRUST_ANCHORS", "PEM")]).is_ok());
    let h2c = |word| {
        with("--app-id=a", &[("DAPR_HTTP_DISABLE_H2C", word)])
            .expect("fine")
            .api
            .h2c
    };
    assert!(h2c("no") && !h2c("yes"));
}

#[test]
fn our_own_settings_come_from_flag_or_variable() {
    let lanes =
        |line, value| with(line, &[("OUTRIDER_LANES", value)]).map(|settings| settings.lanes);
    assert_eq!(lanes("--app-id=a", ""), Ok(None));
    assert_eq!(lanes("--app-id=a", "4"), Ok(Some(4)));
    assert_eq!(lanes("--app-id=a --lanes=0", "4"), Ok(None));
    assert_eq!(
        lanes("--app-id=a", "many").expect_err("no number"),
        "Failed to parse flags: invalid value for 'OUTRIDER_LANES': many is no number of threads; \
         allowed are 0 to 1024"
    );
    assert!(lanes("--app-id=a --lanes=-1", "").is_err());
    let registry = |line, value| {
        let settings = with(line, &[("OUTRIDER_SAME_HOST_REGISTRY", value)]);
        settings.map(|settings| settings.discovery.same_host_registry)
    };
    assert_eq!(registry("--app-id=a", ""), Ok(true));
    assert_eq!(registry("--app-id=a", "false"), Ok(false));
    assert_eq!(
        registry("--app-id=a --same-host-registry", "false"),
        Ok(true)
    );
    assert!(registry("--app-id=a", "maybe").is_err());
}

#[test]
fn discovery_depends_on_the_mode() {
    let discovery = settings("--components-path=old").discovery;
    assert_eq!(
        (
            discovery.resolver.as_str(),
            discovery.resolver_version.as_str()
        ),
        ("mdns", "v1")
    );
    assert_eq!(discovery.resources, ["old"]);
    assert_eq!(discovery.reconcile, Duration::from_secs(60));
    assert_eq!(
        settings("--components-path=old --resources-path=new")
            .discovery
            .resources,
        ["new"]
    );
    let cluster = with("--mode=kubernetes --config=a --config=b", &[]).expect("no id needed");
    assert_eq!(cluster.discovery.resolver, "kubernetes");
    assert_eq!(cluster.warnings.len(), 1);
}

#[test]
fn origins_are_read() {
    let origins = |line: &str| settings(line).api.origins;
    assert_eq!(origins(""), Origins::Unhandled);
    assert_eq!(origins("--allowed-origins=*"), Origins::Any);
    let listed = Origins::Listed(vec!["http://a".to_owned(), "http://b".to_owned()]);
    assert_eq!(origins("--allowed-origins=http://a,http://b"), listed);
}

#[test]
fn files_see_what_the_sidecar_says_about_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.yaml");
    let text = "spec: {features: [{name: '$APP_ID-$APP_PORT-$DAPR_PORT-$HOST_ADDRESS-$DAPR_HTTP_PORT', enabled: true}], x: 1}";
    std::fs::write(&file, text).expect("written");
    let line = format!("--app-id=me --app-port=7 --config={}", file.display());
    let draft = Draft::try_new(raw(&line), &Env::default(), &Host::default()).expect("fine");
    let settings = draft.load("10.0.0.1", 47301).expect("fine");
    assert_eq!(settings.features[0], "me-7-47301-10.0.0.1-3500");
    assert!(settings.warnings[0].ends_with("line 1: unknown key spec.x is ignored"));

    let draft = Draft::try_new(
        raw("--app-id=me --config=/no/such"),
        &Env::default(),
        &Host::default(),
    );
    let error = draft.expect("fine").load("", 1).expect_err("missing");
    assert_eq!(
        error.to_string(),
        "Fatal error from runtime: error loading configuration: stat /no/such: no such file or directory"
    );
}

#[test]
fn what_is_in_force_is_printed_without_secrets() {
    let variables = [
        ("DAPR_API_TOKEN", "hush"),
        ("DAPR_TRUST_ANCHORS", "-----BEGIN"),
    ];
    let settings = with("--app-id=a --lanes=2", &variables).expect("fine");
    let page = settings.effective();
    for line in [
        "app.id = a",
        "api.token = set",
        "app.token = unset",
        "lanes = 2",
        "limits.body = 4194304",
    ] {
        assert!(
            page.lines().any(|printed| printed == line),
            "{line} in\n{page}"
        );
    }
    assert!(!page.contains("hush") && !page.contains("BEGIN"));
    assert!(!format!("{settings:?}").contains("hush"));
}

proptest! {
    #[test]
    fn no_values_make_it_panic(
        values in prop::collection::vec(
            ("(dapr-http-port|app-port|max-body-size|read-buffer-size|lanes|app-health-threshold|\
              app-health-probe-interval|app-health-probe-timeout|app-max-concurrency|\
              dapr-graceful-shutdown-seconds|dapr-block-shutdown-duration|app-id|app-protocol|\
              dapr-http-max-request-size|allowed-origins|dapr-listen-addresses|log-level)",
             "(-?[0-9]{0,20}[a-zA-Z.]{0,3}|\\PC{0,6})"),
            0..5,
        )
    ) {
        let line: Vec<String> = values.iter().map(|(name, value)| format!("--{name}={value}")).collect();
        if let Ok(invocation) = parse(Form::Daprd, &line)
            && let Command::Run(raw) = invocation.command
        {
            let settings = Settings::try_new(*raw, &Env::default(), Configuration::default(), &Host::default());
            if let Ok(settings) = settings {
                let _ = settings.effective();
            }
        }
    }
}

#[test]
fn a_profile_port_counts_only_with_profiling() {
    assert_eq!(settings("--profile-port=-1").listen.profile_port, None);
    let fault = refused("--app-id=a --profile-port=-1 --enable-profiling");
    assert!(fault.contains("profile-port"), "{fault}");
}
