//! What other messages say about instances (contract `naming.md` 5.4), and which of our names they
//! ask for (5.3). Reads bytes of strangers: bounded work, no panic, nothing kept.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record};

use super::packet::{LOCAL, Records, same, with_id};

/// An instance that a message tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) app_id: Box<str>,
    /// `<hostname>:<pid>`, as far as we are concerned any text.
    pub(super) process: Box<str>,
    pub(super) addr: SocketAddr,
    /// It says goodbye.
    pub(super) gone: bool,
}

/// One packet in answer to one question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    /// To the one who asked only.
    pub(super) unicast: bool,
}

/// Decodes a datagram; none if it is no DNS message or unreasonably full.
pub(super) fn read(bytes: &[u8]) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let records = message.all_sections().count();
    (records <= MOST_RECORDS && message.queries.len() <= MOST_RECORDS).then_some(message)
}

/// Our answers: by exact name, whatever type and class are asked for.
pub(super) fn replies(message: &Message, ours: &Records) -> Vec<Reply> {
    // A probe of somebody who registers; there is no conflict resolution.
    let is_probe = !message.authorities.is_empty();
    if is_probe || message.metadata.message_type != MessageType::Query {
        return Vec::new();
    }
    let mut replies = Vec::new();
    for query in &message.queries {
        if let Some(bytes) = reply_to(query, message, ours) {
            let bytes = with_id(bytes, message.metadata.id);
            let unicast = query.mdns_unicast_response();
            let reply = Reply { bytes, unicast };
            // The same question many times over is one question.
            if !replies.contains(&reply) {
                replies.push(reply);
            }
        }
    }
    replies
}

fn reply_to<'a>(query: &Query, message: &Message, ours: &'a Records) -> Option<&'a [u8]> {
    let name = query.name();
    if same(name, &ours.service) {
        let known = message.answers.iter().any(|it| is_known(it, ours));
        (!known).then_some(&ours.by_service)
    } else if same(name, &ours.instance) {
        Some(&ours.by_instance)
    } else if same(name, &ours.enumeration) {
        Some(&ours.by_enumeration)
    } else {
        None
    }
}

/// Whether who asks has our record and will keep it for a while.
fn is_known(record: &Record, ours: &Records) -> bool {
    let is_ours = matches!(&record.data, RData::PTR(ptr) if same(ptr, &ours.instance));
    is_ours && same(&record.name, &ours.service) && record.ttl >= HALF_TTL
}

/// The instances that a message tells of in full.
///
/// What belongs together is told by this message alone: sidecars of one host share its name and
/// may have different addresses. `from` completes link-local addresses, and a loopback address is
/// believed only of this host (`from_here`): elsewhere it means another machine.
pub(super) fn instances(message: &Message, from: SocketAddr, from_here: bool) -> Vec<Heard> {
    let services = message
        .all_sections()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some((&record.name, srv)),
            _ => None,
        });
    services
        .filter_map(|(instance, srv)| instance_of(message, instance, srv, from))
        .filter(|heard| from_here || !heard.addr.ip().is_loopback())
        .collect()
}

fn instance_of(message: &Message, instance: &Name, srv: &SRV, from: SocketAddr) -> Option<Heard> {
    let mut app_id = None;
    let mut last_ttl = 0;
    for record in message.all_sections() {
        match &record.data {
            RData::SRV(_) if same(&record.name, instance) => last_ttl = record.ttl,
            RData::TXT(txt) if same(&record.name, instance) => {
                last_ttl = record.ttl;
                app_id = app_id.or(txt.txt_data.first());
            }
            RData::PTR(ptr) if same(ptr, instance) => {
                last_ttl = record.ttl;
                if !is_service_of(&record.name, instance) {
                    return None;
                }
            }
            _ => {}
        }
    }
    let app_id = app_id?;
    let labels: Vec<&[u8]> = instance.iter().collect();
    let [process @ .., service, local] = &labels[..] else {
        return None;
    };
    if process.is_empty() || *local != LOCAL || *service != &app_id[..] {
        return None;
    }
    let ip = address_of(message, &srv.target)?;
    Some(Heard {
        app_id: std::str::from_utf8(app_id).ok()?.into(),
        process: String::from_utf8_lossy(&process.join(&b'.')).into(),
        addr: dialable(ip, srv.port, from)?,
        gone: last_ttl == 0,
    })
}

/// Whether `name` is what stands behind the first labels of `instance`, two labels long.
fn is_service_of(name: &Name, instance: &Name) -> bool {
    name.num_labels() == 2 && name.iter().rev().eq(instance.iter().rev().take(2))
}

/// The first A record of a host, or else its first AAAA record.
fn address_of(message: &Message, host: &Name) -> Option<IpAddr> {
    let of_host = || message.all_sections().filter(|it| same(&it.name, host));
    let v4 = of_host().find_map(|record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        _ => None,
    });
    let v6 = || {
        of_host().find_map(|record| match &record.data {
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        })
    };
    v4.or_else(v6)
}

fn dialable(ip: IpAddr, port: u16, from: SocketAddr) -> Option<SocketAddr> {
    let ip = ip.to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if port == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast {
        return None;
    }
    let mut addr = SocketAddr::new(ip, port);
    if let SocketAddr::V6(v6) = &mut addr
        && v6.ip().is_unicast_link_local()
    {
        // Such an address leads nowhere without the interface it was heard on.
        match from {
            SocketAddr::V6(from) if from.scope_id() != 0 => v6.set_scope_id(from.scope_id()),
            _ => return None,
        }
    }
    Some(addr)
}

/// More is in no message about services; comparing each with each must stay cheap.
const MOST_RECORDS: usize = 64;
const HALF_TTL: u32 = 1_600;

#[cfg(test)]
mod tests;
