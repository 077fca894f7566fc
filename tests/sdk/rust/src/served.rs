//! The app side of the public Rust SDK, that is its generated service, and a plain gRPC service
//! beside it on the same port.
//!
//! Listens on `APP_PORT`. What both have to do is in `tests/sdk/README.md`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
};

use dapr::dapr::proto::{
    common::v1::{InvokeRequest, InvokeResponse},
    runtime::v1::{
        BindingEventRequest, BindingEventResponse, HealthCheckResponse, JobEventRequest,
        JobEventResponse, ListInputBindingsResponse, ListTopicSubscriptionsResponse,
        TopicEventBulkRequest, TopicEventBulkResponse, TopicEventRequest, TopicEventResponse,
        app_callback_health_check_server::{AppCallbackHealthCheck, AppCallbackHealthCheckServer},
        app_callback_server::{AppCallback, AppCallbackServer},
    },
};
use tokio::sync::mpsc::{Sender, channel};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxFuture, Service, async_trait, http, tokio_stream::wrappers::ReceiverStream},
    metadata::{MetadataMap, MetadataValue},
    server::{Grpc, NamedService, StreamingService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::{Outcome, name};

/// Serves for ever.
pub async fn run() -> Outcome {
    let port = name("APP_PORT", "8005");
    let address: SocketAddr = format!("127.0.0.1:{port}").parse()?;
    let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
    println!("serves on port {port}");
    Server::builder()
        .add_service(AppCallbackServer::new(App))
        .add_service(AppCallbackHealthCheckServer::new(App))
        .add_service(Echo)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

struct App;

#[async_trait]
impl AppCallbackHealthCheck for App {
    async fn health_check(&self, _: Request<()>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {}))
    }
}

fn told(metadata: &MetadataMap, key: &str) -> String {
    let value = metadata.get(key).and_then(|it| it.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// What the app was told, as JSON; nothing in it needs an escape.
fn about(metadata: &MetadataMap, request: &InvokeRequest) -> String {
    let http = request.http_extension.clone().unwrap_or_default();
    format!(
        r#"{{"verb":"{}","query":"{}","contentType":"{}","colour":"{}","caller":"{}","served":true}}"#,
        http.verb().as_str_name(),
        http.querystring,
        request.content_type,
        told(metadata, "x-colour"),
        told(metadata, "dapr-caller-app-id"),
    )
}

#[async_trait]
impl AppCallback for App {
    async fn on_invoke(
        &self,
        request: Request<InvokeRequest>,
    ) -> Result<Response<InvokeResponse>, Status> {
        let metadata = request.metadata().clone();
        let request = request.into_inner();
        match request.method.as_str() {
            "neworder" => Ok(Response::new(InvokeResponse {
                data: request.data,
                content_type: request.content_type,
            })),
            "about" => {
                let data = prost_types::Any {
                    value: about(&metadata, &request).into_bytes(),
                    ..Default::default()
                };
                let mut answer = Response::new(InvokeResponse {
                    data: Some(data),
                    content_type: "application/json".to_owned(),
                });
                let yes = MetadataValue::from_static("yes");
                answer.metadata_mut().insert("x-served", yes);
                Ok(answer)
            }
            "fail" => Err(Status::not_found("no such order")),
            other => Err(Status::unimplemented(other.to_owned())),
        }
    }

    async fn list_topic_subscriptions(
        &self,
        _: Request<()>,
    ) -> Result<Response<ListTopicSubscriptionsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn on_topic_event(
        &self,
        _: Request<TopicEventRequest>,
    ) -> Result<Response<TopicEventResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_input_bindings(
        &self,
        _: Request<()>,
    ) -> Result<Response<ListInputBindingsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn on_binding_event(
        &self,
        _: Request<BindingEventRequest>,
    ) -> Result<Response<BindingEventResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn on_bulk_topic_event(
        &self,
        _: Request<TopicEventBulkRequest>,
    ) -> Result<Response<TopicEventBulkResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn on_job_event(
        &self,
        _: Request<JobEventRequest>,
    ) -> Result<Response<JobEventResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// sdk.Echo by hand. To the library each method is one with two streams.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "sdk.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method(request.uri().path().to_owned());
        Box::pin(async move {
            let codec = ProstCodec::<String, String>::new();
            Ok(Grpc::new(codec).streaming(method, request).await)
        })
    }
}

struct Method(String);

impl StreamingService<String> for Method {
    type Response = String;
    type ResponseStream = ReceiverStream<Result<String, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let method = self.0.clone();
        Box::pin(async move {
            let (send, answers) = channel(1);
            let mut answer = Response::new(ReceiverStream::new(answers));
            let (sent, head) = (request.metadata(), answer.metadata_mut());
            if let Some(colour) = sent.get("x-colour") {
                head.insert("x-seen", colour.clone());
            }
            if let Some(colour) = sent.get_bin("x-colour-bin") {
                head.insert_bin("x-seen-bin", colour.clone());
            }
            let texts = request.into_inner();
            tokio::spawn(async move {
                let status = answered(&method, texts, &send).await;
                let (code, text) = status.map_or_else(
                    |status| (status.code(), status.message().to_owned()),
                    |()| (Code::Ok, String::new()),
                );
                let mut end = MetadataMap::new();
                end.insert("x-end", MetadataValue::from_static("done"));
                // The only way to trailers.
                let _ = send.send(Err(Status::with_metadata(code, text, end))).await;
            });
            Ok(answer)
        })
    }
}

async fn answered(
    method: &str,
    mut texts: Streaming<String>,
    send: &Sender<Result<String, Status>>,
) -> Result<(), Status> {
    let gone = |_| Status::cancelled("the caller has left");
    let mut joined = Vec::new();
    while let Some(text) = texts.message().await? {
        match (method, text.as_str()) {
            ("/sdk.Echo/Unary", "wait") => {
                send.closed().await;
                return Ok(());
            }
            ("/sdk.Echo/Server", _) => {
                for number in 1..=3 {
                    let answer = format!("{text} {number}");
                    send.send(Ok(answer)).await.map_err(gone)?;
                }
            }
            ("/sdk.Echo/Client", _) => joined.push(text),
            (_, "fail") => return Err(Status::failed_precondition("told to fail")),
            _ => send.send(Ok(text)).await.map_err(gone)?,
        }
    }
    if method == "/sdk.Echo/Client" {
        send.send(Ok(joined.join(","))).await.map_err(gone)?;
    }
    Ok(())
}
