//! The port where other sidecars arrive, when nobody chose one (contract, configuration 1.4).

use super::Host;
use sha2::{Digest, Sha256};

const LOWEST: u16 = 47300;
const SPAN: u16 = u16::MAX - LOWEST;

/// Depends on nothing but app, folder, user and machine, so that it survives restarts. Whether it
/// is free is not known here.
#[must_use]
pub fn stable_port(app_id: &str, host: &Host) -> u16 {
    let Host { cwd, uid, hostname } = host;
    let digest = Sha256::digest(format!("{app_id}|{cwd}|{uid}|{hostname}"));
    u16::from_le_bytes([digest[0], digest[1]]) % SPAN + LOWEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_one_of_the_reference() {
        let host = Host {
            cwd: "/tmp/rc".to_owned(),
            uid: 0,
            hostname: "vm".to_owned(),
        };
        assert_eq!(stable_port("me2", &host), 50976);
    }

    #[test]
    fn every_port_lies_in_its_range() {
        for number in 0..200 {
            let port = stable_port(&format!("app{number}"), &Host::default());
            assert!((LOWEST..LOWEST + SPAN).contains(&port));
        }
    }
}
