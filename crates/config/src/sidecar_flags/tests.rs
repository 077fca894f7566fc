//! Contract, configuration 1.1, 1.2 and suite notes 4.2.

use super::*;
use crate::flags::{Kind, Status};

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn command(form: Form, line: &str) -> Command {
    parse(form, &words(line)).expect(line).command
}

fn raw(line: &str) -> RawFlags {
    match command(Form::Daprd, line) {
        Command::Run(raw) => *raw,
        other => panic!("{other:?}"),
    }
}

/// Name, kind and default of every flag of the reference.
const CONTRACT: &[(&str, Kind, &str)] = &[
    ("mode", Kind::Str, "standalone"),
    ("app-id", Kind::Str, ""),
    ("app-port", Kind::Str, ""),
    ("app-protocol", Kind::Str, "http"),
    ("app-ssl", Kind::Bool, ""),
    ("app-channel-address", Kind::Str, "127.0.0.1"),
    ("app-max-concurrency", Kind::Int, "-1"),
    ("enable-app-health-check", Kind::Bool, ""),
    ("app-health-check-path", Kind::Str, "/healthz"),
    ("app-health-probe-interval", Kind::Int, "5"),
    ("app-health-probe-timeout", Kind::Int, "500"),
    ("app-health-threshold", Kind::Int, "3"),
    ("app-binding-options-timeout", Kind::Duration, "3s"),
    ("dapr-http-port", Kind::Str, "3500"),
    ("dapr-grpc-port", Kind::Str, "50001"),
    ("dapr-internal-grpc-port", Kind::Str, ""),
    ("dapr-internal-grpc-listen-address", Kind::Str, ""),
    ("dapr-listen-addresses", Kind::Str, ""),
    ("dapr-public-port", Kind::Str, ""),
    ("dapr-public-listen-address", Kind::Str, ""),
    ("profile-port", Kind::Str, "7777"),
    ("enable-profiling", Kind::Bool, ""),
    ("unix-domain-socket", Kind::Str, ""),
    ("max-body-size", Kind::Str, "4Mi"),
    ("dapr-http-max-request-size", Kind::Int, "4"),
    ("read-buffer-size", Kind::Str, "4Ki"),
    ("dapr-http-read-buffer-size", Kind::Int, "4"),
    ("allowed-origins", Kind::Str, ""),
    ("config", Kind::StrSlice, ""),
    ("resources-path", Kind::StrSlice, ""),
    ("components-path", Kind::Str, ""),
    ("placement-host-address", Kind::Str, ""),
    ("scheduler-host-address", Kind::StrSlice, ""),
    ("scheduler-job-streams", Kind::Uint, "3"),
    ("actors-disseminate-timeout", Kind::Duration, "30s"),
    ("actors-service", Kind::Str, ""),
    ("reminders-service", Kind::Str, ""),
    ("disable-init-endpoints", Kind::StrSlice, ""),
    ("disable-builtin-k8s-secret-store", Kind::Bool, ""),
    ("hot-reload-reconcile-interval", Kind::Duration, "0s"),
    ("control-plane-address", Kind::Str, ""),
    ("control-plane-trust-domain", Kind::Str, "localhost"),
    ("control-plane-namespace", Kind::Str, "default"),
    ("sentry-address", Kind::Str, ""),
    ("sentry-request-jwt-audiences", Kind::StrSlice, ""),
    ("enable-mtls", Kind::Bool, ""),
    ("dapr-graceful-shutdown-seconds", Kind::Int, "5"),
    ("dapr-block-shutdown-duration", Kind::OptDuration, ""),
    ("enable-api-logging", Kind::OptBool, ""),
    ("log-level", Kind::Str, "info"),
    ("log-as-json", Kind::Bool, ""),
    ("log-file", Kind::Str, ""),
    ("enable-metrics", Kind::Bool, "true"),
    ("metrics-port", Kind::Str, "9090"),
    ("metrics-listen-address", Kind::Str, "0.0.0.0"),
    ("version", Kind::Bool, ""),
    ("build-info", Kind::Bool, ""),
    ("wait", Kind::Bool, ""),
];

#[test]
fn the_table_is_the_contract_and_three_flags_of_our_own() {
    let spec = Form::Daprd.spec();
    for (name, kind, default) in CONTRACT {
        let flag = spec
            .flags
            .iter()
            .find(|flag| flag.name == *name)
            .expect(name);
        assert_eq!((flag.kind, flag.default), (*kind, *default), "{name}");
    }
    let ours: Vec<&str> = spec
        .flags
        .iter()
        .map(|flag| flag.name)
        .filter(|name| CONTRACT.iter().all(|(known, ..)| known != name))
        .collect();
    assert_eq!(ours, ["lanes", "same-host-registry", "mdns"]);
    assert_eq!(spec.flags.len(), CONTRACT.len() + 3, "no name stands twice");
}

#[test]
fn no_arguments_give_the_defaults() {
    let raw = raw("");
    assert_eq!((raw.mode.as_str(), raw.app_id.as_str()), ("standalone", ""));
    assert_eq!((raw.app_max_concurrency, raw.app_health_threshold), (-1, 3));
    assert_eq!(
        (raw.max_body_size, raw.dapr_http_max_request_size),
        (None, None)
    );
    assert_eq!(
        (raw.enable_api_logging, raw.dapr_block_shutdown_duration),
        (None, None)
    );
    assert!(raw.enable_metrics);
}

#[test]
fn what_the_test_suite_always_passes_is_read() {
    let raw = raw(
        "--log-level=debug --app-id=x --app-protocol=grpc --dapr-grpc-port=1 --dapr-http-port=2 \
         --dapr-internal-grpc-port=3 --dapr-internal-grpc-listen-address=127.0.0.1 \
         --dapr-listen-addresses=127.0.0.1 --dapr-public-port=4 \
         --dapr-public-listen-address=127.0.0.1 --metrics-port=5 \
         --metrics-listen-address=127.0.0.1 --profile-port=6 --enable-app-health-check=false \
         --app-health-probe-interval=0 --app-health-threshold=0 --mode=standalone \
         --enable-mtls=false --enable-api-logging=true --enable-profiling --max-body-size=512Mi \
         --resources-path a --resources-path b --config c.yaml --app-binding-options-timeout 1s",
    );
    assert_eq!(raw.enable_api_logging, Some(true));
    assert_eq!(raw.max_body_size.as_deref(), Some("512Mi"));
    assert_eq!(raw.resources_path, ["a", "b"]);
    assert_eq!(raw.app_health_probe_interval, 0);
    assert!(raw.enable_profiling && !raw.enable_app_health_check);
}

#[test]
fn single_dashes_work_for_daprd_only() {
    let raw = raw("-app-id x -config=a -enable-metrics=false stray");
    assert_eq!(
        (raw.app_id.as_str(), raw.config.as_slice()),
        ("x", &["a".to_owned()][..])
    );
    assert_eq!(raw.ignored_arguments, ["stray"]);
    assert!(!raw.enable_metrics);
    let error = parse(Form::Outrider, &words("-app-id x")).expect_err("no such alias");
    assert_eq!(error.to_string(), "unknown shorthand flag: 'a' in -app-id");
    let error = parse(Form::Daprd, &words("--app-max-concurrency -10")).expect_err("doubled");
    assert!(
        error
            .to_string()
            .starts_with("invalid argument \"--10\" for")
    );
    assert!(parse(Form::Outrider, &words("--app-max-concurrency -10")).is_ok());
}

#[test]
fn one_shot_modes_have_an_order_and_need_no_app_id() {
    let daprd = |line| command(Form::Daprd, line);
    assert_eq!(daprd("--wait --build-info --version"), Command::Version);
    assert_eq!(daprd("--wait --build-info"), Command::BuildInfo);
    let wait = Command::Wait {
        http_port: "3600".to_owned(),
    };
    assert_eq!(daprd("--wait --dapr-http-port 3600"), wait);
    assert!(matches!(daprd("-help --bogus"), Command::Help(_)));
    assert!(matches!(daprd("-h"), Command::Help(_)));
}

#[test]
fn old_flags_are_noticed_and_kept() {
    let line = words("--app-ssl --components-path x --dapr-http-max-request-size 8 --version");
    let invocation = parse(Form::Daprd, &line).expect("all known");
    assert_eq!(
        invocation.notices,
        [
            "Flag --app-ssl has been deprecated, use '--app-protocol https|grpcs'",
            "Flag --components-path has been deprecated, use --resources-path",
            "Flag --dapr-http-max-request-size has been deprecated, use '--max-body-size 4Mi'",
        ]
    );
}

#[test]
fn an_unknown_flag_ends_in_the_pinned_line() {
    let error = parse(Form::Daprd, &words("--internal-grpc-port 1")).expect_err("unknown");
    let text = error.render(&Form::Daprd.spec());
    assert!(
        text.ends_with("\nunknown flag: --internal-grpc-port\n"),
        "{text}"
    );
    assert!(
        text.starts_with("Did you mean --dapr-internal-grpc-port?\nUsage: daprd "),
        "{text}"
    );
}

#[test]
fn every_shown_flag_is_explained_in_narrow_lines() {
    let spec = Form::Outrider.spec();
    let help = spec.help();
    for flag in spec
        .flags
        .iter()
        .filter(|flag| flag.status != Status::Hidden)
    {
        assert!(help.contains(&format!("--{}", flag.name)), "{}", flag.name);
        assert!(
            !flag.help.is_empty() && !flag.group.is_empty(),
            "{}",
            flag.name
        );
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100));
}
