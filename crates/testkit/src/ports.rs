//! Free ports and names that do not collide with other tests on the machine.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Finds `N` different free ports of 127.0.0.1.
///
/// They are bound together and then released, so another process may take one before it is used;
/// whoever starts a server on one of them must be ready to try again.
///
/// # Errors
/// If the system has no free port.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// An app id with a random ending. Sidecars of one user see each other's registrations, so tests
/// that run side by side must not share ids.
pub fn unique_id(prefix: &str) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{prefix}-{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ids_differ() {
        let mut ports = free_ports::<6>().unwrap().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
        assert_ne!(unique_id("a"), unique_id("a"));
    }
}
