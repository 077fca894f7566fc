//! A unary call of an app's own method, proxied by a sidecar (contract, grpc-api 9).
//!
//! What the method takes and gives is learnt from the app's server reflection or from a file, never
//! from the sidecar, whose reflection describes the sidecar. No streaming.

use std::{fs, process::ExitCode, time::Duration};

use outrider_wire::Fields;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tokio::time::{Instant, timeout};

use super::{
    app::App,
    explain,
    options::{Options, Way},
    send::{PATIENCE, TOKEN, late, millis, within, written},
};
use crate::{
    grpc::{Catalogue, Channel, Question, Refusal, Reply, json, split},
    http::{self, Address},
    notice::with_notice,
    output::{Output, complain, printable},
};

/// One call.
pub(super) struct Call<'a> {
    pub(super) options: &'a Options,
    pub(super) method: &'a str,
    pub(super) body: &'a [u8],
    pub(super) token: Option<&'a str>,
    pub(super) app: &'a App,
}

/// Makes it through the sidecar there; the exit code follows the status. The error is why there is
/// no answer, in lines that are fit for a terminal.
pub(super) async fn send(
    call: &Call<'_>,
    sidecar: &Address,
    output: Output,
) -> Result<ExitCode, String> {
    within(call.options.limit, exchange(call, sidecar, output)).await
}

/// What there is to call, or why that is not known.
pub(super) async fn offer(options: &Options, app: &App) -> String {
    let learnt = within(options.limit, learn(options, app, None));
    learnt.await.map_or_else(|why| why, |it| it.list())
}

async fn exchange(call: &Call<'_>, sidecar: &Address, output: Output) -> Result<ExitCode, String> {
    let options = call.options;
    let metadata = metadata(call)?;
    let begun = Instant::now();
    let service = split(call.method).map(|(service, _)| service);
    let catalogue = learn(options, call.app, service).await?;
    let learning = begun.elapsed();
    let method = catalogue.method(call.method)?;
    if method.is_client_streaming() || method.is_server_streaming() {
        return Err(streams(call, sidecar));
    }
    let message = json::read(&method.input(), call.body).map_err(|why| printable(&why))?;
    let started = Instant::now();
    let reply = ask(sidecar, &method, &metadata, options.limit, &message).await?;
    let whole = started.elapsed();
    let shown = show(call, &method, &reply, output);
    if !reply.status.is_ok() {
        fail(call, &reply, &catalogue);
    }
    if options.timing {
        let what = "learning what the method takes";
        complain(&format!("  {what:38} {:>12}\n", millis(learning)));
        complain(&explain::timing(&times(&reply), reply.to_head, whole));
    }
    shown?;
    Ok(match reply.status.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn ask(
    sidecar: &Address,
    method: &MethodDescriptor,
    metadata: &[(String, String)],
    limit: Option<Duration>,
    message: &DynamicMessage,
) -> Result<Reply, String> {
    let channel = Channel::connect(sidecar).await;
    let channel =
        channel.map_err(|error| format!("the sidecar's gRPC API at {sidecar}: {error}"))?;
    let name = format!("{}/{}", method.parent_service().full_name(), method.name());
    let question = Question {
        method: &name,
        metadata,
        limit,
    };
    let message = message.encode_to_vec();
    let asked = channel.unary(question, &message);
    let reply = with_notice(asked, PATIENCE, || late(sidecar)).await;
    reply.map_err(|error| {
        let why = printable(&error.to_string());
        format!("the sidecar's gRPC API at {sidecar} did not answer: {why}")
    })
}

/// The types, from the file or from the app.
async fn learn(options: &Options, app: &App, service: Option<&str>) -> Result<Catalogue, String> {
    if let Way::Grpc(Some(file)) = &options.way {
        let name = printable(file);
        let bytes = fs::read(file).map_err(|error| format!("can't read {name}: {error}"))?;
        return Catalogue::read(&bytes)
            .map_err(|why| format!("{name} describes no services: {}", printable(&why)));
    }
    let Some(address) = &app.address else {
        return Err(format!(
            "no sidecar on this machine tells where the app is, so the app can't be asked for its \
             methods; {SET}"
        ));
    };
    if app.is_secured() {
        return Err(format!(
            "the app at {address} speaks TLS and so is not asked for its methods; {SET}"
        ));
    }
    // The app may ask for them too. What is meant for sidecars does not concern it.
    let mut metadata = options.metadata.clone();
    metadata.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("dapr-"));
    let asked = async {
        let channel = Channel::connect(address).await?;
        Catalogue::ask(&channel, &metadata, service).await
    };
    match timeout(REFLECTION, asked).await {
        Ok(Ok(catalogue)) => Ok(catalogue),
        Ok(Err(refusal)) => {
            let cure = match refusal {
                Refusal::Unsupported => ENABLE,
                _ => SET,
            };
            let why = printable(&refusal.to_string());
            Err(format!(
                "can't ask the app at {address} for its methods: {why}; {cure}"
            ))
        }
        Err(_) => Err(format!(
            "the app at {address} did not tell its methods within {REFLECTION:?}; {SET}"
        )),
    }
}

/// For the sidecar and, by it, for the app.
fn metadata(call: &Call<'_>) -> Result<Vec<(String, String)>, String> {
    let given = &call.options.metadata;
    let is_given = |wanted: &str| {
        given
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    for (name, _) in given {
        let is_fixed = FIXED.iter().any(|it| it.eq_ignore_ascii_case(name));
        if is_fixed || name.to_ascii_lowercase().starts_with("grpc-") {
            return Err(format!("--header {name} has no place in a call by gRPC"));
        }
    }
    let mut metadata = vec![("dapr-app-id".to_owned(), call.options.app_id.clone())];
    if let Some(token) = call.token.filter(|_| !is_given(TOKEN)) {
        metadata.push((TOKEN.to_owned(), token.to_owned()));
    }
    metadata.extend(given.iter().cloned());
    Ok(metadata)
}

fn streams(call: &Call<'_>, sidecar: &Address) -> String {
    let method = call.method.strip_prefix('/').unwrap_or(call.method);
    let id = &call.options.app_id;
    let (method, id) = (printable(method), printable(id));
    let to = match sidecar {
        Address::Socket(path) => format!("-unix {}", path.display()),
        Address::Port { .. } => sidecar.to_string(),
    };
    format!(
        "{method} streams, and only unary methods can be invoked; grpcurl can call it through the \
         same sidecar:\n  grpcurl -plaintext -protoset FILE -H 'dapr-app-id: {id}' -d @ {to} \
         {method}"
    )
}

/// The answer on stdout, as it is shown for HTTP.
fn show(
    call: &Call<'_>,
    method: &MethodDescriptor,
    reply: &Reply,
    output: Output,
) -> Result<(), String> {
    let options = call.options;
    let include = options.include && !options.quiet;
    let mut out = String::new();
    if include {
        out.push_str(&format!(
            "HTTP/2 {}\n{}\n",
            reply.http_status,
            fields(&reply.headers)
        ));
    }
    let is_ok = reply.status.is_ok();
    let text = is_ok.then(|| body(method, reply));
    if let Some(Ok(text)) = &text {
        out.push_str(text);
    }
    if include && !reply.trailers.is_empty() {
        let gap = if is_ok { "\n" } else { "" };
        out.push_str(&format!("{gap}{}", fields(&reply.trailers)));
    }
    if is_ok && !options.quiet && !matches!(text, Some(Err(_))) {
        out.push_str("App invoked successfully: OK\n");
    }
    written(output.write(&out))?;
    text.transpose().map(|_| ())
}

fn body(method: &MethodDescriptor, reply: &Reply) -> Result<String, String> {
    let kind = method.output();
    let name = kind.full_name().to_owned();
    let Some(bytes) = reply.message.clone() else {
        return Err(format!("the status is OK, but no {name} came with it"));
    };
    let message = DynamicMessage::decode(kind, bytes);
    let message = message
        .map_err(|error| format!("the status is OK, but the answer is no {name}: {error}"))?;
    json::pretty(&message)
        .map_err(|why| format!("the status is OK, but the {name} has no form in JSON: {why}"))
}

fn fields(fields: &::http::HeaderMap) -> String {
    let line = |(name, value): (&::http::HeaderName, &::http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {}\n", printable(&value))
    };
    fields.iter().map(line).collect()
}

/// The outcome on stderr, with what is known of its reasons.
fn fail(call: &Call<'_>, reply: &Reply, catalogue: &Catalogue) {
    let id = printable(&call.options.app_id);
    let line = printable(&reply.status.line());
    complain(&format!("error invoking app {id}: {line}\n"));
    complain(&reply.status.explained(catalogue));
    if reply.status.code == UNAUTHENTICATED && call.token.is_none() {
        complain("the sidecar may ask for a token: set DAPR_API_TOKEN\n");
    }
    let fault = reply
        .headers
        .get(FAULT)
        .or_else(|| reply.trailers.get(FAULT));
    if let Some(Ok(fault)) = fault.map(::http::HeaderValue::to_str) {
        complain(&explain::fault(fault));
    }
}

/// The times that sidecars told, if they did.
fn times(reply: &Reply) -> Fields {
    let mut fields = Fields::with_capacity(0, 0);
    for source in [&reply.headers, &reply.trailers] {
        for value in source.get_all(http::SERVER_TIMING) {
            fields.push(http::SERVER_TIMING.as_bytes(), value.as_bytes());
        }
    }
    fields
}

/// These are the call's own.
const FIXED: [&str; 9] = [
    "Content-Type",
    "Host",
    "TE",
    "Upgrade",
    "Keep-Alive",
    "Proxy-Connection",
    "Trailer",
    "dapr-app-id",
    "dapr-callee-app-id",
];
const FAULT: &str = "outrider-fault";
const UNAUTHENTICATED: i32 = 16;
/// An app that runs tells what it offers at once.
const REFLECTION: Duration = Duration::from_secs(10);
const SET: &str = "give --proto-set with a file from \
                   'protoc --include_imports --descriptor_set_out=FILE'";
const ENABLE: &str = "turn it on in the app (Go: reflection.Register, Python: grpcio-reflection, \
                      Java: ProtoReflectionServiceV1, .NET: MapGrpcReflectionService, Node: \
                      @grpc/reflection, Rust: tonic-reflection), or give --proto-set with a file \
                      from 'protoc --include_imports --descriptor_set_out=FILE'";

#[cfg(test)]
mod tests;
