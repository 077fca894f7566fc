//! Where the connections of one group lead: to another sidecar or to the app beside this one.

use std::{rc::Rc, sync::Arc, time::Duration};

use outrider_lookup::Instance;
use outrider_trust::Connector;
use tokio::time::Instant;

use super::{
    connect::{ConnectError, connect},
    connection::{LOCAL_STREAM_WINDOW, STREAM_WINDOW},
};
use crate::io::Stream;

/// The far end of a connection.
#[derive(Clone)]
pub(crate) enum End {
    /// Another sidecar.
    Peer(Arc<Instance>),
    /// The app.
    App(Rc<AppEnd>),
}

/// Where the app listens.
pub(crate) struct AppEnd {
    /// `host:port`.
    pub addr: String,
    /// How TLS is spoken with it, if it is.
    pub tls: Option<Connector>,
}

/// How long an app may take to accept and to say its first word (contract `grpc-api.md` 5).
const APP_PATIENCE: Duration = Duration::from_secs(20);

/// How long a peer may take for its first answer.
const GREETING: Duration = Duration::from_secs(5);

/// The same where calls can go to another one meanwhile.
pub(super) const SHORT_GREETING: Duration = Duration::from_secs(1);

/// A host that does not answer at all is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Peers close a connection without calls at 180 s; ours goes first.
const PEER_IDLE: Duration = Duration::from_secs(150);

/// The app's (contract `grpc-api.md` 5).
const APP_IDLE: Duration = Duration::from_secs(180);

impl End {
    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        match self {
            Self::Peer(instance) => connect(instance.addr(), None, CONNECT_TIMEOUT).await,
            Self::App(app) => connect(&app.addr, app.tls.as_ref(), APP_PATIENCE).await,
        }
    }

    /// How long the first answer may take.
    pub(super) fn greeting(&self) -> Duration {
        match self {
            Self::Peer(instance) if instance.is_dispensable() => SHORT_GREETING,
            Self::Peer(_) => GREETING,
            Self::App(_) => APP_PATIENCE,
        }
    }

    /// What one stream may send ahead of its reader.
    pub(super) fn stream_window(&self) -> u32 {
        match self {
            Self::Peer(_) => STREAM_WINDOW,
            Self::App(_) => LOCAL_STREAM_WINDOW,
        }
    }

    /// Apps are not asked for signs of life: some take that for an attack.
    pub(super) fn is_pinged(&self) -> bool {
        matches!(self, Self::Peer(_))
    }

    /// One connection to the app is kept warm.
    pub(super) fn keeps_one(&self) -> bool {
        matches!(self, Self::App(_))
    }

    pub(super) fn idle_limit(&self) -> Duration {
        match self {
            Self::Peer(_) => PEER_IDLE,
            Self::App(_) => APP_IDLE,
        }
    }

    /// It gave no sign of life: the next connection would be accepted and say nothing, too.
    pub(super) fn is_dead(&self) {
        if let Self::Peer(instance) = self {
            instance.eject(Instant::now());
        }
    }
}
