//! Templates as people write them, and everything that can be wrong in one.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::run::plan::{Destination, Restart};

/// A folder with a template and the apps `cart` and `till`, and a home beside them.
struct Place {
    root: TempDir,
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            root: tempfile::tempdir().unwrap(),
            home: tempfile::tempdir().unwrap(),
        };
        for app in ["cart", "till"] {
            fs::create_dir(place.path(app)).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn load(&self, text: &str) -> (Result<Vec<Member>, String>, Vec<String>) {
        fs::write(self.path("dapr.yaml"), text).unwrap();
        let variables = [("HOME".into(), self.home.path().into())].into();
        let around = Surroundings {
            folder: self.root.path(),
            variables: &variables,
            runtime_path: "",
            log_as_json: false,
        };
        let mut notes = Notes::new();
        let loaded = load("dapr.yaml", &around, &mut notes);
        let members = loaded.map(|(members, _)| members);
        let notes = notes.into_iter().map(|(_, text)| text);
        (members.map_err(|error| error.to_string()), notes.collect())
    }

    fn members(&self, text: &str) -> Vec<Member> {
        self.load(text).0.unwrap()
    }

    fn error(&self, text: &str) -> String {
        self.load(text).0.unwrap_err()
    }
}

#[test]
fn a_template_of_the_reference_is_read() {
    let place = Place::new();
    let members = place.members(
        "version: 1
name: shop
common:
  env:
    DEBUG: true
    LEVEL: 3
  appMaxConcurrency: 4
  enableApiLogging: true
  daprdLogDestination: console
apps:
- appID: orders
  appDirPath: ./cart/
  appPort: 5000
  command: [\"python3\", \"app.py\"]
  env:
    LEVEL: high
  appLogDestination: file
- appDirPath: till
  daprHTTPPort: 3510
  restart: on-failure
  dependsOn: [orders]
",
    );
    let [cart, till] = members.as_slice() else {
        panic!("{members:#?}");
    };
    assert_eq!((cart.name.as_str(), till.name.as_str()), ("orders", "till"));
    assert_eq!(
        cart.folder.canonicalize().unwrap(),
        place.path("cart").canonicalize().unwrap()
    );
    assert_eq!(cart.command, ["python3", "app.py"]);
    assert_eq!(cart.variables["LEVEL"], "high");
    assert_eq!(cart.variables["DEBUG"], "true");
    assert_eq!(cart.app_log, Destination::File);
    assert_eq!(cart.sidecar_log, Destination::Console);
    assert_eq!(till.app_log, Destination::FileAndConsole);
    assert_eq!(cart.sidecar.app_port, Some(5000));
    assert_eq!(till.sidecar.http_port, Some(3510));
    assert_eq!(till.sidecar.app_max_concurrency, 4);
    assert!(till.sidecar.enable_api_logging);
    assert_eq!(
        (till.restart, cart.restart),
        (Restart::OnFailure, Restart::No)
    );
    assert_eq!(till.depends_on, [0]);
    assert!(till.command.is_empty());
}

#[test]
fn an_app_can_say_no_to_what_is_common() {
    let place = Place::new();
    let members = place.members(
        "version: 1
common: {enableApiLogging: true, appMaxConcurrency: 4, appHealthCheckPath: /ping, restart: always}
apps:
- {appDirPath: cart, enableApiLogging: false, appMaxConcurrency: 0, appHealthCheckPath: '', restart: no}
- {appDirPath: till, enableApiLogging: ~}
",
    );
    assert!(!members[0].sidecar.enable_api_logging);
    assert_eq!(members[0].sidecar.app_max_concurrency, 0);
    assert_eq!(members[0].sidecar.health.path, "");
    assert_eq!(members[0].restart, Restart::No);
    assert!(members[1].sidecar.enable_api_logging);
    assert_eq!(members[1].restart, Restart::Always);
}

#[test]
fn resources_and_configuration_are_looked_for_in_order() {
    let place = Place::new();
    let text = "version: 1
common: {resourcesPaths: [common], configFilePath: common/c.yaml}
apps:
- {appDirPath: cart, resourcesPaths: [a], resourcesPath: b, configFilePath: a/c.yaml}
- {appDirPath: till}
";
    for folder in ["common", "cart/a", "cart/b", "cart/.dapr/resources"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    for file in ["common/c.yaml", "cart/a/c.yaml", "cart/.dapr/config.yaml"] {
        fs::write(place.path(file), "").unwrap();
    }
    let members = place.members(text);
    let own = [place.path("cart/a"), place.path("cart/b")];
    assert_eq!(members[0].sidecar.resources, own);
    assert_eq!(members[0].sidecar.config, Some(place.path("cart/a/c.yaml")));
    assert_eq!(members[1].sidecar.resources, [place.path("common")]);
    assert_eq!(members[1].sidecar.config, Some(place.path("common/c.yaml")));

    let bare = text.replace(
        ", resourcesPaths: [a], resourcesPath: b, configFilePath: a/c.yaml",
        "",
    );
    let members = place.members(&bare);
    assert_eq!(
        members[0].sidecar.resources,
        [place.path("cart/.dapr/resources")]
    );
    assert_eq!(
        members[0].sidecar.config,
        Some(place.path("cart/.dapr/config.yaml"))
    );
}

#[test]
fn without_any_resources_all_apps_share_the_embedded_store() {
    let place = Place::new();
    let text = "version: 1\napps: [{appDirPath: cart}, {appDirPath: till}]\n";
    let (members, notes) = place.load(text);
    let members = members.unwrap();
    assert_eq!(members[0].sidecar.resources, members[1].sidecar.resources);
    assert!(members[0].sidecar.resources[0].starts_with(place.home.path()));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("no resources were given: the state store statestore "));
}

#[test]
fn unknown_keys_are_told_with_what_was_perhaps_meant() {
    let place = Place::new();
    fs::create_dir(place.path("cart/r")).unwrap();
    let (members, notes) = place.load(
        "version: 1
owner: me
common:
  daprHTTPMaxRequestSize: 8
  resourcePaths: []
  appPort: 80
apps:
- appDirPath: cart
  appPrt: 80
  AppID: x
  resourcesPaths: [r]
",
    );
    members.unwrap();
    assert_eq!(
        notes,
        [
            "dapr.yaml line 2: the key owner is not known and ignored",
            "dapr.yaml line 4: the key common.daprHTTPMaxRequestSize is not known and ignored; did you \
         mean maxBodySize?",
            "dapr.yaml line 5: the key common.resourcePaths is not known and ignored; did you mean \
         resourcesPaths?",
            "dapr.yaml line 6: the key common.appPort is not known and ignored; it belongs to an app, \
         below apps:",
            "dapr.yaml line 9: the key apps.appPrt is not known and ignored; did you mean appPort?",
            "dapr.yaml line 10: the key apps.AppID is not known and ignored; did you mean appID?",
        ]
    );
}

#[test]
fn every_fault_is_told_with_its_line_and_a_cure() {
    let place = Place::new();
    let error = place.error(
        "name: shop
apps:
- appID: a.b
  appDirPath: cart
  appPort: 70000
  command: ['']
- appDirPath: nowhere
- appLogDestination: disk
  restart: sometimes
  containerImagePullPolicy: Often
",
    );
    let lines: Vec<&str> = error.lines().collect();
    let begins = [
        "dapr.yaml: required field 'version' not found",
        "dapr.yaml line 3: appID \"a.b\": parameter app-id cannot contain dots",
        "dapr.yaml line 5: appPort is 70000; it must be at most 65535",
        "dapr.yaml line 6: exec: no command",
        "dapr.yaml line 7: error in getting the file info for /",
        "dapr.yaml line 8: required field 'appDirPath' not found",
        "dapr.yaml line 8: invalid log destination type: disk; allowed are console, file, ",
        "dapr.yaml line 9: restart is sometimes; allowed are no, on-failure, always",
        "dapr.yaml line 10: invalid containerImagePullPolicy: Often; allowed are ",
    ];
    assert_eq!(lines.len(), begins.len(), "{error}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}\n{begin}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_told_with_what_to_write() {
    let place = Place::new();
    let error = place.error(
        "version: one
apps:
- appDirPath: cart
  command: python3 app.py
  appSSL: 7
  env: [A]
",
    );
    assert_eq!(
        error,
        "dapr.yaml line 1: cannot unmarshal !!str `one` into int; write a whole number
dapr.yaml line 4: cannot unmarshal !!str `python3...` into []string; write a list, as in [python3, app.py]
dapr.yaml line 5: cannot unmarshal !!int `7` into bool; write true or false
dapr.yaml line 6: cannot unmarshal !!seq into map[string]string; write lines of the form NAME: value"
    );
    let error = place.error("version: 1\napps:\n  - [\n");
    assert!(error.starts_with("dapr.yaml line "), "{error}");
    assert!(error.contains(": no YAML: "), "{error}");
}

#[test]
fn values_that_no_sidecar_would_take_are_told_with_their_line() {
    let place = Place::new();
    let error = place.error(
        "version: 1
common: {logLevel: loud}
apps:
- {appDirPath: cart, command: [x], appPort: 5000, resourcesPath: .,
   appProtocol: htp, maxBodySize: 4MiB}
- {appDirPath: till, command: [x], appPort: 5000,
   metricsPort: 5000}
- {appDirPath: till, appPort: 5000}
",
    );
    assert_eq!(
        error,
        "dapr.yaml line 2: logLevel is \"loud\"; allowed are debug, info, warn, error, fatal
dapr.yaml line 5: appProtocol is \"htp\"; allowed are http, https, h2c, grpc, grpcs
dapr.yaml line 5: maxBodySize is \"4MiB\"; did you mean 4Mi?
dapr.yaml line 6: appPort 5000 of till is in line 4 the appPort of cart; choose another one
dapr.yaml line 7: metricsPort 5000 of till is in line 4 the appPort of cart; choose another one
dapr.yaml line 8: appPort 5000 of till-2 is in line 7 the metricsPort of till; choose another one"
    );
    let error = place.error("version: 1\napps: [{appDirPath: cart, resourcesPaths: ./r}]\n");
    assert!(error.ends_with("as in [./resources], or use the key resourcesPath"));
}

#[test]
fn sockets_are_named_by_their_whole_path() {
    let place = Place::new();
    let members =
        place.members("version: 1\napps: [{appDirPath: cart, unixDomainSocket: ../run}]\n");
    let expected = place.path("cart/../run").display().to_string();
    assert_eq!(members[0].sidecar.unix_domain_socket, expected);
}

#[test]
fn nothing_to_run_is_said() {
    let place = Place::new();
    for text in ["version: 1\n", "version: 1\napps: []\n"] {
        assert!(place.error(text).starts_with("dapr.yaml: No apps to run"));
    }
    assert!(
        place
            .error("")
            .contains("required field 'version' not found")
    );
}

#[test]
fn those_that_wait_for_each_other_or_for_nobody_are_told() {
    let place = Place::new();
    let with = |cart: &str, till: &str| {
        place.error(&format!(
            "version: 1\napps:\n- {{appDirPath: cart, dependsOn: [{cart}]}}\n\
             - {{appDirPath: till, dependsOn: [{till}]}}\n"
        ))
    };
    assert_eq!(
        with("till", "cart"),
        "dapr.yaml line 3: dependsOn: cart → till → cart wait for each other and none would start; \
         take one of them out"
    );
    assert!(with("cart", "").contains("cart → cart wait for each other"));
    assert_eq!(
        with("", "crt"),
        "dapr.yaml line 4: dependsOn: no app is called \"crt\"; did you mean cart?"
    );
    assert!(with("", "bank").ends_with("\"bank\"; there are cart, till"));
}

#[test]
fn two_apps_of_one_id_differ_by_name_and_are_both_waited_for() {
    let place = Place::new();
    let members = place.members(
        "version: 1
apps:
- {appDirPath: cart, appID: x}
- {appDirPath: cart, appID: x}
- {appDirPath: till, dependsOn: [x]}
",
    );
    let names: Vec<&str> = members.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["x", "x-2", "till"]);
    assert_eq!(members[2].depends_on, [0, 1]);
}

#[test]
fn a_folder_stands_for_the_template_in_it() {
    let place = Place::new();
    fs::write(
        place.path("till/dapr.yaml"),
        "version: 1\napps: [{appDirPath: .}]\n",
    )
    .unwrap();
    let variables = [("HOME".into(), place.home.path().into())].into();
    let around = Surroundings {
        folder: place.root.path(),
        variables: &variables,
        runtime_path: "",
        log_as_json: false,
    };
    let (members, origin) = load("till", &around, &mut Notes::new()).unwrap();
    assert_eq!(members[0].app_id, "till");
    let path = Some(place.path("till/dapr.yaml"));
    assert_eq!(
        origin,
        Origin::Template {
            path,
            name: String::new()
        }
    );
    let error = load("nowhere", &around, &mut Notes::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the template can't be read: /"),
        "{error}"
    );
}
