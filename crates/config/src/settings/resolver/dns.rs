//! What the `dns` resolver is told: a name for each app, and how to ask for it.

use super::own_keys;
use crate::go_text;
use outrider_core::duration::GoDuration;
use serde_json::{Map, Value};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Lookups at name servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsResolver {
    /// The name to look up, with `{appid}` and perhaps `{namespace}` in it; no port.
    pub template: String,
    /// Which records are asked for.
    pub records: DnsRecords,
    /// The shortest time between two lookups of a name.
    pub refresh_min: Duration,
    /// The longest.
    pub refresh_max: Duration,
    /// Who is asked; empty for the system's name servers.
    pub name_servers: Vec<SocketAddr>,
}

/// Which records are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsRecords {
    /// A and AAAA; every address has this port.
    Addresses {
        /// The internal port of the sidecars.
        port: u16,
    },
    /// SRV, which holds ports.
    Services,
}

/// The internal port that sidecars have in clusters.
const DEFAULT_PORT: u16 = 50002;

const KEYS: [&str; 5] = [
    "template",
    "type",
    "refreshMin",
    "refreshMax",
    "nameServers",
];

impl DnsResolver {
    pub(super) fn read(told: &Value) -> Result<Self, String> {
        let told = own_keys(told, "dns", &KEYS)?;
        let template = text(&told, "template")?.unwrap_or_default();
        if !template.contains("{appid}") {
            return Err(
                "template must hold {appid}, as in {appid}.{namespace}.svc.example:50002"
                    .to_owned(),
            );
        }
        let kind = text(&told, "type")?.unwrap_or("a");
        let (template, port) = match template.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (template, None),
        };
        let records = match (kind.to_ascii_lowercase().as_str(), port) {
            ("a", None) => DnsRecords::Addresses { port: DEFAULT_PORT },
            ("a", Some(port)) => DnsRecords::Addresses {
                port: read_port(port)?,
            },
            ("srv", None) => DnsRecords::Services,
            ("srv", Some(port)) => {
                return Err(format!(
                    "template ends in :{port}, but SRV records hold the ports; leave it out"
                ));
            }
            (other, _) => return Err(format!("type is {other}; it can be a or srv")),
        };
        check_placeholders(template)?;
        let refresh_min = duration(&told, "refreshMin", Duration::from_secs(1))?;
        let refresh_max = duration(&told, "refreshMax", Duration::from_secs(60))?;
        if refresh_min > refresh_max || refresh_min.is_zero() {
            return Err(
                "refreshMin must be longer than 0s and not longer than refreshMax".to_owned(),
            );
        }
        Ok(Self {
            template: template.to_owned(),
            records,
            refresh_min,
            refresh_max,
            name_servers: name_servers(&told)?,
        })
    }
}

type Told = Map<String, Value>;

fn text<'v>(told: &'v Told, key: &str) -> Result<Option<&'v str>, String> {
    match told.get(&key.to_ascii_lowercase()) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{key} must be a text")),
    }
}

fn read_port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("template ends in :{text}, which is no port"))
}

fn check_placeholders(template: &str) -> Result<(), String> {
    let rest = template.replace("{appid}", "").replace("{namespace}", "");
    match rest.contains(['{', '}']) {
        true => Err("template can hold {appid} and {namespace}, and no other braces".to_owned()),
        false => Ok(()),
    }
}

/// Go's spelling or whole seconds.
fn duration(told: &Told, key: &str, default: Duration) -> Result<Duration, String> {
    let wrong = || format!("{key} must be a duration such as 5s");
    let span = match told.get(&key.to_ascii_lowercase()) {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::Number(number)) => number.as_i64().map(GoDuration::from_secs),
        Some(Value::String(text)) => {
            let seconds = || go_text::int(text).ok().map(GoDuration::from_secs);
            text.parse().ok().or_else(seconds)
        }
        Some(_) => None,
    };
    span.and_then(GoDuration::to_std).ok_or_else(wrong)
}

fn name_servers(told: &Told) -> Result<Vec<SocketAddr>, String> {
    let list = match told.get("nameservers") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("nameServers must be a list of addresses".to_owned()),
    };
    list.iter()
        .map(|item| {
            let text = item.as_str().unwrap_or_default();
            let with_port = text.parse::<SocketAddr>().ok();
            let alone = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53));
            with_port.or_else(alone).ok_or_else(|| {
                format!("nameServers holds {item}, which is no IP address, with or without port")
            })
        })
        .collect()
}
