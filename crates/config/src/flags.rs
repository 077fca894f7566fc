//! A small command-line parser driven by tables, with the visible rules of Go's pflag.
//!
//! A command describes itself in a [`Spec`]; [`parse`] reads arguments by it (contract,
//! configuration 1.1). The parser decides nothing about meaning: ranges, conflicts and the choice
//! between a flag and a variable belong to whoever reads the [`Parsed`] values.

mod csv;
mod help;
mod parsed;
mod parser;
mod suggest;

pub use parsed::Parsed;
pub use parser::parse;

/// A command: its name, its flags, and what else may stand on its line.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// How the command is called, as in `outrider sidecar`.
    pub usage_name: &'static str,
    /// What stands behind the name in the usage line, as in `[flags] [-- command]`.
    pub usage_tail: &'static str,
    /// One or more paragraphs that say what the command is for.
    pub about: &'static str,
    /// The flags, in the order of the help text; equal groups stand together.
    pub flags: &'static [Flag],
    /// What happens to arguments that are no flags.
    pub positionals: Positionals,
}

/// What happens to arguments that are no flags. Those behind `--` are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positionals {
    /// They may stand anywhere and are collected; the reader may use or ignore them.
    Anywhere,
    /// The first one ends the flags, so that the flags of a wrapped command stay untouched.
    EndFlags,
    /// One before `--` is an error.
    Refused,
}

/// One flag of a command.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The name without dashes.
    pub name: &'static str,
    /// A one-letter alias, as in `-p`.
    pub short: Option<char>,
    /// What values it takes.
    pub kind: Kind,
    /// The value when not given, as text; empty means the kind's own zero.
    pub default: &'static str,
    /// What it does, in plain sentences.
    pub help: &'static str,
    /// The heading it stands under in the help text.
    pub group: &'static str,
    /// Whether, and how, it still counts.
    pub status: Status,
}

/// What values a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false; given bare it is true.
    Bool,
    /// Like [`Kind::Bool`], but not given is a state of its own.
    OptBool,
    /// A whole number.
    Int,
    /// A whole number without sign.
    Uint,
    /// Any text.
    Str,
    /// Texts separated by commas; may be given several times.
    StrSlice,
    /// A Go duration.
    Duration,
    /// Like [`Kind::Duration`], but not given is a state of its own.
    OptDuration,
}

/// Whether, and how, a flag still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In use and shown.
    Current,
    /// Accepted, not shown.
    Hidden,
    /// Accepted with a notice that ends in this hint; shown in short.
    Deprecated(&'static str),
}

/// A flag for any text, under that heading.
#[must_use]
pub const fn text(name: &'static str, group: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::Str, help).group(group)
}

/// A flag that is on or off.
#[must_use]
pub const fn switch(name: &'static str, group: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::Bool, help).group(group)
}

/// A flag for a whole number.
#[must_use]
pub const fn number(name: &'static str, group: &'static str, help: &'static str) -> Flag {
    Flag::new(name, Kind::Int, help).group(group)
}

impl Flag {
    /// A flag without default, alias or group.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            short: None,
            kind,
            default: "",
            help,
            group: "",
            status: Status::Current,
        }
    }

    /// Sets the value when not given.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    /// Sets the one-letter alias.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Sets the heading of the help text.
    #[must_use]
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Keeps it out of the help text.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.status = Status::Hidden;
        self
    }

    /// Accepts it with a notice.
    #[must_use]
    pub const fn deprecated(mut self, hint: &'static str) -> Self {
        self.status = Status::Deprecated(hint);
        self
    }

    /// How an error names it: `--name`, or `-n, --name`.
    pub(crate) fn label(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }

    /// Whether it may stand without a value.
    pub(crate) fn bare(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::OptBool)
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `--help` or `-h`: print [`Spec::help`].
    Help,
    /// Everything was read.
    Parsed(Parsed),
}

/// A command line that cannot be read. Displays as its last line; exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// What is wrong, in the words of pflag.
    pub message: String,
    /// A flag that was perhaps meant, without dashes.
    pub suggestion: Option<&'static str>,
    /// Notices of deprecated flags read before the error.
    pub notices: Vec<String>,
}

impl UsageError {
    /// Everything for stderr: notices, a suggestion, the usage in short, and the error as last
    /// line, which is pinned (contract, configuration 1.1).
    #[must_use]
    pub fn render(&self, spec: &Spec) -> String {
        let mut lines = self.notices.clone();
        if let Some(name) = self.suggestion {
            lines.push(format!("Did you mean --{name}?"));
        }
        lines.push(spec.usage_line());
        lines.push(format!("Run '{} --help' for all flags.", spec.usage_name));
        lines.push(self.message.clone());
        lines.join("\n") + "\n"
    }
}

/// Gives every argument longer than two bytes that starts with a single dash a second one, as the
/// reference does before it parses. Values are hit too: `-10` becomes `--10`.
#[must_use]
pub fn double_single_dashes(arguments: &[String]) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| match argument.as_bytes() {
            [b'-', second, _, ..] if *second != b'-' => format!("-{argument}"),
            _ => argument.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
