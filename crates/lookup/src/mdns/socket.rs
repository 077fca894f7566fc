//! The pair of sockets, shared in port with every other mDNS program of the host
//! (contract `naming.md` 5.2).
//!
//! Multicast leaves once per family and interface. A datagram that cannot be sent is lost, as any
//! other may be: whoever sends repeats.

use std::cell::OnceCell;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::interfaces::Interface;

/// The port of mDNS.
pub(super) const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// The two halves of mDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    fn bind(self) -> io::Result<UdpSocket> {
        match self {
            Self::V4 => bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, PORT).into()),
            Self::V6 => bind(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, PORT).into()),
        }
    }

    /// Whether an interface has an address of it.
    pub(super) fn is_on(self, interface: &Interface) -> bool {
        match self {
            Self::V4 => interface.v4().is_some(),
            Self::V6 => interface.has_v6(),
        }
    }
}

/// A socket per family, as far as they could be opened. None is closed before all are.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    v4: OnceCell<UdpSocket>,
    v6: OnceCell<UdpSocket>,
}

impl Sockets {
    /// Opens what is not open yet, and says what does not work.
    pub(super) fn open(&self) -> Vec<(Family, io::Error)> {
        let open = |family: Family| {
            let place = self.place(family);
            if place.get().is_none() {
                place.set(family.bind()?).expect("it was empty just now");
            }
            Ok(())
        };
        let results = Family::BOTH.map(|family| open(family).map_err(|error| (family, error)));
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Receives what is sent to the group there. None if there is nothing to receive by: neither
    /// socket nor address.
    pub(super) fn join(&self, interface: &Interface, family: Family) -> Option<io::Result<()>> {
        let socket = self.place(family).get();
        let socket = socket.filter(|_| family.is_on(interface))?;
        Some(joined(match family {
            Family::V4 => {
                let index = InterfaceIndexOrAddress::Index(interface.index);
                SockRef::from(socket).join_multicast_v4_n(&GROUP_V4, &index)
            }
            Family::V6 => socket.join_multicast_v6(&GROUP_V6, interface.index),
        }))
    }

    fn place(&self, family: Family) -> &OnceCell<UdpSocket> {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Sends to the groups on an interface; one family is enough.
    pub(super) fn multicast(&self, bytes: &[u8], interface: &Interface) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
        if let (Some(socket), Some(addr)) = (self.v4.get(), interface.v4()) {
            let socket = SockRef::from(socket);
            let to = SocketAddr::from((GROUP_V4, PORT));
            let sent = socket.set_multicast_if_v4(&addr);
            let sent = sent.and_then(|()| socket.send_to(bytes, &to.into()));
            outcome = sent.map(drop);
        }
        if let (Some(socket), true) = (self.v6.get(), interface.has_v6()) {
            let to = SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index);
            let sent = SockRef::from(socket).send_to(bytes, &to.into());
            outcome = outcome.or(sent.map(drop));
        }
        outcome
    }

    /// Sends to one address.
    pub(super) fn unicast(&self, bytes: &[u8], to: SocketAddr) {
        let socket = match to {
            SocketAddr::V4(_) => self.v4.get(),
            SocketAddr::V6(_) => self.v6.get(),
        };
        if let Some(socket) = socket {
            // Not through tokio: what it knows of the socket's readiness may be old.
            if let Err(error) = SockRef::from(socket).send_to(bytes, &to.into()) {
                tracing::debug!("mDNS answer to {to} not sent: {error}");
            }
        }
    }

    /// Waits for a datagram on the sockets that are open now. Longer ones than the buffer are cut.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            let socket = tokio::select! {
                socket = readable(self.v4.get()) => socket?,
                socket = readable(self.v6.get()) => socket?,
            };
            match socket.try_recv_from(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }
}

async fn readable(socket: Option<&UdpSocket>) -> io::Result<&UdpSocket> {
    match socket {
        Some(socket) => {
            socket.readable().await?;
            Ok(socket)
        }
        None => pending().await,
    }
}

fn bind(domain: Domain, addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    // What daprd sets. On Linux SO_REUSEPORT alone would clash with it, elsewhere both are needed.
    socket.set_reuse_address(true)?;
    #[cfg(not(target_os = "linux"))]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

/// Already being a member is as good as having become one.
fn joined(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        result => result,
    }
}
