//! What sidecars tell about themselves (`GET /v1.0/metadata`; contract, http-api 12), asked of all
//! at once. One that does not answer in time costs its own columns only.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

use super::Sidecar;
use crate::http::{Address, Request};

/// How long sidecars may take to answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);

/// What became of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    #[default]
    NotAsked,
    Told(Box<Metadata>),
    /// It asks for another token.
    Refused,
    /// No answer, or none that can be read; says why.
    Unknown(String),
}

/// What is of interest here. The members below `extended` were written by whoever started it
/// (contract, cli 4.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) runtime_version: String,
    pub(crate) cli_pid: Option<u32>,
    pub(crate) app_pid: Option<u32>,
    pub(crate) app_command: String,
    pub(crate) run_template_path: String,
    pub(crate) run_template_name: String,
    pub(crate) app_log_path: String,
    pub(crate) daprd_log_path: String,
    pub(crate) app: AppConnection,
}

/// How the sidecar talks to its app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AppConnection {
    /// 0 if it has none.
    pub(crate) port: u16,
    pub(crate) protocol: String,
    pub(crate) channel_address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    id: String,
    #[serde(default)]
    runtime_version: String,
    /// Read apart, so that one that is not as expected costs nothing else.
    #[serde(default)]
    app_connection_properties: Value,
    #[serde(default)]
    extended: BTreeMap<String, Value>,
}

/// Asks all that have an HTTP API. The token goes to sidecars of this user only.
pub(crate) async fn ask(sidecars: &mut [Sidecar], token: Option<&str>) {
    let mut questions = JoinSet::new();
    for (at, sidecar) in sidecars.iter().enumerate() {
        let token = token.filter(|_| sidecar.is_own).map(str::to_owned);
        let app_id = sidecar.app_id.clone();
        if let Some(address) = sidecar.http() {
            questions.spawn(async move {
                let answer = timeout(LIMIT, ask_one(&address, &app_id, token.as_deref())).await;
                let late = |_| Answer::Unknown(format!("{address} was silent for {LIMIT:?}"));
                (at, answer.unwrap_or_else(late))
            });
        }
    }
    while let Some(done) = questions.join_next().await {
        if let Ok((at, answer)) = done {
            sidecars[at].answer = answer;
        }
    }
}

async fn ask_one(address: &Address, app_id: &str, token: Option<&str>) -> Answer {
    let request = Request {
        verb: "GET",
        target: "/v1.0/metadata",
        fields: token
            .map(|token| ("dapr-api-token", token))
            .into_iter()
            .collect(),
        body: b"",
    };
    let exchange = async {
        let mut connection = address.connect().await?;
        connection.send(&request.message(address)).await?;
        connection.response().await
    };
    match exchange.await {
        Ok((head, body)) if head.status == 200 => read(app_id, &body),
        Ok((head, _)) if head.status == 401 => Answer::Refused,
        Ok((head, _)) => Answer::Unknown(format!("{address} answered {}", head.status)),
        Err(error) => Answer::Unknown(format!("{address}: {error}")),
    }
}

fn read(app_id: &str, body: &[u8]) -> Answer {
    let raw: Raw = match serde_json::from_slice(body) {
        Ok(raw) => raw,
        Err(error) => return Answer::Unknown(format!("its metadata can't be read: {error}")),
    };
    if raw.id != app_id {
        let id = outrider_core::quote::quote(&raw.id);
        return Answer::Unknown(format!("the sidecar of {id} answers on its port"));
    }
    let text = |name: &str| match raw.extended.get(name) {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    let pid = |name| text(name).parse().ok().filter(|pid| *pid != 0);
    Answer::Told(Box::new(Metadata {
        cli_pid: pid("cliPID"),
        app_pid: pid("appPID"),
        app_command: text("appCommand"),
        run_template_path: text("runTemplatePath"),
        run_template_name: text("runTemplateName"),
        app_log_path: text("appLogPath"),
        daprd_log_path: text("daprdLogPath"),
        app: AppConnection::deserialize(&raw.app_connection_properties).unwrap_or_default(),
        runtime_version: raw.runtime_version,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cli_wrote_is_read_back() {
        let body = br#"{"id":"a","runtimeVersion":"1.18.3","actors":[],"extended":
            {"cliPID":"7","appPID":"x","appCommand":"python app.py","other":5}}"#;
        let Answer::Told(metadata) = read("a", body) else {
            panic!("it was told");
        };
        assert_eq!(metadata.cli_pid, Some(7));
        assert_eq!(metadata.app_pid, None);
        assert_eq!(metadata.app_command, "python app.py");
        assert_eq!(metadata.runtime_version, "1.18.3");
        assert_eq!(metadata.app, AppConnection::default());
    }

    #[test]
    fn the_app_is_known_as_its_sidecar_knows_it() {
        let app = |text: &str| {
            let body = format!(r#"{{"id":"a","appConnectionProperties":{text}}}"#);
            match read("a", body.as_bytes()) {
                Answer::Told(metadata) => metadata.app,
                other => panic!("{other:?}"),
            }
        };
        let told = app(r#"{"port":7,"protocol":"grpc","channelAddress":"::1","x":1}"#);
        assert_eq!((told.port, &*told.protocol), (7, "grpc"));
        assert_eq!(told.channel_address, "::1");
        assert_eq!(app("7"), AppConnection::default());
    }

    #[test]
    fn what_is_not_its_metadata_is_unknown() {
        let why = |body: &[u8]| match read("a", body) {
            Answer::Unknown(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(b"[").starts_with("its metadata can't be read: "));
        assert_eq!(
            why(br#"{"id":"b"}"#),
            "the sidecar of \"b\" answers on its port"
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_told_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut sidecars = [Sidecar {
            http_port: Some(port),
            ..Sidecar::default()
        }];
        ask(&mut sidecars, None).await;
        assert!(matches!(sidecars[0].answer, Answer::Unknown(_)));
    }
}
