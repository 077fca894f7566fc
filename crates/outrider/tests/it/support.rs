//! What several subjects share: the binary, error bodies, a table's way of failing.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outrider_testkit::{Mesh, RawApp, RawRequest, RawResponse, SidecarBuilder, unique_id};
use tokio::net::TcpSocket;

/// The binary under test.
pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_outrider");

/// A sidecar of the binary under test.
pub(crate) fn sidecar() -> SidecarBuilder {
    SidecarBuilder::new(BIN)
}

/// Two echo apps with a sidecar each.
pub(crate) async fn mesh() -> Mesh {
    Mesh::start(BIN).await.unwrap()
}

/// The request target that calls `path` of app `id`.
pub(crate) fn invoke(id: &str, path: &str) -> String {
    format!("/v1.0/invoke/{id}/method/{path}")
}

/// The body of a failed call (`http-api.md`, `E(err)`).
pub(crate) fn failed(target: &str, err: &str) -> String {
    let message = format!("failed to invoke, id: {target}, err: {err}");
    format!(
        r#"{{"errorCode":"ERR_DIRECT_INVOKE","message":"{}"}}"#,
        escaped(&message)
    )
}

/// Text inside a JSON string as Go writes it.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('<', r"\u003c")
        .replace('>', r"\u003e")
        .replace('&', r"\u0026")
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize] as char;
            out.push(if i <= three.len() { letter } else { '=' });
        }
    }
    out
}

/// The body of the answer to a request that names no app.
pub(crate) const NO_TARGET: &str = r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed getting app id either from the URL path or the header dapr-app-id"}"#;

/// Fails unless the answer is this error, byte for byte.
#[track_caller]
pub(crate) fn assert_error(case: &str, rsp: &RawResponse, status: u16, body: &str) {
    assert_eq!(
        (rsp.status(), rsp.text().as_str()),
        (status, body),
        "{case}"
    );
    let kind = rsp.headers.all("content-type");
    assert_eq!(kind, ["application/json"], "{case}");
    let length = body.len().to_string();
    assert_eq!(rsp.headers.get("content-length"), Some(&*length), "{case}");
}

/// The newest request of `app`, which is then forgotten.
pub(crate) async fn taken(app: &RawApp) -> RawRequest {
    let req = app.last_request().await.unwrap();
    app.clear();
    req
}

/// A port that refuses connections for as long as it is held: bound, so that nobody else gets it,
/// and not listening. 0 takes any.
pub(crate) fn closed_port(port: u16) -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    // Connections that have just ended there do not matter.
    socket.set_reuseaddr(true).unwrap();
    socket
        .bind(SocketAddr::from(([127, 0, 0, 1], port)))
        .unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Tries again until `check` holds, for things that nothing announces.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + outrider_testkit::LIMIT;
    while !check().await {
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A file that lives as long as the test, and the flag that names it.
pub(crate) struct ConfigFile(PathBuf);

impl ConfigFile {
    /// A Configuration with this `spec`, given as YAML at two spaces of indentation.
    pub(crate) fn new(spec: &str) -> Self {
        let name = format!("{}.yaml", unique_id("config"));
        let file = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        file.change(spec);
        file
    }

    /// Puts another `spec` in its place.
    pub(crate) fn change(&self, spec: &str) {
        let head =
            "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: test\nspec:\n";
        fs::write(&self.0, format!("{head}{spec}\n")).unwrap();
    }

    /// The flag that names it.
    pub(crate) fn flag(&self) -> String {
        format!("--config={}", self.0.display())
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
