//! Metadata values as the reference decodes them: every fault is told, in the order of the names.

use std::{num::IntErrorKind, str::FromStr};

use outrider_core::{duration::GoDuration, quote::quote, words::go_bool};

use crate::Properties;

/// Reads values and keeps what it could not read.
pub(super) struct Decoder<'a> {
    properties: &'a Properties,
    faults: Vec<String>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(properties: &'a Properties) -> Self {
        Self {
            properties,
            faults: Vec::new(),
        }
    }

    /// An integer; the first name is the one that a fault is told under.
    pub(super) fn int(&mut self, names: &[&str]) -> Option<i64> {
        self.value(names, "int", |text| text.parse().ok())
    }

    /// A port; zero is none.
    pub(super) fn port(&mut self, name: &str) -> Option<u16> {
        self.value(&[name], "uint16", |text| text.parse().ok())
            .filter(|port| *port != 0)
    }

    /// A boolean, in Go's words only.
    pub(super) fn bool(&mut self, names: &[&str]) -> bool {
        self.value(names, "bool", go_bool).unwrap_or(false)
    }

    /// Nanoseconds: a whole number counts milliseconds, anything else is Go's syntax.
    pub(super) fn duration(&mut self, name: &str) -> Option<i64> {
        let text = self.properties.get(&[name])?;
        if let Ok(millis) = text.parse::<i64>() {
            return Some(GoDuration::from_millis(millis).as_nanos());
        }
        match GoDuration::from_str(text) {
            Ok(duration) => Some(duration.as_nanos()),
            Err(why) => {
                self.fault(name, &format!("invalid Duration {}: {why}", quote(text)));
                None
            }
        }
    }

    /// All that could not be read, if anything.
    pub(super) fn end(mut self) -> Result<(), String> {
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.sort();
        let count = self.faults.len();
        let list = self.faults.join("\n");
        Err(format!(
            "decode failed. {count} error(s) decoding:\n\n{list}"
        ))
    }

    fn value<T>(
        &mut self,
        names: &[&str],
        kind: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.properties.get(names)?;
        let value = parse(text);
        if value.is_none() {
            self.fault(names[0], &format!("invalid {kind} {}", quote(text)));
        }
        value
    }

    fn fault(&mut self, name: &str, why: &str) {
        self.faults
            .push(format!("* error decoding '{name}': {why}"));
    }
}

/// A decimal number of 64 bits; the error is the text of Go's `function`.
pub(in crate::redis) fn int64(text: &str, function: &str) -> Result<i64, String> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.{function}: parsing {}: {why}", quote(text))
    })
}
