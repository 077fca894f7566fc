//! Name resolvers other than mDNS (contract `naming.md` 1, 4, 8, 9; ours: `static`, `dns`).

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use outrider_testkit::{RawApp, Sidecar, SidecarBuilder, Signal, unique_id};
use rusqlite::Connection;
use tokio::net::UdpSocket;

use crate::support::{ConfigFile, assert_error, eventually, failed, invoke, sidecar};

/// A sidecar whose Configuration names a resolver.
async fn with_resolver(builder: SidecarBuilder, resolver: &str) -> (Sidecar, ConfigFile) {
    let config = ConfigFile::new(&format!("  nameResolution: {resolver}"));
    let started = builder.flag(config.flag()).start().await.unwrap();
    (started, config)
}

/// An app with a sidecar that only its address leads to.
async fn callee() -> (RawApp, Sidecar) {
    let app = RawApp::echo().await.unwrap();
    let hidden = sidecar().env("OUTRIDER_SAME_HOST_REGISTRY", "false");
    let sidecar = hidden.app_port(app.port()).start().await.unwrap();
    (app, sidecar)
}

async fn status(caller: &Sidecar, id: &str) -> u16 {
    let rsp = caller.call("GET", &invoke(id, "x"), &[], b"").await;
    rsp.unwrap().status()
}

async fn assert_fails(caller: &Sidecar, id: &str, err: &str) {
    let rsp = caller.call("GET", &invoke(id, "x"), &[], b"").await;
    assert_error(id, &rsp.unwrap(), 500, &failed(id, err));
}

/// A path that no other test uses.
struct Scratch(PathBuf);

impl Scratch {
    fn new(ending: &str) -> Self {
        let name = format!("{}{ending}", unique_id("names"));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", self.path()));
        }
    }
}

#[tokio::test]
async fn a_static_list_decides_alone_and_balances() {
    let (one, first) = callee().await;
    let (two, second) = callee().await;
    let other = sidecar().start().await.unwrap();
    let (caller, _config) = with_resolver(
        sidecar(),
        &format!(
            "{{component: static, configuration: {{apps: {{cart: ['127.0.0.1:{}', \
             {{address: 'localhost:{}', namespace: default}}]}}}}}}",
            first.ports().internal,
            second.ports().internal
        ),
    )
    .await;
    for _ in 0..40 {
        assert_eq!(status(&caller, "cart").await, 200);
    }
    let counts = [one.requests().await.len(), two.requests().await.len()];
    assert!(counts.iter().all(|calls| *calls > 0), "{counts:?}");
    // It is on this host, and by default it would be found.
    let id = other.app_id();
    let err = format!("couldn't find service: {id} is not in nameResolution.configuration.apps");
    assert_fails(&caller, id, &err).await;
}

#[tokio::test]
async fn a_file_with_a_static_list_is_followed() {
    let (_app, callee) = callee().await;
    let port = callee.ports().internal;
    let list = Scratch::new(".yaml");
    let resolver = format!(
        "{{component: Static, version: V1, configuration: {{file: {}}}}}",
        list.path()
    );
    let (caller, _config) = with_resolver(sidecar(), &resolver).await;
    let failure = format!(
        "[INIT_COMPONENT_FAILURE]: initialization error occurred for nr (Static/V1): cannot read {}",
        list.path()
    );
    caller.wait_line(&failure).await.unwrap();
    let rsp = caller.call("GET", &invoke("cart", "x"), &[], b"").await;
    let text = rsp.unwrap().text();
    assert!(
        text.contains("err: name resolver not initialized: cannot read "),
        "{text}"
    );

    fs::write(&list.0, format!("apps:\n  cart: ['127.0.0.1:{port}']\n")).unwrap();
    eventually("the list is read", async || {
        status(&caller, "cart").await == 200
    })
    .await;
    caller
        .wait_line("Initialized name resolution to Static")
        .await
        .unwrap();
    fs::write(&list.0, "apps: {cart: ['127.0.0.1']}").unwrap();
    let refused = caller
        .wait_line("static name resolution stays as it was")
        .await
        .unwrap();
    assert!(refused.contains("apps.cart[0]"), "{refused}");
    assert_eq!(status(&caller, "cart").await, 200);
    fs::write(&list.0, format!("apps: {{pay: ['127.0.0.1:{port}']}}")).unwrap();
    eventually("the new list is read", async || {
        status(&caller, "pay").await == 200
    })
    .await;
    let err = format!("couldn't find service: cart is not in {}", list.path());
    assert_fails(&caller, "cart", &err).await;
}

#[tokio::test]
async fn a_name_format_is_dialled_as_it_is() {
    let (app, callee) = callee().await;
    let port = callee.ports().internal;
    let (caller, _config) = with_resolver(
        sidecar(),
        &format!("{{component: nameformat, configuration: {{format: '{{appid}}:{port}'}}}}"),
    )
    .await;
    assert_eq!(status(&caller, "localhost").await, 200);
    app.last_request().await.unwrap();
    assert_fails(&caller, ".default", "empty ID not allowed").await;
    let rsp = caller
        .call("GET", &invoke("nosuch.invalid", "x"), &[], b"")
        .await
        .unwrap();
    let text = rsp.text();
    assert!(
        text.contains("Error while dialing: dial tcp: lookup nosuch: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_resolver_that_cannot_work_leaves_only_the_own_app() {
    for (resolver, line) in [
        (
            "{component: Foo, version: V2}",
            "[CREATE_COMPONENT_FAILURE]: initialization error occurred for nr (Foo/V2): couldn't \
             find name resolver Foo/V2",
        ),
        (
            "{component: consul}",
            "[CREATE_COMPONENT_FAILURE]: initialization error occurred for nr (consul/v1): \
             couldn't find name resolver consul/v1",
        ),
        (
            "{component: nameformat, configuration: {format: x}}",
            "[INIT_COMPONENT_FAILURE]: initialization error occurred for nr (nameformat/v1): \
             format must contain {appid} placeholder",
        ),
    ] {
        let app = RawApp::echo().await.unwrap();
        let builder = sidecar().app_port(app.port());
        let (alone, _config) = with_resolver(builder, resolver).await;
        alone.wait_line(line).await.unwrap();
        assert_fails(&alone, "other", "name resolver not initialized").await;
        assert_eq!(status(&alone, alone.app_id()).await, 200, "{resolver}");
    }
}

/// The database as other programs see it.
struct Names(Connection);

impl Names {
    fn open(path: &Scratch) -> Self {
        let connection = Connection::open(&path.0).unwrap();
        let limit = std::time::Duration::from_secs(10);
        connection.busy_timeout(limit).unwrap();
        Self(connection)
    }

    fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }

    fn addresses(&self, app_id: &str) -> Vec<String> {
        let sql = "SELECT address FROM hosts WHERE app_id = ?1";
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([app_id], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn a_database_holds_who_is_there() {
    let file = Scratch::new(".db");
    let resolver = format!(
        "{{component: SQLite, configuration: {{connectionString: {}}}}}",
        file.path()
    );
    let app = RawApp::echo().await.unwrap();
    let (mut callee, _config) = with_resolver(sidecar().app_port(app.port()), &resolver).await;
    let (caller, _other_config) = with_resolver(sidecar(), &resolver).await;
    let id = callee.app_id().to_owned();
    let address = format!("127.0.0.1:{}", callee.ports().internal);
    eventually("the callee is found", async || {
        status(&caller, &id).await == 200
    })
    .await;
    let names = Names::open(&file);
    assert_eq!(names.addresses(&id), [address.as_str()]);
    let nobody = "no host found with the given ID";
    assert_fails(&caller, "nosuch", nobody).await;

    // A row of somebody else, and one that is too old.
    let planted =
        format!("REPLACE INTO hosts VALUES ('x', '{address}', 'planted', '', unixepoch())");
    names.run(&planted);
    assert_eq!(status(&caller, "planted").await, 200);
    names.run("INSERT INTO hosts VALUES ('y', '127.0.0.1:1', 'old', '', unixepoch() - 9)");
    assert_fails(&caller, "old", nobody).await;
    // The callee has lost its row by that, and comes back.
    eventually("the callee registers again", async || {
        names.addresses(&id) == [address.as_str()]
    })
    .await;
    callee
        .wait_line("the host registration was lost")
        .await
        .unwrap();

    callee.signal(Signal::Term).unwrap();
    assert_eq!(callee.wait_exit().await.unwrap(), 0);
    assert_eq!(names.addresses(&id), [] as [&str; 0]);
    eventually("the callee is forgotten", async || {
        status(&caller, &id).await == 500
    })
    .await;
    assert_fails(&caller, &id, nobody).await;
}

#[tokio::test]
async fn a_database_that_comes_later_is_used_then() {
    let folder = Scratch::new(".d");
    let resolver = format!(
        "{{component: sqlite, configuration: {{connectionString: {}/names.db}}}}",
        folder.path()
    );
    let (caller, _config) = with_resolver(sidecar(), &resolver).await;
    caller
        .wait_line(
            "[INIT_COMPONENT_FAILURE]: initialization error occurred for nr (sqlite/v1): failed to \
             perform migrations: unable to open database file",
        )
        .await
        .unwrap();
    let rsp = caller
        .call("GET", &invoke("other", "x"), &[], b"")
        .await
        .unwrap();
    let fault = rsp.headers.get("outrider-fault").unwrap_or_default();
    assert!(fault.starts_with("no-resolver;"), "{fault}");
    fs::create_dir(&folder.0).unwrap();
    caller
        .wait_line("Initialized name resolution to sqlite")
        .await
        .unwrap();
    assert_fails(&caller, "other", "no host found with the given ID").await;
    fs::remove_dir_all(&folder.0).unwrap();
}

/// Answers A questions for names that begin with `cart.` with 127.0.0.1, and says of all others
/// that there are none.
async fn serve_names(socket: UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
        let name_end = 12 + buffer[12..].iter().position(|byte| *byte == 0).unwrap();
        let is_a = buffer[name_end + 1..name_end + 3] == [0, 1];
        let known = buffer[12..].starts_with(b"\x04cart");
        let mut answer = buffer[..name_end + 5].to_vec();
        // A response with recursion, its code, one question, perhaps one answer.
        answer[2..4].copy_from_slice(&[0x81, if known { 0x80 } else { 0x83 }]);
        answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(known && is_a), 0, 0, 0, 0]);
        if known && is_a {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 127, 0, 0, 1]);
        }
        socket.send_to(&answer, from).await.unwrap();
    }
}

#[tokio::test]
async fn name_servers_are_asked_for_addresses() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = socket.local_addr().unwrap();
    let serving = tokio::spawn(serve_names(socket));
    let (_app, callee) = callee().await;
    let (caller, _config) = with_resolver(
        sidecar(),
        &format!(
            "{{component: dns, configuration: {{template: '{{appid}}.{{namespace}}.svc.test:{}', \
             nameServers: ['{server}']}}}}",
            callee.ports().internal
        ),
    )
    .await;
    assert_eq!(status(&caller, "cart").await, 200);
    let err = "failed to resolve address for 'nosuch.default.svc.test': no such host";
    assert_fails(&caller, "nosuch", err).await;
    serving.abort();
    let _ = serving.await;
    let err = "failed to resolve address for 'later.default.svc.test': ";
    let rsp = caller.call("GET", &invoke("later", "x"), &[], b"").await;
    let text = rsp.unwrap().text();
    assert!(text.contains(err), "{text}");
    assert_eq!(
        status(&caller, "cart").await,
        200,
        "known for another while"
    );
}
