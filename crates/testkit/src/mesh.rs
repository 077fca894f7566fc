//! Two apps, a sidecar beside each: the smallest system in which a call takes all of its way.

use std::io;
use std::path::PathBuf;

use crate::ports::unique_id;
use crate::{RawApp, RawResponse, Sidecar, SidecarBuilder};

/// A mesh in the making.
#[derive(Debug)]
pub struct MeshBuilder {
    caller: SidecarBuilder,
    callee: SidecarBuilder,
    apps: [Option<RawApp>; 2],
}

impl MeshBuilder {
    /// Changes how the calling sidecar is started.
    pub fn caller(mut self, change: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> Self {
        self.caller = change(self.caller);
        self
    }

    /// Changes how the called sidecar is started.
    pub fn callee(mut self, change: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> Self {
        self.callee = change(self.callee);
        self
    }

    /// This app beside the calling sidecar instead of an echo.
    pub fn caller_app(mut self, app: RawApp) -> Self {
        self.apps[0] = Some(app);
        self
    }

    /// This app beside the called sidecar instead of an echo.
    pub fn callee_app(mut self, app: RawApp) -> Self {
        self.apps[1] = Some(app);
        self
    }

    /// Starts everything and waits until both sidecars are healthy.
    ///
    /// # Errors
    /// As [`SidecarBuilder::start`].
    pub async fn start(self) -> io::Result<Mesh> {
        let [caller_app, callee_app] = self.apps;
        let caller_app = or_echo(caller_app).await?;
        let callee_app = or_echo(callee_app).await?;
        let callee = self.callee.app_port(callee_app.port());
        let caller = self.caller.app_port(caller_app.port());
        let (callee, caller) = tokio::try_join!(callee.start(), caller.start())?;
        Ok(Mesh {
            caller_app,
            callee_app,
            caller,
            callee,
        })
    }
}

async fn or_echo(app: Option<RawApp>) -> io::Result<RawApp> {
    match app {
        Some(app) => Ok(app),
        None => RawApp::echo().await,
    }
}

/// Caller and callee, each an app with a sidecar, under ids of their own.
#[derive(Debug)]
pub struct Mesh {
    /// The app beside the calling sidecar.
    pub caller_app: RawApp,
    /// The app beside the called sidecar.
    pub callee_app: RawApp,
    /// The calling sidecar.
    pub caller: Sidecar,
    /// The called sidecar.
    pub callee: Sidecar,
}

impl Mesh {
    /// A mesh of `binary` whose parts can still be changed.
    pub fn builder(binary: impl Into<PathBuf>) -> MeshBuilder {
        let plain = SidecarBuilder::new(binary);
        MeshBuilder {
            caller: plain.clone().app_id(unique_id("caller")),
            callee: plain.app_id(unique_id("callee")),
            apps: [None, None],
        }
    }

    /// A plain mesh of `binary` with two echo apps.
    ///
    /// # Errors
    /// As [`SidecarBuilder::start`].
    pub async fn start(binary: impl Into<PathBuf>) -> io::Result<Self> {
        Self::builder(binary).start().await
    }

    /// The request target that calls `path` of the called app through an invoke URL.
    pub fn target(&self, path: &str) -> String {
        let path = path.strip_prefix('/').unwrap_or(path);
        format!("/v1.0/invoke/{}/method/{path}", self.callee.app_id())
    }

    /// Calls `path` of the called app through both sidecars, on a connection of its own.
    ///
    /// # Errors
    /// As [`crate::RawClient::call`].
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<RawResponse> {
        self.caller
            .call(method, &self.target(path), headers, body)
            .await
    }
}
