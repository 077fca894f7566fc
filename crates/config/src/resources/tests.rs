//! Contract, configuration 4 and 5.1; texts are those of runs of daprd 1.18.3.

use super::*;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const READER: Reader<'_> = Reader {
    app_id: "me",
    namespace: None,
};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect(name);
    }
    folder
}

fn load_as(reader: Reader<'_>, folder: &Path) -> Result<Resources, Error> {
    reader.load(&[folder.display().to_string()])
}

fn load(files: &[(&str, &str)]) -> Resources {
    load_as(READER, folder(files).path()).expect("loads")
}

fn component(name: &str, rest: &str) -> String {
    format!("apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n{rest}\n")
}

fn names(resources: &Resources) -> Vec<&str> {
    let components = resources.components.iter();
    components
        .map(|component| component.name.as_str())
        .collect()
}

#[test]
fn files_go_by_name_and_documents_by_place() {
    let two = format!("{}---\n{}", component("b", ""), component("c", ""));
    let a = component("a", "");
    let resources = load(&[
        ("2.yaml", &two),
        ("1.YML", &a),
        ("3.yaml", "# nothing\n---\n"),
    ]);
    assert_eq!(names(&resources), ["a", "b", "c"]);
    assert_eq!(resources.warnings, [""; 0]);
}

#[test]
fn other_files_are_told_and_folders_are_not() {
    let folder = folder(&[("readme.txt", "hi"), ("a.yaml", &component("a", ""))]);
    fs::create_dir(folder.path().join("sub.yaml")).expect("a folder");
    std::os::unix::fs::symlink("nowhere", folder.path().join("gone.yaml")).expect("a link");
    let resources = load_as(READER, folder.path()).expect("loads");
    assert_eq!(names(&resources), ["a"]);
    let path = folder.path().join("gone.yaml");
    let gone = path.display();
    assert_eq!(
        resources.warnings,
        [
            "A non-YAML Component file readme.txt was detected, it will not be loaded".to_owned(),
            format!(
                "daprd load Component error when opening file {gone}: open {gone}: no such file \
                 or directory"
            ),
        ]
    );
}

#[test]
fn pipes_are_not_waited_for() {
    let folder = folder(&[("b.yaml", &component("b", ""))]);
    let pipe = folder.path().join("a.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let resources = load_as(READER, folder.path()).expect("loads");
    assert_eq!(names(&resources), ["b"]);
    let warning = resources.warnings.concat();
    assert!(warning.ends_with("a.yaml: not a regular file"), "{warning}");
}

#[test]
fn utf_16_with_a_byte_order_mark_is_read() {
    let text = format!("\u{feff}{}---\n{}", component("ä", ""), component("b", ""));
    let folder = folder(&[]);
    let bytes = text.encode_utf16().flat_map(u16::to_be_bytes);
    let bytes: Vec<_> = bytes.collect();
    fs::write(folder.path().join("a.yaml"), bytes).expect("written");
    let resources = load_as(READER, folder.path()).expect("loads");
    assert_eq!(resources.warnings, [""; 0]);
    assert_eq!(names(&resources), ["ä", "b"]);
}

#[test]
fn a_null_among_the_scopes_is_nobody() {
    for (scopes, found) in [("[null]", 0), ("[null, me]", 1), ("[]", 1), ("null", 1)] {
        let text = component("a", &format!("scopes: {scopes}"));
        let resources = load(&[("a.yaml", &text)]);
        assert_eq!(resources.components.len(), found, "{scopes}");
        assert_eq!(resources.warnings, [""; 0], "{scopes}");
    }
}

#[test]
fn a_component_has_all_its_fields() {
    let text = component(
        "st",
        "spec:\n  type: state.redis\n  version: 1.10\n  ignoreErrors: yes\n  initTimeout: 10s\n  \
         metadata:\n  - name: 010\n    value: 1.50\n  - name: b\n    secretKeyRef: {name: s, key: \
         k}\n  - name: c\n    envRef: VAR\n  - name: d\n    value: {b: [1, \"<\"], a: null}\n  - \
         name: e\n    value: ~\n    secretKeyRef: {name: ''}\n  - name: f\n    value: \"\\\"q\\\"\"\n\
         auth: {secretStore: sec}\nscopes: [me, 5]",
    );
    let resources = load(&[("a.yaml", &text)]);
    let component = &resources.components[0];
    assert_eq!(component.log_name(), "st (state.redis/1.1)");
    assert!(component.ignore_errors);
    assert_eq!(component.init_timeout, "10s");
    assert_eq!(component.secret_store, "sec");
    assert_eq!(component.scopes, ["me", "5"]);
    let item = |at: usize| &component.metadata[at];
    assert_eq!(
        (&*item(0).name, item(0).value.as_deref()),
        ("8", Some("1.5"))
    );
    let secret = SecretRef {
        name: "s".into(),
        key: "k".into(),
    };
    assert_eq!((&item(1).value, &item(1).secret), (&None, &Some(secret)));
    assert_eq!(item(2).variable, "VAR");
    assert_eq!(
        item(3).value.as_deref(),
        Some("{\"a\":null,\"b\":[1,\"\\u003c\"]}")
    );
    assert_eq!((&item(4).value, &item(4).secret), (&None, &None));
    assert_eq!(item(5).value.as_deref(), Some("\"q\""));
}

#[test]
fn the_case_of_keys_does_not_count_and_that_of_values_does() {
    let text = "APIVERSION: dapr.io/v1alpha1\nKind: Component\nMetaData: {NAME: 123}\n\
                Spec: {TYPE: State.x}\n---\napiVersion: dapr.io/v1alpha1\nkind: component\n\
                metadata: {name: b}\n---\napiVersion: dapr.io/v1\nkind: Component\n";
    let resources = load(&[("a.yaml", text)]);
    assert_eq!(resources.components[0].log_name(), "123 (State.x)");
    assert_eq!(resources.components.len(), 1);
}

#[test]
fn a_broken_document_spoils_no_other() {
    let parts = [
        component("a", ""),
        "{{{".to_owned(),
        "- list".to_owned(),
        component("'w/8%'", ""),
        component("..", ""),
        component("[x]", ""),
        component("c", "spec: {ignoreErrors: 'true'}"),
        component("d", "spec: {metadata: {a: b}}"),
        component("e", "spec: foo"),
        component("f", "scopes: foo"),
        component("g", "auth: 5"),
        component("h", "spec: {metadata: [{name: {a: b}}]}"),
        component("z", ""),
    ];
    let resources = load(&[("a.yaml", &parts.join("\n---\n"))]);
    assert_eq!(names(&resources), ["a", "z"]);
    let [warning] = &resources.warnings[..] else {
        panic!("{:?}", resources.warnings)
    };
    let (start, faults) = warning.split_once(": error converting").expect(warning);
    assert!(
        start.starts_with("daprd load Component error when parsing manifests yaml resource in /")
    );
    let lines: Vec<&str> = faults.lines().skip(1).collect();
    let json = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ";
    let field = |kind: &str, place: &str, wanted: &str| {
        format!("{json}{kind} into Go struct field {place} of type {wanted}")
    };
    assert_eq!(
        lines,
        [
            &format!("{json}array into Go value of type v1.TypeMeta"),
            "invalid name \"w/8%\" for \"Component\": may not contain '/'; may not contain '%'",
            "invalid name \"..\" for \"Component\": may not be '..'",
            &field("array", "ObjectMeta.metadata.name", "string"),
            &field("string", "ComponentSpec.spec.ignoreErrors", "bool"),
            &field(
                "object",
                "ComponentSpec.spec.metadata",
                "[]common.NameValuePair"
            ),
            &field("string", "Component.spec", "v1alpha1.ComponentSpec"),
            &field("string", "Component.Scoped.scopes", "[]string"),
            &field("number", "Component.auth", "v1alpha1.Auth"),
            &field("object", "NameValuePair.spec.metadata.name", "string"),
        ]
    );
}

#[test]
fn names_must_be_unique_among_what_the_app_gets() {
    let text = [
        component("a", "spec: {type: state.x, version: v1}"),
        component("a", "spec: {type: pubsub.y}"),
        component("b", "spec: {type: state.x}\nscopes: [other]"),
        component("b", "spec: {type: state.x}"),
        component("b", "spec: {type: state.z}\nscopes: [other]"),
    ]
    .join("---\n");
    let folder = folder(&[("a.yaml", &text)]);
    let error = load_as(READER, folder.path()).expect_err("twice");
    assert_eq!(
        error.to_string(),
        "duplicate definition of Component name a (pubsub.y) with existing a (state.x/v1)\n\
         duplicate definition of Component name b (state.z) with existing b (state.x)"
    );
}

#[test]
fn namespaces_count_only_if_there_is_one() {
    let in_space = |name: &str, space: &str| {
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n name: {name}\n namespace: \
             {space}\n"
        )
    };
    let text = [in_space("a", "x"), in_space("b", "y"), in_space("c", "''")].join("---\n");
    let folder = folder(&[("a.yaml", &text)]);
    let all = load_as(READER, folder.path()).expect("loads");
    assert_eq!(names(&all), ["a", "b", "c"]);
    let reader = Reader {
        namespace: Some("x"),
        ..READER
    };
    assert_eq!(
        names(&load_as(reader, folder.path()).expect("loads")),
        ["a", "c"]
    );
}

#[test]
fn what_has_no_effect_is_named_by_kind() {
    let other = |kind: &str, version: &str, name: &str| {
        format!("apiVersion: dapr.io/{version}\nkind: {kind}\nmetadata: {{name: {name}}}\n")
    };
    let text = [
        other("HTTPEndpoint", "v1alpha1", "e1"),
        other("HTTPEndpoint", "v1alpha1", "e2"),
        other("Subscription", "v2alpha1", "s"),
        other("Resiliency", "v1alpha1", "r") + "scopes: [other]\n",
        other("Deployment", "v1", "d"),
        other("Component", "v1alpha1", ""),
    ]
    .join("---\n");
    let resources = load(&[("a.yaml", &text)]);
    let unserved: Vec<_> = resources.unserved.into_iter().collect();
    assert_eq!(
        unserved,
        [
            ("HTTPEndpoint", vec!["e1".to_owned(), "e2".to_owned()]),
            ("Subscription", vec!["s".to_owned()]),
        ]
    );
    assert!(resources.warnings[0].ends_with("it has no metadata.name"));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = READER
        .load(&["/nowhere/at/all".to_owned()])
        .expect_err("no folder");
    assert_eq!(
        error.to_string(),
        "open /nowhere/at/all: no such file or directory"
    );
}

#[test]
fn values_are_never_printed() {
    let text = component("a", "spec: {metadata: [{name: item, value: hush}]}");
    let printed = format!("{:?}", load(&[("a.yaml", &text)]));
    assert!(
        printed.contains("\"item\"") && !printed.contains("hush"),
        "{printed}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_makes_it_panic(
        text in "(apiVersion: dapr.io/v1alpha1\n|kind: Component\n|metadata: |name: |spec: |\\[|\\]|\\{|\\}|\n---|&a |\\*a|<<: |0x1|yes|~|\n |, |\\PC)*"
    ) {
        let folder = folder(&[("a.yaml", &text)]);
        let _ = load_as(READER, folder.path());
    }
}
