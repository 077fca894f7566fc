//! The kit's gRPC app and client against each other.

use std::io;

use h2::Reason;
use outrider_testkit::grpc::{Refusal, TlsFront, bin_values, to_base64};
use outrider_testkit::{Gate, GrpcApp, GrpcClient, GrpcScript};

const PLAIN: &[(&str, &str)] = &[];

#[tokio::test]
async fn a_call_is_recorded_as_it_came_and_answered_as_the_script_says() -> io::Result<()> {
    let app = GrpcApp::start(|_| {
        GrpcScript::new()
            .initial(&[("x-a", "1"), ("x-a", "2")])
            .read_all()
            .and_then(|call| GrpcScript::new().messages(call.messages()[1].clone(), 2))
            .status_with(20, "50 % ü", &[("x-bin", to_base64(b"\xff"))])
    })
    .await?;
    let client = GrpcClient::connect(app.port()).await?;
    let fields = [("k", "b"), ("k", "a")];
    let mut call = client.open("/p.S/M", &fields).await?;
    call.tx.send("one").await?;
    call.tx.send("two").await?;
    call.tx.half_close();
    assert_eq!(call.rx.head().await?.get_all("x-a").iter().count(), 2);
    let answer = call.rx.finish().await?;
    assert_eq!(answer.messages, ["two", "two"]);
    assert_eq!(answer.status(), (20, "50 % ü"));
    assert_eq!(answer.raw_text, "50 %25 %C3%BC");
    assert_eq!(bin_values(&answer.trailers, "x-bin"), [b"\xff"]);
    let seen = app.take().await?;
    assert_eq!((&*seen.path, seen.messages().len()), ("/p.S/M", 2));
    assert_eq!(seen.values("k"), ["b", "a"]);
    assert!(seen.half_closed && seen.done && !seen.broken);
    Ok(())
}

#[tokio::test]
async fn echoes_come_while_the_request_is_open() -> io::Result<()> {
    let app = GrpcApp::echo().await?;
    let client = GrpcClient::connect(app.port()).await?;
    let mut call = client.open("/p.S/M", PLAIN).await?;
    for text in ["a", "", "b"] {
        call.tx.send(text).await?;
        assert_eq!(call.rx.message().await?.as_deref(), Some(text.as_bytes()));
    }
    call.tx.half_close();
    assert_eq!(call.rx.finish().await?.status(), (0, ""));
    Ok(())
}

#[tokio::test]
async fn resets_are_seen_on_both_sides() -> io::Result<()> {
    let gate = Gate::new();
    let app = GrpcApp::start(|_| GrpcScript::new().hang()).await?;
    let client = GrpcClient::connect(app.port()).await?;
    for script in [
        GrpcScript::new().hang(),
        GrpcScript::new().initial(PLAIN).wait(&gate),
        GrpcScript::new().read_all(),
    ] {
        app.answer_once(script);
        let mut call = client.open("/p.S/M", PLAIN).await?;
        app.wait_call("any", |_| true).await?;
        call.tx.reset(Reason::CANCEL);
        let seen = app.wait_call("reset", |call| call.broken).await?;
        assert_eq!(seen.reset, Some(Reason::CANCEL));
        app.clear();
    }
    app.answer_once(GrpcScript::new().message("x").reset(Reason::REFUSED_STREAM));
    let answer = client.unary("/p.S/M", PLAIN, "").await?;
    assert_eq!(answer.reset, Some(Reason::REFUSED_STREAM));
    app.answer_once(GrpcScript::new().cut());
    let answer = client.unary("/p.S/M", PLAIN, "").await?;
    assert!(answer.code.is_none() && answer.broken.is_some());
    assert_eq!((app.connections(), app.open_connections()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_refused_stream_was_never_looked_at() -> io::Result<()> {
    let app = GrpcApp::builder()
        .refuse_first(Refusal::GoAway)
        .refuse_first(Refusal::Close)
        .start(|_| GrpcScript::reply("x"))
        .await?;
    for _ in 0..2 {
        let client = GrpcClient::connect(app.port()).await?;
        let answer = client.unary("/p.S/M", PLAIN, "").await?;
        assert!(answer.code.is_none() && answer.broken.is_some());
    }
    let client = GrpcClient::connect(app.port()).await?;
    let answer = client.unary("/p.S/M", PLAIN, "").await?;
    assert_eq!((answer.code, app.calls().len()), (Some(0), 1));
    Ok(())
}

#[tokio::test]
async fn trailers_alone_are_told_from_trailers_behind_a_head() -> io::Result<()> {
    let app = GrpcApp::start(|_| GrpcScript::refuse(5, "gone")).await?;
    let client = GrpcClient::connect(app.port()).await?;
    let answer = client.unary("/p.S/M", PLAIN, "").await?;
    assert_eq!((answer.status(), answer.trailers_only), ((5, "gone"), true));
    app.answer_once(GrpcScript::new().status(5, "gone"));
    let answer = client.unary("/p.S/M", PLAIN, "").await?;
    assert_eq!(
        (answer.status(), answer.trailers_only),
        ((5, "gone"), false)
    );
    Ok(())
}

#[tokio::test]
async fn a_front_speaks_tls_only() -> io::Result<()> {
    let app = GrpcApp::echo().await?;
    let front = TlsFront::start(app.port(), &["h2"]).await?;
    assert!(
        GrpcClient::connect(front.port())
            .await?
            .unary("/p.S/M", PLAIN, "")
            .await?
            .code
            .is_none()
    );
    assert_eq!((front.handshakes().len(), app.connections()), (0, 0));
    Ok(())
}
