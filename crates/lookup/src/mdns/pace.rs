//! How often the same answer goes to a group: once in a while per interface, however many ask. What
//! is held back is said once when that while is over, for those who came too late for the first.
//! Decides, and sends nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::announcer::Place;

/// The answers that were multicast lately.
#[derive(Debug, Default)]
pub(super) struct Answers {
    said: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    bytes: Vec<u8>,
    place: Place,
    at: Instant,
    /// Somebody has asked since.
    again: bool,
}

impl Said {
    fn free(&self) -> Instant {
        self.at + GAP
    }
}

impl Answers {
    /// Whether an answer may be sent there now. If not, it comes from [`due`](Self::due).
    pub(super) fn admit(&mut self, bytes: &[u8], place: &Place, now: Instant) -> bool {
        self.said.retain(|it| it.again || now < it.free());
        let said = self.said.iter_mut();
        let mut said = said.filter(|it| it.place == *place && is_same(&it.bytes, bytes));
        if let Some(said) = said.next() {
            said.bytes = bytes.to_vec();
            said.again = true;
            return false;
        }
        self.said.push(Said {
            bytes: bytes.to_vec(),
            place: place.clone(),
            at: now,
            again: false,
        });
        true
    }

    /// What was held back and is to be sent now, and where.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Vec<u8>, Place)> {
        let mut due = Vec::new();
        for said in &mut self.said {
            if said.again && said.free() <= now {
                (said.again, said.at) = (false, now);
                due.push((said.bytes.clone(), said.place.clone()));
            }
        }
        due
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        let held = self.said.iter().filter(|it| it.again);
        held.map(Said::free).min()
    }
}

/// The same but for the message id, which is that of a question.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.get(2..) == b.get(2..)
}

const GAP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &Place = &Place::Everywhere;

    #[test]
    fn the_same_answer_is_given_once_in_a_while_and_then_to_all_who_asked() {
        let mut answers = Answers::default();
        let start = Instant::now();
        assert!(answers.admit(b"1.cart", LAN, start));
        assert_eq!(answers.next_due(), None);
        for id in [b"2.cart", b"3.cart"] {
            assert!(!answers.admit(id, LAN, start + GAP / 2));
        }
        assert_eq!(answers.due(start + GAP / 2), []);
        assert_eq!(answers.next_due(), Some(start + GAP));
        assert_eq!(
            answers.due(start + GAP),
            [(b"3.cart".to_vec(), LAN.clone())]
        );
        assert_eq!(answers.next_due(), None);
        assert!(!answers.admit(b"4.cart", LAN, start + GAP));
        assert_eq!(answers.due(start + GAP * 2).len(), 1);
        assert!(answers.admit(b"5.cart", LAN, start + GAP * 9));
    }

    #[test]
    fn other_answers_and_other_interfaces_have_their_own_pace() {
        let mut answers = Answers::default();
        let now = Instant::now();
        assert!(answers.admit(b"1.cart", LAN, now));
        assert!(answers.admit(b"1.pay", LAN, now));
        assert!(answers.admit(b"1.cart", &Place::On(vec![3]), now));
        assert!(!answers.admit(b"1.cart", &Place::On(vec![3]), now));
    }

    #[test]
    fn nothing_is_remembered_for_long() {
        let mut answers = Answers::default();
        let start = Instant::now();
        for n in 0..1_000 {
            answers.admit(b"1.cart", &Place::On(vec![n]), start + GAP * n);
        }
        assert_eq!(answers.said.len(), 1);
    }
}
