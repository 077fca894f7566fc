use std::sync::{Arc, Mutex};

use outrider_config::flags::{Outcome, parse};

use super::super::SPEC;
use super::*;
use crate::grpc::testing;

fn options(words: &[&str]) -> Options {
    let words = [&["--app-id", "shop", "--grpc", "--quiet"], words].concat();
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    match parse(&SPEC, &words) {
        Ok(Outcome::Parsed(parsed)) => Options::try_new(&parsed).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn app(server: &testing::App) -> App {
    App {
        protocol: "grpc".to_owned(),
        address: Some(server.address()),
    }
}

/// The call as it would come from the command line. The same server is app and sidecar.
async fn call(server: &testing::App, words: &[&str], body: &str) -> Result<ExitCode, String> {
    let (options, app) = (options(words), app(server));
    let call = Call {
        options: &options,
        method: options.method.as_deref().unwrap(),
        body: body.as_bytes(),
        token: Some("secret"),
        app: &app,
    };
    send(&call, &server.address(), Output::new(true)).await
}

fn is(code: ExitCode, other: ExitCode) -> bool {
    format!("{code:?}") == format!("{other:?}")
}

#[tokio::test]
async fn a_call_fetches_the_types_and_follows_the_status() {
    let server = testing::App::start(testing::reflecting("v1alpha")).await;
    let words = ["--method", "/shop.v1.Orders/Get"];
    let code = call(&server, &words, r#"{"id":"7"}"#).await.unwrap();
    assert!(is(code, ExitCode::SUCCESS));
    let code = call(&server, &words, r#"{"id":"none"}"#).await.unwrap();
    assert!(is(code, ExitCode::FAILURE));
}

#[tokio::test]
async fn a_slip_is_told_before_anything_is_sent() {
    let server = testing::App::start(testing::reflecting("v1")).await;
    let get = ["--method", "shop.v1.Orders/Get"];
    let told = call(&server, &get, r#"{"idd":"7"}"#).await.unwrap_err();
    assert_eq!(told, "shop.v1.GetOrder has no field \"idd\"; it has id");
    let told = call(&server, &["--method", "shop.v1.Orders/Gte"], "").await;
    let told = told.unwrap_err();
    assert!(
        told.contains("did you mean shop.v1.Orders/Get?\nit offers:\n"),
        "{told}"
    );
    let told = call(&server, &["--method", "shop.v1.Orders/Watch"], "").await;
    let told = told.unwrap_err();
    assert!(told.contains("shop.v1.Orders/Watch streams"), "{told}");
    assert!(
        told.contains("grpcurl -plaintext -protoset FILE -H 'dapr-app-id: shop'"),
        "{told}"
    );
    let words = [
        "--method",
        "shop.v1.Orders/Get",
        "--header",
        "grpc-timeout: 1S",
    ];
    let told = call(&server, &words, "").await.unwrap_err();
    assert_eq!(told, "--header grpc-timeout has no place in a call by gRPC");
}

#[tokio::test]
async fn what_the_app_offers_can_be_told() {
    let server = testing::App::start(testing::reflecting("v1")).await;
    let offer = offer(&options(&[]), &app(&server)).await;
    assert!(
        offer.starts_with("it offers:\n  shop.v1.Orders/Get (GetOrder)"),
        "{offer}"
    );
}

#[tokio::test]
async fn an_app_that_does_not_tell_its_methods_has_a_cure() {
    let server = testing::App::start(|_, _| testing::Said::status(12, "")).await;
    let told = offer(&options(&[]), &app(&server)).await;
    assert!(
        told.contains("it offers no server reflection; turn it on in the app (Go:"),
        "{told}"
    );
    let mut secured = app(&server);
    secured.protocol = "grpcs".to_owned();
    let told = offer(&options(&[]), &secured).await;
    assert!(
        told.contains("speaks TLS") && told.contains("--proto-set"),
        "{told}"
    );
    let told = offer(&options(&[]), &App::default()).await;
    assert!(told.contains("no sidecar on this machine"), "{told}");
}

#[tokio::test]
async fn a_silent_app_is_given_up_after_the_timeout() {
    let server = testing::App::start(|_, _| testing::Said::Silence).await;
    let words = ["--method", "a.B/C", "--timeout", "20ms"];
    let told = call(&server, &words, "").await.unwrap_err();
    assert_eq!(told, "no answer within 20ms, which is the --timeout");
}

#[tokio::test]
async fn a_file_stands_in_for_reflection() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&heads);
    let server = testing::App::start(move |path, message| {
        paths.lock().unwrap().push(path.to_owned());
        testing::Said::message(message)
    });
    let server = server.await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.set");
    fs::write(&file, testing::set().encode_to_vec()).unwrap();
    let file = file.to_str().unwrap();
    let words = ["--method", "shop.v1.Orders/Get", "--proto-set", file];
    let code = call(&server, &words, r#"{"id":"7"}"#).await.unwrap();
    assert!(is(code, ExitCode::SUCCESS));
    assert_eq!(*heads.lock().unwrap(), ["/shop.v1.Orders/Get"]);
    let words = ["--method", "a.B/C", "--proto-set", "/nowhere/x"];
    let told = call(&server, &words, "").await.unwrap_err();
    assert!(told.starts_with("can't read /nowhere/x: "), "{told}");
}

#[test]
fn metadata_names_the_app_and_has_one_token() {
    let metadata = |words: &[&str]| {
        let options = options(words);
        let call = Call {
            options: &options,
            method: "a.B/C",
            body: b"",
            token: Some("secret"),
            app: &App::default(),
        };
        metadata(&call).unwrap()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        metadata(&["-H", "x-one: 1"]),
        [
            pair("dapr-app-id", "shop"),
            pair("dapr-api-token", "secret"),
            pair("x-one", "1")
        ]
    );
    assert_eq!(
        metadata(&["-H", "Dapr-Api-Token: mine"]),
        [pair("dapr-app-id", "shop"), pair("Dapr-Api-Token", "mine")]
    );
}

#[test]
fn what_came_back_is_shown_in_words() {
    let mut map = ::http::HeaderMap::new();
    map.insert("x-one", ::http::HeaderValue::from_bytes(b"a\tb").unwrap());
    assert_eq!(fields(&map), "x-one: a\\tb\n");
}
