//! HTTP statuses and gRPC codes turned into each other (contract `grpc-api.md` 4.3 and 4.5).
//!
//! The two tables are the reference's and not inverse: 400 becomes `Internal`, `Internal` becomes
//! 500. Nothing else of an answer is looked at.

use super::Code;

/// The HTTP status that an HTTP caller gets for a gRPC app's code; any number may come in.
pub fn http_from_code(code: i32) -> u16 {
    let Some(code) = Code::from_i32(code) else {
        return 500;
    };
    match code {
        Code::Ok => 200,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::Canceled => 408,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
    }
}

/// The code that a gRPC caller gets for an HTTP app's status.
pub fn code_from_http(status: u16) -> Code {
    match status {
        200..=299 => Code::Ok,
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 => Code::Canceled,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_http_status() {
        let statuses = [
            200, 408, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
        ];
        for (code, status) in (0..).zip(statuses) {
            assert_eq!(http_from_code(code), status, "{code}");
        }
        for unknown in [-1, 17, 20, i32::MAX, i32::MIN] {
            assert_eq!(http_from_code(unknown), 500);
        }
    }

    #[test]
    fn http_statuses_have_their_codes() {
        for (status, code) in [
            (200, Code::Ok),
            (204, Code::Ok),
            (299, Code::Ok),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::NotFound),
            (408, Code::Canceled),
            (409, Code::AlreadyExists),
            (429, Code::ResourceExhausted),
            (500, Code::Unknown),
            (501, Code::Unimplemented),
            (503, Code::Unavailable),
            (504, Code::DeadlineExceeded),
        ] {
            assert_eq!(code_from_http(status), code, "{status}");
        }
        for other in [0, 100, 199, 300, 302, 412, 422, 502, 599, 999, u16::MAX] {
            assert_eq!(code_from_http(other), Code::Unknown, "{other}");
        }
    }
}
