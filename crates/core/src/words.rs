//! Words people write: which of them mean yes, and how far one is from another.

/// Whether a text means yes where the reference is lenient (contract `configuration.md` 2.1, 5.2).
#[must_use]
pub fn is_truthy(text: &str) -> bool {
    let text = text.trim();
    ["y", "yes", "true", "t", "on", "1"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// A truth value in Go's words, where the reference is strict (contract `configuration.md` 1.1).
#[must_use]
pub fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// How many characters must be added, dropped or replaced.
#[must_use]
pub fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (at, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_lenient_and_go_is_not() {
        assert!(is_truthy(" On ") && is_truthy("YES") && !is_truthy("yess"));
        assert_eq!([go_bool("True"), go_bool("F")], [Some(true), Some(false)]);
        assert_eq!(go_bool("yes"), None);
    }

    #[test]
    fn distances_count_characters() {
        for (from, to, expected) in [("", "", 0), ("run", "rnu", 2), ("ä", "", 1), ("a", "äa", 1)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
