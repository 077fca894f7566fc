//! One server's name and port.

use std::{fmt, net::Ipv6Addr};

use outrider_core::quote::quote;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::redis) struct Host {
    /// A name or an address, an IPv6 one without its brackets.
    pub name: String,
    /// The port.
    pub port: u16,
}

const PORT: u16 = 6379;

impl Host {
    /// Redis on this machine.
    pub(in crate::redis) fn local() -> Self {
        Self {
            name: "localhost".into(),
            port: PORT,
        }
    }

    /// From `host`, `host:port`, `:port` or nothing; `default` is the port that is told apart.
    pub(in crate::redis) fn parse(text: &str, default: Option<u16>) -> Result<Self, String> {
        let text = text.trim();
        let (name, port) = split(text);
        let port = match port {
            None => default.unwrap_or(PORT),
            Some(port) => {
                let number = port.parse::<u16>().ok().filter(|port| *port != 0);
                let number = number.ok_or_else(|| {
                    let host = quote(text);
                    format!("redis host {host}: the port must be a number from 1 to 65535")
                })?;
                agree(text, number, default)?;
                number
            }
        };
        let name = match name {
            "" => "localhost",
            name => name,
        };
        Ok(Self {
            name: name.into(),
            port,
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

fn agree(text: &str, port: u16, told: Option<u16>) -> Result<(), String> {
    match told {
        Some(told) if told != port => Err(format!(
            "redis host {} already contains port {port}, but redisPort is set to {told}; either \
             remove the port from redisHost or remove the redisPort setting",
            quote(text)
        )),
        _ => Ok(()),
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((name, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        return (name, rest.strip_prefix(':'));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    }
}
