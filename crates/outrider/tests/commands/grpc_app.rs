//! An app that speaks gRPC and tells its methods by server reflection.

use outrider_testkit::{GrpcApp, GrpcCall, GrpcScript};
use outrider_wire::r#gen::reflection::{
    FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
    ServiceResponse, server_reflection_request::MessageRequest as Ask,
    server_reflection_response::MessageResponse as Answer,
};
use prost::Message as _;

/// Whether it tells its methods.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reflection {
    On,
    Off,
}

/// It offers `shop.v1.Orders` with `Get`, which gives back what it gets, and fails if the id is
/// "none", and `Watch`, which streams.
pub(super) async fn start(reflection: Reflection) -> GrpcApp {
    let app = GrpcApp::start(move |call| match &*call.path {
        "/shop.v1.Orders/Get" => GrpcScript::new().read_all().and_then(got),
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            if reflection == Reflection::On =>
        {
            let head: &[(&str, &str)] = &[];
            GrpcScript::new()
                .initial(head)
                .read_message()
                .and_then(reflected)
        }
        _ => GrpcScript::refuse(12, "unknown method"),
    });
    app.await.unwrap()
}

fn got(call: &GrpcCall) -> GrpcScript {
    let message = call.messages().pop().unwrap_or_default();
    if message.ends_with(b"none") {
        return GrpcScript::refuse(5, "no such order");
    }
    let asked = call.values("x-ask").concat();
    let script = GrpcScript::new().initial(&[("x-asked", asked)]);
    script.message(message).ok()
}

/// Answers the last question, and then the next.
fn reflected(call: &GrpcCall) -> GrpcScript {
    if call.half_closed {
        return GrpcScript::new().ok();
    }
    let question = call.messages().pop().unwrap_or_default();
    let question = ServerReflectionRequest::decode(question).unwrap();
    let answer = match question.message_request {
        Some(Ask::ListServices(_)) => Answer::ListServicesResponse(ListServiceResponse {
            service: vec![ServiceResponse {
                name: "shop.v1.Orders".to_owned(),
            }],
        }),
        _ => Answer::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto: vec![file().encode_to_vec().into()],
        }),
    };
    let answer = ServerReflectionResponse {
        message_response: Some(answer),
        ..ServerReflectionResponse::default()
    };
    let script = GrpcScript::new().message(answer.encode_to_vec());
    script.read_message().and_then(reflected)
}

fn file() -> File {
    let method = |name: &str, streams| Method {
        name: name.to_owned(),
        takes: ".shop.v1.Order".to_owned(),
        gives: ".shop.v1.Order".to_owned(),
        streams,
    };
    let field = |name: &str, number, kind| Field {
        name: name.to_owned(),
        number,
        label: 1,
        kind,
    };
    File {
        name: "shop.proto".to_owned(),
        package: "shop.v1".to_owned(),
        messages: vec![Kind {
            name: "Order".to_owned(),
            // A string and an int32.
            fields: vec![field("id", 1, 9), field("qty", 2, 5)],
        }],
        services: vec![Service {
            name: "Orders".to_owned(),
            methods: vec![method("Get", None), method("Watch", Some(true))],
        }],
        syntax: "proto3".to_owned(),
    }
}

/// `google.protobuf.FileDescriptorProto`, as far as it is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Kind>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
    #[prost(string, tag = "12")]
    syntax: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Kind {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    kind: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    takes: String,
    #[prost(string, tag = "3")]
    gives: String,
    #[prost(bool, optional, tag = "6")]
    streams: Option<bool>,
}
