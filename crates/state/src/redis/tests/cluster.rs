//! Clusters of servers on this machine.

use std::{
    cell::Cell,
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::*;

/// Servers of which each has a part of the keys, and more that have none.
struct Nodes {
    servers: Vec<Server>,
}

/// Short waits, which are doubled.
const QUICK: &[(&str, &str)] = &[
    ("redisType", "cluster"),
    ("redisMinRetryInterval", "10ms"),
    ("redisMaxRetryInterval", "100ms"),
];
/// The first slots of the three that have a part.
const PARTS: [u16; 4] = [0, 5000, 10000, 16384];
/// More than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Nodes {
    /// Three with a part each, and so many without.
    async fn start(more: usize) -> Option<Self> {
        let mut servers = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..3 + more {
            let bus = Cell::default();
            let start = |port| {
                bus.set(server::free_port());
                let bus = bus.get().to_string();
                let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
                let args: Vec<&str> = args.into_iter().chain(["--cluster-port", &bus]).collect();
                Server::try_start(port, &args)
            };
            servers.push(Server::start_somewhere(start)?);
            buses.push(bus.get().to_string());
        }
        let nodes = Self { servers };
        for (server, part) in nodes.servers.iter().zip(PARTS.windows(2)) {
            let (first, last) = (part[0].to_string(), (part[1] - 1).to_string());
            nodes
                .done(server, &["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                .await;
        }
        for (server, bus) in nodes.servers.iter().zip(&buses).skip(1) {
            let port = server.port().to_string();
            nodes
                .done(
                    &nodes.servers[0],
                    &["CLUSTER", "MEET", "127.0.0.1", &port, bus],
                )
                .await;
        }
        let known = format!("cluster_known_nodes:{}", nodes.servers.len());
        for server in &nodes.servers {
            let knows = async || {
                let info = server.say(&["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok") && info.contains(&known)
            };
            until(knows).await;
        }
        Some(nodes)
    }

    async fn done(&self, server: &Server, words: &[&str]) {
        assert_eq!(server.say(words).await, "OK", "{words:?}");
    }

    async fn open(&self, servers: &[&Server]) -> Rc<dyn Session> {
        let hosts: Vec<String> = servers.iter().map(|server| server.host()).collect();
        let hosts = [("redisHost".to_owned(), hosts.join(","))];
        let quick = QUICK
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let properties = Properties::try_new(quick.chain(hosts)).unwrap();
        Redis::open(&properties).await.unwrap().session()
    }

    async fn id(&self, index: usize) -> String {
        self.servers[index].say(&["CLUSTER", "MYID"]).await
    }

    /// Gives a slot away.
    async fn give(&self, slot: &str, to: usize) {
        let id = self.id(to).await;
        // The one who gets it first, so that it is never nobody's.
        for server in [
            &self.servers[to],
            &self.servers[0],
            &self.servers[1],
            &self.servers[2],
        ] {
            self.done(server, &["CLUSTER", "SETSLOT", slot, "NODE", &id])
                .await;
        }
    }
}

/// Waits until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it should be so by now");
}

fn strong(mut set: Set) -> Set {
    set.options.consistency = "strong".into();
    set
}

#[tokio::test]
async fn each_key_is_kept_by_the_node_that_has_its_slot() {
    let Some(nodes) = Nodes::start(0).await else {
        return;
    };
    let nobody = Server::start().unwrap();
    let mut gone = Server::start().unwrap();
    gone.kill();
    // A seed that is not there is passed over.
    let s = nodes.open(&[&gone, &nodes.servers[2]]).await;
    let keys: Vec<String> = (0..60).map(|n| format!("app||k{n}")).collect();
    let sets = keys.iter().map(|key| set(key, "1")).collect();
    assert_eq!(s.set_many(sets).await, vec![Ok(()); 60]);
    for server in &nodes.servers {
        let count: u32 = server.say(&["DBSIZE"]).await.parse().unwrap();
        assert!(count > 5, "each has some: {count}");
    }
    for key in &keys {
        s.set(set_with(key, "1", "")).await.unwrap();
    }
    let gets = || keys.iter().map(|key| get(key)).collect();
    for item in s.get_many(gets()).await {
        assert_eq!(seen(item), pair("\"v\"", "2"));
    }
    let deletes = keys.iter().enumerate().map(|(n, key)| {
        let etag = ["", "2", "7"][n % 3];
        delete(key, etag)
    });
    let ends = s.delete_many(deletes.collect()).await;
    for (n, end) in ends.into_iter().enumerate() {
        assert_eq!(matches!(end, Err(Error::EtagMismatch(_))), n % 3 == 2);
    }
    for (n, item) in s.get_many(gets()).await.into_iter().enumerate() {
        assert_eq!(item.unwrap().is_some(), n % 3 == 2);
    }
    s.delete(delete(&keys[2], "2")).await.unwrap();
    assert_eq!(s.get(get(&keys[2])).await, Ok(None));
    // A server that is in no cluster.
    let more = [("redisType", "cluster")];
    assert_eq!(
        open(&nobody, &more).await.err().unwrap(),
        format!(
            "redis store: error connecting to redis at {}: ERR This instance has cluster support \
             disabled",
            nobody.host()
        )
    );
}

#[tokio::test]
async fn a_transaction_has_its_keys_in_one_slot() {
    let Some(nodes) = Nodes::start(0).await else {
        return;
    };
    let s = nodes.open(&[&nodes.servers[0]]).await;
    for tag in ["a", "b", "c", "d"] {
        let write =
            |key: &str, etag| Operation::Set(set_with(&format!("app||{{{tag}}}.{key}"), etag, ""));
        s.transact(vec![write("x", ""), write("y", "")])
            .await
            .unwrap();
        let refused = s.transact(vec![write("x", "1"), write("y", "9")]).await;
        assert!(
            matches!(refused, Err(Error::EtagMismatch(_))),
            "{refused:?}"
        );
        let x = format!("app||{{{tag}}}.x");
        assert_eq!(seen(s.get(get(&x)).await), pair("\"v\"", "1"));
    }
    let apart = vec![Operation::Set(set("a", "1")), Operation::Set(set("b", "1"))];
    let text = s.transact(apart).await.unwrap_err().to_string();
    assert!(
        text.starts_with("CROSSSLOT") && text.contains("{cart1}"),
        "{text}"
    );
    assert_eq!(s.get(get("a")).await, Ok(None));
}

#[tokio::test]
async fn keys_are_followed_to_where_they_go() {
    let Some(nodes) = Nodes::start(0).await else {
        return;
    };
    let s = nodes.open(&[&nodes.servers[0]]).await;
    // Slot 12182 is with the last one.
    let keys: Vec<String> = (0..4).map(|n| format!("{{foo}}{n}")).collect();
    assert_eq!(s.get(get(&keys[0])).await, Ok(None));
    let owner = |index: usize| &nodes.servers[index];
    // On its way: what is not there any more, or not yet, is elsewhere this once.
    let (from, to) = (nodes.id(2).await, nodes.id(0).await);
    nodes
        .done(
            owner(0),
            &["CLUSTER", "SETSLOT", "12182", "IMPORTING", &from],
        )
        .await;
    nodes
        .done(owner(2), &["CLUSTER", "SETSLOT", "12182", "MIGRATING", &to])
        .await;
    s.set(set(&keys[0], "1")).await.unwrap();
    let sets = keys.iter().map(|key| set(key, "2")).collect();
    assert_eq!(s.set_many(sets).await, vec![Ok(()); 4]);
    let gets = || keys.iter().map(|key| get(key)).collect();
    let etags = ["2", "1", "1", "1"];
    for (item, etag) in s.get_many(gets()).await.into_iter().zip(etags) {
        assert_eq!(seen(item), pair("2", etag));
    }
    s.transact(vec![Operation::Delete(delete(&keys[3], "1"))])
        .await
        .unwrap();
    let held = owner(2).say(&["CLUSTER", "COUNTKEYSINSLOT", "12182"]).await;
    assert_eq!(held, "0");
    // Gone for good, back and forth.
    for to in [0, 1, 0] {
        if to == 1 {
            for key in &keys {
                owner(0).run(&["DEL", key]).await;
            }
        }
        nodes.give("12182", to).await;
        s.set(set(&keys[3], "3")).await.unwrap();
        let held = owner(to).say(&["HGET", &keys[3], "data"]).await;
        assert_eq!(held, "3");
        let mut gets = vec![get("other")];
        gets.extend(keys.iter().map(|key| get(key)));
        let items = s.get_many(gets).await;
        assert_eq!(seen(items.last().unwrap().clone()).unwrap().0, "3");
        owner(to).run(&["DEL", &keys[3]]).await;
    }
}

#[tokio::test]
async fn a_replica_takes_the_place_of_a_node_that_died() {
    let Some(mut nodes) = Nodes::start(1).await else {
        return;
    };
    let id = nodes.id(2).await;
    nodes
        .done(&nodes.servers[3], &["CLUSTER", "REPLICATE", &id])
        .await;
    let key = "app||{foo}";
    let is_linked = async || {
        let info = nodes.servers[3].say(&["INFO", "replication"]).await;
        info.contains("role:slave") && info.contains("master_link_status:up")
    };
    until(is_linked).await;
    // A replica that has nothing is not counted.
    nodes.done(&nodes.servers[2], &["SET", "{foo}", "x"]).await;
    let s = nodes.open(&[&nodes.servers[0]]).await;
    let knows = async || {
        let slots = nodes.servers[0].say(&["CLUSTER", "SLOTS"]).await;
        slots.contains(&nodes.servers[3].port().to_string())
    };
    until(knows).await;
    let mut stored = 0;
    for _ in 0..20 {
        stored += 1;
        s.set(strong(set(key, &stored.to_string()))).await.unwrap();
    }
    nodes.servers[2].kill();
    let began = Instant::now();
    let mut failures = String::new();
    while let Err(error) = s.set(set(key, "\"new\"")).await {
        writeln!(failures, "{error}").unwrap();
        assert!(began.elapsed() < PATIENCE, "{failures}");
    }
    // One more, unless a write that was told as failed has been done all the same.
    let (value, etag) = seen(s.get(get(key)).await).unwrap();
    assert_eq!(value, "\"new\"");
    let versions = etag.parse::<u32>().unwrap() - stored;
    let unknown = failures.matches("may have been written").count() as u32;
    assert!((1..=1 + unknown).contains(&versions), "{etag}\n{failures}");
    let held = nodes.servers[3].say(&["HGET", key, "data"]).await;
    assert_eq!(held, "\"new\"");
}

#[tokio::test]
async fn nothing_of_a_bulk_is_lost_with_the_key_that_brought_the_script() {
    let Some(nodes) = Nodes::start(0).await else {
        return;
    };
    let s = nodes.open(&[&nodes.servers[0]]).await;
    // Slot 12182 is with the last one, and so is that of `left`.
    let keys = ["{foo}1", "{left}1", "{foo}2", "{left}2"];
    let slot = nodes.servers[0]
        .say(&["CLUSTER", "KEYSLOT", "{left}1"])
        .await;
    assert!(
        slot.parse::<u16>().unwrap() >= PARTS[2] && slot != "12182",
        "{slot}"
    );
    assert_eq!(s.get(get(keys[1])).await, Ok(None));
    let forget = async || {
        for server in &nodes.servers {
            server.run(&["SCRIPT", "FLUSH"]).await;
        }
    };
    forget().await;
    // Gone for good, and the map does not know yet.
    nodes.give("12182", 0).await;
    let sets = keys.iter().map(|key| set(key, "1")).collect();
    assert_eq!(s.set_many(sets).await, vec![Ok(()); 4]);
    // On its way back.
    let (from, to) = (nodes.id(0).await, nodes.id(2).await);
    let importing = ["CLUSTER", "SETSLOT", "12182", "IMPORTING", &from];
    nodes.done(&nodes.servers[2], &importing).await;
    let migrating = ["CLUSTER", "SETSLOT", "12182", "MIGRATING", &to];
    nodes.done(&nodes.servers[0], &migrating).await;
    forget().await;
    let sets = ["{foo}3", "{foo}1", "{foo}4", "{left}3"];
    let sets = sets.iter().map(|key| set(key, "2")).collect();
    assert_eq!(s.set_many(sets).await, vec![Ok(()); 4]);
    forget().await;
    let deletes = ["{foo}3", "{foo}1", "{foo}4", "{left}3"];
    let etags = ["1", "2", "1", "1"];
    let deletes = deletes
        .iter()
        .zip(etags)
        .map(|(key, etag)| delete(key, etag));
    assert_eq!(s.delete_many(deletes.collect()).await, vec![Ok(()); 4]);
}
