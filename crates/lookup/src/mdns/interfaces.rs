//! The network interfaces that multicast is sent on and received from, and which of them a
//! datagram came in by. Looks, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: Box<str>,
    /// Addresses and the lengths of their prefixes.
    pub(super) addrs: Vec<(IpAddr, u8)>,
}

impl Interface {
    /// The address that names the interface to the system where it takes no index.
    pub(super) fn v4(&self) -> Option<Ipv4Addr> {
        self.addrs.iter().find_map(|(addr, _)| match addr {
            IpAddr::V4(addr) => Some(*addr),
            IpAddr::V6(_) => None,
        })
    }

    pub(super) fn has_v6(&self) -> bool {
        self.addrs.iter().any(|(addr, _)| addr.is_ipv6())
    }

    /// Whether a datagram from there came in by this interface, as far as addresses tell.
    pub(super) fn leads_to(&self, from: SocketAddr) -> bool {
        match from {
            SocketAddr::V6(from) if from.scope_id() != 0 => from.scope_id() == self.index,
            _ => self
                .addrs
                .iter()
                .any(|&(addr, prefix)| same_network(addr, from.ip(), prefix)),
        }
    }

    fn holds(&self, ip: IpAddr) -> bool {
        self.addrs.iter().any(|(addr, _)| *addr == ip)
    }
}

/// Whether a source address is one of this host. The unspecified one is what its loopback interface
/// gives to datagrams that were bound to no address.
pub(super) fn is_ours(interfaces: &[Interface], ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || interfaces.iter().any(|it| it.holds(ip))
}

/// The interfaces that are up now: loopback too, whose multicast flag is usually missing though
/// multicast works on it, but no tunnels without that flag.
pub(super) fn list() -> io::Result<Vec<Interface>> {
    let mut by_index: BTreeMap<u32, Interface> = BTreeMap::new();
    for address in if_addrs::get_if_addrs()? {
        let Some(index) = address.index.filter(|_| address.is_oper_up()) else {
            continue;
        };
        if address.is_p2p() && !has_multicast_flag(&address.name) {
            continue;
        }
        let prefix = match &address.addr {
            if_addrs::IfAddr::V4(it) => it.prefixlen,
            if_addrs::IfAddr::V6(it) => it.prefixlen,
        };
        let interface = by_index.entry(index).or_insert_with(|| Interface {
            index,
            name: address.name.as_str().into(),
            addrs: Vec::new(),
        });
        interface.addrs.push((address.ip(), prefix));
    }
    let mut all: Vec<_> = by_index.into_values().collect();
    // Where there are too many, those of containers give way: they have no IPv4 address here.
    all.sort_by_key(|it| it.v4().is_none());
    all.truncate(MOST_INTERFACES);
    Ok(all)
}

/// Tells more than `if-addrs` does; where the system does not say, there is none.
fn has_multicast_flag(name: &str) -> bool {
    let flags = fs::read_to_string(format!("/sys/class/net/{name}/flags")).unwrap_or_default();
    let flags = flags.trim().trim_start_matches("0x");
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & IFF_MULTICAST != 0)
}

fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32 - u32::from(prefix.min(32));
            let differ = u64::from(a.to_bits() ^ b.to_bits());
            differ >> shift == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128 - u32::from(prefix.min(128));
            let differ = a.to_bits() ^ b.to_bits();
            differ.checked_shr(shift).unwrap_or(0) == 0
        }
        _ => false,
    }
}

const IFF_MULTICAST: u32 = 0x1000;
/// Bounds what one message costs on a host with hundreds of container links.
const MOST_INTERFACES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn interface() -> Interface {
        Interface {
            index: 3,
            name: "eth0".into(),
            addrs: vec![
                ("192.168.1.5".parse().unwrap(), 24),
                ("fd00::5".parse().unwrap(), 64),
                ("fe80::5".parse().unwrap(), 64),
            ],
        }
    }

    #[test]
    fn the_interface_of_a_datagram_is_told_by_its_network_or_its_scope() {
        for (from, expected) in [
            ("192.168.1.77:5353", true),
            ("192.168.2.77:5353", false),
            ("[fd00::9]:5353", true),
            ("[fd00:0:0:1::9]:5353", false),
            ("[fe80::9%3]:5353", true),
            ("[fe80::9%4]:5353", false),
        ] {
            assert_eq!(
                interface().leads_to(from.parse().unwrap()),
                expected,
                "{from}"
            );
        }
    }

    #[test]
    fn prefixes_of_any_length_are_compared() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(same_network(ip("1.2.3.4"), ip("200.1.1.1"), 0));
        assert!(same_network(ip("::1"), ip("fd00::"), 0));
        assert!(!same_network(ip("1.2.3.4"), ip("1.2.3.5"), 32));
        assert!(same_network(ip("::1"), ip("::1"), 255));
        assert!(!same_network(ip("::1"), ip("0.0.0.1"), 0));
    }

    #[test]
    fn loopback_is_always_ours() {
        let all = [interface()];
        for (ip, ours) in [
            ("127.0.0.9", true),
            ("::1", true),
            ("0.0.0.0", true),
            ("192.168.1.5", true),
            ("192.168.1.6", false),
        ] {
            assert_eq!(is_ours(&all, ip.parse().unwrap()), ours, "{ip}");
        }
    }

    #[test]
    fn this_host_has_interfaces_at_most_as_many_as_are_used() {
        let all = list().unwrap();
        assert!(all.len() <= MOST_INTERFACES);
        assert!(all.iter().all(|it| it.index != 0 && !it.addrs.is_empty()));
    }
}
