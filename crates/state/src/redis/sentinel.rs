//! Asks sentinels where the master is (`failover` in the metadata). Asked anew for every
//! connection, so that a master that moved is found.

use super::{
    dial::Failure,
    join::first_of,
    link::Link,
    question::Question,
    settings::{Host, Settings, Target},
    value::Value,
};

/// The master as the first sentinel that answers names it. All are asked at the same time: one that
/// is frozen must hold up nobody.
pub(super) async fn master(settings: &Settings) -> Result<Host, Failure> {
    let Target::Sentinels {
        hosts,
        master,
        login,
    } = &settings.target
    else {
        return Err(Failure::Lasting("there are no sentinels".into()));
    };
    let asked = hosts.iter().map(async |host| {
        let link = Link::open(host, login, 0, &settings.wire).await;
        ask(&link.map_err(Failure::text)?, master, settings).await
    });
    first_of(asked.collect()).await.map_err(|last: String| {
        Failure::Passing(format!(
            "redis: all sentinels specified in configuration are unreachable: {last}"
        ))
    })
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
