//! Which node has which keys: a key belongs to a slot, a slot to a node. Asks nobody.

use crate::redis::{settings::Host, value::Value};

/// What `CLUSTER SLOTS` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct Map {
    ranges: Vec<Range>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    owner: Host,
    replicas: i64,
}

const SLOTS: u16 = 16384;

impl Map {
    /// Reads the answer of `asked`. None if it is no answer to this question.
    pub(super) fn read(answer: Value, asked: &Host) -> Option<Self> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let ranges: Option<Vec<Range>> = ranges.into_iter().map(|r| range(r, asked)).collect();
        let mut ranges = ranges?;
        ranges.sort_by_key(|range| range.first);
        Some(Self { ranges })
    }

    /// Who has the slot, and how many replicas he has.
    pub(super) fn owner(&self, slot: u16) -> Option<(&Host, i64)> {
        let after = self.ranges.partition_point(|range| range.first <= slot);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= range.last).then_some((&range.owner, range.replicas))
    }

    /// How many replicas somebody has who is said to have the slot: as many as with the slots that
    /// he is known to have, or else as the one who is known to have this one.
    pub(super) fn replicas(&self, host: &Host, slot: u16) -> i64 {
        let known = self.ranges.iter().find(|range| range.owner == *host);
        let known = known.map(|range| range.replicas);
        known
            .or_else(|| self.owner(slot).map(|(_, replicas)| replicas))
            .unwrap_or(0)
    }

    /// All who have slots.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Host> {
        self.ranges.iter().map(|range| &range.owner)
    }
}

/// The slot of a key: of what is between the first `{` and the next `}`, if that is anything.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then_some(&rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// True if all keys are in one slot.
pub(in crate::redis) fn are_together<'a>(keys: impl Iterator<Item = &'a str>) -> bool {
    let mut slots = keys.map(|key| slot(key.as_bytes()));
    let first = slots.next();
    slots.all(|slot| Some(slot) == first)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| {
            let carry = crc & 0x8000 != 0;
            crc << 1 ^ if carry { 0x1021 } else { 0 }
        })
    })
}

fn range(value: Value, asked: &Host) -> Option<Range> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [
        Value::Int(first),
        Value::Int(last),
        Value::Array(owner),
        replicas @ ..,
    ] = &parts[..]
    else {
        return None;
    };
    let slot = |number: &i64| u16::try_from(*number).ok().filter(|slot| *slot < SLOTS);
    Some(Range {
        first: slot(first)?,
        last: slot(last)?,
        owner: owner_of(owner, asked)?,
        replicas: i64::try_from(replicas.len()).ok()?,
    })
}

/// Where there is no name it is that of the node that was asked.
fn owner_of(parts: &[Value], asked: &Host) -> Option<Host> {
    let [name, Value::Int(port), ..] = parts else {
        return None;
    };
    let name = match name {
        Value::Bulk(name) if !name.is_empty() && &name[..] != b"?" => {
            String::from_utf8(name.to_vec()).ok()?
        }
        Value::Bulk(_) | Value::Nil => asked.name.clone(),
        _ => return None,
    };
    let port = u16::try_from(*port).ok()?;
    Some(Host { name, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host {
            name: name.into(),
            port,
        }
    }

    fn node(name: Value, port: i64) -> Value {
        Value::Array(vec![name, Value::Int(port), Value::Bulk("id".into())])
    }

    #[test]
    fn keys_have_the_slots_that_the_specification_gives_them() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"app||{foo}.x"), 12182);
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
        assert_ne!(
            slot(b"foo{}{bar}"),
            slot(b"bar"),
            "nothing between is no tag"
        );
        assert_eq!(slot(b"{{bar}}"), slot(b"{bar"));
        assert_eq!(slot(b"{foo"), crc16(b"{foo") % SLOTS);
        assert_eq!(slot(b""), 0);
    }

    #[test]
    fn the_answer_says_who_has_what() {
        let range = |first, last, nodes: Vec<Value>| {
            let head = vec![Value::Int(first), Value::Int(last)];
            Value::Array(head.into_iter().chain(nodes).collect())
        };
        let asked = host("seed", 1);
        let answer = Value::Array(vec![
            range(100, 16383, vec![node(Value::Nil, 7), node("r".into(), 8)]),
            range(0, 50, vec![node("a".into(), 6)]),
        ]);
        let map = Map::read(answer, &asked).unwrap();
        assert_eq!(map.owner(0), Some((&host("a", 6), 0)));
        assert_eq!(map.owner(50), Some((&host("a", 6), 0)));
        assert_eq!(map.owner(51), None, "nobody has it");
        assert_eq!(map.owner(16383), Some((&host("seed", 7), 1)));
        assert_eq!(map.owners().count(), 2);
        // A slot that has moved.
        assert_eq!(map.replicas(&host("a", 6), 16383), 0);
        assert_eq!(map.replicas(&host("seed", 7), 3), 1);
        assert_eq!(map.replicas(&host("new", 9), 16383), 1);
        assert_eq!(map.replicas(&host("new", 9), 51), 0);
        assert_eq!(Map::default().owner(0), None);
        for nonsense in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16384, vec![node("a".into(), 6)])]),
            Value::Array(vec![range(0, 1, vec![node("a".into(), 65536)])]),
            Value::Array(vec![range(0, 1, vec![Value::Array(Vec::new())])]),
            Value::Array(vec![range(-1, 1, vec![])]),
        ] {
            assert_eq!(Map::read(nonsense, &asked), None);
        }
    }

    impl From<&'static str> for Value {
        fn from(text: &'static str) -> Self {
            Self::Bulk(text.into())
        }
    }
}
