//! Free ports of 127.0.0.1.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// `N` different free ports, bound together and released at once. Another process may take one
/// before the sidecar does; that is rare, and the sidecar then says so.
pub(super) fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Whether the port can be had. Asked beforehand, because a sidecar would try for ten seconds.
pub(super) fn check(port: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_had() {
        let mut ports = free::<6>().unwrap().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn a_port_in_use_is_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(check(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
