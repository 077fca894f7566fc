//! A call handed to an app that speaks gRPC: `OnInvoke` (contract `grpc-api.md` 5).

use outrider_wire::{
    Fields,
    r#gen::{common, google::protobuf::Any},
    grpc::{Code, metadata},
};
use prost::Message;

use super::Arrival;
use crate::{
    api::trace::new_traceparent,
    app_channel::{App, grpc::Answered},
    call::{
        Body, Fault, Kind, Reply, Status,
        grpc::{GrpcEnd, GrpcStatus, go_text},
    },
    lane::Lane,
};

/// Sends the call and waits for the answer. Whatever the app says, and that it can't be reached, is
/// an answer and no fault.
pub(super) async fn deliver(
    lane: &Lane,
    app: &App,
    mut arrival: Arrival<'_>,
) -> Result<Reply, Fault> {
    let limit = lane.shared.limits.message;
    let body = match std::mem::take(&mut arrival.body).collect(limit).await {
        Ok(body) => body,
        Err(Ok(_)) => {
            let text = format!("trying to send message larger than max ({limit})");
            return Ok(ended(GrpcStatus::new(Code::ResourceExhausted, text)));
        }
        Err(Err(error)) => return Err(Fault::new(Kind::BadBody, error.to_string())),
    };
    let mut metadata = match metadata::to_app(arrival.fields, lane.shared.app_token.as_deref()) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(ended(GrpcStatus::new(Code::Internal, error.to_string()))),
    };
    if lane.shared.plan.api.tracing {
        metadata::fill_trace(&mut metadata, || new_traceparent(|| lane.random()));
    }
    let message = common::InvokeRequest {
        method: arrival.method.to_owned(),
        data: Some(Any {
            type_url: arrival.type_url.to_owned(),
            value: body,
        }),
        content_type: String::from_utf8_lossy(arrival.content_type).into_owned(),
        http_extension: arrival.has_extension.then(|| common::HttpExtension {
            verb: arrival.verb,
            querystring: arrival.query.to_owned(),
        }),
    };
    let _slot = app.slot().await;
    let message = message.encode_to_vec();
    let answered = app.grpc.on_invoke(metadata, &message, arrival.deadline);
    Ok(reply(answered.await))
}

fn ended(status: GrpcStatus) -> Reply {
    reply(status.into())
}

fn reply(answered: Answered) -> Reply {
    let Answered {
        headers,
        message,
        trailers,
        mut status,
        unreached,
    } = answered;
    let mut trailers = metadata::from_app(&trailers);
    if status.code >= 100 {
        // From there on, numbers between sidecars are HTTP's.
        status.code = Code::Unknown.number();
    }
    let message = match status.is_ok() {
        false => common::InvokeResponse::default(),
        true => match common::InvokeResponse::decode(message) {
            Ok(message) => message,
            Err(error) => {
                let why = go_text(&error);
                let text = format!("grpc: failed to unmarshal the received message: {why}");
                status = GrpcStatus::new(Code::Internal, text);
                trailers = Fields::default();
                common::InvokeResponse::default()
            }
        },
    };
    let data = message.data.unwrap_or_default();
    Reply {
        status: Status::Grpc(Box::new(GrpcEnd {
            status,
            trailers,
            content_type: message.content_type,
            type_url: data.type_url,
            unreached,
        })),
        fields: metadata::from_app(&headers),
        body: Body::whole(data.value),
    }
}
