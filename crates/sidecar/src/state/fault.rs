//! What can go wrong with state, and the one table that says how a client hears of it, by HTTP or
//! by gRPC (contract `state.md` 3.5, 4).

use outrider_wire::grpc::Code;

pub(crate) use super::refusal::Refusal;

use crate::metrics::Category;

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No store is loaded at all.
    NotConfigured,
    /// No store of that name is loaded.
    NotFound,
    /// The request can't be read.
    Malformed,
    /// The body could not be received.
    BodyUnread,
    /// An item has no key.
    KeyMissing,
    /// A key holds the separator.
    KeyIllegal,
    /// A transaction asks for an operation that there is not.
    OperationUnknown,
    /// Reading failed.
    Get,
    /// Writing failed.
    Save(Refusal),
    /// Removing failed.
    Delete(Refusal),
    /// Removing some of many failed. There is no such thing over HTTP.
    DeleteMany(Refusal),
    /// A transaction failed, for whatever reason.
    Transaction,
    /// Stores of that kind can't be queried.
    QueryUnsupported,
    /// A query failed.
    Query,
}

/// Facts that go with an error, in the order that clients get them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What is wrong with which field.
    BadRequest,
    /// Which store it is about.
    ResourceInfo,
    /// A name for the error.
    ErrorInfo(&'static str),
}

/// One row of the table.
struct Row {
    status: u16,
    error_code: &'static str,
    code: Code,
    details: &'static [Detail],
}

impl Kind {
    /// The table.
    fn row(self) -> Row {
        use Code::{FailedPrecondition, Internal, InvalidArgument, Unimplemented};
        use Detail::{BadRequest, ErrorInfo, ResourceInfo};
        let row = |status, error_code, code, details| Row {
            status,
            error_code,
            code,
            details,
        };
        let malformed = |details| row(400, "ERR_MALFORMED_REQUEST", InvalidArgument, details);
        let refused = |refusal, error_code| match refusal {
            Refusal::EtagMismatch => row(409, error_code, Code::Aborted, &[]),
            Refusal::EtagInvalid => row(400, error_code, InvalidArgument, &[]),
            Refusal::Failed => row(500, error_code, Internal, &[]),
        };
        match self {
            Self::NotConfigured => row(
                500,
                "ERR_STATE_STORE_NOT_CONFIGURED",
                FailedPrecondition,
                &[ErrorInfo("DAPR_STATE_NOT_CONFIGURED")],
            ),
            Self::NotFound => row(
                400,
                "ERR_STATE_STORE_NOT_FOUND",
                InvalidArgument,
                &[ErrorInfo("DAPR_STATE_NOT_FOUND")],
            ),
            Self::Malformed | Self::KeyMissing => malformed(&[]),
            Self::BodyUnread => row(400, "ERR_BODY_READ", InvalidArgument, &[]),
            Self::KeyIllegal => malformed(&[
                BadRequest,
                ResourceInfo,
                ErrorInfo("DAPR_STATE_ILLEGAL_KEY"),
            ]),
            Self::OperationUnknown => {
                row(400, "ERR_NOT_SUPPORTED_STATE_OPERATION", Unimplemented, &[])
            }
            Self::Get => row(500, "ERR_STATE_GET", Internal, &[]),
            Self::Save(refusal) => refused(refusal, "ERR_STATE_SAVE"),
            Self::Delete(refusal) => refused(refusal, "ERR_STATE_DELETE"),
            Self::DeleteMany(refusal) => refused(refusal, "ERR_STATE_BULK_DELETE"),
            Self::Transaction => row(500, "ERR_STATE_TRANSACTION", Internal, &[]),
            Self::QueryUnsupported => row(
                500,
                "ERR_STATE_STORE_NOT_SUPPORTED",
                Internal,
                &[ResourceInfo, ErrorInfo("DAPR_STATE_QUERYING_NOT_SUPPORTED")],
            ),
            Self::Query => row(
                500,
                "ERR_STATE_QUERY",
                Internal,
                &[ResourceInfo, ErrorInfo("DAPR_STATE_QUERY_FAILED")],
            ),
        }
    }

    /// The status over HTTP.
    pub(crate) fn status(self) -> u16 {
        self.row().status
    }

    /// The status over gRPC.
    pub(crate) fn code(self) -> Code {
        self.row().code
    }

    /// The word for it in HTTP bodies and metrics.
    pub(crate) fn error_code(self) -> &'static str {
        self.row().error_code
    }

    /// What metrics group it under.
    pub(crate) fn category(self) -> Category {
        match self {
            Self::Malformed | Self::KeyMissing | Self::BodyUnread => Category::Common,
            _ => Category::State,
        }
    }

    /// The facts that go with it.
    pub(crate) fn details(self) -> &'static [Detail] {
        self.row().details
    }
}

/// A request about state that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What kind of failure.
    pub kind: Kind,
    /// The store, as the client named it.
    pub store: String,
    /// What clients are told.
    pub message: String,
    /// What gRPC clients are told instead, where they are told more.
    pub long_message: Option<String>,
    /// The key that is at fault, where the client is to be told.
    pub key: Option<String>,
}

impl Fault {
    /// A fault of that kind.
    pub(crate) fn new(kind: Kind, store: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            store: store.to_owned(),
            message: message.into(),
            long_message: None,
            key: None,
        }
    }
}
