//! A caller and a callee of which one is ours and the other a real daprd.

use std::fs;
use std::path::{Path, PathBuf};

use outrider_lookup::Registry;
use outrider_lookup::registry::{Announcement, Entry};
use outrider_testkit::{
    RawApp, RawClient, RawResponse, Sidecar, SidecarBuilder, Signal, unique_id,
};

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_outrider");
const DAPRD: &str = "OUTRIDER_TEST_DAPRD";

/// Daprd's resolver puts the id into an address, so the app that it calls bears the name of a host.
const CALLED_BY_DAPRD: &str = "localhost";

/// Who calls whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    OursToDaprd,
    DaprdToOurs,
}

pub(crate) const BOTH: [Way; 2] = [Way::OursToDaprd, Way::DaprdToOurs];

/// Two sidecars, and an app beside the called one.
#[derive(Debug)]
pub(crate) struct Pair<A = RawApp> {
    pub(crate) caller: Sidecar,
    pub(crate) callee: Sidecar,
    pub(crate) app: A,
    called: SidecarBuilder,
    /// Where the caller looks for the callee.
    port: u16,
    _announced: Option<Announcement>,
    _config: ConfigFile,
}

impl Pair {
    pub(crate) async fn echo(way: Way) -> Self {
        Self::with(way, RawApp::echo().await.unwrap()).await
    }

    pub(crate) async fn with(way: Way, app: RawApp) -> Self {
        let port = app.port();
        Self::between(way, app, port, |caller| caller.flag(LARGE), |callee| callee).await
    }
}

impl<A> Pair<A> {
    /// `app` listens on `port`, or something before it; the sidecars, caller and callee, need not be
    /// the plain ones.
    pub(crate) async fn between(
        way: Way,
        app: A,
        port: u16,
        caller: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
        callee: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
    ) -> Self {
        let callee = |plain: SidecarBuilder| callee(plain.app_port(port));
        match way {
            Way::OursToDaprd => Self::ours_to_daprd(app, caller, callee).await,
            Way::DaprdToOurs => Self::daprd_to_ours(app, caller, callee).await,
        }
    }

    async fn ours_to_daprd(
        app: A,
        caller: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
        callee: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
    ) -> Self {
        // It calls nobody; this keeps its multicast off.
        let config = ConfigFile::naming("{appid}:1");
        let called = callee(daprd(&config));
        let callee = called.start().await.unwrap();
        let entry = Entry {
            app_id: callee.app_id().to_owned(),
            namespace: "default".to_owned(),
            pid: callee.pid().unsigned_abs(),
            address: format!("127.0.0.1:{}", callee.ports().internal),
            ..Entry::default()
        };
        let announced = Registry::new().announce(entry).unwrap();
        let caller = caller(ours().app_id(unique_id("ours")));
        Self {
            caller: caller.start().await.unwrap(),
            port: callee.ports().internal,
            callee,
            called,
            app,
            _announced: Some(announced),
            _config: config,
        }
    }

    async fn daprd_to_ours(
        app: A,
        caller: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
        callee: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
    ) -> Self {
        let plain = ours()
            .app_id(CALLED_BY_DAPRD)
            // Tests run side by side, all with this id.
            .flag("--same-host-registry=false");
        let called = callee(plain);
        let callee = called.start().await.unwrap();
        let config = ConfigFile::naming(&format!("{{appid}}:{}", callee.ports().internal));
        let caller = caller(daprd(&config)).start().await.unwrap();
        Self {
            caller,
            port: callee.ports().internal,
            callee,
            called,
            app,
            _announced: None,
            _config: config,
        }
    }

    /// Kills the callee and starts it again where callers know it to be.
    pub(crate) async fn restart_callee(&mut self) {
        self.callee.signal(Signal::Kill).unwrap();
        self.callee.wait_exit().await.unwrap();
        // The first callee's port, whatever the kit chose for a later one.
        let port = self.port;
        let again = self.called.clone();
        let again = again.flag(format!("--dapr-internal-grpc-port={port}"));
        self.callee = again.start().await.unwrap();
    }

    /// The app as the caller names it, in the metadata of a gRPC call.
    pub(crate) fn to(&self) -> [(&str, &str); 1] {
        [("dapr-app-id", self.callee.app_id())]
    }

    /// That, and more.
    pub(crate) fn to_with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&self.to()[..], more].concat()
    }

    /// The request target that calls `path` of the app.
    pub(crate) fn target(&self, path: &str) -> String {
        format!("/v1.0/invoke/{}/method/{path}", self.callee.app_id())
    }

    /// One call through both sidecars, on a connection of its own.
    pub(crate) async fn call(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> RawResponse {
        let target = self.target(path);
        self.caller
            .call(verb, &target, headers, body)
            .await
            .unwrap()
    }

    /// A connection on which `GET path` has been sent.
    pub(crate) async fn asked(&self, path: &str, headers: &str) -> RawClient {
        let mut client = self.caller.connect().await.unwrap();
        let target = self.target(path);
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
            .await
            .unwrap();
        client
    }
}

/// Requests as large as the tests need; given to callers only, as no limit for whole bodies holds
/// between sidecars.
const LARGE: &str = "--max-body-size=128Mi";

fn ours() -> SidecarBuilder {
    SidecarBuilder::new(OURS)
}

fn daprd(config: &ConfigFile) -> SidecarBuilder {
    SidecarBuilder::new(daprd_path())
        .as_daprd()
        .app_id(unique_id("daprd"))
        .flag(format!("--config={}", config.0.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "where a foreign program lies is known to whoever runs the tests"
)]
pub(crate) fn daprd_path() -> PathBuf {
    let path = std::env::var(DAPRD).map(PathBuf::from);
    path.unwrap_or_else(|_| panic!("set {DAPRD} to the path of a daprd 1.18.3"))
}

/// A Configuration that lives as long as the test.
#[derive(Debug)]
struct ConfigFile(PathBuf);

impl ConfigFile {
    /// Addresses are `format` with the app id put in.
    fn naming(format: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_id("naming") + ".yaml");
        let text = format!(
            "apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: naming
spec:
  nameResolution:
    component: nameformat
    version: v1
    configuration:
      format: \"{format}\"
"
        );
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
