//! A cluster as one thread uses it: each key is asked for at the node that has it.
//!
//! A node that says that a key is elsewhere has done nothing, so the question goes there. A node
//! that can't be reached has got nothing, so the others are asked who has its keys now, and it is
//! tried there. An answer that was lost is lost here as well: a write is not sent again.

mod map;
mod redirect;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

pub(super) use map::are_together;

use super::{
    join::{first_of, join_all},
    link::Link,
    node::{Kind, Node, Trouble},
    question::Question,
    reply::{is_no_script, missing},
    settings::{Host, Settings, Target},
    slot::Goal,
    value::Value,
};
use map::Map;
use redirect::Redirect;

/// What is known of the nodes.
#[derive(Default)]
pub(super) struct Cluster {
    map: RefCell<Map>,
    /// Slots that are elsewhere than in the map, since it was made.
    moved: RefCell<Vec<(u16, Host)>>,
    nodes: RefCell<Vec<(Host, Rc<Node>)>>,
    asking: Mutex<()>,
    /// When the map was made.
    made: Cell<Option<Instant>>,
    is_stale: Cell<bool>,
}

/// Questions about keys. One question has one key, or several of one slot.
pub(super) struct Batch<'a> {
    /// Whether they may be asked twice.
    pub kind: Kind,
    /// A key of each question.
    pub keys: &'a [&'a str],
    /// Adds the question of that number to what goes out together.
    pub add: &'a dyn Fn(&mut Question, usize),
}

/// A question and, if it goes elsewhere this once, where.
type Open = (usize, Option<Host>);

/// So often a question is sent on.
const SENT_ON: u32 = 16;
/// A map that nodes contradict is made anew, but not more often than this.
const PAUSE: Duration = Duration::from_millis(500);

impl Cluster {
    /// The answers to a batch, in its order.
    pub(super) async fn ask(
        &self,
        settings: &Arc<Settings>,
        batch: &Batch<'_>,
    ) -> Vec<Result<Value, String>> {
        let mut answers: Vec<_> = batch.keys.iter().map(|_| missing()).collect();
        let mut open: Vec<Open> = (0..batch.keys.len()).map(|index| (index, None)).collect();
        let (mut sent_on, mut tried) = (0, 0);
        while !open.is_empty() {
            if let Err(text) = self.keep_up(settings).await {
                for (index, _) in open {
                    answers[index] = Err(text.clone());
                }
                break;
            }
            let mut groups = self.groups(batch, open);
            // Whoever refused a key did not look at the script that came with it.
            for group in &mut groups {
                group.is_wordy = sent_on > 0;
            }
            let sent = groups.into_iter().map(|group| group.ask(settings, batch));
            let mut next = Next::default();
            for (group, replies) in join_all(sent.collect()).await {
                self.sort(batch, (group, replies), &mut answers, &mut next);
            }
            sent_on += u32::from(next.is_elsewhere);
            let may_wait = !next.is_unsent || settings.retries.pause(tried).await;
            tried += u32::from(next.is_unsent);
            if !may_wait || sent_on > SENT_ON {
                break;
            }
            open = next.open;
        }
        answers
    }

    /// Questions by the node that they go to.
    fn groups(&self, batch: &Batch<'_>, open: Vec<Open>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (index, once) in open {
            let asks = once.is_some();
            let slot = map::slot(batch.keys[index].as_bytes());
            let place = once.map(|host| (host, 0)).or_else(|| self.owner(slot));
            let known = groups.iter_mut().find(|group| {
                group.asks == asks && group.host.as_ref() == place.as_ref().map(|(host, _)| host)
            });
            if let Some(group) = known {
                group.indices.push(index);
                continue;
            }
            let node = place.as_ref().map(|(host, replicas)| {
                let node = self.node(host);
                if !asks {
                    node.replicas.set(*replicas);
                }
                node
            });
            groups.push(Group {
                host: place.map(|(host, _)| host),
                node,
                asks,
                is_wordy: false,
                indices: vec![index],
            });
        }
        groups
    }

    /// Puts answers in their place and notes what has to be asked again.
    fn sort(
        &self,
        batch: &Batch<'_>,
        (group, replies): (Group, Result<Vec<Value>, Trouble>),
        answers: &mut [Result<Value, String>],
        next: &mut Next,
    ) {
        let replies = match replies {
            Ok(replies) => replies,
            Err(trouble) => {
                self.is_stale.set(true);
                if matches!(trouble, Trouble::Unsent(_)) {
                    // Others know better who has its keys.
                    self.made.set(None);
                    next.is_unsent = true;
                    next.open.extend(group.indices.iter().map(|i| (*i, None)));
                }
                let text = trouble.text();
                for index in group.indices {
                    answers[index] = Err(text.clone());
                }
                return;
            }
        };
        let Some(asked) = &group.host else {
            return;
        };
        for (index, reply) in group.indices.into_iter().zip(replies) {
            match Redirect::read(&reply, asked) {
                None if is_no_script(&reply) && batch.keys.len() > 1 => {
                    next.is_elsewhere = true;
                    next.open.push((index, None));
                }
                None => {}
                Some(Redirect::Ask(host)) => {
                    next.is_elsewhere = true;
                    next.open.push((index, Some(host)));
                }
                Some(Redirect::Moved(slot, host)) => {
                    self.is_stale.set(true);
                    next.is_elsewhere = true;
                    next.open.push((index, None));
                    let mut moved = self.moved.borrow_mut();
                    moved.retain(|(known, _)| *known != slot);
                    moved.push((slot, host));
                }
            }
            answers[index] = Ok(reply);
        }
    }

    fn owner(&self, slot: u16) -> Option<(Host, i64)> {
        let moved = self.moved.borrow();
        if let Some((_, host)) = moved.iter().find(|(known, _)| *known == slot) {
            let replicas = self.map.borrow().replicas(host, slot);
            return Some((host.clone(), replicas));
        }
        let map = self.map.borrow();
        let owner = map.owner(slot);
        owner.map(|(host, replicas)| (host.clone(), replicas))
    }

    fn node(&self, host: &Host) -> Rc<Node> {
        let mut nodes = self.nodes.borrow_mut();
        if let Some((_, node)) = nodes.iter().find(|(known, _)| known == host) {
            return Rc::clone(node);
        }
        let node = Rc::new(Node::new(Goal::Node(host.clone()), 0));
        nodes.push((host.clone(), Rc::clone(&node)));
        node
    }

    /// Makes the map if there is none, or anew if nodes have contradicted it.
    ///
    /// # Errors
    /// Why there is none at all.
    async fn keep_up(&self, settings: &Arc<Settings>) -> Result<(), String> {
        if !self.is_due() {
            return Ok(());
        }
        let _asking = match self.asking.try_lock() {
            Ok(asking) => asking,
            // Somebody asks, and what is known may still be right.
            Err(_) if self.made.get().is_some() => return Ok(()),
            Err(_) => self.asking.lock().await,
        };
        // Others may have done it meanwhile.
        if !self.is_due() {
            return Ok(());
        }
        match self.make(settings).await {
            Ok(map) => {
                let owners: Vec<&Host> = map.owners().collect();
                let mut nodes = self.nodes.borrow_mut();
                nodes.retain(|(host, _)| owners.contains(&host));
                drop(nodes);
                self.map.replace(map);
                self.moved.borrow_mut().clear();
                self.is_stale.set(false);
            }
            // The old one is better than none.
            Err(_) if self.map.borrow().owners().next().is_some() => {}
            Err(text) => return Err(text),
        }
        self.made.set(Some(Instant::now()));
        Ok(())
    }

    fn is_due(&self) -> bool {
        match self.made.get() {
            None => true,
            Some(made) => self.is_stale.get() && made.elapsed() > PAUSE,
        }
    }

    /// Asks those nodes that we know and those of the settings, all at the same time: one that is
    /// frozen must hold up nobody.
    async fn make(&self, settings: &Arc<Settings>) -> Result<Map, String> {
        let mut nodes = self.nodes.borrow().clone();
        if let Target::Cluster(seeds) = &settings.target {
            for seed in seeds {
                if nodes.iter().all(|(host, _)| host != seed) {
                    // Kept, so that the next one goes on if whoever asks now gives up.
                    nodes.push((seed.clone(), self.node(seed)));
                }
            }
        }
        let question = slots();
        let asked = nodes.iter().map(async |(host, node)| {
            let replies = node.ask(settings, Kind::Read, &question).await;
            read(replies.map_err(Trouble::text)?.pop(), host)
        });
        first_of(asked.collect()).await
    }
}

/// Makes sure that the node at the other end of a connection is one of a cluster that works.
///
/// # Errors
/// That it is not, or has no answer.
pub(super) async fn check(link: &Link, settings: &Settings) -> Result<(), String> {
    let replies = link.ask(&slots(), settings.wire.answer).await;
    let reply = replies.map_err(|broken| broken.text())?.pop();
    read(reply, &Host::local()).map(drop)
}

fn slots() -> Question {
    Question::of(&["CLUSTER", "SLOTS"])
}

fn read(reply: Option<Value>, asked: &Host) -> Result<Map, String> {
    let map = match reply {
        Some(Value::Refused(refusal)) => return Err(refusal.0),
        Some(reply) => Map::read(reply, asked),
        None => None,
    };
    let map = map.ok_or("the answer to CLUSTER SLOTS makes no sense")?;
    if map.owners().next().is_none() {
        return Err("nobody has any hash slots in this cluster; finish its set-up first".into());
    }
    Ok(map)
}

/// Questions that go to one node together.
struct Group {
    /// Nobody, if nobody has the slot.
    host: Option<Host>,
    node: Option<Rc<Node>>,
    /// True if the slot is only on its way there.
    asks: bool,
    /// True if the text of a script goes along with each call.
    is_wordy: bool,
    indices: Vec<usize>,
}

impl Group {
    async fn ask(
        self,
        settings: &Arc<Settings>,
        batch: &Batch<'_>,
    ) -> (Self, Result<Vec<Value>, Trouble>) {
        let Some(node) = &self.node else {
            let text = "CLUSTERDOWN no node of the cluster has the key's hash slot".into();
            return (self, Err(Trouble::Unsent(text)));
        };
        let mut question = match self.is_wordy {
            true => Question::wordy(),
            false => Question::default(),
        };
        for index in &self.indices {
            if self.asks {
                question.add(&["ASKING"]);
            }
            (batch.add)(&mut question, *index);
        }
        let mut replies = node.ask(settings, batch.kind, &question).await;
        if self.asks
            && let Ok(replies) = &mut replies
        {
            // Every other one is about the asking.
            let mut is_answer = true;
            replies.retain(|_| {
                is_answer = !is_answer;
                is_answer
            });
        }
        (self, replies)
    }
}

/// What has to be asked again.
#[derive(Default)]
struct Next {
    open: Vec<Open>,
    /// True if some of it is elsewhere.
    is_elsewhere: bool,
    /// True if some of it could not be sent.
    is_unsent: bool,
}
