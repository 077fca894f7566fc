//! What is to be seen of state beside the answers: rules, log, metrics.

use super::{State, component};
use crate::support::{ConfigFile, NO_TARGET, assert_error, eventually};

#[tokio::test]
async fn rules_can_take_state_away() {
    let config = ConfigFile::new(
        "  api:\n    denied:\n      - name: state\n        version: v1\n        protocol: http",
    );
    let state = State::start_as(|builder| builder.flag(config.flag())).await;
    for (method, path) in [("POST", ""), ("GET", "/k"), ("POST", "/bulk")] {
        let rsp = state
            .ask(method, &format!("/v1.0/state/mem{path}"), "[]")
            .await;
        assert_error(path, &rsp, 404, NO_TARGET);
    }
    let rsp = state.ask("POST", "/v1.0-alpha1/state/mem/query", "").await;
    assert_eq!(rsp.status(), 500, "the query route is of another version");
    drop(state);

    config.change(
        "  api:\n    allowed:\n      - name: state\n        version: v1.0-alpha1\n        protocol: http",
    );
    let state = State::start_as(|builder| builder.flag(config.flag())).await;
    let rsp = state.ask("POST", "/v1.0/state/mem", "[]").await;
    assert_eq!((rsp.status(), &*rsp.text()), (404, "404 page not found\n"));
    let rsp = state.ask("POST", "/v1.0-alpha1/state/mem/query", "").await;
    assert_eq!(rsp.status(), 500);
}

#[tokio::test]
async fn the_log_names_each_route() {
    let config = ConfigFile::new(
        "  logging:\n    apiLogging:\n      enabled: true\n      obfuscateURLs: true",
    );
    let state = State::start_as(|builder| builder.flag(config.flag())).await;
    for (method, target, name) in [
        ("POST", "/v1.0/state/mem", "SaveState"),
        ("GET", "/v1.0/state/mem/k", "GetState"),
        ("DELETE", "/v1.0/state/mem/k", "DeleteState"),
        ("PUT", "/v1.0/state/mem/bulk", "GetBulkState"),
        (
            "PUT",
            "/v1.0/state/mem/transaction",
            "ExecuteStateTransaction",
        ),
        ("PUT", "/v1.0-alpha1/state/mem/query", "QueryStateAlpha1"),
    ] {
        state.ask(method, target, "[]").await;
        let line = state
            .sidecar
            .wait_line(&format!("method={name} "))
            .await
            .unwrap();
        assert!(line.contains("HTTP API Called"), "{line}");
    }
}

#[tokio::test]
async fn metrics_count_calls_of_stores_and_leave_keys_out() {
    let config = ConfigFile::new(
        "  metrics:\n    enabled: true\n    recordErrorCodes: true\n    http:\n      increasedCardinality: true",
    );
    let state = State::start_as(|builder| builder.flag(config.flag()).env("NAMESPACE", "ns")).await;
    let ask = async |method: &str, path: &str, body: &str| {
        state
            .ask(method, &format!("/v1.0/state/mem{path}"), body)
            .await;
    };
    ask("POST", "", r#"[{"key":"a"},{"key":"b"}]"#).await;
    ask("POST", "", r#"[{"key":"a","etag":"e"}]"#).await;
    ask("POST", "", "[]").await;
    ask("POST", "", "[").await;
    ask("GET", "/a", "").await;
    ask("GET", "/a%7C%7C", "").await;
    ask("GET", "//b", "").await;
    ask("POST", "/bulk", r#"{"keys":["a","c"]}"#).await;
    ask("DELETE", "/a", "").await;
    let upsert = r#"{"operations":[{"operation":"upsert","request":{"key":"t"}}]}"#;
    ask("POST", "/transaction", upsert).await;
    let id = state.sidecar.app_id();
    let count = |operation: &str, success: bool, n: u64| {
        format!(
            "dapr_component_state_count{{app_id=\"{id}\",component=\"mem\",namespace=\"ns\",operation=\
             \"{operation}\",success=\"{success}\"}} {n}"
        )
    };
    let expected = [
        count("bulk_get", true, 1),
        count("delete", true, 1),
        count("get", true, 2),
        count("set", false, 1),
        count("set", true, 1),
        count("transaction", true, 1),
    ];
    eventually("counts", async || {
        state.series("dapr_component_state_count").await == expected
    })
    .await;
    let latencies = state.series("dapr_component_state_latencies_count").await;
    assert_eq!(latencies.len(), expected.len());

    let code = |category: &str, code: &str, n: u64| {
        format!(
            "dapr_error_code_total{{app_id=\"{id}\",category=\"{category}\",error_code=\"{code}\"}} {n}"
        )
    };
    let codes = [
        code("common", "ERR_MALFORMED_REQUEST", 1),
        code("state", "ERR_MALFORMED_REQUEST", 1),
        code("state", "ERR_STATE_SAVE", 1),
    ];
    assert_eq!(state.error_codes().await, codes);

    let path = "path=\"/v1.0/state/mem\"";
    eventually("requests", async || {
        let requests = state.series("dapr_http_server_request_count").await;
        let (state, others): (Vec<_>, Vec<_>) = requests.iter().partition(|s| s.contains(path));
        state.len() == 7 && others.iter().all(|series| series.contains("healthz"))
    })
    .await;
}

#[tokio::test]
async fn whole_keys_are_of_the_app_unless_a_store_says_otherwise() {
    let state = State::start().await;
    let id = state.sidecar.app_id();
    let refused = r#"[{"key":"k","etag":"e"}]"#;
    let rsp = state.save("mem", refused).await;
    assert!(
        rsp.text().contains(&format!("key={id}||k")),
        "{}",
        rsp.text()
    );
    let rsp = state.save("whole+%C3%A4", refused).await;
    assert!(rsp.text().contains("expired for key=k\""), "{}", rsp.text());
}

#[tokio::test]
async fn a_store_whose_file_is_gone_is_closed_though_nobody_calls() {
    let state = State::start().await;
    let data = state.folder.join("data.db");
    let descriptors = format!("/proc/{}/fd", state.sidecar.pid());
    let is_open = || {
        let files = std::fs::read_dir(&descriptors).unwrap();
        let mut files = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        files.any(|file| file == data)
    };
    for n in 0..4 {
        // Connections are spread over the lanes.
        state.saved("sql", &format!(r#"[{{"key":"k{n}"}}]"#)).await;
    }
    assert!(is_open());
    std::fs::remove_file(state.folder.join("resources/stores.yaml")).unwrap();
    eventually("the file is closed", async || !is_open()).await;
}

#[tokio::test]
async fn a_store_is_served_as_soon_as_its_file_is_there() {
    let state = State::start().await;
    let file = state.folder.join("resources/more.yaml");
    std::fs::write(&file, component("more", "state.in-memory", "")).unwrap();
    eventually("a new store", async || {
        state.save("more", "[]").await.status() == 204
    })
    .await;
    std::fs::remove_file(&file).unwrap();
    eventually("no such store", async || {
        state.save("more", "[]").await.status() == 400
    })
    .await;
}
