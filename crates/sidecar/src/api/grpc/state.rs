//! State over gRPC: messages taken apart, answers put together (contract `state.md` 4). What
//! becomes of the data is not known here.

use std::sync::Arc;

use outrider_core::go_json::{Decoder, check_whole};
use outrider_state::{Delete, Get, Item, Metadata, Operation, Options, Set, Value};
use outrider_wire::{
    r#gen::{common, google, runtime},
    grpc::Code,
};

use super::{
    Status,
    unary::{Asked, serve},
};
use crate::{
    lane::Lane,
    metrics::{Category, ErrorCode},
    state::{Fault, Kind, State, fault::Detail, time_text},
};

/// Serves the state methods. Returns the code.
pub(super) async fn state(lane: &Lane, method: &str, asked: Asked) -> i32 {
    match method {
        "GetState" => serve(lane, asked, async |q| get(lane, q).await).await,
        "GetBulkState" => serve(lane, asked, async |q| get_bulk(lane, q).await).await,
        "SaveState" => serve(lane, asked, async |q| save(lane, q).await).await,
        "DeleteState" => serve(lane, asked, async |q| delete(lane, q).await).await,
        "DeleteBulkState" => serve(lane, asked, async |q| delete_bulk(lane, q).await).await,
        "ExecuteStateTransaction" => serve(lane, asked, async |q| transact(lane, q).await).await,
        _ => serve(lane, asked, async |q| query(lane, q)).await,
    }
}

/// True for the methods that [`state`] serves.
pub(super) fn is_state(method: &str) -> bool {
    matches!(
        method,
        "GetState"
            | "GetBulkState"
            | "SaveState"
            | "DeleteState"
            | "DeleteBulkState"
            | "ExecuteStateTransaction"
            | "QueryStateAlpha1"
    )
}

async fn get(
    lane: &Lane,
    q: runtime::GetStateRequest,
) -> Result<runtime::GetStateResponse, Status> {
    let state = open(lane, &q.store_name)?;
    let get = Get {
        key: q.key,
        metadata: q.metadata.into(),
    };
    let item = state.get(get).await.map_err(|fault| told(lane, &fault))?;
    Ok(
        item.map_or_else(runtime::GetStateResponse::default, |item| {
            runtime::GetStateResponse {
                metadata: item_metadata(&item),
                etag: item.etag.unwrap_or_default(),
                data: item.value,
            }
        }),
    )
}

async fn get_bulk(
    lane: &Lane,
    q: runtime::GetBulkStateRequest,
) -> Result<runtime::GetBulkStateResponse, Status> {
    let state = open(lane, &q.store_name)?;
    let metadata = Arc::new(q.metadata);
    let gets = q.keys.iter().map(|key| Get {
        key: key.clone(),
        metadata: Arc::clone(&metadata),
    });
    let found = state.get_many(gets.collect()).await;
    let found = found.map_err(|fault| told(lane, &fault))?;
    let items = q.keys.into_iter().zip(found).map(|(key, found)| {
        let item = runtime::BulkStateItem {
            key,
            ..Default::default()
        };
        match found {
            Ok(None) => item,
            Ok(Some(found)) => runtime::BulkStateItem {
                metadata: item_metadata(&found),
                etag: found.etag.unwrap_or_default(),
                data: found.value,
                ..item
            },
            Err(error) => runtime::BulkStateItem {
                error: error.to_string(),
                ..item
            },
        }
    });
    Ok(runtime::GetBulkStateResponse {
        items: items.collect(),
    })
}

async fn save(
    lane: &Lane,
    q: runtime::SaveStateRequest,
) -> Result<google::protobuf::Empty, Status> {
    let state = open(lane, &q.store_name)?;
    let mut sets = Vec::with_capacity(q.states.len());
    for item in q.states {
        if item.key.is_empty() {
            let fault = state.fault(Kind::KeyMissing, "state key cannot be empty");
            return Err(told_as(lane, &fault, "ERR_STATE_SAVE"));
        }
        let whole = state.whole(&item.key);
        let is_json = item.metadata.get("contentType").map(String::as_str) == Some(JSON);
        let mut set = set(item);
        set.key = whole.map_err(|fault| told(lane, &fault))?;
        if is_json {
            set.value = json(set.value.bytes())?;
        }
        sets.push(set);
    }
    let saved = state.save_whole(sets).await;
    saved.map_err(|fault| told(lane, &fault))?;
    Ok(google::protobuf::Empty {})
}

const JSON: &str = "application/json";

/// The value as the HTTP API would have stored it.
fn json(text: &[u8]) -> Result<Value, Status> {
    let refused = |error| Status::new(Code::Unknown, error);
    check_whole(text).map_err(refused)?;
    let mut decoder = Decoder::try_new(text).map_err(|error| refused(error.to_string()))?;
    let value = decoder.any("Go value").compact().into_owned();
    decoder
        .finish()
        .map_err(|error| refused(error.to_string()))?;
    Ok(Value::Json(value.into()))
}

async fn delete(
    lane: &Lane,
    q: runtime::DeleteStateRequest,
) -> Result<google::protobuf::Empty, Status> {
    let state = open(lane, &q.store_name)?;
    let delete = Delete {
        key: q.key,
        etag: etag(q.etag),
        metadata: q.metadata,
        options: options(q.options),
    };
    state
        .delete(delete)
        .await
        .map_err(|fault| told(lane, &fault))?;
    Ok(google::protobuf::Empty {})
}

async fn delete_bulk(
    lane: &Lane,
    q: runtime::DeleteBulkStateRequest,
) -> Result<google::protobuf::Empty, Status> {
    let state = open(lane, &q.store_name)?;
    let deletes = q.states.into_iter().map(item_delete).collect();
    let deleted = state.delete_many(deletes).await;
    deleted.map_err(|fault| told(lane, &fault))?;
    Ok(google::protobuf::Empty {})
}

async fn transact(
    lane: &Lane,
    q: runtime::ExecuteStateTransactionRequest,
) -> Result<google::protobuf::Empty, Status> {
    let state = open(lane, &q.store_name)?;
    let mut operations = Vec::with_capacity(q.operations.len());
    for operation in q.operations {
        let mut item = operation.request.unwrap_or_default();
        item.key = state.whole(&item.key).map_err(|fault| told(lane, &fault))?;
        operations.push(match operation.operation_type.as_str() {
            "upsert" => Operation::Set(set(item)),
            "delete" => Operation::Delete(item_delete(item)),
            other => {
                let text = format!("operation type {other} not supported");
                return Err(told(lane, &state.fault(Kind::OperationUnknown, text)));
            }
        });
    }
    let done = state.transact(operations).await;
    done.map_err(|fault| told(lane, &fault))?;
    Ok(google::protobuf::Empty {})
}

fn query(lane: &Lane, q: runtime::QueryStateRequest) -> Result<google::protobuf::Empty, Status> {
    let state = open(lane, &q.store_name)?;
    Err(told(lane, &state.query(q.query.as_bytes())))
}

fn open<'a>(lane: &'a Lane, name: &str) -> Result<State<'a>, Status> {
    State::open(lane, name).map_err(|fault| told(lane, &fault))
}

fn set(item: common::StateItem) -> Set {
    Set {
        key: item.key,
        value: Value::Raw(item.value),
        etag: etag(item.etag),
        metadata: item.metadata,
        options: options(item.options),
    }
}

fn item_delete(item: common::StateItem) -> Delete {
    Delete {
        key: item.key,
        etag: etag(item.etag),
        metadata: item.metadata,
        options: options(item.options),
    }
}

fn etag(etag: Option<common::Etag>) -> Option<String> {
    etag.map(|etag| etag.value).filter(|etag| !etag.is_empty())
}

/// Numbers that mean nothing ask for nothing.
fn options(options: Option<common::StateOptions>) -> Options {
    let options = options.unwrap_or_default();
    let concurrency = match options.concurrency {
        1 => "first-write",
        2 => "last-write",
        _ => "",
    };
    Options {
        concurrency: concurrency.to_owned(),
        consistency: consistency(options.consistency).to_owned(),
    }
}

fn consistency(number: i32) -> &'static str {
    match number {
        1 => "eventual",
        2 => "strong",
        _ => "",
    }
}

fn item_metadata(item: &Item) -> Metadata {
    let expires = item.expires.map(time_text);
    let metadata = expires.map(|at| ("ttlExpireTime".to_owned(), at));
    metadata.into_iter().collect()
}

/// The fault as a status. Where HTTP clients get no facts with it, these get the error's name.
fn told(lane: &Lane, fault: &Fault) -> Status {
    let name = match fault.kind {
        Kind::DeleteMany(_) => "ERR_STATE_BULK_DELETE",
        kind => kind.error_code(),
    };
    told_as(lane, fault, name)
}

fn told_as(lane: &Lane, fault: &Fault, name: &'static str) -> Status {
    // Another grouping than over HTTP, as the reference has it.
    let category = Category::State;
    lane.metrics.error(ErrorCode { category, name });
    let message = fault.long_message.as_ref().unwrap_or(&fault.message);
    let status = Status::new(fault.kind.code(), message.clone());
    let details = fault.kind.details();
    if details.is_empty() {
        return status.with("ErrorInfo", &error_info(name));
    }
    details.iter().fold(status, |status, detail| match detail {
        Detail::BadRequest => status.with("BadRequest", &bad_request(fault)),
        Detail::ResourceInfo => {
            let resource = google::rpc::ResourceInfo {
                resource_type: "state".to_owned(),
                resource_name: fault.store.clone(),
                ..Default::default()
            };
            status.with("ResourceInfo", &resource)
        }
        Detail::ErrorInfo(reason) => status.with("ErrorInfo", &error_info(reason)),
    })
}

fn error_info(reason: &str) -> google::rpc::ErrorInfo {
    google::rpc::ErrorInfo {
        reason: reason.to_owned(),
        domain: "dapr.io".to_owned(),
        metadata: Metadata::new(),
    }
}

fn bad_request(fault: &Fault) -> google::rpc::BadRequest {
    google::rpc::BadRequest {
        field_violations: vec![google::rpc::bad_request::FieldViolation {
            field: fault.key.clone().unwrap_or_default(),
            description: fault.message.clone(),
            ..google::rpc::bad_request::FieldViolation::default()
        }],
    }
}
