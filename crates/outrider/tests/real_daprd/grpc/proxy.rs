//! Calls that are passed through: their kinds, their metadata, how they end (contract `grpc-api.md`
//! 9.2, 9.3, 9.7).

use bytes::{BufMut, Bytes, BytesMut};
use outrider_testkit::grpc::{bin_values, framed, to_base64};
use outrider_testkit::{Gate, GrpcApp, GrpcScript};

use super::{GrpcPair, client_of, message};
use crate::grpc_support::{METHOD, OK, any, details, error_info};
use crate::pair::{BOTH, Way};

async fn echo(way: Way) -> GrpcPair {
    GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_unary_call_of_any_service_arrives_as_it_was_sent() {
    let paths = [
        METHOD,
        "/S/m",
        "/pkg.v1.Svc/Do-it_",
        "/grpc.health.v1.Health/Check",
        "/dapr.proto.runtime.v1.AppCallback/OnInvoke",
    ];
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        for path in paths {
            for len in [0, 1, 16_384, 100_000] {
                let sent = message(7, len, len);
                let answer = client.unary(path, &pair.to(), &sent).await.unwrap();
                assert_eq!(answer.status(), (OK, ""), "{way:?} {path} {len}");
                assert!(answer.messages == [&sent[..]], "{way:?} {path} {len}");
                assert_eq!(answer.http_status, 200, "{way:?}");
                let seen = pair.app.take().await.unwrap();
                assert_eq!((&*seen.path, &*seen.method), (path, "POST"), "{way:?}");
                assert!(seen.messages() == [&sent[..]], "{way:?} {path} {len}");
                assert!(seen.half_closed, "{way:?} {path} {len}");
            }
        }
        let answer = client.unary(METHOD, &pair.to(), "").await.unwrap();
        assert_eq!(answer.messages, [""], "{way:?}: an empty one is one");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_server_may_stream_before_and_behind_the_half_close() {
    for way in BOTH {
        let gate = Gate::new();
        let held = gate.clone();
        let pair = GrpcPair::start(way, move |_| {
            let begun = GrpcScript::new().read_message().message("early");
            let rest = begun.read_all().wait(&held).messages("", 3);
            rest.numbered(50, 2000).status_with(OK, "", &[("x", "1")])
        })
        .await;
        let client = client_of(&pair).await;
        let mut call = client.open(METHOD, &pair.to()).await.unwrap();
        call.tx.send("go").await.unwrap();
        let early = call.rx.message().await.unwrap();
        assert_eq!(early.as_deref(), Some(&b"early"[..]), "{way:?}");
        call.tx.half_close();
        gate.reached().await.unwrap();
        gate.open();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        assert_eq!(answer.messages.len(), 53, "{way:?}");
        assert!(answer.messages[..3].iter().all(Bytes::is_empty), "{way:?}");
        for (i, message) in (0_u32..).zip(&answer.messages[3..]) {
            assert_eq!((message.len(), &message[..4]), (2000, &i.to_be_bytes()[..]));
        }
        assert_eq!(answer.trailing("x"), ["1"], "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_client_may_stream_and_its_half_close_is_forwarded() {
    for way in BOTH {
        let pair = GrpcPair::start(way, |_| {
            GrpcScript::new().read_all().and_then(|call| {
                let count = call.messages().len();
                GrpcScript::new().message(count.to_string()).ok()
            })
        })
        .await;
        let client = client_of(&pair).await;
        for count in [1, 30] {
            let mut call = client.open(METHOD, &pair.to()).await.unwrap();
            for number in 0..count {
                call.tx
                    .send(message(1, number, number * 100))
                    .await
                    .unwrap();
                // Each is there before the next is sent: nothing waits for the end.
                let arrived = |call: &outrider_testkit::GrpcCall| {
                    call.messages().len() == number + 1 && !call.half_closed
                };
                pair.app.wait_call("one more", arrived).await.unwrap();
            }
            call.tx.half_close();
            let answer = call.rx.finish().await;
            let answer = answer.unwrap_or_else(|err| panic!("{way:?} {count}: {err}"));
            assert_eq!(answer.status(), (OK, ""), "{way:?} {count}");
            assert_eq!(answer.messages, [count.to_string()], "{way:?}");
            let seen = pair.app.take().await.unwrap().messages();
            let whole = (0..count).all(|n| seen[n] == message(1, n, n * 100));
            assert!(whole, "{way:?} {count}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_client_may_close_without_a_message() {
    for way in BOTH {
        let pair = GrpcPair::start(way, |_| GrpcScript::reply("none")).await;
        let client = client_of(&pair).await;
        for at_once in [false, true] {
            let mut call = client.open(METHOD, &pair.to()).await.unwrap();
            if !at_once {
                pair.app.wait_call("its head", |_| true).await.unwrap();
            }
            // At once, it may be in one packet with the head; Go sees no end in a head.
            call.tx.half_close();
            let answer = call.rx.finish().await;
            let answer = answer.unwrap_or_else(|err| panic!("{way:?} {at_once}: {err}"));
            assert_eq!(answer.status(), (OK, ""), "{way:?} {at_once}");
            assert_eq!(answer.messages, ["none"], "{way:?} {at_once}");
            let seen = pair.app.take().await.unwrap();
            assert!(seen.half_closed && seen.body.is_empty(), "{way:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn large_metadata_passes_both_ways() {
    // More than a frame, and more than one's share of a table.
    let large = "m".repeat(60_000);
    for way in BOTH {
        let value = large.clone();
        let pair = GrpcPair::start(way, move |_| {
            let fields = [("x-large", &*value)];
            let begun = GrpcScript::new().read_all().initial(&fields).message("m");
            begun.status_with(OK, "", &fields)
        })
        .await;
        let client = client_of(&pair).await;
        let metadata = pair.to_with(&[("x-large", &large)]);
        for _ in 0..3 {
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way:?}");
            let seen = pair.app.take().await.unwrap().values("x-large");
            assert!(seen == [&*large], "{way:?}: request");
            assert!(answer.initial("x-large") == [&*large], "{way:?}: head");
            assert!(answer.trailing("x-large") == [&*large], "{way:?}: end");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn both_sides_may_stream_in_turns_and_the_app_may_end_first() {
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        for fields in [&[][..], &[("dapr-stream", "true")]] {
            let metadata = pair.to_with(fields);
            let mut call = client.open(METHOD, &metadata).await.unwrap();
            for number in 0..50 {
                let sent = message(2, number, number * 10);
                call.tx.send(&sent).await.unwrap();
                let got = call.rx.message().await.unwrap();
                assert!(got.as_deref() == Some(&sent[..]), "{way:?} {number}");
            }
            call.tx.half_close();
            assert_eq!(call.rx.finish().await.unwrap().status(), (OK, ""));
        }
        let once = GrpcScript::new().read_message().message("enough");
        pair.app.answer_once(once.status(9, "no more"));
        let mut call = client.open(METHOD, &pair.to()).await.unwrap();
        call.tx.send("x").await.unwrap();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.status(), (9, "no more"), "{way:?}");
        assert_eq!(answer.messages, ["enough"], "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn metadata_of_the_client_arrives_with_repeats_and_in_order() {
    let bytes = to_base64(b"\0\xff\x01");
    let sent = [
        ("x-many", "b"),
        ("x-many", "a"),
        ("x-empty", ""),
        ("x-odd", "a,b ; c=\"~\""),
        ("some-bin", &*bytes),
        ("some-bin", "AQI"),
        ("authorization", "Bearer t"),
        ("cache-control", "no-cache"),
        ("dapr-stream", "true"),
        ("dapr-caller-app-id", "forged"),
    ];
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        let metadata = pair.to_with(&sent);
        let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        let call = pair.app.take().await.unwrap();
        for (name, expected) in [
            ("x-many", vec!["b", "a"]),
            ("x-empty", vec![""]),
            ("x-odd", vec!["a,b ; c=\"~\""]),
            ("authorization", vec!["Bearer t"]),
            ("cache-control", vec!["no-cache"]),
            ("dapr-stream", vec!["true"]),
            ("dapr-callee-app-id", vec![pair.callee.app_id()]),
            ("te", vec!["trailers"]),
            ("dapr-app-id", vec![]),
            ("dapr-api-token", vec![]),
            ("grpc-timeout", vec![]),
        ] {
            assert_eq!(call.values(name), expected, "{way:?} {name}");
        }
        let values = bin_values(&call.metadata, "some-bin");
        assert_eq!(values, [&b"\0\xff\x01"[..], b"\x01\x02"], "{way:?}");
        let callers = call.values("dapr-caller-app-id");
        // daprd puts its own behind the forged one; we, on either side, let only the true one pass.
        assert_eq!(callers, [pair.caller.app_id()], "{way:?}");
        let kinds = call.values("content-type");
        assert!(kinds[0].starts_with("application/grpc"), "{way:?}");
        assert_eq!((kinds.len(), call.values("user-agent").len()), (1, 1));
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn metadata_of_the_answer_arrives_with_repeats_and_in_order() {
    let bytes = to_base64(b"\0\xff\x01");
    for way in BOTH {
        let bytes = bytes.clone();
        let pair = GrpcPair::start(way, move |_| {
            let fields = [("x-a", "2"), ("x-a", "1"), ("x-b-bin", &*bytes)];
            GrpcScript::new()
                .read_all()
                .initial(&fields)
                .message("m")
                .status_with(OK, "", &[("x-t", "b"), ("x-t", "a"), ("x-u-bin", &bytes)])
        })
        .await;
        let client = client_of(&pair).await;
        let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        assert_eq!(answer.initial("x-a"), ["2", "1"], "{way:?}");
        assert_eq!(answer.trailing("x-t"), ["b", "a"], "{way:?}");
        let values = bin_values(&answer.headers, "x-b-bin");
        assert_eq!(values, [b"\0\xff\x01"], "{way:?}");
        let values = bin_values(&answer.trailers, "x-u-bin");
        assert_eq!(values, [b"\0\xff\x01"], "{way:?}");
        assert!(answer.initial("x-t").is_empty(), "{way:?}");
        assert!(answer.trailing("x-a").is_empty(), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn each_status_passes_with_message_details_and_trailers() {
    let info = error_info("BECAUSE", "app", &[("k", "v")]);
    let odd = any("type.googleapis.com/nobody.Knows", b"\x0a\x01x");
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        for code in (1..=17).chain([20, 99]) {
            let text = "50 % of ü\nand \u{1F980}";
            let bytes = details(code, text, &[info.clone(), odd.clone()]);
            let fields = [
                ("x-t", "1"),
                ("grpc-status-details-bin", &to_base64(&bytes)),
            ];
            let read = GrpcScript::new().read_all();
            for (script, messages) in [
                (read.clone().status_with(code, text, &fields), 0),
                (read.message("m").status_with(code, text, &fields), 1),
                (GrpcScript::refuse_with(code, text, &fields), 0),
            ] {
                pair.app.answer_once(script);
                let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
                assert_eq!(answer.status(), (code, text), "{way:?}");
                assert_eq!(answer.details.as_ref(), Some(&bytes), "{way:?} {code}");
                assert_eq!(answer.trailing("x-t"), ["1"], "{way:?} {code}");
                assert_eq!(answer.messages.len(), messages, "{way:?} {code}");
            }
            pair.app.answer_once(GrpcScript::refuse(code, ""));
            let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
            assert_eq!(answer.status(), (code, ""), "{way:?}");
            assert!(answer.details.is_none(), "{way:?} {code}");
        }
        assert_eq!(pair.app.calls().len(), 19 * 4, "{way:?}: repeated");
    }
}

/// `bytes` in gzip, stored rather than deflated.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    out.extend(len.to_le_bytes());
    out.extend((!len).to_le_bytes());
    out.extend(bytes);
    out.extend(gzip_end(bytes));
    out
}

/// What every gzip of `bytes` ends with, however they were deflated: checksum and length.
fn gzip_end(bytes: &[u8]) -> Vec<u8> {
    let crc = !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    });
    let len = u32::try_from(bytes.len()).unwrap();
    [crc.to_le_bytes(), len.to_le_bytes()].concat()
}

fn compressed(bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::from(&framed(gzip(bytes))[..]);
    out[0] = 1;
    // A plain message may stand behind a compressed one.
    out.put_slice(&framed("plain"));
    out.freeze()
}

/// Fails unless `got` is `bytes`, compressed or not.
#[track_caller]
fn assert_same(case: &str, got: &[u8], bytes: &[u8]) {
    let gzipped = got.starts_with(&[0x1f, 0x8b]) && got.ends_with(&gzip_end(bytes));
    assert!(gzipped || got == bytes, "{case}: {got:?}");
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn compressed_messages_arrive_whichever_hop_unpacks_them() {
    let text = b"compressed ".repeat(20);
    for way in BOTH {
        let sent = compressed(&text);
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        let fields = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
        let metadata = pair.to_with(&fields);
        for packed_answer in [false, true] {
            if packed_answer {
                let script = GrpcScript::new().read_all().initial(&fields[..1]);
                pair.app.answer_once(script.data(sent.clone()).ok());
            }
            let mut call = client.open(METHOD, &metadata).await.unwrap();
            call.tx.send_raw(sent.clone()).await.unwrap();
            call.tx.half_close();
            let answer = call.rx.finish().await.unwrap();
            let case = format!("{way:?} {packed_answer}");
            assert_eq!(answer.status(), (OK, ""), "{case}");
            let seen = pair.app.take().await.unwrap();
            for (side, messages) in [("app", seen.messages()), ("client", answer.messages)] {
                assert_eq!(messages.len(), 2, "{case} {side}");
                assert_same(&format!("{case} {side}"), &messages[0], &text);
                assert_same(&format!("{case} {side}"), &messages[1], b"plain");
            }
        }
    }
}
