//! What the public Rust SDK does through our sidecar. Exits with 0 if all of it went well.
//!
//! The caller of this program sets `DAPR_GRPC_PORT`, and runs the apps to call, see
//! `tests/sdk/README.md`: `SDK_ECHO_ID` is one that speaks HTTP, `SDK_SERVED_ID` one with an SDK's
//! app side, `SDK_PROXIED_ID` one with the service sdk.Echo; our id is in `SDK_APP_ID`. A state
//! store called "statestore" is loaded. With the argument "served" the program is an app to call
//! instead.
//!
//! What `dapr::Client` has no method for (a verb for the call, bulk, transaction, shutdown) goes
//! through the client that the SDK generates from the protobuf definitions.

mod proxied;
mod served;

use std::env;
use std::error::Error;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use dapr::client::{TonicClient, TonicClientWithAuth};
use dapr::dapr::proto::common::v1::{
    Etag, HttpExtension, InvokeRequest, StateItem, StateOptions, http_extension, state_options,
};
use dapr::dapr::proto::runtime::v1::{
    ExecuteStateTransactionRequest, GetBulkStateRequest, InvokeServiceRequest, ShutdownRequest,
    TransactionalStateOperation,
};

type Client = dapr::Client<TonicClientWithAuth>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const STORE: &str = "statestore";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    if env::args().nth(1).as_deref() == Some("served") {
        return served::run().await;
    }
    let mut client = connected().await?;
    let address = format!("http://127.0.0.1:{}", name("DAPR_GRPC_PORT", "50001"));
    let mut generated = TonicClient::connect(address).await?;
    invoke(&mut generated).await?;
    http(&mut generated).await?;
    metadata(&mut client).await?;
    state(&mut client).await?;
    bulk(&mut generated).await?;
    delete(&mut client).await?;
    transaction(&mut client, &mut generated).await?;
    if let Ok(app) = env::var("SDK_SERVED_ID") {
        called(&mut client, &mut generated, &app).await?;
    }
    if let Ok(app) = env::var("SDK_PROXIED_ID") {
        proxied::run(app).await?;
    }
    if env::var_os("SDK_SHUTDOWN").is_some() {
        generated.shutdown(ShutdownRequest {}).await?;
    }
    Ok(())
}

/// The SDK connects at once and has no way to wait for the sidecar.
async fn connected() -> Outcome<Client> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match Client::new().await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn invoke(client: &mut TonicClient) -> Outcome {
    let order = r#"{"orderId":1}"#;
    let answer = client
        .invoke_service(post(name("SDK_ECHO_ID", "echo"), order))
        .await?;
    let data = answer.into_inner().data.unwrap_or_default();
    check("invoke", text(data.value), order.to_owned());
    let failed = client
        .invoke_service(post("nobody-knows-it".to_owned(), ""))
        .await;
    let told = failed.map_or_else(|status| status.message().to_owned(), |_| "200".to_owned());
    check(
        "invoke an unknown app",
        told.contains("couldn't find service"),
        true,
    );
    Ok(())
}

/// What of a call an app is told, and what of its answer we are.
async fn about(client: &mut TonicClient, app: &str) -> Outcome {
    let mut request = tonic::Request::new(call(app, "about", http_extension::Verb::Put));
    let metadata = request.metadata_mut();
    metadata.insert("x-colour", "green".parse()?);
    let answer = client.invoke_service(request).await?;
    let added = answer.metadata().get("x-served").cloned();
    let answer = answer.into_inner();
    check(
        "its content type",
        answer.content_type.as_str(),
        "application/json",
    );
    let data = answer.data.unwrap_or_default().value;
    let found: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&data)?;
    let wanted = serde_json::json!({
        "verb": "PUT",
        "query": "size=2",
        "contentType": "text/xml",
        "colour": "green",
        "caller": name("SDK_APP_ID", "sdk"),
        "served": true,
    });
    check("something of it", found.is_empty(), false);
    for (key, value) in &found {
        check(key, value, &wanted[key]);
    }
    let adds = found.contains_key("served");
    check(
        "what the app adds",
        added.is_some_and(|it| it == "yes"),
        adds,
    );
    Ok(())
}

async fn http(client: &mut TonicClient) -> Outcome {
    let echo = name("SDK_ECHO_ID", "echo");
    about(client, &echo).await?;
    let request = call(&echo, "fail", http_extension::Verb::Post);
    let failed = client.invoke_service(request).await;
    let status = failed.err().ok_or("a call that has to fail did not")?;
    check("404 of an app", status.code(), tonic::Code::NotFound);
    check("its text", status.message(), "Not Found");
    let details = String::from_utf8_lossy(status.details()).into_owned();
    check("its body", details.contains("no such order"), true);
    Ok(())
}

/// The SDK's own method sends neither verb nor content type, which only an app that speaks gRPC can
/// do without.
async fn called(client: &mut Client, generated: &mut TonicClient, app: &str) -> Outcome {
    about(generated, app).await?;
    let any = |bytes: &[u8]| prost_types::Any {
        value: bytes.to_vec(),
        ..Default::default()
    };
    let order = br#"{"orderId":1}"#;
    let answer = client
        .invoke_service(app, "neworder", Some(any(order)))
        .await?;
    let data = answer.data.unwrap_or_default().value;
    check("invoke a gRPC app", data, order.to_vec());
    let request = call(app, "fail", http_extension::Verb::Post);
    let failed = generated.invoke_service(request).await;
    let status = failed.err().ok_or("a call that has to fail did not")?;
    // Of the SDKs only Python's app side can't choose the status.
    let right = [tonic::Code::NotFound, tonic::Code::Unknown].contains(&status.code());
    check("its status", right, true);
    let text = status.message().contains("no such order");
    check("its text", text, true);
    Ok(())
}

fn call(app: &str, method: &str, verb: http_extension::Verb) -> InvokeServiceRequest {
    let mut request = post(app.to_owned(), "<a/>");
    if let Some(message) = &mut request.message {
        message.method = method.to_owned();
        message.content_type = "text/xml".to_owned();
        message.http_extension = Some(HttpExtension {
            verb: verb.into(),
            querystring: "size=2".to_owned(),
        });
    }
    request
}

fn post(id: String, body: &str) -> InvokeServiceRequest {
    let message = InvokeRequest {
        method: "neworder".to_owned(),
        data: Some(prost_types::Any {
            value: body.into(),
            ..Default::default()
        }),
        content_type: "application/json".to_owned(),
        http_extension: Some(HttpExtension {
            verb: http_extension::Verb::Post.into(),
            querystring: String::new(),
        }),
    };
    InvokeServiceRequest {
        id,
        message: Some(message),
    }
}

async fn metadata(client: &mut Client) -> Outcome {
    client.set_metadata("colour", "green").await?;
    let found = client.get_metadata().await?;
    check("id", found.id, name("SDK_APP_ID", "sdk"));
    let colour = found.extended_metadata.get("colour").map(String::as_str);
    check("extended metadata", colour, Some("green"));
    let mut components = found.registered_components.iter();
    check("components", components.any(|it| it.name == STORE), true);
    Ok(())
}

async fn state(client: &mut Client) -> Outcome {
    let (first, second) = (br#"{"n":1}"#, br#"{"n":2}"#);
    client
        .save_state(STORE, "a", first.to_vec(), None, None, None)
        .await?;
    let found = client.get_state(STORE, "a", None).await?;
    check("state", found.data, first.to_vec());
    let etag = Some(Etag { value: found.etag });
    client
        .save_state(STORE, "a", second.to_vec(), etag, None, None)
        .await?;
    let strict = StateOptions {
        concurrency: state_options::StateConcurrency::ConcurrencyFirstWrite.into(),
        consistency: state_options::StateConsistency::ConsistencyStrong.into(),
    };
    let wrong = Some(Etag {
        value: "77777".to_owned(),
    });
    let late = client
        .save_state(STORE, "a", b"late".to_vec(), wrong, None, Some(strict))
        .await;
    let told = late.map_or_else(|error| error.to_string(), |()| "saved".to_owned());
    check("a wrong etag is refused", told.contains("etag"), true);
    Ok(())
}

async fn bulk(client: &mut TonicClient) -> Outcome {
    let request = GetBulkStateRequest {
        store_name: STORE.to_owned(),
        keys: vec!["a".to_owned(), "none".to_owned()],
        parallelism: 10,
        ..Default::default()
    };
    let items = client.get_bulk_state(request).await?.into_inner().items;
    let mut found: Vec<_> = items
        .into_iter()
        .map(|it| (it.key, text(it.data)))
        .collect();
    found.sort();
    let wanted = [("a", r#"{"n":2}"#), ("none", "")];
    check(
        "bulk",
        found,
        wanted
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
    );
    Ok(())
}

async fn delete(client: &mut Client) -> Outcome {
    client.delete_state(STORE, "a", None).await?;
    check("deleted", value(client, "a").await?, String::new());
    Ok(())
}

async fn transaction(client: &mut Client, generated: &mut TonicClient) -> Outcome {
    client
        .save_state(STORE, "b", b"1".to_vec(), None, None, None)
        .await?;
    let operation = |kind: &str, key: &str, value: &[u8]| TransactionalStateOperation {
        operation_type: kind.to_owned(),
        request: Some(StateItem {
            key: key.to_owned(),
            value: value.to_vec(),
            ..Default::default()
        }),
    };
    let request = ExecuteStateTransactionRequest {
        store_name: STORE.to_owned(),
        operations: vec![
            operation("upsert", "c", b"3"),
            operation("delete", "b", b""),
        ],
        ..Default::default()
    };
    generated.execute_state_transaction(request).await?;
    let found = (value(client, "c").await?, value(client, "b").await?);
    check("transaction", found, ("3".to_owned(), String::new()));
    Ok(())
}

async fn value(client: &mut Client, key: &str) -> Outcome<String> {
    Ok(text(client.get_state(STORE, key, None).await?.data))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn name(variable: &str, otherwise: &str) -> String {
    env::var(variable).unwrap_or_else(|_| otherwise.to_owned())
}

fn check<T: PartialEq + Debug>(what: &str, found: T, wanted: T) {
    assert_eq!(found, wanted, "{what}");
    println!("ok: {what}");
}
