//! Many connections at once.

use outrider_testkit::RawClient;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::mesh;

const CONNECTIONS: usize = 2000;

/// Makes room for the sockets of this test; false if there is none to be had.
fn room() -> bool {
    let wanted = CONNECTIONS as u64 * 2 + 1000;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return true;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: now.maximum.map(|most| most.max(wanted)),
    };
    setrlimit(Resource::Nofile, raised).is_ok()
}

#[tokio::test]
async fn idle_connections_leave_the_sidecar_serving() {
    if !room() {
        println!("skipped: the limit of open files cannot be raised to hold {CONNECTIONS} sockets");
        return;
    }
    let mesh = mesh().await;
    mesh.call("GET", "x", &[], b"").await.unwrap();
    let before = mesh.caller.resident().unwrap();
    let mut idle: Vec<RawClient> = Vec::new();
    for i in 0..CONNECTIONS {
        let mut client = mesh.caller.connect().await.unwrap();
        // Some have made a call, some stand in the middle of a head, most say nothing.
        match i % 10 {
            0 => drop(client.call("GET", "/v1.0/healthz", &[], b"").await.unwrap()),
            1 => client.send("GET /v1.0/hea").await.unwrap(),
            _ => {}
        }
        idle.push(client);
    }
    for _ in 0..20 {
        let rsp = mesh.call("POST", "x", &[], b"body").await.unwrap();
        assert_eq!((rsp.status(), rsp.text().as_str()), (200, "body"));
    }
    let each = mesh.caller.resident().unwrap().saturating_sub(before) / CONNECTIONS as u64;
    assert!(each < 8 << 10, "{each} bytes for an idle connection");
    drop(idle);
    let rsp = mesh.call("GET", "x", &[], b"").await.unwrap();
    assert_eq!(rsp.status(), 200);
}

#[tokio::test]
async fn many_calls_at_once_all_get_their_own_answer() {
    let mesh = mesh().await;
    let port = mesh.caller.ports().http;
    let mut running = Vec::new();
    for i in 0..64 {
        let target = mesh.target("x");
        running.push(tokio::spawn(async move {
            let mut client = RawClient::connect(port).await.unwrap();
            for round in 0..10 {
                let body = format!("call {i} round {round} {}", "z".repeat(i * 100));
                let rsp = client
                    .call("POST", &target, &[], body.as_bytes())
                    .await
                    .unwrap();
                assert_eq!((rsp.status(), rsp.text()), (200, body));
            }
        }));
    }
    for call in running {
        call.await.unwrap();
    }
}
