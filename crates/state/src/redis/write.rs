//! What a write asks for, checked before anything is sent: options, etag, time to live (contract
//! `state.md` 5.4, 5.5).

use super::{
    question::Question,
    script::{ANY, By, KEEP, PERSIST, Script},
    settings::int64,
};
use crate::{Delete, Error, Operation, Set, ttl};

/// A set that may be sent.
pub(super) struct Write {
    pub key: String,
    pub strong: bool,
    value: bytes::Bytes,
    etag: i64,
    first: bool,
    ttl: Ttl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ttl {
    Keep,
    Persist,
    Seconds(i64),
}

/// Redis counts milliseconds since 1970 in 64 bits; the rest is room for the time that it is now.
const LONGEST: i64 = i64::MAX / 1000 - 100_000_000_000;

impl Write {
    /// A set by itself. `default` is the component's time to live.
    pub(super) fn new(set: Set, default: Option<i64>) -> Result<Self, Error> {
        set.options.check()?;
        let first = set.options.concurrency == "first-write";
        let write = Self::in_transaction(set, default)?;
        Ok(Self { first, ..write })
    }

    /// A set among others: options are not looked at, but for the etag that `last-write` makes void.
    pub(super) fn in_transaction(set: Set, default: Option<i64>) -> Result<Self, Error> {
        let etag = match set.etag {
            Some(etag) if !etag.is_empty() && set.options.concurrency != "last-write" => {
                int64(&etag, "Atoi").map_err(Error::EtagInvalid)?
            }
            _ => 0,
        };
        let asked = ttl::parse(&set.metadata, "ParseInt")
            .map_err(|why| Error::failed(format!("failed to parse ttl from metadata: {why}")))?;
        let ttl = match asked.or(default) {
            None => Ttl::Keep,
            Some(..=0) => Ttl::Persist,
            Some(seconds) if seconds > LONGEST => {
                return Err(Error::failed(format!(
                    "failed to set key {} ttl: ERR invalid expire time in 'expire' command",
                    set.key
                )));
            }
            Some(seconds) => Ttl::Seconds(seconds),
        };
        Ok(Self {
            key: set.key,
            strong: set.options.consistency == "strong",
            value: set.value.bytes().clone(),
            etag,
            first: false,
            ttl,
        })
    }

    /// Adds the call of the set script that does it.
    pub(super) fn add(&self, question: &mut Question, script: &Script, by: By) {
        script.call(question, by, 1, 4);
        question.arg(self.key.as_bytes());
        question.arg(&self.value);
        question.int(self.etag);
        question.arg(if self.first { b"1" } else { b"" });
        self.ttl.add(question);
    }

    /// Room that the call takes by name.
    pub(super) fn room(&self) -> usize {
        self.key.len() + self.value.len() + 160
    }

    /// What is said when another version is there.
    pub(super) fn conflict(&self, version: &[u8]) -> Error {
        let version = String::from_utf8_lossy(version);
        let why = match self.etag {
            0 => format!("it was written with first-write and needs its etag, which is {version}"),
            etag => format!("the etag is {version}, not {etag}"),
        };
        Error::EtagMismatch(format!("failed to set key {}: {why}", self.key))
    }
}

impl Ttl {
    fn add(self, question: &mut Question) {
        match self {
            Self::Keep => question.arg(KEEP.as_bytes()),
            Self::Persist => question.arg(PERSIST.as_bytes()),
            Self::Seconds(seconds) => question.int(seconds),
        }
    }
}

/// What is said when a key can't go because another version is there.
pub(super) fn delete_conflict(key: &str, etag: &str, version: &[u8]) -> Error {
    let version = String::from_utf8_lossy(version);
    Error::EtagMismatch(format!(
        "failed to delete key {key}: the etag is {version}, not {etag}"
    ))
}

/// The etag that a delete insists on.
pub(super) fn delete_etag(delete: &Delete) -> Option<&str> {
    let etag = delete.etag.as_deref();
    etag.filter(|etag| !etag.is_empty() && *etag != ANY)
}

/// Adds the command that does a delete: with an etag a call of the delete script.
pub(super) fn add_removal(question: &mut Question, delete: &Delete, script: &Script, by: By) {
    let Some(etag) = delete_etag(delete) else {
        return question.add(&["DEL", &delete.key]);
    };
    script.call(question, by, 1, 1);
    question.arg(delete.key.as_bytes());
    question.arg(etag.as_bytes());
}

/// A part of a transaction that may be sent.
pub(super) enum Step {
    Set(Write),
    Delete(Delete),
}

impl Step {
    pub(super) fn new(operation: Operation, default: Option<i64>) -> Result<Self, Error> {
        Ok(match operation {
            Operation::Set(set) => Self::Set(Write::in_transaction(set, default)?),
            Operation::Delete(delete) => Self::Delete(delete),
        })
    }

    pub(super) fn key(&self) -> &str {
        match self {
            Self::Set(write) => &write.key,
            Self::Delete(delete) => &delete.key,
        }
    }

    fn add(&self, question: &mut Question) {
        match self {
            Self::Set(write) => {
                question.arg(b"s");
                question.arg(&write.value);
                question.int(write.etag);
                write.ttl.add(question);
            }
            Self::Delete(delete) => {
                question.arg(b"d");
                question.arg(b"");
                question.arg(delete_etag(delete).unwrap_or(ANY).as_bytes());
                question.arg(KEEP.as_bytes());
            }
        }
    }

    /// What is said when this step can't be done because another version is there.
    pub(super) fn conflict(&self, version: &[u8]) -> Error {
        match self {
            Self::Set(write) => write.conflict(version),
            Self::Delete(delete) => {
                let etag = delete_etag(delete).unwrap_or_default();
                delete_conflict(&delete.key, etag, version)
            }
        }
    }
}

/// The call of the transaction script that does all steps.
pub(super) fn add_transaction(question: &mut Question, steps: &[Step], script: &Script, by: By) {
    script.call(question, by, steps.len(), 4 * steps.len());
    for step in steps {
        question.arg(step.key().as_bytes());
    }
    for step in steps {
        step.add(question);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Options, Value};

    fn set(etag: &str, ttl: &str) -> Set {
        Set {
            key: "k".into(),
            value: Value::Raw(Bytes::from_static(b"v")),
            etag: Some(etag.to_owned()).filter(|etag| !etag.is_empty()),
            metadata: [("ttlInSeconds".to_owned(), ttl.to_owned())].into(),
            options: Options::default(),
        }
    }

    #[test]
    fn a_request_overrules_the_components_time_to_live() {
        let ttl = |text, default| Write::new(set("", text), default).unwrap().ttl;
        assert_eq!(ttl("", None), Ttl::Keep);
        assert_eq!(ttl("", Some(5)), Ttl::Seconds(5));
        assert_eq!(ttl("", Some(0)), Ttl::Persist);
        assert_eq!(ttl("0", Some(5)), Ttl::Persist);
        assert_eq!(ttl("+600", Some(5)), Ttl::Seconds(600));
        assert_eq!(ttl("-1", None), Ttl::Persist);
    }

    #[test]
    fn bad_numbers_are_told_as_the_reference_tells_them() {
        let error = |etag, ttl| {
            let error = Write::new(set(etag, ttl), None).err().unwrap();
            (error.is_etag(), error.to_string())
        };
        let etag = "invalid etag value: strconv.Atoi: parsing \"abc\": invalid syntax";
        assert_eq!(error("abc", "abc"), (true, etag.to_owned()));
        let ttl = "failed to parse ttl from metadata: strconv.ParseInt: parsing";
        assert_eq!(
            error("1", "abc").1,
            format!("{ttl} \"abc\": invalid syntax")
        );
        assert_eq!(
            error("", "9223372036854775808").1,
            format!("{ttl} \"9223372036854775808\": value out of range")
        );
        assert_eq!(
            error("", "9223372036854775807").1,
            "failed to set key k ttl: ERR invalid expire time in 'expire' command"
        );
    }

    #[test]
    fn last_write_makes_an_etag_void() {
        let mut set = set("abc", "");
        set.options.concurrency = "last-write".into();
        assert_eq!(Write::new(set, None).unwrap().etag, 0);
    }
}
