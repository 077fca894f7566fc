//! Which of a machine's addresses others should be told (contract, naming 3, steps 2 and 3).
//!
//! A pure choice among addresses that someone else has collected: no sockets, no interfaces, no
//! `DAPR_HOST_IP` here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How useful an address is to others, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    PublicV4,
    GlobalV6,
    PrivateV4,
    UniqueLocalV6,
    LinkLocal,
}

/// Whether the address is one of `192.0.0.0/29`: the near end of an IPv4 translator inside an
/// IPv6-only host, which nobody else can reach.
#[must_use]
pub fn is_clat(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => matches!(v4.octets(), [192, 0, 0, 0..=7]),
        IpAddr::V6(_) => false,
    }
}

/// The address to tell others: the lowest class wins, the first seen on a tie. Loopback, CLAT and
/// addresses that name no single host are never chosen.
#[must_use]
pub fn best(addresses: impl IntoIterator<Item = IpAddr>) -> Option<IpAddr> {
    addresses
        .into_iter()
        .map(|address| address.to_canonical())
        .filter_map(|address| Some((class(address)?, address)))
        .min_by_key(|(class, _)| *class)
        .map(|(_, address)| address)
}

fn class(address: IpAddr) -> Option<Class> {
    let useless = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || is_clat(address);
    if useless {
        return None;
    }
    match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => Some(class_v6(v6)),
    }
}

fn class_v4(address: Ipv4Addr) -> Option<Class> {
    if address.is_broadcast() {
        None
    } else if address.is_link_local() {
        Some(Class::LinkLocal)
    } else if address.is_private() || is_shared(address) {
        Some(Class::PrivateV4)
    } else {
        Some(Class::PublicV4)
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if address.is_unicast_link_local() {
        Class::LinkLocal
    } else if address.is_unique_local() {
        Class::UniqueLocalV6
    } else {
        Class::GlobalV6
    }
}

/// Carrier-grade NAT, `100.64.0.0/10`.
fn is_shared(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [100, 64..=127, _, _])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(addresses: &str) -> Option<String> {
        let parsed = addresses
            .split_whitespace()
            .map(|a| a.parse::<IpAddr>().unwrap());
        best(parsed).map(|address| address.to_string())
    }

    #[test]
    fn every_address_has_its_class() {
        let table = [
            ("203.0.113.5", Some(Class::PublicV4)),
            ("100.63.255.255", Some(Class::PublicV4)),
            ("100.128.0.0", Some(Class::PublicV4)),
            ("192.0.0.8", Some(Class::PublicV4)),
            ("2001:db8::1", Some(Class::GlobalV6)),
            ("2600::1", Some(Class::GlobalV6)),
            ("10.0.0.1", Some(Class::PrivateV4)),
            ("172.16.0.1", Some(Class::PrivateV4)),
            ("172.31.255.255", Some(Class::PrivateV4)),
            ("192.168.1.1", Some(Class::PrivateV4)),
            ("100.64.0.0", Some(Class::PrivateV4)),
            ("100.127.255.255", Some(Class::PrivateV4)),
            ("fd12::1", Some(Class::UniqueLocalV6)),
            ("fc00::1", Some(Class::UniqueLocalV6)),
            ("169.254.1.1", Some(Class::LinkLocal)),
            ("fe80::1", Some(Class::LinkLocal)),
            ("127.0.0.1", None),
            ("::1", None),
            ("192.0.0.0", None),
            ("192.0.0.7", None),
            ("0.0.0.0", None),
            ("::", None),
            ("224.0.0.251", None),
            ("ff02::1", None),
            ("255.255.255.255", None),
        ];
        for (address, expected) in table {
            assert_eq!(class(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn the_lowest_class_wins() {
        let table = [
            ("10.0.0.1 203.0.113.5", "203.0.113.5"),
            ("10.0.0.1 2600::1", "2600::1"),
            ("2600::1 203.0.113.5", "203.0.113.5"),
            ("fd12::1 192.168.1.1", "192.168.1.1"),
            ("fd12::1 100.64.0.1", "100.64.0.1"),
            ("fe80::1 fd12::1", "fd12::1"),
            ("fe80::1", "fe80::1"),
            ("127.0.0.1 10.0.0.1", "10.0.0.1"),
            ("192.0.0.1 10.0.0.1", "10.0.0.1"),
        ];
        for (addresses, expected) in table {
            assert_eq!(pick(addresses).as_deref(), Some(expected), "{addresses}");
        }
    }

    #[test]
    fn the_first_seen_wins_a_tie() {
        assert_eq!(
            pick("10.0.0.2 10.0.0.1 100.64.0.1").as_deref(),
            Some("10.0.0.2")
        );
        assert_eq!(pick("169.254.0.1 fe80::1").as_deref(), Some("169.254.0.1"));
    }

    #[test]
    fn nothing_is_chosen_from_nothing_usable() {
        assert_eq!(pick(""), None);
        assert_eq!(pick("127.0.0.1 ::1 192.0.0.4"), None);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_counts_as_ipv4() {
        assert_eq!(
            pick("2600::1 ::ffff:203.0.113.5").as_deref(),
            Some("203.0.113.5")
        );
        assert!(is_clat("::ffff:192.0.0.1".parse().unwrap()));
        assert!(!is_clat("192.0.0.8".parse().unwrap()));
    }
}
