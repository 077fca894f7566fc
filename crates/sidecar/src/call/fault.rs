//! What can go wrong with a call, and the one table that says how a client hears of it.
//!
//! A fault knows its kind and the hop where it arose; status, error code and gRPC status are looked
//! up, never decided where the failure happened (contract `http-api.md` 9, `sidecar-protocol.md` 3).

use outrider_core::json;
use outrider_wire::grpc::{Code, rpc_error_text};

use super::grpc::{GrpcStatus, TOO_LATE};
use crate::metrics::{Category, ErrorCode};

/// Where along the way a fault arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    /// The sidecar the caller talks to.
    Sidecar,
    /// The connection between the sidecars.
    Link,
    /// The callee's sidecar.
    Peer,
    /// The called app.
    App,
}

impl Hop {
    /// Its name in headers and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Link => "link",
            Self::Peer => "peer",
            Self::App => "app",
        }
    }
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request names no app.
    NoTarget,
    /// The app id can't be read.
    InvalidTarget,
    /// The method path holds what no path may hold.
    InvalidMethod,
    /// The verb has no meaning for an app.
    InvalidVerb,
    /// Nobody knows an instance of the app.
    UnknownApp,
    /// The name resolver does not work, so nobody can tell.
    NoResolver,
    /// The body is longer than allowed, or broke off, or holds what the link can't carry.
    BadBody,
    /// A header value the link can't carry.
    BadField,
    /// This sidecar has no app to call.
    NoApp,
    /// The app's health probe fails.
    AppUnhealthy,
    /// No connection to the app could be made; nothing was sent.
    AppUnreachable,
    /// The app broke off or broke the protocol.
    AppBroken,
    /// No connection to the callee's sidecar could be made; nothing was sent.
    PeerUnreachable,
    /// The callee's sidecar says it did not look at the call.
    PeerUnprocessed,
    /// The connection broke while the call was under way.
    PeerLost,
    /// The callee's sidecar refused or failed the call with that gRPC status.
    PeerStatus(Code),
    /// The callee's sidecar broke the protocol.
    PeerProtocol,
    /// The caller's deadline has passed.
    DeadlineExceeded,
}

/// When the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Never: the answer would be the same.
    Never,
    /// If repeating does no harm: it may have been processed.
    IfIdempotent,
    /// Always: it surely was not processed.
    Always,
    /// By another instance, if there is one that was not tried: the app surely did not see it, and
    /// what is wrong is wrong with this instance.
    Elsewhere,
    /// By one other instance, if repeating does no harm: the app may have seen it, and may have
    /// broken down over it.
    OnceElsewhere,
}

/// One row of the table.
struct Row {
    /// HTTP status of the API's answer.
    status: u16,
    /// gRPC status, as seen by a peer and by gRPC clients.
    code: Code,
    hop: Hop,
    repeat: Repeat,
    name: &'static str,
}

impl Kind {
    /// The table.
    fn row(self) -> Row {
        let row = |status, code, hop, repeat, name| Row {
            status,
            code,
            hop,
            repeat,
            name,
        };
        use Hop::{App, Link, Peer, Sidecar};
        use Repeat::{Always, Elsewhere, IfIdempotent, Never, OnceElsewhere};
        match self {
            Self::NoTarget => row(404, Code::InvalidArgument, Sidecar, Never, "no-target"),
            Self::InvalidTarget => row(500, Code::Internal, Sidecar, Never, "invalid-target"),
            Self::InvalidMethod => {
                row(500, Code::InvalidArgument, Sidecar, Never, "invalid-method")
            }
            Self::InvalidVerb => row(500, Code::InvalidArgument, Sidecar, Never, "invalid-verb"),
            Self::UnknownApp => row(500, Code::Internal, Sidecar, Never, "unknown-app"),
            Self::NoResolver => row(500, Code::Internal, Sidecar, Never, "no-resolver"),
            Self::BadBody => row(500, Code::Internal, Sidecar, Never, "bad-body"),
            Self::BadField => row(500, Code::Internal, Sidecar, Never, "bad-field"),
            Self::NoApp => row(500, Code::Internal, App, Elsewhere, "no-app"),
            Self::AppUnhealthy => row(500, Code::Internal, App, Elsewhere, "app-unhealthy"),
            Self::AppUnreachable => row(500, Code::Internal, App, Elsewhere, "app-unreachable"),
            Self::AppBroken => row(500, Code::Internal, App, OnceElsewhere, "app-broken"),
            Self::PeerUnreachable => row(500, Code::Unavailable, Link, Always, "peer-unreachable"),
            Self::PeerUnprocessed => row(500, Code::Unavailable, Link, Always, "peer-unprocessed"),
            Self::PeerLost => row(500, Code::Unavailable, Link, IfIdempotent, "peer-lost"),
            Self::PeerStatus(code @ Code::PermissionDenied) => {
                row(403, code, Peer, Never, "denied")
            }
            Self::PeerStatus(code @ (Code::Unavailable | Code::Unauthenticated)) => {
                row(500, code, Peer, IfIdempotent, "peer-status")
            }
            Self::PeerStatus(code) => row(500, code, Peer, Never, "peer-status"),
            Self::PeerProtocol => row(500, Code::Internal, Peer, Never, "peer-protocol"),
            Self::DeadlineExceeded => row(500, Code::DeadlineExceeded, Sidecar, Never, "deadline"),
        }
    }

    /// The kinds that a callee's sidecar tells of its app, by their words.
    fn of_app(name: &str) -> Option<Self> {
        [
            Self::NoApp,
            Self::AppUnhealthy,
            Self::AppUnreachable,
            Self::AppBroken,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// The word for this kind in headers, trailers and logs.
    pub(crate) fn name(self) -> &'static str {
        self.row().name
    }

    /// The gRPC status of this kind.
    pub(crate) fn code(self) -> Code {
        self.row().code
    }

    /// True where the reference's message is the text of a gRPC error.
    fn is_rpc(self) -> bool {
        matches!(
            self,
            Self::InvalidMethod
                | Self::InvalidVerb
                | Self::AppUnhealthy
                | Self::PeerUnreachable
                | Self::PeerUnprocessed
                | Self::PeerLost
                | Self::PeerStatus(_)
        )
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What kind of failure.
    pub kind: Kind,
    /// The message, without any wrapping.
    pub message: String,
    /// The word the callee's sidecar used for its own fault, if it is one of ours.
    pub peer_kind: Option<String>,
    /// Retries made in vain before this fault; 0 if it was not retried.
    pub retries: u32,
}

impl Fault {
    /// A fault of that kind.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            peer_kind: None,
            retries: 0,
        }
    }

    /// The fault of a call whose deadline has passed.
    pub(crate) fn too_late() -> Self {
        Self::new(Kind::DeadlineExceeded, TOO_LATE)
    }

    /// The message as the reference words it: bare, or as the text of a gRPC error.
    pub(crate) fn text(&self) -> String {
        if self.kind.is_rpc() {
            rpc_error_text(self.kind.code(), &self.message)
        } else {
            self.message.clone()
        }
    }

    /// When the request may be sent again by itself. What the callee's sidecar says of its app
    /// counts more than the status it says it with.
    pub(crate) fn repeat(&self) -> Repeat {
        let kind = self.peer_kind.as_deref().and_then(Kind::of_app);
        kind.unwrap_or(self.kind).row().repeat
    }

    /// The callee's sidecar has given the call up.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(
            self.kind,
            Kind::PeerStatus(Code::Canceled | Code::DeadlineExceeded)
        )
    }

    /// HTTP status of the API's answer.
    pub(crate) fn status(&self) -> u16 {
        self.kind.row().status
    }

    /// The hop where it arose, as far as this sidecar can know.
    pub(crate) fn hop(&self) -> Hop {
        match &self.peer_kind {
            Some(kind) if kind.starts_with("app-") || kind == "no-app" => Hop::App,
            _ => self.kind.row().hop,
        }
    }

    /// The word for headers and logs; the callee's own word if it gave one.
    pub(crate) fn name(&self) -> &str {
        self.peer_kind.as_deref().unwrap_or(self.kind.name())
    }

    /// The status a peer is told when this fault arose between it and our app.
    pub(crate) fn peer_status(&self) -> (Code, String) {
        match self.kind {
            Kind::InvalidMethod | Kind::PeerStatus(_) => (self.kind.code(), self.message.clone()),
            Kind::NoApp => (Code::Internal, "app channel is not initialized".to_owned()),
            Kind::DeadlineExceeded => (self.kind.code(), self.message.clone()),
            _ => (
                Code::Internal,
                format!("error invoking app channel: {}", self.text()),
            ),
        }
    }

    /// The body of the API's answer (contract `http-api.md` 9).
    pub(crate) fn body(&self, target: &str, app_id: &str) -> Vec<u8> {
        error_body(FAILED_CALL.name, &self.told(target, app_id))
    }

    /// The status of a failed `InvokeService` (contract `grpc-api.md` 4.6): the code survives in the
    /// text alone, but for the deadline that the caller itself has set.
    pub(crate) fn invoke_status(&self, target: &str, app_id: &str) -> GrpcStatus {
        let code = match self.kind {
            Kind::DeadlineExceeded => Code::DeadlineExceeded,
            _ => Code::Internal,
        };
        GrpcStatus::new(code, self.told(target, app_id))
    }

    /// The status of a proxied call that got nowhere (contract `grpc-api.md` 9.6).
    pub(crate) fn proxy_status(&self) -> GrpcStatus {
        let code = match self.kind {
            Kind::InvalidTarget | Kind::UnknownApp | Kind::NoResolver => Code::Unknown,
            kind => kind.code(),
        };
        GrpcStatus::new(code, self.message.clone())
    }

    fn told(&self, target: &str, app_id: &str) -> String {
        match self.kind {
            Kind::NoTarget => self.message.clone(),
            _ if self.retries > 0 => format!(
                "failed to invoke, id: {target}, err: failed to invoke target {app_id} after {} \
                 retries. Error: {}",
                self.retries,
                self.text()
            ),
            _ => format!("failed to invoke, id: {target}, err: {}", self.text()),
        }
    }
}

/// How failed calls are told and counted, whatever has failed.
pub(crate) const FAILED_CALL: ErrorCode = ErrorCode {
    category: Category::Invocation,
    name: "ERR_DIRECT_INVOKE",
};

/// An error body: exactly these two members, in this order, escaped as Go does.
pub(crate) fn error_body(code: &str, message: &str) -> Vec<u8> {
    let mut out = String::with_capacity(message.len() + 64);
    out.push_str("{\"errorCode\":");
    json::push_go_string(&mut out, code);
    out.push_str(",\"message\":");
    json::push_go_string(&mut out, message);
    out.push('}');
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fault: &Fault) -> String {
        String::from_utf8(fault.body("app.ns", "app")).unwrap()
    }

    #[test]
    fn bodies_are_the_references() {
        let invalid = Fault::new(Kind::InvalidTarget, "invalid app id a.b.c");
        assert_eq!(
            body(&invalid),
            r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: app.ns, err: invalid app id a.b.c"}"#
        );
        let mut lost = Fault::new(Kind::PeerUnreachable, "connection error: desc = \"x -> y\"");
        lost.retries = 3;
        assert_eq!(
            body(&lost),
            r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: app.ns, err: failed to invoke target app after 3 retries. Error: rpc error: code = Unavailable desc = connection error: desc = \"x -\u003e y\""}"#
        );
        let none = Fault::new(Kind::NoTarget, "failed getting app id");
        assert_eq!(
            body(&none),
            r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed getting app id"}"#
        );
    }

    #[test]
    fn only_a_denial_is_403() {
        assert_eq!(
            Fault::new(Kind::PeerStatus(Code::PermissionDenied), "").status(),
            403
        );
        assert_eq!(
            Fault::new(Kind::PeerStatus(Code::Internal), "").status(),
            500
        );
        assert_eq!(Fault::new(Kind::DeadlineExceeded, "").status(), 500);
    }

    #[test]
    fn what_a_peer_is_told() {
        let unhealthy = Fault::new(Kind::AppUnhealthy, "app is not in a healthy state");
        assert_eq!(
            unhealthy.peer_status(),
            (
                Code::Internal,
                "error invoking app channel: rpc error: code = Internal desc = app is not in a healthy state".into()
            )
        );
        let method = Fault::new(Kind::InvalidMethod, "invalid method: x");
        assert_eq!(
            method.peer_status(),
            (Code::InvalidArgument, "invalid method: x".into())
        );
    }

    #[test]
    fn a_peer_without_its_app_is_left_for_another() {
        let mut fault = Fault::new(Kind::PeerStatus(Code::Internal), "");
        assert_eq!(fault.repeat(), Repeat::Never);
        for (word, repeat) in [
            ("app-unreachable", Repeat::Elsewhere),
            ("app-unhealthy", Repeat::Elsewhere),
            ("no-app", Repeat::Elsewhere),
            ("app-broken", Repeat::OnceElsewhere),
            ("denied", Repeat::Never),
            ("peer-unreachable", Repeat::Never),
        ] {
            fault.peer_kind = Some(word.into());
            assert_eq!(fault.repeat(), repeat, "{word}");
        }
    }

    #[test]
    fn a_peer_that_says_more_is_believed_about_the_hop() {
        let mut fault = Fault::new(Kind::PeerStatus(Code::Internal), "");
        assert_eq!(fault.hop(), Hop::Peer);
        fault.peer_kind = Some("app-unreachable".into());
        assert_eq!((fault.hop(), fault.name()), (Hop::App, "app-unreachable"));
    }
}
