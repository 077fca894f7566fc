//! What the `static` resolver is told: where each app is, here or in a file.

use super::own_keys;
use crate::yaml::{self, decode};
use serde_json::{Map, Value};

/// Where each app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaticList {
    /// As it stands in the Configuration.
    Listed(Vec<StaticEntry>),
    /// As it stands in this file, which may change. It is read with [`read_static_list`].
    File(String),
}

/// One instance of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticEntry {
    /// The app.
    pub app_id: String,
    /// Its namespace; none for any.
    pub namespace: Option<String>,
    /// `host:port` of its sidecar's internal port.
    pub address: String,
}

impl StaticList {
    pub(super) fn read(told: &Value) -> Result<Self, String> {
        let told = own_keys(told, "static", &["apps", "file"])?;
        match (told.get("apps"), told.get("file")) {
            (Some(_), Some(_)) => Err(
                "apps and file are both given to the static name resolver; keep one of them"
                    .to_owned(),
            ),
            (Some(apps), None) => entries(apps).map(Self::Listed),
            (None, Some(Value::String(file))) if !file.is_empty() => Ok(Self::File(file.clone())),
            (None, Some(_)) => Err("file must be the path of a file".to_owned()),
            (None, None) => Err(
                "the static name resolver needs apps (a list of addresses for each app id) or file \
                 (the path of a file with such lists)"
                    .to_owned(),
            ),
        }
    }
}

/// Reads the text of a file with lists.
///
/// # Errors
/// What is wrong, with its place.
pub fn read_static_list(text: &str) -> Result<Vec<StaticEntry>, String> {
    let root = yaml::parse_first(text).map_err(|error| error.to_string())?;
    let Some(root) = root else {
        return Err("the file is empty; it must hold apps: {}".to_owned());
    };
    let mut value = Value::Null;
    decode::decode(&mut value, &root).map_err(|error| error.to_string())?;
    let told = own_keys(&value, "static", &["apps"])?;
    let apps = told.get("apps");
    entries(apps.ok_or("there is no apps in it")?)
}

fn entries(apps: &Value) -> Result<Vec<StaticEntry>, String> {
    let apps = match apps {
        Value::Object(apps) => apps,
        Value::Null => return Ok(Vec::new()),
        _ => return Err("apps must hold a list of addresses for each app id".to_owned()),
    };
    let mut all = Vec::new();
    for (app_id, list) in apps {
        let Value::Array(list) = list else {
            return Err(format!("apps.{app_id} must be a list of addresses"));
        };
        for (index, item) in list.iter().enumerate() {
            let entry = entry(app_id, item);
            all.push(entry.map_err(|why| format!("apps.{app_id}[{index}] {why}"))?);
        }
    }
    Ok(all)
}

fn entry(app_id: &str, item: &Value) -> Result<StaticEntry, String> {
    let (address, namespace) = match item {
        Value::String(address) => (address.as_str(), None),
        Value::Object(map) => object(map)?,
        _ => return Err("must be host:port, or an object with address and namespace".to_owned()),
    };
    check_address(address)?;
    Ok(StaticEntry {
        app_id: app_id.to_owned(),
        namespace: namespace.map(str::to_owned),
        address: address.to_owned(),
    })
}

fn object(map: &Map<String, Value>) -> Result<(&str, Option<&str>), String> {
    if let Some(key) = map
        .keys()
        .find(|key| !matches!(key.as_str(), "address" | "namespace"))
    {
        return Err(format!(
            "has the unknown key {key}; known are address and namespace"
        ));
    }
    let text = |key: &str| match map.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("has a {key} that is no text")),
    };
    let address = text("address")?.ok_or("has no address")?;
    Ok((address, text("namespace")?))
}

/// `host:port`, IPv6 in brackets.
fn check_address(address: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("is {address:?}, {why}"));
    let Some((host, port)) = address.rsplit_once(':') else {
        return wrong("which has no port; write host:port");
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong("whose port is not a number from 1 to 65535");
    }
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match bare {
        Some(bare) if bare.parse::<std::net::Ipv6Addr>().is_err() => {
            wrong("which has no IPv6 address in its brackets")
        }
        None if host.contains(':') => wrong("whose IPv6 address must stand in brackets"),
        None if host.is_empty() || host.contains(char::is_whitespace) => {
            wrong("which has no host; write host:port")
        }
        _ => Ok(()),
    }
}
