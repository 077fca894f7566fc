//! The messages we send, byte for byte those of the reference (contract `naming.md` 5.1, 5.3).
//!
//! Everything a service ever says is encoded once, when it is made, so that what cannot be encoded
//! is refused then and answering is copying.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The last label of every name.
pub(super) const LOCAL: &[u8] = b"local";
/// Bytes of a label.
pub(super) const LONGEST_LABEL: usize = 63;

/// A sidecar, to be told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its app.
    pub app_id: String,
    /// The host's name.
    pub hostname: String,
    /// The sidecar's process.
    pub pid: u32,
    /// Where other sidecars reach it.
    pub addr: SocketAddr,
}

/// Names and messages of a service.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) service: Name,
    pub(super) instance: Name,
    pub(super) enumeration: Name,
    pub(super) probe: Vec<u8>,
    pub(super) announcement: Vec<u8>,
    pub(super) goodbye: Vec<u8>,
    /// Answers to questions for each of the names; the message's id is to be put in.
    pub(super) by_service: Vec<u8>,
    pub(super) by_instance: Vec<u8>,
    pub(super) by_enumeration: Vec<u8>,
}

impl Records {
    pub(super) fn try_new(it: &Service) -> Result<Self, ProtoError> {
        let app_id = it.app_id.as_bytes();
        let service = Name::from_labels([app_id, LOCAL])?;
        let enumeration = Name::from_labels([&b"_services"[..], b"_dns-sd", b"_udp", LOCAL])?;
        let pid = format!(":{}", it.pid);
        let hostname = fitting(&it.hostname, pid.len());
        let instance = Name::from_labels(labels(&format!("{hostname}{pid}")))?;
        let instance = instance.append_name(&service)?;
        let host = Name::from_labels(labels(&hostname).chain([LOCAL]))?;

        let address = match it.addr.ip() {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        let srv = RData::SRV(SRV::new(0, 0, it.addr.port(), host.clone()));
        let txt = RData::TXT(TXT::from_bytes(vec![app_id]));
        let kinds = Kinds {
            ptr: record(&service, TTL, RData::PTR(PTR(instance.clone()))),
            enumerate: record(&enumeration, TTL, RData::PTR(PTR(service.clone()))),
            srv: record(&instance, TTL, srv),
            txt: record(&instance, TTL, txt),
            address: record(&host, HOST_TTL, address),
        };
        Ok(Self {
            probe: kinds.probe(&instance)?,
            announcement: kinds.announcement(|_| {})?,
            goodbye: kinds.announcement(|record| record.ttl = 0)?,
            by_service: kinds.by_service()?,
            by_instance: kinds.by_instance()?,
            by_enumeration: kinds.by_enumeration()?,
            service,
            instance,
            enumeration,
        })
    }
}

/// The five records of a service, without the cache-flush bit.
struct Kinds {
    ptr: Record,
    enumerate: Record,
    srv: Record,
    txt: Record,
    address: Record,
}

impl Kinds {
    fn probe(&self, instance: &Name) -> Result<Vec<u8>, ProtoError> {
        let mut message = Message::query();
        message.add_query(Query::query(instance.clone(), RecordType::PTR));
        message.add_authorities([self.srv.clone(), self.txt.clone()]);
        message.to_vec()
    }

    fn announcement(&self, change: impl Fn(&mut Record)) -> Result<Vec<u8>, ProtoError> {
        let mut message = Message::response(0, OpCode::Query);
        let mut records = [
            flush(&self.srv),
            flush(&self.txt),
            self.ptr.clone(),
            self.enumerate.clone(),
            flush(&self.address),
        ];
        records.iter_mut().for_each(change);
        message.add_answers(records);
        message.to_vec()
    }

    fn by_service(&self) -> Result<Vec<u8>, ProtoError> {
        let mut message = reply();
        message.add_answer(self.ptr.clone());
        let more = [&self.srv, &self.txt, &self.address];
        message.add_additionals(more.map(Record::clone));
        message.to_vec()
    }

    fn by_instance(&self) -> Result<Vec<u8>, ProtoError> {
        let mut message = reply();
        message.add_answers([
            flush(&self.srv),
            flush(&self.txt),
            self.ptr.clone(),
            self.enumerate.clone(),
            self.address.clone(),
        ]);
        message.to_vec()
    }

    fn by_enumeration(&self) -> Result<Vec<u8>, ProtoError> {
        let mut message = reply();
        message.add_answer(self.enumerate.clone());
        message.to_vec()
    }
}

/// Asks who serves an app; none for an id that no name can hold.
pub(super) fn question(app_id: &str) -> Option<Vec<u8>> {
    let service = Name::from_labels([app_id.as_bytes(), LOCAL]).ok()?;
    let mut message = Message::query();
    message.add_query(Query::query(service, RecordType::PTR));
    message.to_vec().ok()
}

/// A reply that answers the message with that id.
pub(super) fn with_id(reply: &[u8], id: u16) -> Vec<u8> {
    let mut bytes = reply.to_vec();
    bytes[..2].copy_from_slice(&id.to_be_bytes());
    bytes
}

/// Exactly the same name: mDNS folds case, the reference doesn't (contract `naming.md` 5.3).
pub(super) fn same(a: &Name, b: &Name) -> bool {
    a.iter().eq(b.iter())
}

fn reply() -> Message {
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.authoritative = true;
    message
}

fn record(name: &Name, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name.clone(), ttl, data)
}

fn flush(record: &Record) -> Record {
    let mut record = record.clone();
    record.mdns_cache_flush = true;
    record
}

/// A dotted name yields several labels.
fn labels(name: &str) -> impl Iterator<Item = &[u8]> {
    name.split('.')
        .map(str::as_bytes)
        .filter(|it| !it.is_empty())
}

/// The host's name with its last label cut so that a suffix fits behind it.
fn fitting(hostname: &str, suffix: usize) -> String {
    let last = hostname.rfind('.').map_or(0, |dot| dot + 1);
    let mut end = hostname
        .len()
        .min(last + LONGEST_LABEL - suffix.min(LONGEST_LABEL));
    while !hostname.is_char_boundary(end) {
        end -= 1;
    }
    hostname[..end].to_owned()
}

const TTL: u32 = 3_200;
const HOST_TTL: u32 = 120;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn service() -> Service {
        Service {
            app_id: "Orders".into(),
            hostname: "box".into(),
            pid: 7,
            addr: "127.0.0.1:50002".parse().unwrap(),
        }
    }

    /// Name, type, TTL and flush bit of each record.
    fn shown(records: &[Record]) -> Vec<String> {
        let show = |it: &Record| {
            let flush = if it.mdns_cache_flush { " flush" } else { "" };
            plain(format!("{} {} {}{flush}", it.name, it.ttl, it.data))
        };
        records.iter().map(show).collect()
    }

    /// Zone files escape a colon.
    fn plain(text: impl ToString) -> String {
        text.to_string().replace("\\:", ":")
    }

    fn read(bytes: &[u8]) -> Message {
        Message::from_vec(bytes).unwrap()
    }

    const PTR_LINE: &str = "Orders.local. 3200 box:7.Orders.local.";
    const SRV_LINE: &str = "box:7.Orders.local. 3200 0 0 50002 box.local.";
    const TXT_LINE: &str = "box:7.Orders.local. 3200 Orders";
    const ENUM_LINE: &str = "_services._dns-sd._udp.local. 3200 Orders.local.";
    const A_LINE: &str = "box.local. 120 127.0.0.1";

    fn flushed(line: &str) -> String {
        format!("{line} flush")
    }

    #[test]
    fn the_reply_to_a_browse_has_everything_in_one_packet() {
        let records = Records::try_new(&service()).unwrap();
        let message = read(&with_id(&records.by_service, 0xabcd));
        assert_eq!(message.metadata.id, 0xabcd);
        assert!(message.metadata.authoritative);
        assert!(message.queries.is_empty());
        assert_eq!(shown(&message.answers), [PTR_LINE]);
        assert_eq!(shown(&message.additionals), [SRV_LINE, TXT_LINE, A_LINE]);
    }

    #[test]
    fn announcement_and_goodbye_say_the_same_with_other_lives() {
        let records = Records::try_new(&service()).unwrap();
        let message = read(&records.announcement);
        assert_eq!(message.metadata.id, 0);
        assert!(!message.metadata.authoritative);
        let expected = [
            flushed(SRV_LINE),
            flushed(TXT_LINE),
            PTR_LINE.into(),
            ENUM_LINE.into(),
            flushed(A_LINE),
        ];
        assert_eq!(shown(&message.answers), expected);
        let goodbye = shown(&read(&records.goodbye).answers);
        let ended = |line: &String| line.replace(" 3200 ", " 0 ").replace(" 120 ", " 0 ");
        assert_eq!(goodbye, expected.iter().map(ended).collect::<Vec<_>>());
    }

    #[test]
    fn the_other_replies_answer_their_names_only() {
        let records = Records::try_new(&service()).unwrap();
        let by_instance = shown(&read(&records.by_instance).answers);
        let expected = [
            flushed(SRV_LINE),
            flushed(TXT_LINE),
            PTR_LINE.into(),
            ENUM_LINE.into(),
            A_LINE.into(),
        ];
        assert_eq!(by_instance, expected);
        assert_eq!(shown(&read(&records.by_enumeration).answers), [ENUM_LINE]);
    }

    #[test]
    fn a_probe_is_a_question_with_authority() {
        let message = read(&Records::try_new(&service()).unwrap().probe);
        assert!(!message.metadata.recursion_desired);
        assert_eq!(plain(message.queries[0].name()), "box:7.Orders.local.");
        assert_eq!(message.queries[0].query_type(), RecordType::PTR);
        assert_eq!(shown(&message.authorities), [SRV_LINE, TXT_LINE]);
    }

    #[test]
    fn a_question_asks_for_one_name_and_no_unicast() {
        let message = read(&question("Orders").unwrap());
        assert!(!message.metadata.recursion_desired);
        assert_eq!(message.queries.len(), 1);
        assert_eq!(message.queries[0].name().to_string(), "Orders.local.");
        assert!(!message.queries[0].mdns_unicast_response());
        assert!(question("").is_none());
        assert!(question(&"x".repeat(63)).is_some());
        assert!(question(&"x".repeat(64)).is_none());
    }

    #[test]
    fn an_ipv6_address_makes_an_aaaa_record() {
        let addr = "[fd00::1]:50002".parse().unwrap();
        let records = Records::try_new(&Service { addr, ..service() }).unwrap();
        let message = read(&records.by_service);
        assert_eq!(shown(&message.additionals)[2], "box.local. 120 fd00::1");
    }

    #[test]
    fn dotted_and_long_hostnames_fit() {
        let instance = |hostname: &str| {
            let hostname = hostname.into();
            let records = Records::try_new(&Service {
                hostname,
                ..service()
            })
            .unwrap();
            plain(records.instance)
        };
        assert_eq!(instance("a.lan"), "a.lan:7.Orders.local.");
        let cut = format!("{}:7.Orders.local.", "h".repeat(61));
        assert_eq!(instance(&"h".repeat(64)), cut);
        assert_eq!(instance(""), ":7.Orders.local.");
    }

    #[test]
    fn ids_that_no_label_holds_are_refused() {
        for app_id in ["".to_owned(), "x".repeat(64)] {
            assert!(
                Records::try_new(&Service {
                    app_id,
                    ..service()
                })
                .is_err()
            );
        }
        let app_id = "x".repeat(63);
        assert!(
            Records::try_new(&Service {
                app_id,
                ..service()
            })
            .is_ok()
        );
    }
}
