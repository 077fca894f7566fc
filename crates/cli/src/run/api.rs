//! The HTTP API of a sidecar we started, as far as it is needed here: a status for a request.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{plan::Member, ports::Ports};
use crate::http::{Address, Error, Request};

/// Where the API is, and the token it may want.
#[derive(Clone, Debug)]
pub(super) struct Api {
    address: Address,
    token: Option<String>,
}

impl Api {
    pub(super) fn of(member: &Member, ports: &Ports, token: Option<String>) -> Self {
        let folder = &member.sidecar.unix_domain_socket;
        let address = if folder.is_empty() {
            Address::Port {
                host: host(&member.sidecar.listen_addresses),
                port: ports.http,
            }
        } else {
            let name = format!("dapr-{}-http.socket", member.app_id);
            Address::Socket(member.folder.join(folder).join(name))
        };
        Self { address, token }
    }

    /// What stands in front of a path for `curl`.
    pub(super) fn curl(&self) -> String {
        match &self.address {
            Address::Socket(path) => {
                format!("curl --unix-socket {} http://localhost", path.display())
            }
            port => format!("curl http://{port}"),
        }
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        match &self.address {
            socket @ Address::Socket(_) => socket.to_string(),
            port => format!("http://{port}"),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<u16, Error> {
        self.ask("GET", path, "").await
    }

    pub(super) async fn put(&self, path: &str, body: &str) -> Result<u16, Error> {
        self.ask("PUT", path, body).await
    }

    /// Waits until it takes connections.
    pub(super) async fn listens(&self) {
        while self.address.connect().await.is_err() {
            sleep(POLL).await;
        }
    }

    async fn ask(&self, verb: &str, target: &str, body: &str) -> Result<u16, Error> {
        let token = self.token.as_deref();
        let request = Request {
            verb,
            target,
            fields: token
                .map(|token| ("dapr-api-token", token))
                .into_iter()
                .collect(),
            body: body.as_bytes(),
        };
        let status = async {
            let mut connection = self.address.connect().await?;
            connection.send(&request.message(&self.address)).await?;
            let (head, _) = connection.response().await?;
            Ok(head.status)
        };
        match timeout(ATTEMPT, status).await {
            Ok(status) => status,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }
}

/// An address the API listens on; the reference's CLI knows 127.0.0.1 only.
fn host(listen_addresses: &str) -> String {
    let loopback = "127.0.0.1";
    let mut all = listen_addresses
        .split(',')
        .map(|it| it.trim_matches(['[', ']']));
    let everywhere = |it: &str| matches!(it, "" | "0.0.0.0" | "::" | "localhost" | "127.0.0.1");
    if all.clone().any(everywhere) {
        return loopback.to_owned();
    }
    all.next().unwrap_or(loopback).to_owned()
}

const POLL: Duration = Duration::from_millis(1);
const ATTEMPT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_called_where_it_listens() {
        for (addresses, expected) in [
            ("", "127.0.0.1"),
            ("10.0.0.1,127.0.0.1", "127.0.0.1"),
            ("[::]", "127.0.0.1"),
            ("10.0.0.1,10.0.0.2", "10.0.0.1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(host(addresses), expected, "{addresses}");
        }
    }
}
