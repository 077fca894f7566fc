//! An app that speaks gRPC, for tests: answers each message with one, or ends the call.

use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use outrider_core::base64;
use outrider_wire::{
    r#gen::reflection::{
        ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
        ServerReflectionResponse, ServiceResponse,
        server_reflection_request::MessageRequest as Ask,
        server_reflection_response::MessageResponse as Answer,
    },
    grpc::{FrameReader, frame},
};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool,
    prost_types::{
        DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
        FileDescriptorProto, FileDescriptorSet, MessageOptions, MethodDescriptorProto,
        ServiceDescriptorProto,
        field_descriptor_proto::{Label, Type},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::Catalogue;
use crate::http::Address;

pub(crate) const SERVICE: &str = "shop.v1.Orders";

/// It ends with the value.
#[derive(Debug)]
pub(crate) struct App {
    port: u16,
    _serving: JoinSet<()>,
}

/// What is said to a message.
pub(crate) enum Said {
    Message(Bytes),
    /// Code, message and details in base64.
    Status(i32, &'static str, Option<String>),
    /// Nothing at all.
    Silence,
}

impl Said {
    pub(crate) fn message(message: Bytes) -> Self {
        Self::Message(message)
    }

    pub(crate) fn status(code: i32, message: &'static str) -> Self {
        Self::Status(code, message, None)
    }
}

impl App {
    /// `say` gets the path and a message.
    pub(crate) async fn start<F>(say: F) -> Self
    where
        F: Fn(&str, Bytes) -> Said + Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, say.clone()));
            }
        });
        Self {
            port,
            _serving: serving,
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::local(self.port)
    }
}

async fn serve<F>(stream: TcpStream, say: F)
where
    F: Fn(&str, Bytes) -> Said + Clone + Send + Sync + 'static,
{
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(answer(request, respond, say.clone()));
    }
}

async fn answer<F>(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, say: F)
where
    F: Fn(&str, Bytes) -> Said,
{
    let (head, mut body) = request.into_parts();
    let path = head.uri.path();
    let mut frames = FrameReader::new();
    let mut out: Option<SendStream<Bytes>> = None;
    loop {
        while let Some(message) = frames.next_frame(usize::MAX).unwrap() {
            match say(path, message) {
                Said::Message(message) => {
                    let out = out.get_or_insert_with(|| {
                        let response = response(path, &head.headers);
                        respond.send_response(response, false).unwrap()
                    });
                    let framed = frame::framed(&message).unwrap();
                    out.send_data(framed, false).unwrap();
                }
                Said::Status(code, message, details) => {
                    return end(respond, out, (code, message, details));
                }
                Said::Silence => std::future::pending().await,
            }
        }
        match body.data().await {
            Some(Ok(piece)) => {
                let _ = body.flow_control().release_capacity(piece.len());
                frames.push(piece);
            }
            Some(Err(_)) => return,
            None => return end(respond, out, (0, "", None)),
        }
    }
}

/// What is of interest of the request comes back.
fn response(path: &str, fields: &HeaderMap) -> Response<()> {
    let mut response = Response::builder()
        .header("content-type", "application/grpc")
        .header("x-path", path);
    for (name, value) in fields {
        if ["x-", "dapr-", "grpc-timeout"]
            .iter()
            .any(|it| name.as_str().starts_with(it))
        {
            response = response.header(name, value);
        }
    }
    response.body(()).unwrap()
}

fn end(
    mut respond: SendResponse<Bytes>,
    out: Option<SendStream<Bytes>>,
    (code, message, details): (i32, &str, Option<String>),
) {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    trailers.insert("grpc-message", message.parse().unwrap());
    if let Some(details) = details {
        trailers.insert("grpc-status-details-bin", details.parse().unwrap());
    }
    match out {
        Some(mut out) => {
            trailers.insert("x-last", "yes".parse().unwrap());
            let _ = out.send_trailers(trailers);
        }
        None => {
            let mut response = Response::new(());
            *response.headers_mut() = trailers;
            let _ = respond.send_response(response, true);
        }
    }
}

/// An app with reflection of that version and the service [`SERVICE`], whose `Get` gives the order
/// that was asked for, unless its id is "none".
pub(crate) fn reflecting(version: &str) -> impl Fn(&str, Bytes) -> Said + Clone + use<> {
    let service = format!("grpc.reflection.{version}.ServerReflection");
    let reflection = format!("/{service}/ServerReflectionInfo");
    move |path, message| match path {
        "/shop.v1.Orders/Get" if message.ends_with(b"none") => {
            // A google.rpc.Status with an ErrorInfo whose reason is SOLD_OUT.
            let info = b"\x0a\x08SOLD_OUT";
            let kind = b"type.googleapis.com/google.rpc.ErrorInfo";
            let any = [&[0x0a, 40][..], kind, &[0x12, 10], info].concat();
            let status = [&[0x1a, 54][..], &any].concat();
            Said::Status(5, "no such order", Some(base64::encode(&status)))
        }
        // The id is the first field of both messages.
        "/shop.v1.Orders/Get" => Said::Message(message),
        path if path == reflection => {
            let question = ServerReflectionRequest::decode(message).unwrap();
            let reply = ServerReflectionResponse {
                message_response: Some(described(&service, question.message_request.unwrap())),
                ..Default::default()
            };
            Said::Message(reply.encode_to_vec().into())
        }
        _ => Said::status(12, "unknown"),
    }
}

fn described(reflection: &str, ask: Ask) -> Answer {
    let name = match ask {
        Ask::ListServices(_) => {
            let service = [SERVICE, reflection].map(|name| ServiceResponse {
                name: name.to_owned(),
            });
            return Answer::ListServicesResponse(ListServiceResponse {
                service: service.into(),
            });
        }
        Ask::FileContainingSymbol(name) if name == SERVICE => "shop.proto".to_owned(),
        Ask::FileContainingSymbol(name) | Ask::FileByFilename(name) => name,
        other => panic!("{other:?}"),
    };
    let files = set().file.into_iter();
    let mut served = files.filter(|it| !it.name().starts_with("google/"));
    match served.find(|it| it.name() == name) {
        Some(file) => Answer::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto: vec![file.encode_to_vec().into()],
        }),
        None => Answer::ErrorResponse(ErrorResponse {
            error_code: 5,
            error_message: "not here".to_owned(),
        }),
    }
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::read(&set().encode_to_vec()).unwrap()
}

/// `base.proto`, `shop.proto` and what they import.
pub(crate) fn set() -> FileDescriptorSet {
    let timestamp = DescriptorPool::global()
        .get_file_by_name("google/protobuf/timestamp.proto")
        .unwrap();
    FileDescriptorSet {
        file: vec![base(), timestamp.file_descriptor_proto().clone(), shop()],
    }
}

fn base() -> FileDescriptorProto {
    let value = |name: &str, number| EnumValueDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        ..Default::default()
    };
    FileDescriptorProto {
        message_type: vec![message(
            "Item",
            vec![
                field("name", 1, Type::String, ""),
                field("qty", 2, Type::Int32, ""),
            ],
        )],
        enum_type: vec![EnumDescriptorProto {
            name: Some("State".into()),
            value: vec![value("NEW", 0), value("PAID", 1)],
            ..Default::default()
        }],
        ..file("base.proto", &[])
    }
}

fn shop() -> FileDescriptorProto {
    let item = ".shop.v1.Item";
    let repeated = |mut field: FieldDescriptorProto| {
        field.set_label(Label::Repeated);
        field
    };
    let mut entry = message(
        "NotesEntry",
        vec![
            field("key", 1, Type::String, ""),
            field("value", 2, Type::Message, item),
        ],
    );
    entry.options = Some(MessageOptions {
        map_entry: Some(true),
        ..Default::default()
    });
    let mut order = message(
        "Order",
        vec![
            field("id", 1, Type::String, ""),
            field("total", 2, Type::Int64, ""),
            repeated(field("items", 3, Type::Message, item)),
            field("state", 4, Type::Enum, ".shop.v1.State"),
            field("placed_at", 5, Type::Message, ".google.protobuf.Timestamp"),
            repeated(field(
                "notes",
                6,
                Type::Message,
                ".shop.v1.Order.NotesEntry",
            )),
        ],
    );
    order.nested_type = vec![entry];
    let method = |name: &str, streams| MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(".shop.v1.GetOrder".into()),
        output_type: Some(".shop.v1.Order".into()),
        server_streaming: Some(streams),
        ..Default::default()
    };
    FileDescriptorProto {
        message_type: vec![
            message("GetOrder", vec![field("id", 1, Type::String, "")]),
            order,
        ],
        service: vec![ServiceDescriptorProto {
            name: Some("Orders".into()),
            method: vec![method("Get", false), method("Watch", true)],
            ..Default::default()
        }],
        ..file(
            "shop.proto",
            &["base.proto", "google/protobuf/timestamp.proto"],
        )
    }
}

fn file(name: &str, imports: &[&str]) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.into()),
        package: Some("shop.v1".into()),
        dependency: imports.iter().map(|&it| it.into()).collect(),
        syntax: Some("proto3".into()),
        ..Default::default()
    }
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto {
        name: Some(name.into()),
        field,
        ..Default::default()
    }
}

fn field(name: &str, number: i32, kind: Type, type_name: &str) -> FieldDescriptorProto {
    let mut field = FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        ..Default::default()
    };
    field.set_type(kind);
    field.set_label(Label::Optional);
    if !type_name.is_empty() {
        field.type_name = Some(type_name.into());
    }
    field
}
