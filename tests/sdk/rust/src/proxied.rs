//! Calls of sdk.Echo with plain gRPC: the sidecar passes them on to the app that `dapr-app-id` names.
//!
//! The stub is by hand: the messages are a type that each protobuf library brings along, here
//! simply a `String`.

use std::time::Duration;

use tokio::sync::mpsc::{Sender, channel};
use tonic::{
    Code, Request, Response, Status, Streaming,
    client::Grpc,
    codegen::{
        http::uri::PathAndQuery,
        tokio_stream::{self as stream, StreamExt as _, wrappers::ReceiverStream},
    },
    metadata::{MetadataMap, MetadataValue},
    transport::Channel,
};
use tonic_prost::ProstCodec;

use crate::{Outcome, check, name};

const PINGS: usize = 20;

struct Echo {
    grpc: Grpc<Channel>,
    app: String,
}

/// Makes all calls.
pub async fn run(app: String) -> Outcome {
    let address = format!("http://127.0.0.1:{}", name("DAPR_GRPC_PORT", "50001"));
    let channel = Channel::from_shared(address)?.connect().await?;
    let grpc = Grpc::new(channel.clone());
    let mut echo = Echo { grpc, app };
    echo.one().await?;
    echo.failures().await?;
    echo.streams().await?;
    echo.bidi().await?;
    let (grpc, app) = (Grpc::new(channel), "nobody-knows-it".to_owned());
    let unknown = Echo { grpc, app }.unary("hi", None).await;
    check("an unknown app", code(&unknown), Code::Unknown);
    Ok(())
}

fn code<T>(found: &Result<T, Status>) -> Code {
    found.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

fn text<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    metadata.get(key)?.to_str().ok()
}

impl Echo {
    fn to<T>(&self, message: T) -> Outcome<Request<T>> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("dapr-app-id", self.app.parse()?);
        metadata.insert("x-colour", "green".parse()?);
        metadata.insert_bin("x-colour-bin", MetadataValue::from_bytes(&[0, 255]));
        Ok(request)
    }

    async fn unary(
        &mut self,
        text: &str,
        timeout: Option<Duration>,
    ) -> Result<Response<String>, Status> {
        let request = self.to(text.to_owned());
        let mut request = request.map_err(|error| Status::internal(error.to_string()))?;
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let ready = self.grpc.ready().await;
        ready.map_err(|error| Status::internal(error.to_string()))?;
        let path = PathAndQuery::from_static("/sdk.Echo/Unary");
        self.grpc.unary(request, path, codec()).await
    }

    async fn one(&mut self) -> Outcome {
        let answer = self.unary("hi", None).await?;
        // Trailers are in it too.
        let metadata = answer.metadata();
        check("its head", text(metadata, "x-seen"), Some("green"));
        let bytes = metadata.get_bin("x-seen-bin").map(|it| it.to_bytes());
        check("its bytes", bytes.transpose()?, Some(vec![0, 255].into()));
        check("its trailers", text(metadata, "x-end"), Some("done"));
        check("proxied unary", answer.into_inner(), "hi".to_owned());
        let big = "x".repeat(1 << 20);
        let answer = self.unary(&big, None).await?.into_inner();
        check("a mebibyte", answer == big, true);
        Ok(())
    }

    async fn failures(&mut self) -> Outcome {
        let failed = self.unary("fail", None).await;
        let status = failed.err().ok_or("a call that has to fail did not")?;
        check("the app's status", status.code(), Code::FailedPrecondition);
        check("its text", status.message(), "told to fail");
        let end = text(status.metadata(), "x-end");
        check("its trailers", end, Some("done"));
        let late = self.unary("wait", Some(Duration::from_millis(500))).await;
        // The library's own timer says "cancelled".
        let found = code(&late);
        let right = [Code::DeadlineExceeded, Code::Cancelled].contains(&found);
        check("a deadline", right, true);
        Ok(())
    }

    async fn streams(&mut self) -> Outcome {
        self.grpc.ready().await?;
        let path = PathAndQuery::from_static("/sdk.Echo/Server");
        let request = self.to("a".to_owned())?;
        let call = self.grpc.server_streaming(request, path, codec()).await?;
        let answers: Result<Vec<String>, Status> = call.into_inner().collect().await;
        check(
            "proxied server stream",
            answers?.join(","),
            "a 1,a 2,a 3".to_owned(),
        );
        self.grpc.ready().await?;
        let path = PathAndQuery::from_static("/sdk.Echo/Client");
        let request = self.to(stream::iter(["a", "b", "c"].map(str::to_owned)))?;
        let answer = self.grpc.client_streaming(request, path, codec()).await?;
        check(
            "proxied client stream",
            answer.into_inner(),
            "a,b,c".to_owned(),
        );
        Ok(())
    }

    /// Opens a call with a first text: the answer's head may come with the first answer only.
    async fn opened(&mut self, first: String) -> Outcome<(Sender<String>, Streaming<String>)> {
        let (send, texts) = channel(1);
        send.send(first).await?;
        self.grpc.ready().await?;
        let path = PathAndQuery::from_static("/sdk.Echo/Bidi");
        let request = self.to(ReceiverStream::new(texts))?;
        let call = self.grpc.streaming(request, path, codec()).await?;
        Ok((send, call.into_inner()))
    }

    async fn bidi(&mut self) -> Outcome {
        let (send, mut call) = self.opened("ping 0".to_owned()).await?;
        for number in 1..=PINGS {
            let answer = call.message().await?;
            let wanted = format!("ping {}", number - 1);
            assert_eq!(answer, Some(wanted), "in a proxied bidi stream");
            send.send(format!("ping {number}")).await?;
        }
        drop(send);
        let last = call.message().await?;
        check("proxied bidi stream", last, Some(format!("ping {PINGS}")));
        check("its end", call.message().await?, None);
        let end = call.trailers().await?.unwrap_or_default();
        check("its trailers", text(&end, "x-end"), Some("done"));
        let (send, mut call) = self.opened("a".to_owned()).await?;
        check(
            "before a failure",
            call.message().await?,
            Some("a".to_owned()),
        );
        send.send("fail".to_owned()).await?;
        let failed = call.message().await;
        check(
            "a failure in a stream",
            code(&failed),
            Code::FailedPrecondition,
        );
        let (_send, call) = self.opened("a".to_owned()).await?;
        // The end by the caller: the library has no other.
        drop(call);
        Ok(())
    }
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::new()
}
