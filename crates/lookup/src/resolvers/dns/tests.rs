//! Against a small name server of our own.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SRV};
use hickory_proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;
use crate::Cause;

const SECOND: Duration = Duration::from_secs(1);

/// Records by name, or the code to answer with.
#[derive(Default)]
struct Zone {
    records: HashMap<String, Vec<(u32, RData)>>,
    failing: bool,
    questions: usize,
}

/// A name server that a test can change.
struct Server {
    addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = socket.local_addr().unwrap();
        let zone = Arc::<Mutex<Zone>>::default();
        let shared = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..len]).unwrap();
                let answer = answer(&question, &mut shared.lock().unwrap());
                let sent = socket.send_to(&answer.to_vec().unwrap(), from).await;
                sent.unwrap();
            }
        });
        Self { addr, zone, task }
    }

    fn set(&self, name: &str, records: &[(u32, RData)]) {
        let mut zone = self.zone.lock().unwrap();
        zone.records.insert(name.to_owned(), records.to_vec());
    }

    fn change(&self, change: impl FnOnce(&mut Zone)) {
        change(&mut self.zone.lock().unwrap());
    }

    fn questions(&self) -> usize {
        self.zone.lock().unwrap().questions
    }

    /// The resolver that asks it, running.
    fn resolver(&self, template: &str, records: Records) -> (Table, JoinHandle<()>) {
        let config = Config {
            template: template.to_owned(),
            records,
            refresh_min: SECOND,
            refresh_max: SECOND * 60,
            name_servers: vec![self.addr],
        };
        let dns = Dns::open(&config).unwrap();
        let table = Table::new();
        let running = table.clone();
        (table, tokio::spawn(async move { dns.run(&running).await }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &Message, zone: &mut Zone) -> Message {
    zone.questions += 1;
    let query = question.queries.first().unwrap().clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    let name = query.name().to_string();
    let known = zone.records.get(name.trim_end_matches('.'));
    let code = match (zone.failing, known) {
        (true, _) => ResponseCode::ServFail,
        (false, None) => ResponseCode::NXDomain,
        (false, Some(_)) => ResponseCode::NoError,
    };
    answer.metadata.response_code = code;
    for (ttl, data) in known.filter(|_| !zone.failing).into_iter().flatten() {
        if data.record_type() == query.query_type() {
            answer.add_answer(Record::from_rdata(query.name().clone(), *ttl, data.clone()));
        }
    }
    answer
}

fn v4(last: u8) -> RData {
    RData::A(A::new(10, 0, 0, last))
}

fn srv(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(
        priority,
        0,
        port,
        Name::from_ascii(target).unwrap(),
    ))
}

fn addrs(table: &Table, namespace: &str) -> Vec<String> {
    let found = table.peek(namespace, "cart");
    let all = found.iter().flat_map(|set| set.all());
    let mut addrs: Vec<_> = all.map(|it| it.addr().to_owned()).collect();
    addrs.sort();
    addrs
}

const ADDRESSES: Records = Records::Addresses { port: 50_002 };

#[tokio::test]
async fn all_addresses_become_instances() {
    let server = Server::start().await;
    let v6 = RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
    server.set("cart.prod.svc", &[(30, v4(1)), (30, v4(2)), (30, v6)]);
    let (table, task) = server.resolver("{appid}.{namespace}.svc", ADDRESSES);
    table.wait_for("prod", "cart", SECOND * 20).await.unwrap();
    let all = ["10.0.0.1:50002", "10.0.0.2:50002", "[fd00::1]:50002"];
    assert_eq!(addrs(&table, "prod"), all);
    // Another namespace is another name.
    let error = table.wait_for("other", "cart", SECOND * 20).await;
    let error = error.unwrap_err();
    let text = "failed to resolve address for 'cart.other.svc': no such host";
    assert_eq!(
        (error.to_string().as_str(), error.cause),
        (text, Cause::Unknown)
    );
    task.abort();
}

#[tokio::test]
async fn service_records_bring_ports_and_the_first_priority_counts() {
    let server = Server::start().await;
    let services = [
        (30, srv(1, 7001, "a.example.")),
        (30, srv(1, 7002, "b.example.")),
        (30, srv(2, 7003, "c.example.")),
    ];
    server.set("_dapr._tcp.cart.svc", &services);
    for (name, last) in [("a.example", 1), ("b.example", 2), ("c.example", 3)] {
        server.set(name, &[(30, v4(last))]);
    }
    let (table, task) = server.resolver("_dapr._tcp.{appid}.svc", Records::Services);
    table.wait_for("any", "cart", SECOND * 20).await.unwrap();
    assert_eq!(addrs(&table, "other"), ["10.0.0.1:7001", "10.0.0.2:7002"]);
    task.abort();
}

#[tokio::test]
async fn records_that_expire_are_looked_up_again() {
    let server = Server::start().await;
    server.set("cart.svc", &[(0, v4(1))]);
    let (table, task) = server.resolver("{appid}.svc", ADDRESSES);
    table.wait_for("any", "cart", SECOND * 20).await.unwrap();
    assert_eq!(addrs(&table, "any"), ["10.0.0.1:50002"]);
    let mut generation = table.generation();
    // The name servers fail: what was known stays.
    server.change(|zone| zone.failing = true);
    let asked = server.questions();
    while server.questions() < asked + 3 {
        tokio::time::sleep(SECOND / 100).await;
    }
    assert_eq!(table.generation(), generation);
    server.change(|zone| zone.failing = false);
    server.set("cart.svc", &[(0, v4(2))]);
    while table.generation() == generation {
        tokio::time::sleep(SECOND / 100).await;
    }
    assert_eq!(addrs(&table, "any"), ["10.0.0.2:50002"]);
    // The name has gone: so have its addresses.
    generation = table.generation();
    server.change(|zone| zone.records.clear());
    while table.generation() == generation {
        tokio::time::sleep(SECOND / 100).await;
    }
    assert_eq!(addrs(&table, "any"), [] as [&str; 0]);
    task.abort();
}

#[tokio::test]
async fn failing_name_servers_are_told_apart_from_an_unknown_name() {
    let server = Server::start().await;
    server.change(|zone| zone.failing = true);
    let (table, task) = server.resolver("{appid}.svc", ADDRESSES);
    let error = table.wait_for("any", "cart", SECOND * 20).await;
    let error = error.unwrap_err();
    assert_eq!(error.cause, Cause::Source);
    let text = error.to_string();
    assert!(
        text.starts_with("failed to resolve address for 'cart.svc': "),
        "{text}"
    );
    task.abort();
    let (table, task) = server.resolver("{appid}.svc", ADDRESSES);
    let odd = table.wait_for("any", &"x".repeat(64), SECOND * 20).await;
    assert!(odd.is_err(), "no name can be made of it");
    task.abort();
}

#[tokio::test]
async fn silent_name_servers_are_named_before_a_call_gives_up() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let config = Config {
        template: "{appid}.svc".to_owned(),
        records: ADDRESSES,
        refresh_min: SECOND,
        refresh_max: SECOND * 60,
        name_servers: vec![silent.local_addr().unwrap()],
    };
    let dns = Dns::open(&config).unwrap();
    let table = Table::new();
    let error = tokio::select! {
        () = dns.run(&table) => None,
        waited = table.wait_for("any", "cart", SECOND * 20) => waited.err(),
    };
    assert_eq!(
        error.unwrap().to_string(),
        "failed to resolve address for 'cart.svc': no answer from the name servers yet"
    );
}
