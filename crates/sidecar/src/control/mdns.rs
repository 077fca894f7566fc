//! Being found by mDNS, and finding others: the announcer and the querier joined to the table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use outrider_lookup::mdns::{Announcement, Announcer, Mdns, Service};
use outrider_telemetry::log::scope;
use tokio::task::spawn_local;

use crate::shared::Shared;

/// Finds others from now on.
pub(crate) fn start(shared: &Shared) -> Announcer {
    let mdns = Mdns::new(&shared.table);
    if mdns.works() {
        tracing::info!(target: scope::RUNTIME, "Initialized name resolution to mdns");
    }
    let announcer = mdns.announcer();
    spawn_local(mdns.run());
    announcer
}

/// Lets us be found. Dropping what it returns says goodbye.
pub(crate) fn announce(
    announcer: &Announcer,
    shared: &Shared,
    internal_port: u16,
) -> Option<Announcement> {
    let plan = &shared.plan;
    let Some(ip) = address(&plan.listen.internal_host, &shared.host_address) else {
        warn(&format!(
            "the host's address \"{}\" is no IP address; set DAPR_HOST_IP to one that others \
             reach this host by",
            shared.host_address
        ));
        return None;
    };
    let announced = announcer.announce(Service {
        app_id: plan.app_id.to_string(),
        hostname: shared.hostname.clone(),
        pid: std::process::id(),
        addr: SocketAddr::new(ip, internal_port),
    });
    announced.map_err(|error| warn(&error.to_string())).ok()
}

/// The host's address, unless the internal port is for this host only (contract `naming.md` 2).
fn address(internal_host: &str, host_address: &str) -> Option<IpAddr> {
    match internal_host {
        "127.0.0.1" | "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        "[::1]" | "::1" => Some(Ipv6Addr::LOCALHOST.into()),
        _ => {
            let bare = host_address.trim_matches(['[', ']']);
            bare.parse().ok()
        }
    }
}

fn warn(why: &str) {
    tracing::warn!(target: scope::RUNTIME, "other hosts and daprd can't find this app: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_listener_is_announced_as_such() {
        for (internal, host, expected) in [
            ("", "10.0.0.1", Some("10.0.0.1")),
            ("0.0.0.0", "fd00::1", Some("fd00::1")),
            ("0.0.0.0", "[fd00::1]", Some("fd00::1")),
            ("127.0.0.1", "10.0.0.1", Some("127.0.0.1")),
            ("localhost", "10.0.0.1", Some("127.0.0.1")),
            ("[::1]", "10.0.0.1", Some("::1")),
            ("::1", "", Some("::1")),
            ("10.9.9.9", "10.0.0.1", Some("10.0.0.1")),
            ("", "laptop.lan", None),
            ("", "", None),
        ] {
            let expected = expected.map(|it| it.parse().unwrap());
            assert_eq!(address(internal, host), expected, "{internal} {host}");
        }
    }
}
