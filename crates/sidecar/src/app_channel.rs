//! The way to the app beside this sidecar, in whichever protocol the app speaks.

mod body;
pub(crate) mod config;
mod connection;
mod error;
pub(crate) mod grpc;
pub(crate) mod health;
mod http;
mod http1;
mod http2;
pub(crate) mod wait;

use std::{rc::Rc, sync::Arc};

use outrider_config::settings::AppProtocol;
use outrider_trust::Connector;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use error::AppError;
pub(crate) use http::{AppRequest, Head, HttpApp, Rest};

use crate::{io::Buffers, plan, shared::Limits};
use grpc::GrpcApp;

/// The app, as one lane sees it.
pub(crate) struct App {
    /// `host:port`.
    addr: String,
    scheme: &'static str,
    speaks: Speaks,
    /// Proxied calls go to any app, whatever it is said to speak.
    pub grpc: GrpcApp,
    /// Bounds requests in flight, over all lanes.
    slots: Option<Arc<Semaphore>>,
}

/// What the app takes calls in.
pub(crate) enum Speaks {
    /// HTTP requests.
    Http(HttpApp),
    /// `AppCallback`.
    Grpc,
}

impl App {
    /// The app of that plan. `slots` bounds the requests that it gets at a time.
    pub(crate) fn new(
        app: &plan::App,
        buffers: &Rc<Buffers>,
        limits: &Limits,
        slots: Option<Arc<Semaphore>>,
    ) -> Self {
        let speaks = match app.protocol {
            AppProtocol::Http => Speaks::Http(HttpApp::one(
                &app.addr,
                None,
                Rc::clone(buffers),
                limits.app_head,
            )),
            AppProtocol::Https => Speaks::Http(HttpApp::one(
                &app.addr,
                Some(Connector::unverified(&["http/1.1"])),
                Rc::clone(buffers),
                limits.app_head,
            )),
            AppProtocol::H2c => Speaks::Http(HttpApp::two(&app.addr)),
            AppProtocol::Grpc | AppProtocol::Grpcs => Speaks::Grpc,
        };
        // The app's certificate is not verified (contract `configuration.md` 1).
        let tls = app.is_secure().then(|| Connector::unverified(&["h2"]));
        Self {
            addr: app.addr.clone(),
            scheme: if app.is_secure() { "https" } else { "http" },
            speaks,
            grpc: GrpcApp::new(&app.addr, tls, limits.message),
            slots,
        }
    }

    /// Where the app is: `host:port`.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// What it takes calls in.
    pub(crate) fn speaks(&self) -> &Speaks {
        &self.speaks
    }

    /// Waits until the app may have another request, which ends with the permit.
    pub(crate) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let slots = self.slots.as_ref()?;
        // The semaphore is never closed.
        Arc::clone(slots).acquire_owned().await.ok()
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn expire(&self) {
        if let Speaks::Http(http) = &self.speaks {
            http.expire();
        }
    }
}
