//! The pair of sockets, shared in port with every other mDNS program of the host
//! (contract `naming.md` 5.2).
//!
//! Multicast leaves once per family and interface. A datagram that cannot be sent is lost, as any
//! other may be: whoever sends repeats.

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

/// At least one of the two families.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    /// Binds both families, or the one that works; the error is that of IPv4.
    pub(super) fn open() -> io::Result<Self> {
        let v4 = bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, PORT).into());
        let v6 = bind(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, PORT).into()).ok();
        let v4 = match v4 {
            Err(error) if v6.is_none() => return Err(error),
            v4 => v4.ok(),
        };
        Ok(Self { v4, v6 })
    }

    /// Receives what is sent to the groups there; one family is enough.
    pub(super) fn join(&self, interface: &Interface) -> io::Result<()> {
        let index = InterfaceIndexOrAddress::Index(interface.index);
        let v4 = self.v4.as_ref().filter(|_| interface.v4().is_some());
        let v4 = v4.map(|it| joined(SockRef::from(it).join_multicast_v4_n(&GROUP_V4, &index)));
        let v6 = self.v6.as_ref().filter(|_| interface.has_v6());
        let v6 = v6.map(|it| joined(it.join_multicast_v6(&GROUP_V6, interface.index)));
        match (v4, v6) {
            (Some(Ok(())), _) | (_, Some(Ok(()))) => Ok(()),
            (Some(error), _) | (None, Some(error)) => error,
            (None, None) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Sends to the groups on an interface; one family is enough.
    pub(super) fn multicast(&self, bytes: &[u8], interface: &Interface) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
        if let (Some(socket), Some(addr)) = (&self.v4, interface.v4()) {
            let socket = SockRef::from(socket);
            let to = SocketAddr::from((GROUP_V4, PORT));
            let sent = socket.set_multicast_if_v4(&addr);
            let sent = sent.and_then(|()| socket.send_to(bytes, &to.into()));
            outcome = sent.map(drop);
        }
        if let (Some(socket), true) = (&self.v6, interface.has_v6()) {
            let to = SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index);
            let sent = SockRef::from(socket).send_to(bytes, &to.into());
            outcome = outcome.or(sent.map(drop));
        }
        outcome
    }

    /// Sends to one address.
    pub(super) fn unicast(&self, bytes: &[u8], to: SocketAddr) {
        let socket = match to {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        if let Some(socket) = socket {
            // Not through tokio: what it knows of the socket's readiness may be old.
            if let Err(error) = SockRef::from(socket).send_to(bytes, &to.into()) {
                tracing::debug!("mDNS answer to {to} not sent: {error}");
            }
        }
    }

    /// Waits for a datagram. Longer ones than the buffer are cut.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            let socket = tokio::select! {
                socket = readable(self.v4.as_ref()) => socket?,
                socket = readable(self.v6.as_ref()) => socket?,
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
