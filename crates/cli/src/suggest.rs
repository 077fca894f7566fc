//! Guesses which command a word was meant to be.

use outrider_core::words::distance;

use crate::COMMANDS;

/// The nearest command, if one is near enough to be worth a line.
pub(crate) fn command(written: &str) -> Option<&'static str> {
    let written = written.trim_start_matches('-').to_ascii_lowercase();
    if written.is_empty() || written.len() > LONGEST {
        return None;
    }
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == written);
    if let Some((_, command)) = synonym {
        return Some(command);
    }
    let mut names = COMMANDS.iter().map(|it| it.name);
    let begins = |name: &&str| written.len() >= 2 && name.starts_with(&written);
    if let Some(name) = names.clone().find(begins) {
        return Some(name);
    }
    // Letters in the wrong order are the commonest slip.
    if let Some(name) = names.find(|name| sorted(name) == sorted(&written)) {
        return Some(name);
    }
    COMMANDS
        .iter()
        .map(|it| (distance(&written, it.name), it.name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

/// The nearest of any names, if one is near enough.
pub(crate) fn nearest<'a, T: AsRef<str>>(written: &str, names: &'a [T]) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    if written.len() > LONGEST_NAME {
        return None;
    }
    let lower = |name: &str| name.to_ascii_lowercase();
    names
        .iter()
        .map(|name| (distance(&written, &lower(name.as_ref())), name.as_ref()))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// What others call our commands.
const SYNONYMS: [(&str, &str); 10] = [
    ("ls", "list"),
    ("ps", "list"),
    ("daprd", "sidecar"),
    ("example", "demo"),
    ("call", "invoke"),
    ("kill", "stop"),
    ("end", "stop"),
    ("tail", "logs"),
    ("start", "run"),
    ("up", "run"),
];

/// Longer than any command by far.
const LONGEST: usize = 32;
/// A guess at more than this takes its time.
const LONGEST_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_slips_and_synonyms_are_recognised() {
        for (written, meant) in [
            ("lst", "list"),
            ("List", "list"),
            ("dmeo", "demo"),
            ("side", "sidecar"),
            ("sidcar", "sidecar"),
            ("--demo", "demo"),
            ("ls", "list"),
            ("daprd", "sidecar"),
            ("-help", "help"),
            ("log", "logs"),
            ("invok", "invoke"),
            ("kill", "stop"),
        ] {
            assert_eq!(command(written), Some(meant), "{written}");
        }
    }

    #[test]
    fn other_words_are_not_guessed_at() {
        for written in ["", "-", "x", "build", "日本", &"é".repeat(99)] {
            assert_eq!(command(written), None, "{written}");
        }
    }
}
