//! Random operations on a store and on a map that is obviously right must give the same answers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What a client may do. An etag is that of the key, a wrong one or none.
#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    Set(Change),
    Delete(Change),
    Transact(Vec<(bool, Change)>),
    SetMany(Vec<Change>),
    Wait(u8),
}

#[derive(Clone, Debug)]
struct Change {
    key: u8,
    value: u16,
    etag: Etag,
    first: bool,
    ttl: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Etag {
    None,
    Right,
    Wrong,
}

/// Key to value and end.
#[derive(Clone, Default)]
struct Model {
    now: u64,
    items: BTreeMap<u8, (u16, Option<u64>)>,
}

impl Model {
    fn get(&self, key: u8) -> Option<u16> {
        let (value, end) = self.items.get(&key)?;
        end.is_none_or(|end| end > self.now).then_some(*value)
    }

    /// Whether the condition of a change holds; `Right` on an absent key is an etag like any other.
    fn allows(&self, change: &Change, first_counts: bool) -> bool {
        let there = self.get(change.key).is_some();
        match change.etag {
            Etag::None => !(change.first && first_counts && there),
            Etag::Right => there,
            Etag::Wrong => false,
        }
    }

    fn set(&mut self, change: &Change) {
        let end = change.ttl.map(|ttl| self.now + u64::from(ttl));
        self.items.insert(change.key, (change.value, end));
    }
}

fn change() -> impl Strategy<Value = Change> {
    let etag = prop_oneof![
        3 => Just(Etag::None),
        3 => Just(Etag::Right),
        1 => Just(Etag::Wrong),
    ];
    let ttl = proptest::option::weighted(0.3, 1..6u8);
    (0..4u8, any::<u16>(), etag, any::<bool>(), ttl).prop_map(|(key, value, etag, first, ttl)| {
        Change {
            key,
            value,
            etag,
            first,
            ttl,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4u8).prop_map(Step::Get),
        4 => change().prop_map(Step::Set),
        2 => change().prop_map(Step::Delete),
        2 => prop::collection::vec((any::<bool>(), change()), 0..4).prop_map(Step::Transact),
        1 => prop::collection::vec(change(), 0..4).prop_map(Step::SetMany),
        1 => (1..4u8).prop_map(Step::Wait),
    ]
}

fn name(key: u8) -> String {
    format!("app||{key}")
}

/// The etag as the client would send it.
async fn etag_of(session: &dyn Session, change: &Change) -> Option<String> {
    match change.etag {
        Etag::None => None,
        Etag::Wrong => Some("no-etag".to_owned()),
        Etag::Right => {
            let item = found(session, &name(change.key)).await;
            let etag = item.and_then(|item| item.etag);
            Some(etag.unwrap_or_else(|| "of-nothing".to_owned()))
        }
    }
}

async fn as_set(session: &dyn Session, change: &Change) -> Set {
    let mut set = set(&name(change.key), &change.value.to_string());
    set.etag = etag_of(session, change).await;
    if let Some(ttl) = change.ttl {
        set = set.ttl(&ttl.to_string());
    }
    if change.first {
        set = set.first_write();
    }
    set
}

async fn as_delete(session: &dyn Session, change: &Change) -> Delete {
    let mut delete = delete(&name(change.key));
    delete.etag = etag_of(session, change).await;
    if change.first {
        delete = delete.first_write();
    }
    delete
}

struct Run<'a> {
    which: Which,
    session: &'a dyn Session,
    hands: &'a Hands,
    model: Model,
}

impl Run<'_> {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Get(key) => {
                let found = value(self.session, &name(*key)).await;
                assert_eq!(found, self.model.get(*key).map(|v| v.to_string()));
            }
            Step::Wait(seconds) => {
                self.hands.forward(u64::from(*seconds) * 1000);
                self.model.now += u64::from(*seconds);
            }
            Step::Set(change) => {
                let set = as_set(self.session, change).await;
                let answer = self.session.set(set).await;
                self.judge_set(change, &answer);
            }
            Step::Delete(change) => {
                let delete = as_delete(self.session, change).await;
                let answer = self.session.delete(delete).await;
                let allowed = self.model.allows(change, self.which == Which::Memory);
                assert_eq!(is_mismatch(&answer), !allowed, "{answer:?}");
                if allowed {
                    self.model.items.remove(&change.key);
                }
            }
            Step::SetMany(changes) => {
                let mut sets = Vec::new();
                for change in changes {
                    sets.push(as_set(self.session, change).await);
                }
                let answers = self.session.set_many(sets.clone()).await;
                for ((change, set), answer) in changes.iter().zip(&sets).zip(&answers) {
                    self.judge_one_of_many(change, set, answer).await;
                }
            }
            Step::Transact(changes) => self.transact(changes).await,
        }
    }

    fn judge_set(&mut self, change: &Change, answer: &Result<(), Error>) {
        let allowed = self.model.allows(change, true);
        assert_eq!(is_mismatch(answer), !allowed, "{answer:?}");
        if allowed {
            self.model.set(change);
        }
    }

    /// An etag read before the first write of many is wrong once the key was written by another.
    async fn judge_one_of_many(&mut self, change: &Change, set: &Set, answer: &Result<(), Error>) {
        match (set.etag.is_some(), answer) {
            (false, answer) => self.judge_set(change, answer),
            (true, Ok(())) => self.model.set(change),
            (true, Err(error)) => assert!(error.is_etag()),
        }
    }

    /// Without etags, whose meaning inside a transaction differs between the stores.
    async fn transact(&mut self, changes: &[(bool, Change)]) {
        let mut operations = Vec::new();
        let mut model = self.model.clone();
        let mut allowed = true;
        for (is_set, change) in changes {
            let etag = match change.etag {
                Etag::Wrong => Etag::Wrong,
                _ => Etag::None,
            };
            let change = Change {
                etag,
                first: false,
                ..change.clone()
            };
            allowed &= model.allows(&change, false);
            operations.push(if *is_set {
                model.set(&change);
                Operation::Set(as_set(self.session, &change).await)
            } else {
                model.items.remove(&change.key);
                Operation::Delete(as_delete(self.session, &change).await)
            });
        }
        let answer = self.session.transact(operations).await;
        assert_eq!(is_mismatch(&answer), !allowed, "{answer:?}");
        if allowed {
            self.model = model;
        }
    }
}

#[test]
fn random_operations_agree_with_a_plain_map() {
    let cases = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(cases)
        .run(&prop::collection::vec(step(), 1..40), |steps| {
            on_both(|which, store, hands| {
                let steps = steps.clone();
                async move {
                    let session = store.session();
                    let mut run = Run {
                        which,
                        session: &*session,
                        hands: &hands,
                        model: Model::default(),
                    };
                    for step in &steps {
                        run.step(step).await;
                    }
                    for key in 0..4 {
                        run.step(&Step::Get(key)).await;
                    }
                }
            });
            Ok(())
        })
        .unwrap();
}
