//! What a gRPC request must be before anybody looks at it, on every port (grpc-go's rules; contract
//! `grpc-api.md` 1, 4.7).

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use outrider_core::{base64, quote::quote};
use outrider_wire::{
    grpc::{Code, parse_timeout},
    http1::MAX_FIELDS,
};
use tokio::time::Instant;

use super::grpc::GrpcStatus;

/// A request that is refused at the door, with an HTTP status of its own.
#[derive(Debug)]
pub(crate) struct Refused {
    http: StatusCode,
    status: GrpcStatus,
}

impl Refused {
    fn new(http: StatusCode, code: Code, message: String) -> Self {
        let status = GrpcStatus::new(code, message);
        Self { http, status }
    }

    /// Tells the caller.
    pub(crate) fn send(&self, respond: &mut SendResponse<Bytes>) {
        let mut rsp = Response::new(());
        *rsp.status_mut() = self.http;
        rsp.headers_mut().insert(header::CONTENT_TYPE, GRPC);
        self.status.write(rsp.headers_mut());
        // Failing means that the caller has gone.
        let _ = respond.send_response(rsp, true);
    }
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// When the caller gives up, if the request is one of gRPC's.
pub(crate) fn check<B>(req: &Request<B>) -> Result<Option<Instant>, Refused> {
    let headers = req.headers();
    check_type(headers)?;
    if headers.len() > MAX_FIELDS {
        let text = format!("more than {MAX_FIELDS} metadata fields");
        return Err(Refused::new(StatusCode::OK, Code::ResourceExhausted, text));
    }
    let mut timeout = None;
    for (name, value) in headers {
        let bad = |text| Refused::new(StatusCode::BAD_REQUEST, Code::Internal, text);
        let name = name.as_str();
        if name == "grpc-timeout" {
            let read = parse_timeout(value.as_bytes());
            timeout = Some(read.map_err(|error| bad(format!("malformed grpc-timeout: {error}")))?);
        } else if name.ends_with("-bin") {
            check_binary(name, value).map_err(bad)?;
        }
    }
    if req.method() != Method::POST {
        let method = quote(req.method().as_str());
        let text = format!("Received a HEADERS frame with :method {method} which should be POST");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Refused::new(status, Code::Internal, text));
    }
    match timeout {
        Some(timeout) if timeout.is_zero() => {
            let status = GrpcStatus::too_late();
            let http = StatusCode::OK;
            Err(Refused { http, status })
        }
        timeout => Ok(timeout.map(|timeout| Instant::now() + timeout)),
    }
}

/// `application/grpc`, be it with a subtype or parameters.
fn check_type(headers: &HeaderMap) -> Result<(), Refused> {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.map_or(&b""[..], HeaderValue::as_bytes);
    match value.strip_prefix(GRPC.as_bytes()) {
        Some([] | [b'+' | b';', ..]) => Ok(()),
        _ => {
            let shown = quote(&String::from_utf8_lossy(value));
            let text = format!("invalid gRPC request content-type {shown}");
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Refused::new(status, Code::InvalidArgument, text))
        }
    }
}

/// Binary metadata is base64, padded or not; several values may stand in one line.
fn check_binary(name: &str, value: &HeaderValue) -> Result<(), String> {
    for part in value.as_bytes().split(|byte| *byte == b',') {
        let part = part.trim_ascii();
        if let Some(at) = base64::first_illegal(part) {
            let shown = quote(&String::from_utf8_lossy(part));
            return Err(format!(
                "malformed binary metadata {shown} in header {}: illegal base64 data at input byte {at}",
                quote(name)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, fields: &[(&str, &str)]) -> Result<bool, (u16, i32, String)> {
        let mut req = Request::builder().method(method).uri("/a/b");
        for (name, value) in fields {
            req = req.header(*name, *value);
        }
        let checked = check(&req.body(()).unwrap());
        let told = |refused: Refused| {
            let GrpcStatus { code, message, .. } = refused.status;
            (refused.http.as_u16(), code, message)
        };
        checked.map(|deadline| deadline.is_some()).map_err(told)
    }

    const TYPE: (&str, &str) = ("content-type", "application/grpc");

    #[test]
    fn what_is_no_grpc_is_refused_as_a_grpc_server_does_it() {
        for (kind, ok) in [
            ("application/grpc", true),
            ("application/grpc+json", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web", false),
            ("Application/grpc", false),
            ("text/plain", false),
        ] {
            let text = format!("invalid gRPC request content-type \"{kind}\"");
            let wanted = if ok { Ok(false) } else { Err((415, 3, text)) };
            assert_eq!(checked("POST", &[("content-type", kind)]), wanted);
        }
        let text = "Received a HEADERS frame with :method \"GET\" which should be POST";
        assert_eq!(checked("GET", &[TYPE]), Err((405, 13, text.to_owned())));
    }

    #[test]
    fn a_timeout_is_a_deadline_unless_it_is_over_or_none() {
        assert_eq!(checked("POST", &[TYPE, ("grpc-timeout", "1S")]), Ok(true));
        let over = checked("POST", &[TYPE, ("grpc-timeout", "0n")]);
        assert_eq!(over.unwrap_err().1, 4);
        for bad in ["", "1x", "-1S", "123456789S"] {
            let (status, code, text) = checked("POST", &[TYPE, ("grpc-timeout", bad)]).unwrap_err();
            assert_eq!((status, code), (400, 13), "{bad}");
            assert!(text.starts_with("malformed grpc-timeout: "), "{text}");
        }
    }

    #[test]
    fn binary_metadata_must_be_base64() {
        for good in ["", "AQID", "AQ==", "AQ", "AQID, AQ"] {
            assert_eq!(
                checked("POST", &[TYPE, ("x-bin", good)]),
                Ok(false),
                "{good}"
            );
        }
        let text = "malformed binary metadata \"***\" in header \"x-bin\": illegal base64 data at input byte 0";
        let bad = checked("POST", &[TYPE, ("x-bin", "***")]);
        assert_eq!(bad, Err((400, 13, text.to_owned())));
    }
}
