//! An app's way to the API of its own sidecar: one kept connection, made again when it broke.
//!
//! An ordinary HTTP client. It never sends a request twice.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use outrider_wire::http1::ResponseHead;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::http::{self, Connection};

/// An app's connection to its sidecar.
#[derive(Debug)]
pub(super) struct Api {
    port: u16,
    /// How long an answer is waited for.
    limit: Duration,
    idle: Option<Connection>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no connection to its own sidecar at 127.0.0.1:{port}: {cause}")]
    Connect { port: u16, cause: io::Error },
    #[error("its own sidecar did not answer: {0}")]
    Exchange(#[from] http::Error),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl Api {
    pub(super) fn new(port: u16, limit: Duration) -> Self {
        Self {
            port,
            limit,
            idle: None,
        }
    }

    /// Asks and waits for the answer, but not for ever. The fields are whole lines.
    pub(super) async fn ask(
        &mut self,
        line: &str,
        fields: &str,
        body: Option<&Value>,
    ) -> Result<(ResponseHead, Vec<u8>), Error> {
        let message = self.message(line, fields, body);
        match timeout(self.limit, self.exchange(&message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Late(self.limit)),
        }
    }

    async fn exchange(&mut self, message: &[u8]) -> Result<(ResponseHead, Vec<u8>), Error> {
        let port = self.port;
        // Taken out, so that one with an answer still to come is never used again.
        let idle = self.idle.take().filter(Connection::is_quiet);
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let stream = TcpStream::connect(addr).await;
                Connection::new(stream.map_err(|cause| Error::Connect { port, cause })?)
            }
        };
        connection.send(message).await?;
        let (head, body) = connection.response().await?;
        if head.keep_alive {
            self.idle = Some(connection);
        }
        Ok((head, body))
    }

    fn message(&self, line: &str, fields: &str, body: Option<&Value>) -> Vec<u8> {
        let port = self.port;
        let head = format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}");
        let Some(body) = body.map(Value::to_string) else {
            return format!("{head}\r\n").into_bytes();
        };
        format!(
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// The error code and message of a sidecar's answer, or the body as it is.
pub(super) fn told(body: &[u8]) -> String {
    let error: Option<Value> = serde_json::from_slice(body).ok();
    let member = |name| error.as_ref().and_then(|it| it[name].as_str());
    match (member("errorCode"), member("message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned(),
    }
}

/// Bytes of an unknown body that are shown.
const SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_body_comes_with_its_length() {
        let api = Api::new(80, Duration::ZERO);
        assert_eq!(
            api.message("GET /a", "A: 1\r\n", None),
            b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: 1\r\n\r\n"
        );
        let message = api.message("POST /a", "", Some(&json!([])));
        let end = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n[]";
        assert!(message.ends_with(end), "{message:?}");
    }

    #[test]
    fn a_sidecars_error_is_told_with_its_code() {
        assert_eq!(told(br#"{"errorCode":"E","message":"why"}"#), "E: why");
        assert_eq!(told(b"plain"), "plain");
        assert_eq!(told(b"\xff[1]"), "\u{fffd}[1]");
    }

    #[tokio::test]
    async fn a_connection_is_kept_and_made_again_once_it_broke() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            for _ in 0..2 {
                let mut connection = Connection::new(listener.accept().await.unwrap().0);
                for _ in 0..2 {
                    connection.request().await.unwrap().unwrap();
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    connection.send(answer).await.unwrap();
                }
            }
        };
        let client = async {
            let mut api = Api::new(port, Duration::from_secs(30));
            for _ in 0..2 {
                for _ in 0..2 {
                    assert_eq!(api.ask("GET /", "", None).await.unwrap().0.status, 204);
                }
                // The server hangs up after two.
                let kept = api.idle.as_mut().unwrap();
                assert!(kept.request().await.unwrap().is_none());
            }
        };
        tokio::join!(server, client);
    }
}
