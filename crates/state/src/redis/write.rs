//! What a write asks for, checked before anything is sent: options, etag, time to live (contract
//! `state.md` 5.4, 5.5).

use redis::Cmd;

use super::{
    script::{ANY, KEEP, PERSIST, Script},
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

    /// The call of the set script that does it.
    pub(super) fn command(&self, script: &Script, whole: bool) -> Cmd {
        let room = self.key.len() + self.value.len();
        let mut cmd = match whole {
            true => script.whole(room),
            false => script.by_hash(room),
        };
        cmd.arg(1).arg(&self.key);
        cmd.arg(&self.value[..]).arg(self.etag);
        cmd.arg(if self.first { "1" } else { "" });
        self.ttl.add(&mut cmd);
        cmd
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
    fn add(self, cmd: &mut Cmd) {
        match self {
            Self::Keep => cmd.arg(KEEP),
            Self::Persist => cmd.arg(PERSIST),
            Self::Seconds(seconds) => cmd.arg(seconds),
        };
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

/// The command that does a delete: with an etag a call of the delete script.
pub(super) fn removal(delete: &Delete, script: &Script, whole: bool) -> Cmd {
    let Some(etag) = delete_etag(delete) else {
        let mut cmd = Cmd::with_capacity(2, delete.key.len() + 8);
        cmd.arg("DEL").arg(&delete.key);
        return cmd;
    };
    let room = delete.key.len() + etag.len();
    let mut cmd = match whole {
        true => script.whole(room),
        false => script.by_hash(room),
    };
    cmd.arg(1).arg(&delete.key).arg(etag);
    cmd
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

    fn key(&self) -> &str {
        match self {
            Self::Set(write) => &write.key,
            Self::Delete(delete) => &delete.key,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Set(write) => write.key.len() + write.value.len() + 32,
            Self::Delete(delete) => delete.key.len() + 32,
        }
    }

    fn add(&self, cmd: &mut Cmd) {
        match self {
            Self::Set(write) => {
                cmd.arg("s").arg(&write.value[..]).arg(write.etag);
                write.ttl.add(cmd);
            }
            Self::Delete(delete) => {
                cmd.arg("d").arg("").arg(delete_etag(delete).unwrap_or(ANY));
                cmd.arg(KEEP);
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
pub(super) fn transaction(steps: &[Step], script: &Script, whole: bool) -> Cmd {
    let room = steps.iter().map(Step::size).sum();
    let mut cmd = match whole {
        true => script.whole(room),
        false => script.by_hash(room),
    };
    cmd.arg(steps.len());
    for step in steps {
        cmd.arg(step.key());
    }
    for step in steps {
        step.add(&mut cmd);
    }
    cmd
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
