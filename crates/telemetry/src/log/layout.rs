//! The three layouts of a line (observability contract 9.1): text, text on a terminal, JSON.
//! Decides nothing about whether a line is printed.

use std::fmt::Write as _;
use std::time::SystemTime;

use outrider_core::json::push_go_string;
use outrider_core::quote::{needs_quoting, push_quoted};

use super::level::Level;
use super::record::{Fixed, Record, Value};
use super::stamp::push_rfc3339;
use crate::go_float::{push_go_float, push_json_float};

/// Which layout the lines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Text,
    Terminal,
    Json,
}

/// What every line of one process shares.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) app_id: String,
    pub(super) instance: String,
    pub(super) version: String,
    pub(super) utc_offset: i32,
    pub(super) started: SystemTime,
}

/// One line about to be laid out.
pub(super) struct Line<'a> {
    pub(super) common: &'a Common,
    pub(super) scope: &'static str,
    pub(super) level: Level,
    pub(super) at: SystemTime,
}

impl Line<'_> {
    /// Appends the line with its newline to `out`.
    pub(super) fn push(&self, out: &mut String, layout: Layout, record: &mut Record) {
        self.add_fixed(record);
        match layout {
            Layout::Text => self.push_text(out, record),
            Layout::Terminal => self.push_terminal(out, record),
            Layout::Json => self.push_json(out, record),
        }
        out.push('\n');
    }

    fn add_fixed(&self, record: &mut Record) {
        if !self.common.app_id.is_empty() {
            record.push_fixed("app_id", Fixed::AppId);
        }
        record.push_fixed("instance", Fixed::Instance);
        record.push_fixed("scope", Fixed::Scope);
        record.push_fixed("type", Fixed::Type);
        record.push_fixed("ver", Fixed::Version);
    }

    fn push_text(&self, out: &mut String, record: &mut Record) {
        record.sort();
        // The stamp holds colons, hence the quotes; nothing in it needs escaping.
        out.push_str("time=\"");
        push_rfc3339(out, self.at, self.common.utc_offset);
        out.push_str("\" level=");
        out.push_str(self.level.printed());
        if !record.message().is_empty() {
            out.push_str(" msg=");
            push_bare_or_quoted(out, record.message());
        }
        for &(name, value) in record.fields() {
            out.push(' ');
            out.push_str(name);
            out.push('=');
            self.push_text_value(out, record, value);
        }
    }

    fn push_terminal(&self, out: &mut String, record: &mut Record) {
        record.sort();
        let colour = colour(self.level);
        let word = short_word(self.level);
        let seconds = self
            .at
            .duration_since(self.common.started)
            .unwrap_or_default()
            .as_secs();
        let _ = write!(out, "\x1b[{colour}m{word}\x1b[0m[{seconds:04}] ");
        let message = record.message();
        let message = message.strip_suffix('\n').unwrap_or(message);
        push_harmless(out, message);
        let missing = MESSAGE_WIDTH.saturating_sub(message.chars().count());
        out.extend(std::iter::repeat_n(' ', missing + 1));
        for &(name, value) in record.fields() {
            let _ = write!(out, " \x1b[{colour}m{name}\x1b[0m=");
            self.push_text_value(out, record, value);
        }
    }

    fn push_json(&self, out: &mut String, record: &mut Record) {
        record.push_fixed("level", Fixed::Level);
        record.push_fixed("msg", Fixed::Message);
        record.push_fixed("time", Fixed::Time);
        record.sort();
        let mut before = '{';
        for &(name, value) in record.fields() {
            out.push(before);
            push_go_string(out, name);
            out.push(':');
            self.push_json_value(out, record, value);
            before = ',';
        }
        out.push('}');
    }

    fn push_text_value(&self, out: &mut String, record: &Record, value: Value) {
        match value {
            Value::Text { start, end } => push_bare_or_quoted(out, record.slice(start, end)),
            Value::Integer { start, end } => out.push_str(record.slice(start, end)),
            Value::Float(value) => push_go_float(out, value),
            Value::Bool(value) => out.push_str(bool_word(value)),
            Value::Fixed(which) => push_bare_or_quoted(out, self.fixed(which, record)),
        }
    }

    fn push_json_value(&self, out: &mut String, record: &Record, value: Value) {
        match value {
            Value::Text { start, end } => push_go_string(out, record.slice(start, end)),
            Value::Integer { start, end } => out.push_str(record.slice(start, end)),
            Value::Float(value) => push_json_float(out, value),
            Value::Bool(value) => out.push_str(bool_word(value)),
            Value::Fixed(Fixed::Time) => {
                out.push('"');
                push_rfc3339(out, self.at, self.common.utc_offset);
                out.push('"');
            }
            Value::Fixed(which) => push_go_string(out, self.fixed(which, record)),
        }
    }

    fn fixed<'b>(&'b self, which: Fixed, record: &'b Record) -> &'b str {
        match which {
            Fixed::AppId => &self.common.app_id,
            Fixed::Instance => &self.common.instance,
            Fixed::Scope => self.scope,
            Fixed::Type => "log",
            Fixed::Version => &self.common.version,
            Fixed::Level => self.level.printed(),
            Fixed::Message => record.message(),
            // Written in place, as it is no stored text.
            Fixed::Time => "",
        }
    }
}

/// Width to which a terminal pads the message, so that fields of short lines stand below each
/// other.
const MESSAGE_WIDTH: usize = 44;

fn push_bare_or_quoted(out: &mut String, text: &str) {
    if needs_quoting(text) {
        push_quoted(out, text);
    } else {
        out.push_str(text);
    }
}

/// Messages carry paths and header values of strangers: a terminal must not obey control
/// characters in them. (The reference prints them raw.)
fn push_harmless(out: &mut String, text: &str) {
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' && letter != '\t' {
            let _ = write!(out, "\\x{:02x}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
}

fn bool_word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::Debug => 37,
        Level::Info => 36,
        Level::Warn => 33,
        Level::Error | Level::Fatal => 31,
    }
}

fn short_word(level: Level) -> &'static str {
    match level {
        Level::Debug => "DEBU",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERRO",
        Level::Fatal => "FATA",
    }
}
