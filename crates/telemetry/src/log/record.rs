//! One event taken apart: its message and its fields, with all text in one reusable buffer so
//! that nothing is allocated once the buffers have grown.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};

use super::level::FATAL_FIELD;

/// Buffers above this size are given back after the line, so one huge line costs no memory later.
const KEEP_BYTES: usize = 16 * 1024;

/// A value as the layouts need it. Text lies in the record's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Text { start: usize, end: usize },
    Integer { start: usize, end: usize },
    Float(f64),
    Bool(bool),
    Fixed(Fixed),
}

/// Fields every line has; their text comes from the options, not from the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fixed {
    AppId,
    Instance,
    Scope,
    Type,
    Version,
    /// Only in the JSON layout, where these three are sorted among the others.
    Level,
    Message,
    Time,
}

/// What was read from one event.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: String,
    message: (usize, usize),
    fields: Vec<(&'static str, Value)>,
    pub(super) fatal: bool,
}

impl Record {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEEP_BYTES);
        self.message = (0, 0);
        self.fields.clear();
        self.fatal = false;
    }

    pub(super) fn message(&self) -> &str {
        &self.text[self.message.0..self.message.1]
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &str {
        &self.text[start..end]
    }

    pub(super) fn fields(&self) -> &[(&'static str, Value)] {
        &self.fields
    }

    /// Adds a field of every line, unless the event brought one of that name.
    pub(super) fn push_fixed(&mut self, name: &'static str, which: Fixed) {
        if !self.fields.iter().any(|(other, _)| *other == name) {
            self.fields.push((name, Value::Fixed(which)));
        }
    }

    pub(super) fn sort(&mut self) {
        self.fields.sort_unstable_by_key(|(name, _)| *name);
    }

    fn set(&mut self, field: &Field, value: Value) {
        let name = printed_name(field);
        match self.fields.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    fn format(&mut self, value: fmt::Arguments<'_>) -> (usize, usize) {
        let start = self.text.len();
        // Writing to a string fails only if a `Debug` implementation does; keep what came.
        let _ = self.text.write_fmt(value);
        (start, self.text.len())
    }

    fn set_integer(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let (start, end) = self.format(value);
        self.set(field, Value::Integer { start, end });
    }

    fn set_text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let (start, end) = self.format(value);
        if field.name() == "message" {
            self.message = (start, end);
        } else {
            self.set(field, Value::Text { start, end });
        }
    }
}

/// A field may not shadow the three keys of the line itself (contract 9.1).
fn printed_name(field: &Field) -> &'static str {
    match field.name() {
        "time" => "fields.time",
        "level" => "fields.level",
        "msg" => "fields.msg",
        other => other.strip_prefix("r#").unwrap_or(other),
    }
}

impl Visit for Record {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set_integer(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set_integer(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set_integer(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set_integer(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == FATAL_FIELD {
            self.fatal = value;
        } else {
            self.set(field, Value::Bool(value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set_text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set_text(field, format_args!("{value:?}"));
    }
}
