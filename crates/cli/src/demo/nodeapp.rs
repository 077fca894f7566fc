//! The called app: `POST /neworder` keeps an order, `GET /order` returns the last one.
//!
//! An ordinary HTTP server that knows nothing of sidecars, as an app of a user would be.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use outrider_wire::http1::{RequestHead, reason};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    CALLEE,
    kept::{Kept, Visit},
    orders::USER_AGENT,
    screen,
};
use crate::{
    http::{Connection, text},
    output::Output,
};

/// Listening, not yet serving.
#[derive(Debug)]
pub(super) struct NodeApp {
    listener: TcpListener,
    port: u16,
}

impl NodeApp {
    pub(super) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Serves until dropped. Requests that the demo did not send itself are shown.
    pub(super) async fn serve(self, kept: Kept, output: Output) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let connection = Connection::new(stream);
                        connections.spawn(serve_connection(connection, kept.clone(), output));
                    }
                    // A client that left at once, or no free file handle: both pass.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn serve_connection(mut connection: Connection, kept: Kept, output: Output) {
    // A request that can't be read, like a client that left, ends the connection.
    while let Ok(Some((head, body))) = connection.request().await {
        let arrived = Instant::now();
        let (status, answer) = answer(&head, &body, &kept);
        let message = message(status, &answer, head.method() == "HEAD");
        let visit = Visit {
            arrived,
            answered: Instant::now(),
        };
        let ours = text(&head.fields, "User-Agent") == Some(USER_AGENT);
        match order_id(&body) {
            Some(id) if ours => kept.note(id, visit),
            _ if is_for_people(&head) => {
                let line = screen::by_hand(&head, status, &answer, output.paint());
                // If nobody reads, the sending half notices.
                let _ = output.write(&line);
            }
            _ => {}
        }
        if connection.send(&message).await.is_err() || !head.keep_alive {
            return;
        }
    }
}

/// Sidecars ask apps for `/dapr/config` and the like; nobody needs to see that.
fn is_for_people(head: &RequestHead) -> bool {
    !head.target().starts_with("/dapr/")
}

fn answer(head: &RequestHead, body: &[u8], kept: &Kept) -> (u16, Value) {
    let path = head.target().split('?').next().unwrap_or_default();
    match (head.method(), path) {
        ("POST", "/neworder") => match serde_json::from_slice::<Value>(body) {
            Ok(order) if order.is_object() => {
                let answer = json!({ "kept": order });
                kept.keep(order);
                (200, answer)
            }
            _ => (
                400,
                json!({ "error": "an order is a JSON object, as in {\"orderId\": 42}" }),
            ),
        },
        ("GET", "/order") => match kept.last() {
            Some(order) => (200, order),
            None => (404, json!({ "error": "no order has come yet" })),
        },
        _ => (
            404,
            json!({ "error": format!("{CALLEE} knows POST /neworder and GET /order") }),
        ),
    }
}

/// The answer to HEAD is the head alone.
fn message(status: u16, answer: &Value, head_only: bool) -> Vec<u8> {
    let body = answer.to_string();
    let reason = reason(status).unwrap_or_default();
    let length = body.len();
    let body = if head_only { "" } else { &body };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The id of an order, if the body is one.
fn order_id(body: &[u8]) -> Option<u64> {
    let order: Value = serde_json::from_slice(body).ok()?;
    order["orderId"].as_u64()
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use outrider_wire::http1::parse_request;

    use super::*;

    fn ask(line: &str, body: &str, kept: &Kept) -> (u16, Value) {
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = parse_request(head.as_bytes()).unwrap().unwrap().0;
        answer(&head, body.as_bytes(), kept)
    }

    #[test]
    fn the_last_order_is_kept() {
        let kept = Kept::default();
        assert_eq!(ask("GET /order", "", &kept).0, 404);
        assert_eq!(ask("POST /neworder", "{\"orderId\":1}", &kept).0, 200);
        assert_eq!(ask("POST /neworder?a=b", "{\"orderId\":2}", &kept).0, 200);
        assert_eq!(ask("GET /order", "", &kept), (200, json!({ "orderId": 2 })));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let kept = Kept::default();
        for body in ["", "7", "[]", "{", "\"\u{fffd}"] {
            assert_eq!(ask("POST /neworder", body, &kept).0, 400, "{body}");
        }
        assert_eq!(ask("GET /neworder", "", &kept).0, 404);
        assert_eq!(kept.last(), None);
    }

    #[test]
    fn answers_say_their_length() {
        let message = String::from_utf8(message(404, &json!({}), false)).unwrap();
        assert_eq!(
            message,
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{}"
        );
    }
}
