//! Server reflection: tools ask which services there are and what their messages look like.
//!
//! It describes this sidecar's own services, never the app's (contract `grpc-api.md` 9.8). Both
//! versions of the protocol have the same messages.

use std::future::poll_fn;

use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, header};
use outrider_wire::{
    r#gen::reflection::{
        ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
        ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    grpc::{Code, frame, schema},
};
use prost::Message;

use crate::{
    call::grpc::GrpcStatus,
    link::{failure, message::Messages, upload::wait_for_window},
};

const METHODS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// What describes itself beside the services of a port.
const OURS: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Whether that is a path of reflection.
pub(crate) fn is_asked(path: &str) -> bool {
    METHODS.contains(&path)
}

/// Answers questions about `service` until the client has no more. Returns the code.
pub(crate) async fn serve(
    service: &'static str,
    recv: RecvStream,
    respond: &mut SendResponse<Bytes>,
    headers: HeaderMap,
) -> i32 {
    let mut rsp = Response::new(());
    *rsp.headers_mut() = headers;
    rsp.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    let Ok(mut send) = respond.send_response(rsp, false) else {
        return Code::Canceled.number();
    };
    let status = converse(service, recv, &mut send).await;
    let mut trailers = HeaderMap::new();
    status.write(&mut trailers);
    // Failing means that the client has gone.
    let _ = send.send_trailers(trailers);
    status.code
}

/// A question is small; so is the limit.
const QUESTION_LIMIT: usize = 64 * 1024;

async fn converse(
    service: &'static str,
    recv: RecvStream,
    send: &mut SendStream<Bytes>,
) -> GrpcStatus {
    let mut questions = Messages::new(recv, QUESTION_LIMIT);
    while let Some(question) = poll_fn(|cx| questions.poll_next(cx)).await {
        let question = match question {
            Ok(question) => ServerReflectionRequest::decode(question),
            Err(error) => return failure::message_status(&error),
        };
        let Ok(question) = question else {
            let text =
                "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";
            return GrpcStatus::new(Code::Internal, text);
        };
        let answer = ServerReflectionResponse {
            valid_host: question.host.clone(),
            message_response: Some(answer(service, question.message_request.as_ref())),
            original_request: Some(question),
        };
        let Some(framed) = frame::framed(&answer.encode_to_vec()) else {
            return GrpcStatus::new(Code::Internal, "the answer is too long");
        };
        if wait_for_window(send).await.is_err() || send.send_data(framed, false).is_err() {
            return GrpcStatus::new(Code::Canceled, "context canceled");
        }
    }
    GrpcStatus::default()
}

fn answer(service: &str, question: Option<&MessageRequest>) -> MessageResponse {
    match question {
        Some(MessageRequest::ListServices(_)) => {
            let mut names = vec![service];
            names.extend(OURS);
            let service = names.iter().map(|name| ServiceResponse {
                name: (*name).to_owned(),
            });
            MessageResponse::ListServicesResponse(ListServiceResponse {
                service: service.collect(),
            })
        }
        Some(MessageRequest::FileByFilename(name)) => files(
            schema::file_by_name(name),
            &format!("file not found: {name}"),
        ),
        Some(MessageRequest::FileContainingSymbol(name)) => files(
            schema::file_by_symbol(name),
            &format!("symbol not found: {name}"),
        ),
        // None of our messages can be extended.
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
            match schema::file_by_symbol(name) {
                Some(_) => MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: Vec::new(),
                }),
                None => not_found(&format!("type not found: {name}")),
            }
        }
        Some(MessageRequest::FileContainingExtension(extension)) => not_found(&format!(
            "extension not found: {} of {}",
            extension.extension_number, extension.containing_type
        )),
        None => MessageResponse::ErrorResponse(ErrorResponse {
            error_code: Code::InvalidArgument.number(),
            error_message: "the question is missing".to_owned(),
        }),
    }
}

fn files(found: Option<Vec<Vec<u8>>>, otherwise: &str) -> MessageResponse {
    let Some(files) = found else {
        return not_found(otherwise);
    };
    MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
        file_descriptor_proto: files.into_iter().map(Bytes::from).collect(),
    })
}

fn not_found(text: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse {
        error_code: Code::NotFound.number(),
        error_message: text.to_owned(),
    })
}
