//! The called app: `POST /neworder` keeps an order, `GET /order` returns the last one.
//!
//! An ordinary HTTP server, as an app of a user would be. It keeps nothing itself: the order is in
//! the state store of its sidecar, of which it knows the port.

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
    orders::USER_AGENT,
    screen,
    state::{self, State},
    visits::{Visit, Visits},
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
    pub(super) async fn serve(self, sidecar_port: u16, visits: Visits, output: Output) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let guest = Guest {
                            connection: Connection::new(stream),
                            state: State::new(sidecar_port),
                            visits: visits.clone(),
                        };
                        connections.spawn(serve_connection(guest, output));
                    }
                    // A client that left at once, or no free file handle: both pass.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// A connection, and what its requests need. Each has its own way to the store, so that none waits
/// for another.
struct Guest {
    connection: Connection,
    state: State,
    visits: Visits,
}

async fn serve_connection(guest: Guest, output: Output) {
    let Guest {
        mut connection,
        mut state,
        visits,
    } = guest;
    // A request that can't be read, like a client that left, ends the connection.
    while let Ok(Some((head, body))) = connection.request().await {
        let arrived = Instant::now();
        let (status, answer) = answer(&head, &body, &mut state).await;
        let message = message(status, &answer, head.method() == "HEAD");
        let visit = Visit {
            arrived,
            answered: Instant::now(),
        };
        let ours = text(&head.fields, "User-Agent") == Some(USER_AGENT);
        match order_id(&body) {
            Some(id) if ours => visits.note(id, visit),
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

async fn answer(head: &RequestHead, body: &[u8], state: &mut State) -> (u16, Value) {
    let path = head.target().split('?').next().unwrap_or_default();
    match (head.method(), path) {
        ("POST", "/neworder") => match serde_json::from_slice::<Value>(body) {
            Ok(order) if order.is_object() => match state.keep(&order).await {
                Ok(()) => (200, json!({ "kept": order })),
                Err(error) => failed("the order is not kept", &error),
            },
            _ => (
                400,
                json!({ "error": "an order is a JSON object, as in {\"orderId\": 42}" }),
            ),
        },
        ("GET", "/order") => match state.last().await {
            Ok(Some(order)) => (200, order),
            Ok(None) => (404, json!({ "error": "the store has no order yet" })),
            Err(error) => failed("the order can't be read", &error),
        },
        _ => (
            404,
            json!({ "error": format!("{CALLEE} knows POST /neworder and GET /order") }),
        ),
    }
}

fn failed(what: &str, error: &state::Error) -> (u16, Value) {
    (500, json!({ "error": format!("{what}: {error}") }))
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
    use crate::demo::ports;

    async fn ask(line: &str, body: &str, state: &mut State) -> (u16, Value) {
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = parse_request(head.as_bytes()).unwrap().unwrap().0;
        answer(&head, body.as_bytes(), state).await
    }

    /// Answers one connection as the state API does.
    async fn store(listener: TcpListener) {
        let mut connection = Connection::new(listener.accept().await.unwrap().0);
        let mut kept = None;
        while let Some((head, body)) = connection.request().await.unwrap() {
            let answer = match (head.method(), head.target(), &kept) {
                ("POST", "/v1.0/state/statestore", _) => {
                    let items: Value = serde_json::from_slice(&body).unwrap();
                    assert_eq!(items[0]["key"], "order");
                    kept = Some(items[0]["value"].clone());
                    "HTTP/1.1 204 No Content\r\n\r\n".into()
                }
                ("GET", "/v1.0/state/statestore/order", None) => {
                    "HTTP/1.1 204 No Content\r\n\r\n".into()
                }
                ("GET", "/v1.0/state/statestore/order", Some(order)) => message(200, order, false),
                other => panic!("{other:?}"),
            };
            connection.send(&answer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_last_order_is_kept_in_the_store() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut state = State::new(listener.local_addr().unwrap().port());
        let app = async {
            let state = &mut state;
            assert_eq!(ask("GET /order", "", state).await.0, 404);
            let first = ask("POST /neworder", "{\"orderId\":1}", state).await;
            assert_eq!(first, (200, json!({ "kept": { "orderId": 1 } })));
            let second = ask("POST /neworder?a=b", "{\"orderId\":2}", state).await;
            assert_eq!(second.0, 200);
            let last = ask("GET /order", "", state).await;
            assert_eq!(last, (200, json!({ "orderId": 2 })));
        };
        tokio::select! {
            () = app => {}
            () = store(listener) => panic!("the connection is not kept"),
        }
    }

    #[tokio::test]
    async fn without_its_sidecar_nothing_is_kept_and_the_error_says_so() {
        let [port] = ports::free().unwrap();
        let mut state = State::new(port);
        for (line, body) in [("POST /neworder", "{}"), ("GET /order", "")] {
            let (status, answer) = ask(line, body, &mut state).await;
            assert_eq!(status, 500);
            let told = answer["error"].as_str().unwrap();
            assert!(
                told.contains("the state store statestore can't be had"),
                "{told}"
            );
            let sidecar = format!("no connection to its own sidecar at 127.0.0.1:{port}");
            assert!(told.contains(&sidecar), "{told}");
        }
    }

    #[tokio::test]
    async fn what_is_no_order_is_refused() {
        // Nothing gets as far as the store.
        let mut state = State::new(1);
        for body in ["", "7", "[]", "{", "\"\u{fffd}"] {
            let (status, _) = ask("POST /neworder", body, &mut state).await;
            assert_eq!(status, 400, "{body}");
        }
        assert_eq!(ask("GET /neworder", "", &mut state).await.0, 404);
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
