//! What a node says when a key is not with it. It has done nothing then.

use crate::redis::{
    settings::Host,
    value::{Refusal, Value},
};

/// Where to ask instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// There, from now on.
    Moved(u16, Host),
    /// There, this once: the slot is on its way.
    Ask(Host),
}

impl Redirect {
    /// What the answer of `asked` says, if it says so.
    pub(super) fn read(answer: &Value, asked: &Host) -> Option<Self> {
        let Value::Refused(Refusal(text)) = answer else {
            return None;
        };
        let mut words = text.split(' ');
        let (kind, slot, place) = (words.next()?, words.next()?, words.next()?);
        // An address of version 6 has no brackets here.
        let (name, port) = place.rsplit_once(':')?;
        let host = Host {
            name: match name {
                "" | "?" => asked.name.clone(),
                name => name.to_owned(),
            },
            port: port.parse().ok()?,
        };
        match kind {
            "MOVED" => Some(Self::Moved(slot.parse().ok()?, host)),
            "ASK" => Some(Self::Ask(host)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_places_are_read_from_refusals() {
        let asked = Host {
            name: "seed".into(),
            port: 1,
        };
        let read = |text: &str| Redirect::read(&Value::Refused(Refusal(text.into())), &asked);
        let host = |name: &str, port| Host {
            name: name.into(),
            port,
        };
        assert_eq!(
            read("MOVED 3999 127.0.0.1:6381"),
            Some(Redirect::Moved(3999, host("127.0.0.1", 6381)))
        );
        assert_eq!(
            read("MOVED 1 ::1:7000"),
            Some(Redirect::Moved(1, host("::1", 7000)))
        );
        assert_eq!(read("ASK 1 :7000"), Some(Redirect::Ask(host("seed", 7000))));
        for text in [
            "MOVED",
            "MOVED 1",
            "MOVED x h:1",
            "MOVED 1 h",
            "ERR MOVED 1 h:1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Redirect::read(&Value::Nil, &asked), None);
    }
}
