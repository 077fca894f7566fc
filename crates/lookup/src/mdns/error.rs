//! Why mDNS does not work, in words that help.

use std::io;

use super::packet::LONGEST_LABEL;
use super::socket::PORT;

/// Why mDNS does not work, or not for this app. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is not to be had.
    #[error(
        "UDP port {PORT} cannot be opened for mDNS: {0}; if another program holds the port without \
         sharing it, stop that one (`ss -ulpn sport = :{PORT}` names it)"
    )]
    Port(io::Error),
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

fn because(causes: &[String]) -> String {
    match causes {
        [] => String::new(),
        causes => format!(" ({})", causes.join(", ")),
    }
}
