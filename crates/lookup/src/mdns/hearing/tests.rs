//! Messages of others, good, odd and hostile.

use hickory_proto::op::OpCode;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::{A, AAAA, PTR, TXT};

use super::super::packet::{Service, question, tests::service};
use super::*;

fn ours() -> Records {
    Records::try_new(&service()).unwrap()
}

fn ask(asked: &str, change: impl FnOnce(&mut Message, &mut Query)) -> Vec<Reply> {
    let mut message = Message::query();
    message.metadata.id = 0x1234;
    let mut query = Query::query(name(asked), RecordType::PTR);
    change(&mut message, &mut query);
    message.add_query(query);
    let message = read(&message.to_vec().unwrap()).unwrap();
    replies(&message, &ours())
}

fn from() -> SocketAddr {
    "192.168.1.9:5353".parse().unwrap()
}

fn hear(bytes: &[u8]) -> Vec<Heard> {
    instances(&read(bytes).unwrap(), from(), true)
}

fn orders(gone: bool) -> Heard {
    Heard {
        app_id: "Orders".into(),
        process: "box:7".into(),
        addr: "127.0.0.1:50002".parse().unwrap(),
        gone,
    }
}

#[test]
fn each_of_our_names_is_answered_whatever_type_is_asked_for() {
    let ours = ours();
    for (name, bytes) in [
        ("Orders.local.", &ours.by_service),
        ("box:7.Orders.local.", &ours.by_instance),
        ("_services._dns-sd._udp.local.", &ours.by_enumeration),
    ] {
        for kind in [RecordType::PTR, RecordType::ANY, RecordType::A] {
            let replies = ask(name, |_, query| {
                query.set_query_type(kind);
            });
            let bytes = with_id(bytes, 0x1234);
            let unicast = false;
            assert_eq!(replies, [Reply { bytes, unicast }], "{name} {kind}");
        }
    }
}

#[test]
fn other_names_and_other_spellings_are_not_answered() {
    for name in [
        "orders.local.",
        "Orders.Local.",
        "box.local.",
        "x.Orders.local.",
        "local.",
    ] {
        assert_eq!(ask(name, |_, _| {}), [], "{name}");
    }
}

#[test]
fn who_wants_unicast_gets_it() {
    let replies = ask("Orders.local.", |_, query| {
        query.set_mdns_unicast_response(true);
    });
    assert!(replies[0].unicast);
}

#[test]
fn probes_and_responses_are_not_answered() {
    let record = Record::from_rdata(Name::root(), 1, RData::A(A::new(1, 1, 1, 1)));
    let probe = ask("Orders.local.", |message, _| {
        message.add_authority(record);
    });
    assert_eq!(probe, []);
    let response = ask("Orders.local.", |message, _| {
        message.metadata.message_type = MessageType::Response;
    });
    assert_eq!(response, []);
}

#[test]
fn a_known_answer_suppresses_the_reply_while_it_is_fresh() {
    for (ttl, target, answered) in [
        (3_200, "box:7.Orders.local.", false),
        (1_600, "box:7.Orders.local.", false),
        (1_599, "box:7.Orders.local.", true),
        (3_200, "box:8.Orders.local.", true),
        (3_200, "BOX:7.Orders.local.", true),
    ] {
        let replies = ask("Orders.local.", |message, _| {
            let ptr = RData::PTR(PTR(name(target)));
            message.add_answer(Record::from_rdata(name("Orders.local"), ttl, ptr));
        });
        assert_eq!(!replies.is_empty(), answered, "{ttl} {target}");
    }
}

#[test]
fn a_question_repeated_in_one_message_is_answered_once() {
    let replies = ask("Orders.local.", |message, query| {
        for _ in 0..60 {
            message.add_query(query.clone());
        }
    });
    assert_eq!(replies.len(), 1);
}

#[test]
fn what_we_say_of_ourselves_is_understood() {
    let ours = ours();
    for bytes in [&ours.by_service, &ours.by_instance, &ours.announcement] {
        assert_eq!(hear(bytes), [orders(false)]);
    }
    assert_eq!(hear(&ours.goodbye), [orders(true)]);
    for bytes in [
        &ours.probe,
        &ours.by_enumeration,
        &question("Orders").unwrap(),
    ] {
        assert_eq!(hear(bytes), [], "nothing without an address");
    }
}

/// The reply to a browse, changed.
fn changed(change: impl FnOnce(&mut Message)) -> Vec<Heard> {
    let mut message = read(&ours().by_service).unwrap();
    change(&mut message);
    hear(&message.to_vec().unwrap())
}

fn name(text: &str) -> Name {
    Name::from_labels(
        text.split('.')
            .filter(|it| !it.is_empty())
            .map(str::as_bytes),
    )
    .unwrap()
}

#[test]
fn the_sections_do_not_matter_and_a_pointer_need_not_be_there() {
    let moved = changed(|message| {
        message.authorities = std::mem::take(&mut message.additionals);
    });
    assert_eq!(moved, [orders(false)]);
    assert_eq!(changed(|message| message.answers.clear()), [orders(false)]);
}

#[test]
fn the_first_string_of_the_text_must_be_the_id() {
    for (strings, accepted) in [
        (vec!["Orders"], true),
        (vec!["Orders", "more"], true),
        (vec!["orders"], false),
        (vec!["", "Orders"], false),
        (vec!["more", "Orders"], false),
        (vec![], false),
    ] {
        let heard = changed(|message| {
            let bytes = strings.iter().map(|it| it.as_bytes()).collect();
            message.additionals[1].data = RData::TXT(TXT::from_bytes(bytes));
            if strings.is_empty() {
                message.additionals.remove(1);
            }
        });
        assert_eq!(!heard.is_empty(), accepted, "{strings:?}");
    }
}

#[test]
fn names_that_do_not_belong_together_are_not_joined() {
    let other_host = changed(|message| message.additionals[2].name = name("Box.local"));
    assert_eq!(other_host, [], "address of another host");
    let other_owner = changed(|message| message.additionals[1].name = name("box:8.Orders.local"));
    assert_eq!(other_owner, [], "text of another instance");
    let other_service = changed(|message| message.answers[0].name = name("Others.local"));
    assert_eq!(other_service, [], "pointer of another service");
    let long = |message: &mut Message| {
        for record in &mut message.additionals[..2] {
            record.name = name("my-Orders.local");
        }
        message.answers.clear();
    };
    assert_eq!(changed(long), [], "an id that merely ends alike");
}

#[test]
fn the_last_of_the_lives_tells_a_goodbye() {
    let gone = changed(|message| message.additionals[1].ttl = 0);
    assert_eq!(gone, [orders(true)]);
    let alive = changed(|message| message.answers[0].ttl = 0);
    assert_eq!(alive, [orders(false)]);
}

#[test]
fn the_first_ipv4_address_goes_before_ipv6() {
    let both = changed(|message| {
        let aaaa = RData::AAAA(AAAA("fd00::1".parse().unwrap()));
        let aaaa = Record::from_rdata(name("box.local"), 120, aaaa);
        message.additionals.insert(0, aaaa);
        let second = RData::A(A::new(9, 9, 9, 9));
        message.add_additional(Record::from_rdata(name("box.local"), 120, second));
    });
    assert_eq!(both, [orders(false)]);
    let v6 = changed(|message| {
        message.additionals[2].data = RData::AAAA(AAAA("fd00::1".parse().unwrap()));
    });
    assert_eq!(v6[0].addr.to_string(), "[fd00::1]:50002");
}

#[test]
fn a_host_name_shared_by_two_messages_may_have_two_addresses() {
    let lan = Records::try_new(&Service {
        addr: "192.168.1.9:50003".parse().unwrap(),
        pid: 8,
        ..service()
    });
    let heard = [hear(&ours().by_service), hear(&lan.unwrap().by_service)].concat();
    let addrs: Vec<_> = heard.iter().map(|it| it.addr.to_string()).collect();
    assert_eq!(addrs, ["127.0.0.1:50002", "192.168.1.9:50003"]);
}

#[test]
fn a_loopback_address_is_believed_of_this_host_only() {
    let message = read(&ours().by_service).unwrap();
    assert_eq!(instances(&message, from(), false), []);
    assert_eq!(instances(&message, from(), true).len(), 1);
}

#[test]
fn addresses_that_lead_nowhere_are_ignored() {
    for addr in [
        "0.0.0.0:1",
        "224.0.0.1:1",
        "255.255.255.255:1",
        "10.0.0.1:0",
        "[::]:1",
    ] {
        let addr = addr.parse().unwrap();
        let records = Records::try_new(&Service { addr, ..service() }).unwrap();
        assert_eq!(hear(&records.by_service), [], "{addr}");
    }
}

#[test]
fn a_link_local_address_gets_the_interface_it_was_heard_on() {
    let addr = "[fe80::1]:50002".parse().unwrap();
    let records = Records::try_new(&Service { addr, ..service() }).unwrap();
    let message = read(&records.by_service).unwrap();
    assert_eq!(instances(&message, from(), true), []);
    let heard = instances(&message, "[fe80::9%3]:5353".parse().unwrap(), true);
    assert_eq!(heard[0].addr.to_string(), "[fe80::1%3]:50002");
}

#[test]
fn full_messages_are_not_read() {
    let mut message = Message::response(0, OpCode::Query);
    for _ in 0..MOST_RECORDS {
        let a = RData::A(A::new(1, 1, 1, 1));
        message.add_answer(Record::from_rdata(name("a.local"), 1, a));
    }
    assert!(read(&message.to_vec().unwrap()).is_some());
    message.add_additional(message.answers[0].clone());
    assert!(read(&message.to_vec().unwrap()).is_none());
}

#[test]
fn compression_loops_and_cut_messages_are_refused() {
    let mut looped = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    looped.extend([0xc0, 12, 0, 12, 0, 1]);
    assert!(read(&looped).is_none());
    let whole = ours().by_service;
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_none(), "{end}");
    }
}

/// A small generator, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

fn look_at(bytes: &[u8], ours: &Records) {
    if let Some(message) = read(bytes) {
        let replies = replies(&message, ours);
        assert!(replies.len() <= 6);
        let heard = instances(&message, from(), true);
        assert!(heard.len() <= MOST_RECORDS);
    }
}

#[test]
fn arbitrary_bytes_do_no_harm() {
    let ours = ours();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..dice.below(300)).map(|_| dice.byte()).collect();
        look_at(&bytes, &ours);
        // With counts that keep the decoder going.
        for (at, byte) in bytes.iter_mut().take(12).enumerate() {
            *byte = if at % 2 == 0 { 0 } else { *byte % 4 };
        }
        look_at(&bytes, &ours);
    }
}

#[test]
fn messages_with_changed_bytes_do_no_harm() {
    let ours = ours();
    let mut dice = Dice(42);
    let seeds = [
        &ours.by_service,
        &ours.announcement,
        &ours.goodbye,
        &ours.probe,
    ];
    for round in 0..40_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            bytes[at] = dice.byte();
        }
        look_at(&bytes, &ours);
    }
}
