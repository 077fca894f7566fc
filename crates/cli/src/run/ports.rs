//! Ports of sidecars: given ones are checked, the others are free ones.
//!
//! Free ports are held, all of them at once, until their sidecar starts, so that two never get the
//! same. They come from below the range the system takes for outgoing connections: such a
//! connection could otherwise sit on the port when the sidecar wants it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use super::{
    error::Error,
    plan::{Member, Sidecar},
};

/// The ports of one sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) http: u16,
    pub(super) grpc: u16,
    pub(super) internal: u16,
    pub(super) metrics: u16,
    /// Only with profiling.
    pub(super) profile: Option<u16>,
}

/// Ports, and what keeps the free ones from others until dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) ports: Ports,
    pub(super) held: Vec<TcpListener>,
}

/// Checks what was given and finds the rest.
pub(super) fn reserve(members: &[Member]) -> Result<Vec<Reserved>, Error> {
    check_given(members)?;
    members.iter().map(reserve_one).collect()
}

fn reserve_one(member: &Member) -> Result<Reserved, Error> {
    let sidecar = &member.sidecar;
    let mut held = Vec::new();
    let mut port = |given: Option<u16>| match given {
        Some(port) => Ok(port),
        None => free().map_err(Error::NoFreePort).and_then(|listener| {
            let addr = listener.local_addr().map_err(Error::NoFreePort)?;
            held.push(listener);
            Ok(addr.port())
        }),
    };
    let ports = Ports {
        http: port(sidecar.http_port)?,
        grpc: port(sidecar.grpc_port)?,
        internal: port(sidecar.internal_port)?,
        metrics: port(sidecar.metrics_port)?,
        profile: match sidecar.enable_profiling {
            true => Some(port(sidecar.profile_port)?),
            false => None,
        },
    };
    Ok(Reserved { ports, held })
}

/// Refuses a port that is given twice or can't be had. Asked beforehand, because a sidecar would
/// try for ten seconds.
fn check_given(members: &[Member]) -> Result<(), Error> {
    let mut owners: HashMap<u16, String> = HashMap::new();
    for member in members {
        for (what, port) in given(&member.sidecar) {
            let owner = format!("{what} of {}", member.name);
            if let Some(other) = owners.insert(port, owner.clone()) {
                return Err(Error::PortTwice { port, owner, other });
            }
        }
    }
    for member in members {
        let apis = api_address(&member.sidecar);
        for (what, port) in given(&member.sidecar) {
            let address = match what {
                "app port" => continue,
                "HTTP port" | "gRPC port" => apis,
                _ => Ipv4Addr::UNSPECIFIED.into(),
            };
            TcpListener::bind((address, port)).map_err(|cause| Error::Port {
                port,
                owner: format!("{what} of {}", member.name),
                cause,
            })?;
        }
    }
    Ok(())
}

fn given(sidecar: &Sidecar) -> impl Iterator<Item = (&'static str, u16)> {
    // Sockets stand in for the ports of the APIs; two sidecars may look after one app.
    let apis = sidecar.unix_domain_socket.is_empty();
    let profile = sidecar.profile_port.filter(|_| sidecar.enable_profiling);
    [
        ("HTTP port", sidecar.http_port.filter(|_| apis)),
        ("gRPC port", sidecar.grpc_port.filter(|_| apis)),
        ("internal gRPC port", sidecar.internal_port),
        ("metrics port", sidecar.metrics_port),
        ("profile port", profile),
    ]
    .into_iter()
    .filter_map(|(what, port)| Some((what, port?)))
}

/// A warning if somebody listens already where the app will, and would be called in its place.
pub(super) fn taken(member: &Member) -> Option<String> {
    let sidecar = &member.sidecar;
    // Without a command the app is started by somebody else.
    let port = sidecar.app_port.filter(|_| !member.command.is_empty())?;
    let host = match sidecar.app_channel_address.as_str() {
        "" | "localhost" => Ipv4Addr::LOCALHOST.into(),
        address => address.parse::<IpAddr>().ok()?,
    };
    TcpStream::connect_timeout(&SocketAddr::new(host, port), GLANCE).ok()?;
    let name = &member.name;
    Some(format!(
        "{name}: somebody listens on port {port} already, before the app was started, and gets its \
         calls if it does not let go of the port"
    ))
}

/// Where the APIs will listen, as far as one address can say.
fn api_address(sidecar: &Sidecar) -> IpAddr {
    let first = sidecar.listen_addresses.split(',').next();
    first
        .and_then(|text| text.trim_matches(['[', ']']).parse().ok())
        .unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

/// A port that nobody has, on any address.
fn free() -> io::Result<TcpListener> {
    for _ in 0..ATTEMPTS {
        let random = RandomState::new().build_hasher().finish();
        let port = FIRST + u16::try_from(random % COUNT).expect("less than COUNT fits a port");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))
}

/// Linux begins to take ports for outgoing connections at 32768, other systems higher.
const FIRST: u16 = 20_000;
const COUNT: u64 = 12_000;
const ATTEMPTS: u32 = 100;
/// A server of this machine takes a connection at once.
const GLANCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::member;

    #[test]
    fn free_ports_differ_and_are_held() {
        let members = [member("a"), member("b")];
        let reserved = reserve(&members).unwrap();
        let mut all: Vec<u16> = reserved
            .iter()
            .flat_map(|it| {
                [
                    it.ports.http,
                    it.ports.grpc,
                    it.ports.internal,
                    it.ports.metrics,
                ]
            })
            .collect();
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, all[0])).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn somebody_in_the_apps_place_is_told_of() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut cart = member("cart");
        cart.sidecar.app_port = Some(listener.local_addr().unwrap().port());
        assert!(taken(&cart).unwrap().starts_with("cart: somebody listens"));
        // A sidecar alone is started for just that.
        cart.command.clear();
        assert_eq!(taken(&cart), None);
    }

    #[test]
    fn a_port_that_is_given_twice_or_taken_is_named_with_its_owner() {
        let mut members = [member("a"), member("b")];
        members[0].sidecar.http_port = Some(20_001);
        members[1].sidecar.metrics_port = Some(20_001);
        let error = reserve(&members).unwrap_err().to_string();
        assert_eq!(
            error,
            "port 20001 is given twice: as metrics port of b and as HTTP port of a"
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        members[1].sidecar.metrics_port = Some(port);
        members[0].sidecar.http_port = None;
        let error = reserve(&members).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("metrics port of b: port {port} ")),
            "{error}"
        );
        assert!(
            error.ends_with("choose another one or leave it out"),
            "{error}"
        );
    }
}
