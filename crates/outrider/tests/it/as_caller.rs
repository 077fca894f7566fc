//! The sidecar as caller of a hand-made peer (contract `sidecar-protocol.md` 3.1, 3.4, 6, 8).

use h2::Reason;
use outrider_testkit::{RawClient, RawResponse, Sidecar, request};
use outrider_wire::r#gen::internals;
use prost::Message;

use crate::peer::{Act, Callee, STREAM, UNARY, any, framed, payload, response, response_message};
use crate::support::{assert_error, failed, invoke, sidecar};

pub(crate) fn head(code: i32, first: &str) -> Act {
    let first = (!first.is_empty()).then(|| payload(0, first.as_bytes()).unwrap());
    Act::Send(response_message(Some(response(code)), first))
}

fn piece(seq: u64, data: &str) -> Act {
    Act::Send(response_message(None, payload(seq, data.as_bytes())))
}

pub(crate) async fn caller() -> Sidecar {
    sidecar()
        .flag("--max-body-size=64Ki")
        .start()
        .await
        .unwrap()
}

pub(crate) async fn get(caller: &Sidecar, callee: &Callee) -> RawResponse {
    let target = invoke(&callee.id, "x");
    caller.call("GET", &target, &[], b"").await.unwrap()
}

#[tokio::test]
async fn a_call_is_written_as_peers_expect_it() {
    let callee = Callee::start(|_, _| vec![Act::Read, head(201, "made"), Act::End(0, "")]).await;
    let caller = caller().await;
    let target = invoke(&callee.id, "a%20b/c?q=1&r=%20");
    let headers = [
        ("x-lower", "1"),
        ("X-lower", "2"),
        ("content-type", "text/x"),
        ("connection", "x-hop"),
        ("x-hop", "h"),
    ];
    let body = vec![b'r'; 60_000];
    let rsp = caller.call("PUT", &target, &headers, &body).await.unwrap();
    assert_eq!((rsp.status(), rsp.text().as_str()), (201, "made"));
    assert_eq!(rsp.headers.all("content-type"), ["text/x"]);

    let seen = callee.wait(|seen| !seen.messages.is_empty()).await;
    assert_eq!(seen.path, STREAM);
    assert_eq!(seen.headers["content-type"], "application/grpc");
    assert_eq!(seen.headers["te"], "trailers");
    let messages = seen.streamed();
    let req = messages[0].request.clone().unwrap();
    assert_eq!(req.ver, 1);
    let message = req.message.unwrap();
    assert_eq!(
        (&*message.method, &*message.content_type),
        ("a b/c", "text/x")
    );
    assert!(message.data.is_none_or(|data| data.value.is_empty()));
    let http = message.http_extension.unwrap();
    assert_eq!((http.verb, &*http.querystring), (4, "q=1&r=%20"));
    let map = &req.metadata;
    assert_eq!(map["X-Lower"].values, ["1", "2"]);
    assert_eq!(map["X-Hop"].values, ["h"], "the callee's side drops it");
    assert_eq!(map["Content-Length"].values, ["60000"]);
    for (name, value) in [
        ("destination-app-id", &*callee.id),
        ("dapr-callee-app-id", &callee.id),
        ("dapr-caller-app-id", caller.app_id()),
        ("dapr-caller-namespace", "default"),
        ("X-Forwarded-For", "127.0.0.1"),
    ] {
        assert_eq!(map[name].values, [value], "{name}");
    }
    assert!(!map.contains_key("Host") && map.values().all(|list| !list.values.is_empty()));
    let mut sent = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        assert!(at == 0 || message.request.is_none());
        let payload = message.payload.as_ref().unwrap();
        assert_eq!(payload.seq, at as u64);
        assert!(payload.data.len() <= 64 << 10);
        sent.extend_from_slice(&payload.data);
    }
    assert!(sent == body);
}

#[tokio::test]
async fn an_empty_body_is_one_message_without_payload() {
    let callee = Callee::start(|_, _| vec![Act::Read, head(200, ""), Act::End(0, "")]).await;
    let caller = caller().await;
    let rsp = get(&caller, &callee).await;
    assert_eq!((rsp.status(), rsp.body_len), (200, 0));
    let seen = callee.seen()[0].streamed();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].payload.is_none());
}

#[tokio::test]
async fn answers_are_read_as_leniently_as_the_reference_does() {
    let empty = || Some(internals::InternalInvokeResponse::default());
    let bare = |code| internals::InternalInvokeResponse {
        message: None,
        ..response(code)
    };
    let answers = [
        vec![head(200, "abc"), piece(1, "def"), Act::End(0, "")],
        vec![
            head(200, ""),
            piece(0, "abc"),
            piece(1, "def"),
            Act::End(0, ""),
        ],
        vec![
            Act::Send(response_message(Some(bare(200)), payload(0, b"abcdef"))),
            Act::End(0, ""),
        ],
        vec![
            head(200, "abc"),
            Act::Send(response_message(empty(), payload(1, b"def"))),
            Act::End(0, ""),
        ],
        vec![
            head(200, "abc"),
            piece(1, ""),
            piece(2, "def"),
            Act::End(0, ""),
        ],
        // The reference's own event streams begin with code 0.
        vec![head(0, "abc"), piece(1, "def"), Act::End(0, "")],
    ];
    let caller = caller().await;
    for (case, acts) in answers.into_iter().enumerate() {
        let callee = Callee::start(move |_, _| acts.clone()).await;
        let rsp = get(&caller, &callee).await;
        let seen = (rsp.status(), rsp.text(), rsp.complete);
        assert_eq!(seen, (200, "abcdef".into(), true), "{case}");
    }
}

#[tokio::test]
async fn a_wrong_beginning_is_an_error() {
    let lead = "response does not contain the required fields in the leading chunk";
    let without_status = internals::InternalInvokeResponse {
        status: None,
        ..response(200)
    };
    let rpc = |code: &str, text: &str| format!("rpc error: code = {code} desc = {text}");
    let large = response_message(Some(response(200)), payload(0, &vec![b'x'; 1_100_000]));
    let size = large.len() - 5;
    let answers = [
        (
            vec![
                Act::Send(response_message(Some(without_status), None)),
                Act::End(0, ""),
            ],
            lead.to_owned(),
        ),
        (vec![piece(0, "abc"), Act::End(0, "")], lead.to_owned()),
        (vec![Act::End(0, "")], "EOF".to_owned()),
        (vec![Act::Refuse(13, "broken")], rpc("Internal", "broken")),
        (vec![Act::End(2, "odd")], rpc("Unknown", "odd")),
        (vec![Act::End(5, "caf%C3%A9")], rpc("NotFound", "café")),
        (
            vec![Act::Send(large), Act::End(0, "")],
            rpc(
                "ResourceExhausted",
                &format!("grpc: received message larger than max ({size} vs. 1048576)"),
            ),
        ),
    ];
    let caller = caller().await;
    for (acts, err) in answers {
        let callee = Callee::start(move |_, _| acts.clone()).await;
        let rsp = get(&caller, &callee).await;
        assert_error(&err, &rsp, 500, &failed(&callee.id, &err));
        assert_eq!(callee.seen().len(), 1, "{err}: asked once");
    }
    let callee =
        Callee::start(|_, _| vec![Act::Send(framed(b"\xff\xff\xff")), Act::End(0, "")]).await;
    let rsp = get(&caller, &callee).await;
    assert_eq!(rsp.status(), 500);
    assert!(rsp.text().contains("unmarshal"), "{}", rsp.text());
}

#[tokio::test]
async fn a_peer_cannot_write_another_header_or_answer_into_ours() {
    let caller = caller().await;
    let list = |value: &str| internals::ListStringValue {
        values: vec![value.to_owned()],
    };
    let mut by_value = response(200);
    by_value
        .headers
        .insert("X-A".into(), list("b\r\nX-Evil: 1"));
    let mut by_type = response(200);
    by_type.message.as_mut().unwrap().content_type = "a/b\r\nX-Evil: 1".into();
    let mut by_framing = response(200);
    by_framing
        .headers
        .insert("Content-Length".into(), list("1"));
    by_framing
        .headers
        .insert("Transfer-Encoding".into(), list("gzip"));
    for (case, rsp) in [
        ("value", by_value),
        ("type", by_type),
        ("framing", by_framing),
    ] {
        let message = response_message(Some(rsp), payload(0, b"body"));
        let callee =
            Callee::start(move |_, _| vec![Act::Send(message.clone()), Act::End(0, "")]).await;
        let rsp = get(&caller, &callee).await;
        assert!(!rsp.headers.has("x-evil"), "{case}: {:?}", rsp.headers);
        if rsp.status() == 200 {
            assert_eq!(
                (rsp.text().as_str(), rsp.complete),
                ("body", true),
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn a_peer_cannot_write_another_header_through_a_name() {
    let caller = caller().await;
    for name in ["X-A: b\r\nX-Evil", "X-Evil: 1\r\n", " X-Evil", ""] {
        let mut rsp = response(200);
        let values = vec!["1".to_owned()];
        rsp.headers
            .insert(name.into(), internals::ListStringValue { values });
        let message = response_message(Some(rsp), payload(0, b"body"));
        let callee =
            Callee::start(move |_, _| vec![Act::Send(message.clone()), Act::End(0, "")]).await;
        let rsp = get(&caller, &callee).await;
        let text = String::from_utf8_lossy(&rsp.raw).to_lowercase();
        assert!(
            !text.contains("x-evil: ") && !text.contains("\n: "),
            "{name:?}: {text}"
        );
    }
}

#[tokio::test]
async fn a_status_that_is_none_is_an_error() {
    let caller = caller().await;
    for code in [1, 42, 99, 1000, 70_000, -1, i32::MIN, i32::MAX] {
        let callee = Callee::start(move |_, _| vec![head(code, "abc"), Act::End(0, "")]).await;
        let rsp = get(&caller, &callee).await;
        assert!(
            rsp.status_line.starts_with("HTTP/1.1 "),
            "{code}: {}",
            rsp.status_line
        );
        assert!(
            (200..1000).contains(&rsp.status()),
            "{code}: {}",
            rsp.status_line
        );
    }
}

#[tokio::test]
async fn a_denial_is_403() {
    let text = "access control policy has denied access to id: spiffe://public/ns/default/a operation: x verb: GET";
    let callee = Callee::start(move |_, _| vec![Act::Refuse(7, text)]).await;
    let caller = caller().await;
    let rsp = get(&caller, &callee).await;
    let err = format!("rpc error: code = PermissionDenied desc = {text}");
    assert_error("denied", &rsp, 403, &failed(&callee.id, &err));
}

#[tokio::test]
async fn a_wrong_middle_does_not_look_complete() {
    let meta = || Act::Send(response_message(Some(response(200)), payload(1, b"def")));
    let caller = caller().await;
    for (case, acts) in [
        (
            "sequence",
            vec![head(200, "abc"), piece(7, "def"), Act::End(0, "")],
        ),
        (
            "repeated sequence",
            vec![head(200, "abc"), piece(0, "def"), Act::End(0, "")],
        ),
        ("metadata", vec![head(200, "abc"), meta(), Act::End(0, "")]),
        ("error", vec![head(200, "abc"), Act::End(13, "broke")]),
        ("unavailable", vec![head(200, "abc"), Act::End(14, "gone")]),
        (
            "reset",
            vec![head(200, "abc"), Act::Reset(Reason::INTERNAL_ERROR)],
        ),
        (
            "no protobuf",
            vec![
                head(200, "abc"),
                Act::Send(framed(b"\xff\xff")),
                Act::End(0, ""),
            ],
        ),
    ] {
        let callee = Callee::start(move |_, _| acts.clone()).await;
        let mut client = caller.connect().await.unwrap();
        let target = invoke(&callee.id, "x");
        let answer = client.call("GET", &target, &[], b"").await;
        if let Ok(rsp) = answer {
            assert!(!rsp.complete || rsp.status() == 500, "{case}: {rsp:?}");
        }
        assert_eq!(callee.seen().len(), 1, "{case}: asked once");
    }
}

#[tokio::test]
async fn a_peer_without_the_streamed_form_is_called_in_the_old_one() {
    let callee = Callee::start(|_, path| match path {
        UNARY => {
            let mut rsp = response(202);
            rsp.message.as_mut().unwrap().data = any(b"unary");
            vec![
                Act::Read,
                Act::Send(framed(&rsp.encode_to_vec())),
                Act::End(0, ""),
            ]
        }
        _ => vec![Act::Refuse(12, "unknown method CallLocalStream")],
    })
    .await;
    let caller = caller().await;
    let target = invoke(&callee.id, "x");
    let rsp = caller
        .call("POST", &target, &[], b"whole body")
        .await
        .unwrap();
    assert_eq!(
        (rsp.status(), rsp.text().as_str()),
        (202, "unary"),
        "{rsp:?}"
    );
    let seen = callee
        .wait(|seen| seen.path == UNARY && !seen.messages.is_empty())
        .await;
    let req = internals::InternalInvokeRequest::decode(&seen.messages[0][..]).unwrap();
    assert_eq!(&req.message.unwrap().data.unwrap().value[..], b"whole body");
    assert!(!req.metadata.is_empty());
    let text = format!(
        "App {} does not support streaming-based service invocation",
        callee.id
    );
    caller.wait_line(&text).await.unwrap();

    // A body that cannot be sent again cannot go this way.
    let mut client = caller.connect().await.unwrap();
    let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    client
        .send(format!("POST {target} HTTP/1.1\r\n{head}"))
        .await
        .unwrap();
    let rsp = client.read_response().await.unwrap();
    let err = format!(
        "target app '{}' is running a version of Dapr that does not support streaming-based service invocation",
        callee.id
    );
    assert_eq!((rsp.status(), rsp.text()), (500, failed(&callee.id, &err)));
}

#[tokio::test]
async fn the_answer_is_relayed_while_the_request_is_still_coming() {
    let callee = Callee::start(|_, _| {
        vec![
            head(200, "early"),
            Act::Read,
            piece(1, "late"),
            Act::End(0, ""),
        ]
    })
    .await;
    let caller = caller().await;
    let mut client = caller.connect().await.unwrap();
    let target = invoke(&callee.id, "x");
    let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    client
        .send(format!("POST {target} HTTP/1.1\r\n{head}"))
        .await
        .unwrap();
    client.read_head().await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap(), b"early");
    client.send("0\r\n\r\n").await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap(), b"late");
    assert_eq!(client.read_chunk().await.unwrap(), b"");
}

#[tokio::test]
async fn a_client_that_leaves_resets_the_stream() {
    let caller = caller().await;
    for acts in [
        vec![Act::UntilReset],
        vec![head(200, "begun"), Act::UntilReset],
    ] {
        let callee = Callee::start(move |_, _| acts.clone()).await;
        let mut client: RawClient = caller.connect().await.unwrap();
        client
            .send(request("GET", &invoke(&callee.id, "x"), &[], b""))
            .await
            .unwrap();
        callee.wait(|_| true).await;
        drop(client);
        callee.wait(|seen| seen.reset).await;
    }
}
