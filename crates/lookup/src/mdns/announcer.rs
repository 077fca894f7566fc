//! What we say of ourselves unasked, and when (contract `naming.md` 5.3): two probes, then two
//! announcements, and two more on every interface that comes later. Decides, and sends nothing.
//!
//! As probes decide nothing here, one announcement goes before them: whoever waits for this app
//! need not wait for them.

use std::time::Duration;

use tokio::time::Instant;

use super::packet::{Records, Service};

/// A service that is announced.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) service: Service,
    pub(super) records: Records,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    at: Instant,
    what: What,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Probe,
    Announcement,
}

/// Where something is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On all interfaces.
    Everywhere,
    /// On the interfaces with these indexes.
    On(Vec<u32>),
}

impl Announced {
    /// Begins at once; the second probe follows after `gap`, which the caller draws below
    /// [`PROBE_GAP`].
    pub(super) fn new(service: Service, records: Records, gap: Duration, now: Instant) -> Self {
        let said = [
            (now, What::Announcement),
            (now, What::Probe),
            (now + gap, What::Probe),
            (now + gap, What::Announcement),
            (now + gap + REPEAT, What::Announcement),
        ];
        let pending = said.map(|(at, what)| Pending {
            at,
            what,
            place: Place::Everywhere,
        });
        Self {
            service,
            records,
            pending: pending.into(),
        }
    }

    /// Says it again where it can't have been heard.
    pub(super) fn repeat_on(&mut self, indexes: &[u32], now: Instant) {
        self.pending.extend([now, now + REPEAT].map(|at| Pending {
            at,
            what: What::Announcement,
            place: Place::On(indexes.to_vec()),
        }));
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pending.iter().map(|it| it.at).min()
    }

    /// What is to be sent now, and where.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(&[u8], Place)> {
        let mut due = Vec::new();
        for pending in self.pending.extract_if(.., |it| it.at <= now) {
            let bytes = match pending.what {
                What::Probe => &self.records.probe,
                What::Announcement => &self.records.announcement,
            };
            due.push((&bytes[..], pending.place));
        }
        due
    }
}

/// Upper limit of the pause between the probes.
pub(super) const PROBE_GAP: Duration = Duration::from_millis(250);
const REPEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::packet::tests::service;
    use super::*;

    fn announced(now: Instant) -> Announced {
        let records = Records::try_new(&service()).unwrap();
        Announced::new(service(), records, Duration::from_millis(100), now)
    }

    #[test]
    fn an_announcement_goes_before_the_probes_and_two_follow_them() {
        let start = Instant::now();
        let mut it = announced(start);
        let (probe, announcement) = {
            let records = Records::try_new(&service()).unwrap();
            (records.probe.len(), records.announcement.len())
        };
        let mut said = Vec::new();
        while let Some(at) = it.next_due() {
            for (bytes, place) in it.due(at) {
                assert_eq!(place, Place::Everywhere);
                said.push(((at - start).as_millis(), bytes.len()));
            }
        }
        let expected = [
            (0, announcement),
            (0, probe),
            (100, probe),
            (100, announcement),
            (1_100, announcement),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_new_interface_hears_it_twice() {
        let start = Instant::now();
        let mut it = announced(start);
        it.due(start + REPEAT * 2);
        let later = start + REPEAT * 60;
        it.repeat_on(&[4], later);
        assert_eq!(it.due(later)[0].1, Place::On(vec![4]));
        assert_eq!(it.due(later), []);
        assert_eq!(it.due(later + REPEAT)[0].1, Place::On(vec![4]));
        assert_eq!(it.next_due(), None);
    }
}
