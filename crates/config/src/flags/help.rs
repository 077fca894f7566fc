//! The help text: usage, what the command is for, and its flags by group.

use super::{Flag, Kind, Spec, Status};

/// No line is longer, unless a single word is.
const WIDTH: usize = 100;
/// Where the explanation of a flag starts.
const INDENT: usize = 8;

impl Spec {
    /// The usage line.
    #[must_use]
    pub fn usage_line(&self) -> String {
        format!("Usage: {} {}", self.usage_name, self.usage_tail)
            .trim_end()
            .to_owned()
    }

    /// The whole help text, ending in a line end.
    #[must_use]
    pub fn help(&self) -> String {
        let mut out = self.usage_line() + "\n";
        for paragraph in self.about.split("\n\n").filter(|text| !text.is_empty()) {
            out.push('\n');
            push_wrapped(&mut out, paragraph, 0);
        }
        let mut group = None;
        for flag in self
            .flags
            .iter()
            .filter(|flag| flag.status != Status::Hidden)
        {
            if group != Some(flag.group) {
                group = Some(flag.group);
                let heading = if flag.group.is_empty() {
                    "Flags"
                } else {
                    flag.group
                };
                out.push_str(&format!("\n{heading}:\n"));
            }
            push_flag(&mut out, flag);
        }
        out
    }
}

fn push_flag(out: &mut String, flag: &Flag) {
    let lead = match flag.short {
        Some(letter) => format!("-{letter}, "),
        None => String::new(),
    };
    out.push_str(&format!("  {lead}--{}{}\n", flag.name, operand(flag.kind)));
    let mut text = flag.help.to_owned();
    if let Status::Deprecated(hint) = flag.status {
        text = format!("{text} Deprecated: {hint}.");
    } else if shows_default(flag) {
        text = format!("{text} Default: {}.", flag.default);
    }
    push_wrapped(out, text.trim_start(), INDENT);
}

fn shows_default(flag: &Flag) -> bool {
    !matches!((flag.bare(), flag.default), (_, "") | (true, "false"))
}

fn operand(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool | Kind::OptBool => "[=true|false]",
        Kind::Int | Kind::Uint => " <number>",
        Kind::Str => " <text>",
        Kind::StrSlice => " <text>[,<text>…]",
        Kind::Duration | Kind::OptDuration => " <duration>",
    }
}

/// Appends the words in lines of at most [`WIDTH`] characters. A paragraph that starts with a
/// space is an example and stays as it is.
fn push_wrapped(out: &mut String, text: &str, indent: usize) {
    if text.starts_with(' ') {
        out.push_str(text);
        out.push('\n');
        return;
    }
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    if column > 0 {
        out.push('\n');
    }
}
