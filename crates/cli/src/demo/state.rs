//! Where nodeapp keeps the last order: in a state store of its sidecar, through the state API.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{self, Api, told};

/// The name of the store.
pub(super) const STORE: &str = "statestore";
/// What the order is called there.
pub(super) const KEY: &str = "order";

/// The store, as an app sees it.
#[derive(Debug)]
pub(super) struct State {
    api: Api,
}

/// Why the store did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the state store {STORE} can't be had: {0}")]
    Api(#[from] api::Error),
    #[error("the state store {STORE} answered {status} {message}")]
    Refused { status: u16, message: String },
}

impl State {
    /// The port is that of the sidecar's HTTP API.
    pub(super) fn new(port: u16) -> Self {
        Self {
            api: Api::new(port, LIMIT),
        }
    }

    /// Keeps the order instead of the one before.
    pub(super) async fn keep(&mut self, order: &Value) -> Result<(), Error> {
        let items = json!([{ "key": KEY, "value": order }]);
        let line = format!("POST /v1.0/state/{STORE}");
        let (head, body) = self.api.ask(&line, "", Some(&items)).await?;
        match head.status {
            204 => Ok(()),
            status => Err(refused(status, &body)),
        }
    }

    /// The last order, if the store has one.
    pub(super) async fn last(&mut self) -> Result<Option<Value>, Error> {
        let line = format!("GET /v1.0/state/{STORE}/{KEY}");
        let (head, body) = self.api.ask(&line, "", None).await?;
        match (head.status, serde_json::from_slice(&body)) {
            (204, _) => Ok(None),
            (200, Ok(order)) => Ok(Some(order)),
            (status, _) => Err(refused(status, &body)),
        }
    }
}

fn refused(status: u16, body: &[u8]) -> Error {
    Error::Refused {
        status,
        message: told(body),
    }
}

/// Shorter than the caller waits for nodeapp, so that it is told the cause.
const LIMIT: Duration = Duration::from_secs(2);
