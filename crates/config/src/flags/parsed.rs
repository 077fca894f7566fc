//! The values a command line ended up with, given or default.

use super::parser::Value;
use super::{Flag, Spec};
use outrider_core::duration::GoDuration;

/// What a command line says. The typed questions below expect a flag of the command's own table
/// and of the matching kind; anything else is a mistake in the program and panics.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub(super) names: Vec<&'static str>,
    pub(super) values: Vec<Value>,
    pub(super) given: Vec<bool>,
    /// Arguments that are no flags, in order, those behind `--` included.
    pub positionals: Vec<String>,
    /// How many of them stood before `--`, if there was one.
    pub dashes_at: Option<usize>,
    /// One line for stderr for each use of a deprecated flag.
    pub notices: Vec<String>,
}

impl Parsed {
    pub(super) fn defaults(spec: &Spec) -> Self {
        Self {
            names: spec.flags.iter().map(|flag| flag.name).collect(),
            values: spec.flags.iter().map(default_value).collect(),
            given: vec![false; spec.flags.len()],
            positionals: Vec::new(),
            dashes_at: None,
            notices: Vec::new(),
        }
    }

    /// Whether the flag stood on the command line.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.given[self.index(name)]
    }

    /// The value of a [`Kind::Bool`](super::Kind::Bool) flag.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        self.opt_bool(name).unwrap_or_else(|| mismatch(name))
    }

    /// The value of a [`Kind::OptBool`](super::Kind::OptBool) flag.
    #[must_use]
    pub fn opt_bool(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Value::Bool(value) => Some(*value),
            Value::Unset => None,
            _ => mismatch(name),
        }
    }

    /// The value of a [`Kind::Int`](super::Kind::Int) flag.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(value) => *value,
            _ => mismatch(name),
        }
    }

    /// The value of a [`Kind::Uint`](super::Kind::Uint) flag.
    #[must_use]
    pub fn uint(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Uint(value) => *value,
            _ => mismatch(name),
        }
    }

    /// The value of a [`Kind::Str`](super::Kind::Str) flag.
    #[must_use]
    pub fn str(&self, name: &str) -> String {
        match self.value(name) {
            Value::Str(value) => value.clone(),
            _ => mismatch(name),
        }
    }

    /// The same, and nothing if it was not given.
    #[must_use]
    pub fn given_str(&self, name: &str) -> Option<String> {
        self.given(name).then(|| self.str(name))
    }

    /// The value of a [`Kind::StrSlice`](super::Kind::StrSlice) flag.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::List(value) => value.clone(),
            _ => mismatch(name),
        }
    }

    /// The value of a [`Kind::Duration`](super::Kind::Duration) flag.
    #[must_use]
    pub fn duration(&self, name: &str) -> GoDuration {
        self.opt_duration(name).unwrap_or_else(|| mismatch(name))
    }

    /// The value of a [`Kind::OptDuration`](super::Kind::OptDuration) flag.
    #[must_use]
    pub fn opt_duration(&self, name: &str) -> Option<GoDuration> {
        match self.value(name) {
            Value::Duration(value) => Some(*value),
            Value::Unset => None,
            _ => mismatch(name),
        }
    }

    fn value(&self, name: &str) -> &Value {
        &self.values[self.index(name)]
    }

    fn index(&self, name: &str) -> usize {
        let index = self.names.iter().position(|known| *known == name);
        index.unwrap_or_else(|| panic!("--{name} is not in the command's table"))
    }
}

fn default_value(flag: &Flag) -> Value {
    Value::initial(flag).unwrap_or_else(|why| panic!("default of --{}: {why}", flag.name))
}

fn mismatch(name: &str) -> ! {
    panic!("--{name} is asked for as another kind than its table says")
}
