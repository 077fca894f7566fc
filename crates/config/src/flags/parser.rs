//! Reads arguments by a table, with the rules and words of pflag 1.0.10.

use super::{Flag, Kind, Outcome, Parsed, Positionals, Spec, Status, UsageError, csv, suggest};
use crate::go_text;
use outrider_core::duration::GoDuration;
use outrider_core::quote::quote;

/// Reads a command line, without the program's own name.
///
/// # Errors
/// The first argument that cannot be read.
pub fn parse(spec: &Spec, arguments: &[String]) -> Result<Outcome, UsageError> {
    let mut parser = Parser {
        spec,
        arguments: arguments.iter(),
        parsed: Parsed::defaults(spec),
        suggestion: None,
    };
    match parser.run() {
        Ok(()) => Ok(Outcome::Parsed(parser.parsed)),
        Err(Stop::Help) => Ok(Outcome::Help),
        Err(Stop::Error(message)) => Err(UsageError {
            message,
            suggestion: parser.suggestion,
            notices: parser.parsed.notices,
        }),
    }
}

/// A value as its flag's kind reads it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unset,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Str(String),
    List(Vec<String>),
    Duration(GoDuration),
}

impl Value {
    /// The value of a flag that is not given.
    pub(super) fn initial(flag: &Flag) -> Result<Self, String> {
        match (flag.kind, flag.default) {
            (Kind::OptBool | Kind::OptDuration, "") => Ok(Self::Unset),
            (Kind::Bool, "") => Ok(Self::Bool(false)),
            (Kind::Int, "") => Ok(Self::Int(0)),
            (Kind::Uint, "") => Ok(Self::Uint(0)),
            (Kind::Duration, "") => Ok(Self::Duration(GoDuration::ZERO)),
            (kind, text) => Self::read(kind, text),
        }
    }

    fn read(kind: Kind, text: &str) -> Result<Self, String> {
        match kind {
            Kind::Bool | Kind::OptBool => go_text::boolean(text).map(Self::Bool),
            Kind::Int => go_text::int(text).map(Self::Int),
            Kind::Uint => go_text::uint(text).map(Self::Uint),
            Kind::Str => Ok(Self::Str(text.to_owned())),
            Kind::StrSlice => csv::record(text).map(Self::List),
            Kind::Duration | Kind::OptDuration => text
                .parse()
                .map(Self::Duration)
                .map_err(|why: outrider_core::duration::InvalidDuration| why.to_string()),
        }
    }
}

enum Stop {
    Help,
    Error(String),
}

struct Parser<'a> {
    spec: &'a Spec,
    arguments: std::slice::Iter<'a, String>,
    parsed: Parsed,
    suggestion: Option<&'static str>,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        while let Some(argument) = self.arguments.next() {
            if argument == "--" {
                self.parsed.dashes_at = Some(self.parsed.positionals.len());
                self.parsed
                    .positionals
                    .extend(self.arguments.by_ref().cloned());
            } else if let Some(text) = argument.strip_prefix("--") {
                self.long(argument, text)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                self.shorts(&argument[1..])?;
            } else {
                self.positional(argument)?;
            }
        }
        Ok(())
    }

    fn positional(&mut self, argument: &str) -> Result<(), Stop> {
        match self.spec.positionals {
            Positionals::Anywhere => {}
            Positionals::EndFlags => {
                self.parsed.positionals.push(argument.to_owned());
                self.parsed
                    .positionals
                    .extend(self.arguments.by_ref().cloned());
                return Ok(());
            }
            Positionals::Refused => {
                return Err(Stop::Error(format!(
                    "unexpected argument {}",
                    quote(argument)
                )));
            }
        }
        self.parsed.positionals.push(argument.to_owned());
        Ok(())
    }

    fn long(&mut self, argument: &str, text: &str) -> Result<(), Stop> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(Stop::Error(format!("bad flag syntax: {argument}")));
        }
        let found = self.spec.flags.iter().position(|flag| flag.name == name);
        let Some(index) = found else {
            if name == "help" {
                return Err(Stop::Help);
            }
            self.suggestion = suggest::nearest(name, self.spec.flags);
            return Err(Stop::Error(format!("unknown flag: --{name}")));
        };
        match value {
            Some(value) => self.set(index, value),
            None if self.spec.flags[index].bare() => self.set(index, "true"),
            None => {
                let next = self.arguments.next();
                let missing = || Stop::Error(format!("flag needs an argument: --{name}"));
                self.set(index, next.ok_or_else(missing)?)
            }
        }
    }

    /// One-letter flags, possibly several in one argument: `-v`, `-p 80`, `-p80`, `-p=80`, `-vp80`.
    fn shorts(&mut self, mut letters: &str) -> Result<(), Stop> {
        while let Some(letter) = letters.chars().next() {
            let rest = &letters[letter.len_utf8()..];
            let found = self
                .spec
                .flags
                .iter()
                .position(|flag| flag.short == Some(letter));
            let Some(index) = found else {
                return Err(match letter {
                    'h' => Stop::Help,
                    _ => Stop::Error(format!("unknown shorthand flag: '{letter}' in -{letters}")),
                });
            };
            let assigned = rest.strip_prefix('=').filter(|value| !value.is_empty());
            if let Some(value) = assigned {
                return self.set(index, value);
            }
            if self.spec.flags[index].bare() {
                self.set(index, "true")?;
                letters = rest;
            } else if rest.is_empty() {
                let next = self.arguments.next();
                let missing =
                    || Stop::Error(format!("flag needs an argument: '{letter}' in -{letters}"));
                return self.set(index, next.ok_or_else(missing)?);
            } else {
                return self.set(index, rest);
            }
        }
        Ok(())
    }

    fn set(&mut self, index: usize, text: &str) -> Result<(), Stop> {
        let flag = &self.spec.flags[index];
        let value = Value::read(flag.kind, text).map_err(|why| {
            let (text, label) = (quote(text), flag.label());
            Stop::Error(format!(
                "invalid argument {text} for \"{label}\" flag: {why}"
            ))
        })?;
        let slot = &mut self.parsed.values[index];
        match (value, slot) {
            // A list given again grows; its default is replaced by the first one given.
            (Value::List(more), Value::List(list)) if self.parsed.given[index] => {
                list.extend(more);
            }
            (value, slot) => *slot = value,
        }
        self.parsed.given[index] = true;
        if let Status::Deprecated(hint) = flag.status {
            let notice = format!("Flag --{} has been deprecated, {hint}", flag.name);
            self.parsed.notices.push(notice);
        }
        Ok(())
    }
}
