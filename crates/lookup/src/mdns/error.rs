//! Why mDNS does not work, in words that help.

use std::io;

use super::packet::LONGEST_LABEL;
use super::socket::{Family, PORT};

/// Why mDNS does not work, or not for this app. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is not to be had.
    #[error(
        "UDP port {PORT} cannot be opened for mDNS: {0}; if another program holds the port without \
         sharing it, stop that one (`ss -ulpn sport = :{PORT}` names it)"
    )]
    Port(io::Error),
    /// The port is to be had for one family only.
    #[error(
        "UDP port {PORT} cannot be opened for {missing}: {cause}; until then apps are found and \
         announced by {works} only; if another program holds the port without sharing it, stop \
         that one (`ss -ulpn sport = :{PORT}` names it)"
    )]
    HalfPort {
        /// The family that lacks.
        missing: &'static str,
        /// The other one.
        works: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// Some interfaces don't let us listen.
    #[error(
        "{} cannot be listened to by {family}: {cause}; if the system allows no more groups at a \
         time, raise the limit (`sysctl net.ipv4.igmp_max_memberships`)", and_others(.interface, *.others)
    )]
    Deaf {
        /// The first interface.
        interface: Box<str>,
        /// How many others there are.
        others: usize,
        /// The family.
        family: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// Nothing to send on.
    #[error(
        "no network interface takes part in mDNS{}; bring up one that can do multicast, the \
         loopback interface is enough for one host", because(.0)
    )]
    NoInterface(Vec<String>),
    /// Nothing gets out.
    #[error(
        "nothing can be sent to the mDNS group on {interface}: {cause}; if a firewall forbids it, \
         let UDP port {PORT} pass"
    )]
    Mute {
        /// The first interface.
        interface: Box<str>,
        /// What the system says.
        cause: io::Error,
    },
    /// No DNS name can hold the id.
    #[error(
        "the app id has {0} bytes, and no name that mDNS can announce holds more than \
         {LONGEST_LABEL}; choose a shorter --app-id to be found by mDNS"
    )]
    LongId(usize),
    /// No DNS name can hold the id or the host's name.
    #[error(
        "mDNS has no names for app id {app_id} on host {hostname}: {cause}; choose another \
         --app-id or hostname to be found by mDNS"
    )]
    Name {
        /// The id.
        app_id: String,
        /// The host's name.
        hostname: String,
        /// What is wrong with them.
        cause: String,
    },
}

impl Error {
    pub(super) fn half_port(missing: Family, cause: io::Error) -> Self {
        Self::HalfPort {
            missing: missing.name(),
            works: missing.other().name(),
            cause,
        }
    }

    /// Whether mDNS works all the same, though not everywhere.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self, Self::HalfPort { .. } | Self::Deaf { .. })
    }
}

fn and_others(interface: &str, others: usize) -> String {
    match others {
        0 => format!("network interface {interface}"),
        others => format!("network interface {interface}, and {others} more,"),
    }
}

fn because(causes: &[String]) -> String {
    match causes {
        [] => String::new(),
        causes => format!(" ({})", causes.join(", ")),
    }
}
