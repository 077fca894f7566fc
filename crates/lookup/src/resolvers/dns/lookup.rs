//! One lookup: a name in, addresses with their lifetime out.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::rr::{RData, Record};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::super::OpenError;
use super::{Config, Records};

/// What came of a lookup.
#[derive(Debug)]
pub(super) enum Answer {
    /// Addresses, at least one, and how long they hold.
    Addresses(Vec<Box<str>>, Duration),
    /// The name has none.
    None(String),
    /// Nobody could tell.
    Failed(String),
}

/// Asks name servers. Cloning shares what it is made of.
#[derive(Clone)]
pub(super) struct Lookup {
    resolver: TokioResolver,
    records: Records,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

impl Lookup {
    pub(super) fn new(config: &Config) -> Result<Self, OpenError> {
        let mut builder = if config.name_servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| {
                OpenError(format!(
                    "cannot read the system's DNS settings: {error}; name the servers with \
                     nameServers"
                ))
            })?
        } else {
            let servers = config.name_servers.iter().map(|server| {
                let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for way in &mut ways {
                    way.port = server.port();
                }
                NameServerConfig::new(server.ip(), true, ways)
            });
            let servers = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        // The table is the cache, with bounds of its own.
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let built = builder.build();
        let resolver = built.map_err(|error| OpenError(error.to_string()))?;
        Ok(Self {
            resolver,
            records: config.records,
        })
    }

    pub(super) async fn addresses(&self, name: &str) -> Answer {
        let found = match self.records {
            Records::Addresses { port } => self.hosts(name, port).await,
            Records::Services => self.services(name).await,
        };
        match found {
            Ok((addresses, ttl)) if !addresses.is_empty() => Answer::Addresses(addresses, ttl),
            Ok(_) => Answer::None("no addresses".to_owned()),
            Err(error) if error.is_nx_domain() => Answer::None("no such host".to_owned()),
            Err(error) if error.is_no_records_found() => Answer::None("no addresses".to_owned()),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    async fn hosts(&self, name: &str, port: u16) -> Result<Found, NetError> {
        let found = self.resolver.lookup_ip(name).await?;
        let records = found.as_lookup().answers();
        let addresses = records.iter().filter_map(|record| match &record.data {
            RData::A(it) => Some(shown(IpAddr::V4(it.0), port)),
            RData::AAAA(it) => Some(shown(IpAddr::V6(it.0), port)),
            _ => None,
        });
        Ok((addresses.collect(), shortest(records)))
    }

    async fn services(&self, name: &str) -> Result<Found, NetError> {
        let found = self.resolver.srv_lookup(name).await?;
        let records = found.answers();
        let mut ttl = shortest(records);
        let services = || {
            records.iter().filter_map(|record| match &record.data {
                RData::SRV(it) if !it.target.is_root() => Some(it),
                _ => None,
            })
        };
        let first = services().map(|it| it.priority).min();
        let mut addresses = Vec::new();
        let mut failure = None;
        for service in services().filter(|it| Some(it.priority) == first) {
            let target = service.target.to_string();
            match self.hosts(&target, service.port).await {
                Ok((more, holds)) => {
                    addresses.extend(more);
                    ttl = ttl.min(holds);
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            // Some targets are better than none.
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok((addresses, ttl)),
        }
    }
}

type Found = (Vec<Box<str>>, Duration);

fn shown(ip: IpAddr, port: u16) -> Box<str> {
    std::net::SocketAddr::new(ip, port).to_string().into()
}

fn shortest(records: &[Record]) -> Duration {
    let ttl = records.iter().map(|record| record.ttl).min();
    Duration::from_secs(ttl.unwrap_or_default().into())
}
