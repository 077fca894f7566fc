//! Contract, configuration 3; expected texts come from runs of the reference.

use super::*;
use proptest::prelude::*;

fn merged(texts: &[&str]) -> Configuration {
    let mut configuration = Configuration::default();
    for text in texts {
        let merged = configuration.merge("f.yaml", text, &BTreeMap::new());
        assert_eq!(merged.expect(text), [], "{text}");
    }
    configuration
}

fn refused(text: &str) -> String {
    let mut configuration = Configuration::default();
    let error = configuration
        .merge("f.yaml", text, &BTreeMap::new())
        .expect_err(text);
    error.to_string()
}

#[test]
fn defaults_hold_without_files() {
    let (configuration, warnings) = Configuration::load(&[], &BTreeMap::new()).expect("nothing");
    assert_eq!(configuration, Configuration::default());
    assert!(warnings.is_empty());
    assert_eq!(
        configuration.effective_metric().to_json(),
        "{\"enabled\":true}"
    );
    let features = configuration.enabled_features();
    assert_eq!(features, ["HotReload", "WorkflowsRemoteActivityReminder"]);
}

#[test]
fn all_sections_are_read() {
    let configuration = merged(&[r#"
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: {name: all, namespace: x, labels: {a: b}}
spec:
  tracing:
    samplingRate: 1
    stdout: yes
    zipkin: {endpointAddress: "http://z"}
    otel: {protocol: grpc, endpointAddress: c:4317, isSecure: false, headers: [a=b], timeout: 5s}
  metric:
    enabled: true
    recordErrorCodes: true
    latencyDistributionBuckets: [5, 0, 1]
    http: {increasedCardinality: false, pathMatching: [/a], excludeVerbs: true}
    rules: [{name: m, labels: [{name: l, regex: {r: p}}]}]
  httpPipeline: {handlers: [{name: n, type: t, version: v2, selector: {fields: [{field: f, value: v}]}}]}
  appHttpPipeline: {handlers: []}
  nameResolution: {component: sqlite, version: v1, configuration: {connectionString: x, n: 5}}
  mtls: {enabled: true, workloadCertTTL: 24h}
  accessControl:
    policies: [{appId: a, trustDomain: t, namespace: n, operations: [{name: /x, httpVerb: [GET], action: deny}]}]
  api: {allowed: [{name: invoke, version: v1.0, protocol: http}]}
  features: [{name: X, enabled: true}]
  logging: {apiLogging: {enabled: true, obfuscateURLs: true, omitHealthChecks: true}}
  components: {deny: [state.redis]}
  secrets: {scopes: [{storeName: s, defaultAccess: Deny, allowedSecrets: [a]}]}
  wasm: {strictSandbox: true}
  workflow: {maxConcurrentWorkflowInvocations: 5}
"#]);
    let tracing = configuration.tracing.as_ref().expect("tracing");
    assert_eq!(
        (tracing.sampling_rate.as_str(), tracing.stdout),
        ("1", true)
    );
    assert_eq!(
        tracing.otel.as_ref().and_then(|otel| otel.is_secure),
        Some(false)
    );
    let metric = configuration.effective_metric();
    assert_eq!(metric.buckets(), Some(vec![1, 5]));
    assert_eq!(
        metric.to_json(),
        "{\"enabled\":true,\"recordErrorCodes\":true,\"http\":{\"increasedCardinality\":false,\
         \"pathMatching\":[\"/a\"],\"excludeVerbs\":true},\"latencyDistributionBuckets\":[5,0,1],\
         \"rules\":[{\"name\":\"m\",\"labels\":[{\"name\":\"l\",\"regex\":{\"r\":\"p\"}}]}]}"
    );
    let access = configuration.access_control.as_ref().expect("access");
    assert_eq!(
        (access.default_action.as_str(), access.policies.len()),
        ("allow", 1)
    );
    let resolution = configuration.name_resolution.as_ref().expect("resolution");
    assert_eq!(resolution.configuration["n"], 5);
    assert!(configuration.check_secrets().is_ok());
}

#[test]
fn later_files_override_field_by_field_and_replace_lists() {
    let configuration = merged(&[
        "spec: {tracing: {samplingRate: 1, otel: {protocol: grpc}}, features: [{name: A, enabled: true}], \
         nameResolution: {component: c, configuration: {a: 1}}}",
        "spec: {tracing: {stdout: true, otel: {headers: [x=y]}}, features: [{name: B, enabled: true}], \
         nameResolution: {configuration: {b: 2}}}",
    ]);
    let tracing = configuration.tracing.as_ref().expect("tracing");
    assert_eq!(
        (tracing.sampling_rate.as_str(), tracing.stdout),
        ("1", true)
    );
    let otel = tracing.otel.as_ref().expect("otel");
    assert_eq!(
        (otel.protocol.as_str(), otel.is_secure),
        ("grpc", Some(true))
    );
    assert_eq!(configuration.enabled_features()[0], "B");
    assert_eq!(configuration.enabled_features().len(), 3);
    let resolution = configuration.name_resolution.expect("resolution");
    assert_eq!(resolution.component, "c");
    assert_eq!(resolution.configuration.to_string(), "{\"b\":2}");
}

#[test]
fn null_resets_a_section_and_nothing_crashes() {
    let configuration =
        merged(&["spec: {metric: null, metrics: {enabled: false}, tracing: ~, accessControl: ~}"]);
    assert_eq!(
        (
            configuration.tracing.clone(),
            configuration.access_control.clone()
        ),
        (None, None)
    );
    assert!(!configuration.effective_metric().is_enabled());
    assert!(
        merged(&["spec: {metric: null}"])
            .effective_metric()
            .is_enabled()
    );
    assert_eq!(merged(&["spec: ~"]), Configuration::default());
}

#[test]
fn metrics_override_metric_where_they_are_set() {
    let configuration = merged(&["
spec:
  metric: {recordErrorCodes: true, latencyDistributionBuckets: [1], http: {increasedCardinality: false, excludeVerbs: true}, rules: [{name: a}]}
  metrics: {enabled: false, http: {excludeVerbs: false}}
"]);
    assert_eq!(
        configuration.effective_metric().to_json(),
        "{\"enabled\":false,\"recordErrorCodes\":true,\"http\":{\"excludeVerbs\":false},\
         \"latencyDistributionBuckets\":[1],\"rules\":[{\"name\":\"a\",\"labels\":[]}]}"
    );
    assert_eq!(
        configuration.effective_metric().increased_cardinality(),
        None
    );
}

#[test]
fn features_follow_the_order_of_the_list() {
    let features = |list: &str| {
        let configuration = merged(&[&format!("spec: {{features: [{list}]}}")]);
        configuration.enabled_features().join(" ")
    };
    let defaults = "HotReload WorkflowsRemoteActivityReminder";
    assert_eq!(
        features("{name: A, enabled: true}"),
        format!("A {defaults}")
    );
    assert_eq!(
        features("{name: A, enabled: true}, {name: A, enabled: false}"),
        defaults
    );
    assert_eq!(
        features("{name: A, enabled: false}, {name: A, enabled: true}"),
        format!("A {defaults}")
    );
    assert_eq!(
        features("{name: HotReload, enabled: false}"),
        "WorkflowsRemoteActivityReminder"
    );
    assert_eq!(features("{name: hotreload, enabled: false}"), defaults);
}

#[test]
fn wrong_types_are_listed_with_file_and_lines() {
    assert_eq!(
        refused(
            "spec:\n  tracing: 5\n  metric:\n    enabled: \"true\"\n  features: 5\n  api: {allowed: [7]}\n"
        ),
        "f.yaml: yaml: unmarshal errors:\
         \n  line 2: cannot unmarshal !!int `5` into config.TracingSpec\
         \n  line 4: cannot unmarshal !!str `true` into bool\
         \n  line 5: cannot unmarshal !!int `5` into []config.FeatureSpec\
         \n  line 6: cannot unmarshal !!int `7` into config.APIAccessRule"
    );
    assert!(refused("spec: [1]\nmetadata: 5").ends_with(
        "line 1: cannot unmarshal !!seq into config.ConfigurationSpec\
         \n  line 2: cannot unmarshal !!int `5` into v1.ObjectMeta"
    ));
    assert_eq!(
        refused("spec:\n  tracing: {}\n  tracing: {}"),
        "f.yaml: yaml: unmarshal errors:\n  line 3: mapping key \"tracing\" already defined at line 2"
    );
}

#[test]
fn unknown_keys_are_warnings_that_know_what_was_meant() {
    let mut configuration = Configuration::default();
    let text = "metadata: {whatever: 1}\nspec:\n  Tracing: {}\n  tracing:\n    sampling: 1\n";
    let warnings = configuration
        .merge("f.yaml", text, &BTreeMap::new())
        .expect("lenient");
    let warnings: Vec<String> = warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "f.yaml line 3: unknown key spec.Tracing is ignored; did you mean tracing?",
            "f.yaml line 5: unknown key spec.tracing.sampling is ignored",
        ]
    );
}

#[test]
fn secret_scopes_are_checked() {
    let check = |scopes: &str| {
        let configuration = merged(&[&format!("spec: {{secrets: {{scopes: [{scopes}]}}}}")]);
        configuration
            .check_secrets()
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        check("{storeName: a, defaultAccess: Allow}, {storeName: b}"),
        Ok(())
    );
    assert_eq!(
        check("{storeName: a}, {storeName: a}"),
        Err("a storeName is repeated in secrets configuration".to_owned())
    );
    assert_eq!(
        check("{storeName: c, defaultAccess: x}, {storeName: c}"),
        Err("defaultAccess x can be either allow or deny".to_owned())
    );
}

#[test]
fn files_are_expanded_before_they_are_read() {
    let variables = BTreeMap::from([("RATE".to_owned(), "0.5".to_owned())]);
    let mut configuration = Configuration::default();
    let text = "spec: {tracing: {samplingRate: $RATE}, metric: {rules: [{name: 'a$1b'}]}}";
    configuration
        .merge("f.yaml", text, &variables)
        .expect("fits");
    assert_eq!(
        configuration.tracing.map(|tracing| tracing.sampling_rate),
        Some("0.5".to_owned())
    );
    assert_eq!(
        configuration
            .metric
            .map(|metric| metric.rules[0].name.clone()),
        Some("ab".to_owned())
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("plain name")
            .to_owned()
    };
    let load = |file: String| {
        Configuration::load(&[file], &BTreeMap::new()).map_err(|error| error.to_string())
    };
    let missing = path("missing");
    let expected = format!("stat {missing}: no such file or directory");
    assert_eq!(load(missing).expect_err("missing"), expected);
    let directory = folder.path().to_str().expect("plain name").to_owned();
    let expected = format!("read {directory}: is a directory");
    assert_eq!(load(directory).expect_err("a folder"), expected);
    std::fs::write(path("bytes"), b"a: 1\n\xff").expect("written");
    assert!(
        load(path("bytes"))
            .expect_err("no text")
            .ends_with("yaml: line 2: not UTF-8 text")
    );
    std::fs::write(path("empty"), b"").expect("written");
    assert_eq!(
        load(path("empty")).expect("empty is fine").0,
        Configuration::default()
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "(spec: |metric: |tracing: |features: |enabled: |name: |rules: |[{}\\[\\],\n ]|- |\\$[A-Z{}]?|~|yes|0x1|\\PC){0,60}"
    ) {
        let variables = BTreeMap::from([("A".to_owned(), "[x, {".to_owned())]);
        let mut configuration = Configuration::default();
        let _ = configuration.merge("f.yaml", &text, &variables);
        let _ = configuration.effective_metric().to_json();
        let _ = configuration.enabled_features();
    }
}
