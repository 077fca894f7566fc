//! Where the commands write: the only place that touches stdout and stderr.
//!
//! Colours are for terminals only, and never the only carrier of a meaning.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

/// Standard output, with or without colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    paint: Paint,
}

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As they are.
    Plain,
    /// With terminal colours.
    Coloured,
}

/// How a word is shown on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A heading, or something to copy.
    Bold,
    /// Beside the point.
    Dim,
    /// It worked.
    Good,
    /// It did not.
    Bad,
}

impl Output {
    /// Colours if stdout is a terminal and nobody minds.
    pub(crate) fn new(no_color: bool) -> Self {
        let coloured = !no_color && io::stdout().is_terminal();
        let paint = if coloured {
            Paint::Coloured
        } else {
            Paint::Plain
        };
        Self { paint }
    }

    pub(crate) fn paint(self) -> Paint {
        self.paint
    }

    /// Writes the text as one piece. An error means that nobody reads any more.
    pub(crate) fn write(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Writes the last words of a command.
    pub(crate) fn finish(self, text: &str) -> ExitCode {
        match self.write(text) {
            Ok(()) => return ExitCode::SUCCESS,
            // As in `outrider list | head -1`: whoever read has what they wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => complain(&format!("cannot write to standard output: {error}\n")),
        }
        ExitCode::FAILURE
    }
}

impl Paint {
    /// The text in the style.
    pub(crate) fn apply(self, style: Style, text: &str) -> String {
        if self == Self::Plain {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// To stderr; there is nobody to tell if that fails.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Text from elsewhere, made fit for a terminal line: control characters, which could move the
/// cursor or end the line, are written as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            let _ = write!(out, "{}", letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_coloured_output_has_escapes() {
        assert_eq!(Paint::Plain.apply(Style::Bad, "500"), "500");
        assert_eq!(
            Paint::Coloured.apply(Style::Bad, "500"),
            "\x1b[31m500\x1b[0m"
        );
    }

    #[test]
    fn control_characters_cannot_reach_the_terminal() {
        assert_eq!(printable("ä\x1b[2J\nb\u{9b}"), "ä\\u{1b}[2J\\nb\\u{9b}");
    }
}
