//! Asks sentinels where the master is (`failover` in the metadata). Asked anew for every
//! connection, so that a master that moved is found.

use redis::Value;

use super::{
    link::{Broken, Failure, Link, words},
    settings::{Host, Settings, Target},
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
        let link = Link::open(host, login, 0, settings.dial, settings.read).await;
        match link {
            Ok(link) => match ask(&link, master, settings).await {
                Ok(host) => return Ok(host),
                Err(text) => last = text,
            },
            Err(Failure::Passing(text) | Failure::Lasting(text)) => last = text,
        }
    }
    Err(Failure::Passing(format!(
        "redis: all sentinels specified in configuration are unreachable: {last}"
    )))
}

async fn ask(link: &Link, master: &str, settings: &Settings) -> Result<Host, String> {
    let mut cmd = redis::cmd("SENTINEL");
    cmd.arg("get-master-addr-by-name").arg(master);
    match link.ask(&cmd, settings.read).await {
        Ok(Value::Array(parts)) => {
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
        Ok(Value::ServerError(error)) => Err(words(&error)),
        Ok(_) => Err(format!("the sentinel knows no master {master:?}")),
        Err(Broken::Late(text) | Broken::Lost(text)) => Err(text),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}
