//! Components from `--resources-path`: what loads, what does not, and what follows its file
//! (contract `configuration.md` 4, 5, 8, 10; `state.md` 1).

use std::fs;
use std::path::{Path, PathBuf};

use outrider_testkit::{Sidecar, SidecarBuilder, Signal, unique_id};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{ConfigFile, closed_port, eventually, sidecar};

/// A folder of resources that lives as long as the test.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_id("resources"));
        fs::create_dir_all(&folder).unwrap();
        let folder = Self(folder);
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.0.join(name)).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn sidecar(&self) -> SidecarBuilder {
        sidecar().flag(format!("--resources-path={}", self.0.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn component(name: &str, component_type: &str, rest: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  type: \
         {component_type}\n  version: v1\n{rest}\n---\n"
    )
}

fn memory(name: &str) -> String {
    component(name, "state.in-memory", "")
}

/// The components that `/v1.0/metadata` lists.
async fn listed(sidecar: &Sidecar) -> Value {
    let rsp = sidecar
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let mut document: Value = serde_json::from_str(&rsp.text()).unwrap();
    document["components"].take()
}

async fn names(sidecar: &Sidecar) -> Vec<String> {
    let components = listed(sidecar).await;
    let components = components.as_array().cloned().unwrap_or_default();
    let name = |component: &Value| component["name"].as_str().unwrap().to_owned();
    components.iter().map(name).collect()
}

async fn until_listed(sidecar: &Sidecar, wanted: &[&str]) {
    eventually("components", async || names(sidecar).await == wanted).await;
}

/// The log of a start that fails, which must end with exit code 1 and one fatal line.
async fn failed_start(builder: SidecarBuilder) -> Vec<String> {
    let mut sidecar = builder.spawn().unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 1);
    let lines = sidecar.lines();
    let fatal = lines.iter().filter(|line| line.contains("level=fatal"));
    assert_eq!(fatal.count(), 1, "{lines:#?}");
    lines
}

fn holds(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

#[track_caller]
fn assert_holds(lines: &[String], texts: &[&str]) {
    for text in texts {
        assert!(holds(lines, text), "{text:?} is missing in {lines:#?}");
    }
}

#[tokio::test]
async fn what_is_loaded_is_listed_secret_stores_first() {
    let folder = Folder::new(&[("secrets.json", "{}")]);
    let secrets = folder.path("secrets.json");
    let more = format!("  metadata:\n  - {{name: secretsFile, value: {secrets}}}");
    let several = format!("{more}\n  - {{name: multiValued, value: true}}");
    folder.write(
        "a.yaml",
        &[
            memory("'ünï 1'"),
            component("sf", "secretstores.local.file", &more),
            component("se", "secretstores.Local.env", ""),
            component("sm", "secretstores.local.file", &several),
        ]
        .concat(),
    );
    let sidecar = folder.sidecar().start().await.unwrap();
    assert_eq!(
        listed(&sidecar).await,
        json!([
            {"name": "sf", "type": "secretstores.local.file", "version": "v1"},
            {"name": "se", "type": "secretstores.Local.env", "version": "v1"},
            {"name": "sm", "type": "secretstores.local.file", "version": "v1",
             "capabilities": ["MULTIPLE_KEY_VALUES_PER_SECRET"]},
            {"name": "ünï 1", "type": "state.in-memory", "version": "v1",
             "capabilities":
                ["ETAG", "TRANSACTIONAL", "TTL", "DELETE_WITH_PREFIX", "KEYS_LIKE", "ACTOR"]},
        ])
    );
    let lines = sidecar.lines();
    assert_holds(
        &lines,
        &[
            "A non-YAML Component file secrets.json was detected, it will not be loaded",
            "Component loaded: ünï 1 (state.in-memory/v1)",
        ],
    );
    let metrics = outrider_testkit::RawClient::connect(sidecar.ports().metrics)
        .await
        .unwrap()
        .call("GET", "/metrics", &[], b"")
        .await
        .unwrap()
        .text();
    let id = sidecar.app_id();
    for series in [
        format!("dapr_runtime_component_loaded{{app_id=\"{id}\"}} 4"),
        format!(
            "dapr_runtime_component_init_total{{app_id=\"{id}\",component=\"state.in-memory\"}} 1"
        ),
    ] {
        assert!(metrics.contains(&series), "{series} in {metrics}");
    }
}

#[tokio::test]
async fn without_folders_nothing_is_listed() {
    let sidecar = sidecar().start().await.unwrap();
    assert_eq!(listed(&sidecar).await, Value::Null);
}

#[tokio::test]
async fn what_this_version_has_not_is_told_once_and_the_start_goes_on() {
    let other = "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: ep}\n---\n\
                 apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: r1}\n---\n";
    let text = [
        component("ps", "pubsub.redis", ""),
        component("et", "state.etcd", ""),
        component("mw", "middleware.http.uppercase", ""),
        other.to_owned(),
        memory("st"),
    ]
    .concat();
    let folder = Folder::new(&[("a.yaml", &text)]);
    let sidecar = folder.sidecar().start().await.unwrap();
    assert_eq!(names(&sidecar).await, ["st"]);
    folder.write("b.yaml", &memory("more"));
    until_listed(&sidecar, &["st", "more"]).await;
    let lines = sidecar.lines();
    for text in [
        "component ps (pubsub.redis/v1) is not loaded",
        "component et (state.etcd/v1) is not loaded",
        "component mw (middleware.http.uppercase/v1) is not loaded",
        "resources of kind HTTPEndpoint have no effect in this version: ep",
        "resources of kind Resiliency have no effect in this version: r1",
    ] {
        let count = lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count, 1, "{text}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_type_of_no_category_ends_the_start() {
    let folder = Folder::new(&[("a.yaml", &component("wf", "workflow.dapr", ""))]);
    let lines = failed_start(folder.sidecar()).await;
    assert_holds(
        &lines,
        &[
            "level=warning msg=\"Error processing component, daprd will exit gracefully: process \
             component wf error: incorrect type workflow.dapr\"",
            "level=fatal msg=\"Fatal error from runtime: process component wf error: incorrect \
             type workflow.dapr\"",
        ],
    );
}

#[tokio::test]
async fn a_component_that_fails_ends_the_start_unless_it_is_dispensable() {
    let bad = "  metadata:\n  - {name: keyPrefix, value: a||b}";
    let folder = Folder::new(&[("a.yaml", &component("st", "state.in-memory", bad))]);
    let lines = failed_start(folder.sidecar()).await;
    let inner = "[INIT_COMPONENT_FAILURE]: initialization error occurred for st \
                 (state.in-memory/v1): ";
    let cause = format!(
        "{inner}failed to save lock keyprefix: api error: code = InvalidArgument desc = input \
         key/keyPrefix 'a||b' can't contain '||'"
    );
    assert_holds(
        &lines,
        &[
            &format!("Failed to init component st (state.in-memory/v1): {cause}"),
            &format!(
                "Error processing component, daprd will exit gracefully: process component st \
                 error: {inner}{cause}"
            ),
            &format!("Fatal error from runtime: process component st error: {inner}{cause}"),
        ],
    );

    let dispensable = component(
        "st",
        "state.in-memory",
        &format!("  ignoreErrors: true\n{bad}"),
    );
    let folder = Folder::new(&[("a.yaml", &(dispensable + &memory("other")))]);
    let sidecar = folder.sidecar().start().await.unwrap();
    assert_eq!(names(&sidecar).await, ["other"]);
    assert_holds(
        &sidecar.lines(),
        &[&format!(
            "level=error msg=\"Ignoring error processing component: process component st error: \
             {inner}{cause}\""
        )],
    );
}

#[tokio::test]
async fn a_version_that_does_not_exist_and_an_outbox_are_failures() {
    for (text, cause) in [
        (
            memory("st").replace("version: v1", "version: v2"),
            "[CREATE_COMPONENT_FAILURE]: initialization error occurred for st \
             (state.in-memory/v2): couldn't find state store state.in-memory/v2",
        ),
        (
            component(
                "st",
                "state.in-memory",
                "  metadata:\n  - {name: outboxPublishTopic, value: t}",
            ),
            "the outbox is not available in this version; remove outboxPublishTopic",
        ),
        (
            component("st", "state.in-memory", "  initTimeout: 0s"),
            "init timeout for component st (state.in-memory/v1)",
        ),
        (
            component(
                "st",
                "state.in-memory",
                "  metadata:\n  - {name: primaryEncryptionKey, value: ''}",
            ),
            "failed to extract encryption key: primaryEncryptionKey has no value",
        ),
    ] {
        let folder = Folder::new(&[("a.yaml", &text)]);
        assert_holds(&failed_start(folder.sidecar()).await, &[cause]);
    }
}

#[tokio::test]
async fn two_components_of_one_name_end_the_start() {
    let folder = Folder::new(&[
        (
            "1.yaml",
            &(memory("foo") + &component("bar", "pubsub.x", "")),
        ),
        (
            "2.yaml",
            &(component("foo", "secretstores.y", "") + &memory("bar")),
        ),
    ]);
    assert_holds(
        &failed_start(folder.sidecar()).await,
        &[
            "Fatal error from runtime: failed to load components: duplicate definition of \
             Component name foo (secretstores.y/v1) with existing foo (state.in-memory/v1)\\n\
             duplicate definition of Component name bar (state.in-memory/v1) with existing bar \
             (pubsub.x/v1)",
        ],
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_ends_the_start() {
    let builder = sidecar().flag("--resources-path=/nowhere/at/all");
    assert_holds(
        &failed_start(builder.clone()).await,
        &[
            "failed to create watcher: failed to add target /nowhere/at/all: no such file or directory",
        ],
    );
    let off = ConfigFile::new("  features:\n  - {name: HotReload, enabled: false}");
    assert_holds(
        &failed_start(builder.flag(off.flag())).await,
        &["failed to load components: open /nowhere/at/all: no such file or directory"],
    );
}

#[tokio::test]
async fn namespaces_scopes_and_the_deny_list_decide_what_an_app_gets() {
    let in_space = |name: &str, space: &str| {
        memory(name).replace("\nspec:", &format!("\n  namespace: {space}\nspec:"))
    };
    let text = [
        in_space("a", "mine"),
        in_space("b", "other"),
        memory("c"),
        component("d", "state.in-memory", "scopes: [somebody]"),
        component("e", "state.in-memory", "scopes: [somebody, me-there]"),
        component("f", "secretstores.local.env", ""),
    ]
    .concat();
    let folder = Folder::new(&[("a.yaml", &text)]);
    let builder = folder.sidecar().app_id("me-there");
    let inside = builder.clone().env("NAMESPACE", "mine");
    let inside = inside.start().await.unwrap();
    assert_eq!(names(&inside).await, ["f", "a", "c", "e"]);
    let anywhere = builder.clone().env("NAMESPACE", "").start().await.unwrap();
    assert_eq!(names(&anywhere).await, ["f", "a", "b", "c", "e"]);

    let deny = ConfigFile::new("  components:\n    deny: [state.in-memory/v1]");
    let without = builder.flag(deny.flag()).start().await.unwrap();
    assert_eq!(names(&without).await, ["f"]);
    let text = "component 'c' cannot be loaded because components of type 'c \
                (state.in-memory/v1)' are not allowed";
    assert_holds(&without.lines(), &[text]);
}

/// The prefix of keys is shown in the error that refuses it, and so is where it comes from.
#[tokio::test]
async fn values_come_from_secrets_variables_and_templates() {
    let folder = Folder::new(&[(
        "secrets.json",
        r#"{"one":"file||","nest":{"pw":"nested||"},"redis":{"key":"several||"}}"#,
    )]);
    let secrets = format!(
        "  metadata:\n  - {{name: secretsFile, value: {}}}",
        folder.path("secrets.json")
    );
    let store = |name: &str, more: &str| {
        component(name, "secretstores.local.file", &format!("{secrets}{more}"))
    };
    let prefix = |name: &str, value: &str, store: &str| {
        let rest = format!(
            "  ignoreErrors: true\n  metadata:\n  - {{name: keyPrefix, {value}}}\nauth: \
             {{secretStore: '{store}'}}"
        );
        component(name, "state.in-memory", &rest)
    };
    let text = [
        prefix("a", "secretKeyRef: {name: one}", "sf"),
        prefix("b", "secretKeyRef: {name: 'nest:pw'}", "sf"),
        prefix("c", "secretKeyRef: {name: redis, key: key}", "sm"),
        prefix("d", "secretKeyRef: {name: VALUE}", "se"),
        prefix("e", "envRef: COMPONENT_VALUE", ""),
        prefix("f", "value: '{appID}-{namespace}||'", ""),
        prefix("g", "envRef: DAPR_XX", ""),
        prefix("h", "secretKeyRef: {name: nothing}", "sf"),
        store("sf", ""),
        store("sm", "\n  - {name: multiValued, value: true}"),
        component(
            "se",
            "secretstores.local.env",
            "  metadata:\n  - {name: prefix, value: COMPONENT_}",
        ),
    ]
    .concat();
    folder.write("a.yaml", &text);
    let builder = folder.sidecar().app_id("me");
    let builder = builder.env("COMPONENT_VALUE", "variable||");
    let sidecar = builder.env("NAMESPACE", "ns").start().await.unwrap();
    let lines = sidecar.lines();
    for (name, prefix) in [
        ("a", "file||"),
        ("b", "nested||"),
        ("c", "several||"),
        ("d", "variable||"),
        ("e", "variable||"),
        ("f", "me-ns.me||"),
    ] {
        let component = format!("Failed to init component {name} (state.in-memory/v1)");
        let refused = format!("'{prefix}' can't contain");
        let said = |line: &String| line.contains(&component) && line.contains(&refused);
        assert!(lines.iter().any(said), "{name}: {lines:#?}");
    }
    assert_eq!(names(&sidecar).await, ["sf", "sm", "se", "g", "h"]);
    assert_holds(
        &lines,
        &[
            "Component g references an env variable that isn't allowed: DAPR_XX",
            "Error getting secret: secret nothing not found",
        ],
    );
}

#[tokio::test]
async fn a_component_waits_for_its_secret_store() {
    let waits = component(
        "st",
        "state.in-memory",
        "  metadata:\n  - {name: x, secretKeyRef: {name: y}}\nauth: {secretStore: late}",
    );
    let folder = Folder::new(&[("a.yaml", &waits)]);
    let sidecar = folder.sidecar().start().await.unwrap();
    assert_eq!(listed(&sidecar).await, Value::Null);
    assert_holds(
        &sidecar.lines(),
        &[
            "Component st references a secret store that isn't loaded: late",
            "components that wait for a secret store that is not loaded can't be used: st \
             (state.in-memory/v1) waits for late",
        ],
    );
    folder.write("b.yaml", &component("late", "secretstores.local.env", ""));
    until_listed(&sidecar, &["late", "st"]).await;
}

#[tokio::test]
async fn components_follow_their_files() {
    let folder = Folder::new(&[("a.yaml", &memory("a"))]);
    let second = Folder::new(&[]);
    let builder = folder.sidecar();
    let builder = builder.flag(format!("--resources-path={}", second.0.display()));
    let mut sidecar = builder.start().await.unwrap();
    assert_eq!(names(&sidecar).await, ["a"]);

    second.write("b.yaml", &memory("b"));
    until_listed(&sidecar, &["a", "b"]).await;
    folder.write("a.yaml", &component("a", "secretstores.local.env", ""));
    until_listed(&sidecar, &["b", "a"]).await;
    assert_eq!(listed(&sidecar).await[1]["type"], "secretstores.local.env");
    folder.write("a.yaml", &memory("renamed"));
    until_listed(&sidecar, &["b", "renamed"]).await;
    folder.write(
        "a.yaml",
        &component("renamed", "state.in-memory", "scopes: [other]"),
    );
    until_listed(&sidecar, &["b"]).await;
    second.remove("b.yaml");
    until_listed(&sidecar, &[]).await;
    folder.write("a.yaml", "{{{");
    sidecar
        .wait_line("daprd load Component error when parsing manifests yaml resource in")
        .await
        .unwrap();
    folder.write("a.yaml", &memory("again"));
    until_listed(&sidecar, &["again"]).await;
    sidecar.signal(Signal::Term).unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_that_fails_ends_the_sidecar_unless_it_is_dispensable() {
    let bad = "  metadata:\n  - {name: keyPrefix, value: a||b}";
    let folder = Folder::new(&[("a.yaml", &memory("a"))]);
    let mut sidecar = folder.sidecar().start().await.unwrap();
    let dispensable = format!("  ignoreErrors: true\n{bad}");
    folder.write("a.yaml", &component("a", "state.in-memory", &dispensable));
    until_listed(&sidecar, &[]).await;
    folder.write("a.yaml", &memory("a"));
    until_listed(&sidecar, &["a"]).await;
    folder.write("a.yaml", &component("a", "state.in-memory", bad));
    assert_eq!(sidecar.wait_exit().await.unwrap(), 1);
    let lines = sidecar.lines();
    assert_holds(
        &lines,
        &[
            "Closing existing Component to reload: a (state.in-memory/v1)",
            "Fatal error from runtime: process component a error: [INIT_COMPONENT_FAILURE]",
        ],
    );
    assert!(!holds(&lines, "Daprd shutdown gracefully"), "{lines:#?}");
}

#[tokio::test]
async fn names_that_clash_later_end_the_sidecar() {
    let folder = Folder::new(&[("a.yaml", &memory("a"))]);
    let mut sidecar = folder.sidecar().start().await.unwrap();
    folder.write("b.yaml", &component("a", "pubsub.x", ""));
    assert_eq!(sidecar.wait_exit().await.unwrap(), 1);
    let text = "\"Fatal error from runtime: failed to load resources from disk: duplicate \
                definition of Component name a (pubsub.x/v1) with existing a (state.in-memory/v1)\"";
    assert_holds(&sidecar.lines(), &[text]);
}

#[tokio::test]
async fn without_hot_reload_files_are_read_once() {
    let off = ConfigFile::new("  features:\n  - {name: HotReload, enabled: false}");
    let folder = Folder::new(&[("a.yaml", &memory("a"))]);
    let mut sidecar = folder.sidecar().flag(off.flag()).start().await.unwrap();
    folder.write("b.yaml", &memory("b"));
    folder.remove("a.yaml");
    assert_eq!(names(&sidecar).await, ["a"]);
    // Reading everything anew is what SIGHUP is for.
    sidecar.signal(Signal::Hup).unwrap();
    sidecar.wait_line("Component loaded: b").await.unwrap();
    sidecar.wait_ready().await.unwrap();
    until_listed(&sidecar, &["b"]).await;
    assert!(!holds(&sidecar.lines(), "Hot reloading enabled"));
}

#[tokio::test]
async fn a_stop_while_components_load_is_in_good_order() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap();
    let rest = format!("  initTimeout: 60s\n  metadata:\n  - {{name: redisHost, value: '{host}'}}");
    let folder = Folder::new(&[("a.yaml", &component("st", "state.redis", &rest))]);
    let mut sidecar = folder.sidecar().spawn().unwrap();
    sidecar.wait_line("Loading component: st").await.unwrap();
    sidecar.signal(Signal::Term).unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
}

#[tokio::test]
async fn a_secrets_file_that_is_a_pipe_is_not_waited_for() {
    let folder = Folder::new(&[]);
    let pipe = folder.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let rest = format!("  metadata:\n  - {{name: secretsFile, value: {pipe}}}");
    folder.write(
        "a.yaml",
        &component("sec", "secretstores.local.file", &rest),
    );
    let lines = failed_start(folder.sidecar()).await;
    let refused = format!("open {pipe}: not a regular file");
    assert_holds(&lines, &[&refused]);
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_no_reason_to_refuse_memory() {
    let twins = "  metadata:\n  - {name: keyPrefix, value: a}\n  - {name: KEYPREFIX, value: b}";
    let folder = Folder::new(&[("a.yaml", &component("mem", "state.in-memory", twins))]);
    let sidecar = folder.sidecar().start().await.unwrap();
    let body = br#"[{"key":"k","etag":"e"}]"#;
    let rsp = sidecar.call("POST", "/v1.0/state/mem", &[], body).await;
    let text = rsp.unwrap().text();
    assert!(text.contains("key=a||k"), "{text}");
}

#[tokio::test]
async fn a_component_has_only_so_much_time_to_start() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap();
    let rest =
        format!("  initTimeout: 50ms\n  metadata:\n  - {{name: redisHost, value: '{host}'}}");
    let folder = Folder::new(&[("a.yaml", &component("st", "state.redis", &rest))]);
    let lines = failed_start(folder.sidecar()).await;
    assert_holds(
        &lines,
        &["\\ninit timeout for component st (state.redis/v1)"],
    );

    let (_held, port) = closed_port(0);
    let rest = format!(
        "  initTimeout: 200ms\n  ignoreErrors: true\n  metadata:\n  - {{name: redisHost, value: \
         '127.0.0.1:{port}'}}"
    );
    let folder = Folder::new(&[("a.yaml", &component("st", "state.redis", &rest))]);
    let sidecar = folder.sidecar().start().await.unwrap();
    assert_eq!(listed(&sidecar).await, Value::Null);
}
