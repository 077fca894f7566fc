//! Asks sentinels where the master is (`failover` in the metadata). Asked anew for every
//! connection, so that a master that moved is found.

use super::{
    dial::Failure,
    link::Link,
    question::Question,
    settings::{Host, Settings, Target},
    value::Value,
};

/// The master as the first sentinel that answers names it.
pub(super) async fn master(settings: &Settings) -> Result<Host, Failure> {
    let Target::Sentinels {
        hosts,
        master,
        login,
    } = &settings.target
    else {
        return Err(Failure::Lasting("there are no sentinels".into()));
    };
    let mut last = String::new();
    for host in hosts {
        match Link::open(host, login, 0, &settings.wire).await {
            Ok(link) => match ask(&link, master, settings).await {
                Ok(host) => return Ok(host),
                Err(text) => last = text,
            },
            Err(failure) => last = failure.text(),
        }
    }
    Err(Failure::Passing(format!(
        "redis: all sentinels specified in configuration are unreachable: {last}"
    )))
}

async fn ask(link: &Link, master: &str, settings: &Settings) -> Result<Host, String> {
    let question = Question::of(&["SENTINEL", "get-master-addr-by-name", master]);
    let answers = link.ask(&question, settings.wire.answer).await;
    let answer = answers.map_err(|broken| broken.text())?.pop();
    match answer {
        Some(Value::Array(parts)) => {
            let texts: Option<Vec<String>> = parts.into_iter().map(text).collect();
            match texts.as_deref() {
                Some([name, port]) => port
                    .parse()
                    .map(|port| Host {
                        name: name.clone(),
                        port,
                    })
                    .map_err(|_| format!("the sentinel names no port but {port:?}")),
                _ => Err("the sentinel's answer names no host and port".into()),
            }
        }
        Some(Value::Refused(refusal)) => Err(refusal.0),
        _ => Err(format!("the sentinel knows no master {master:?}")),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Bulk(bytes) => String::from_utf8(bytes.into()).ok(),
        _ => None,
    }
}
