//! What the log was told already: the files are read often, and what is wrong with them is told
//! once for as long as it stays so.

use std::collections::HashSet;

/// Texts of this reading and of the one before it.
#[derive(Debug, Default)]
pub(super) struct Told {
    before: HashSet<String>,
    now: HashSet<String>,
}

impl Told {
    /// Another reading begins. What is not told during it may be told again after it.
    pub(super) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Whether the text is to be logged.
    pub(super) fn is_new(&mut self, text: &str) -> bool {
        self.now.insert(text.to_owned()) && !self.before.contains(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_new_again_only_after_a_reading_without_it() {
        let mut told = Told::default();
        assert!(told.is_new("a") && !told.is_new("a"));
        told.begin();
        assert!(!told.is_new("a"));
        told.begin();
        told.begin();
        assert!(told.is_new("a"));
    }
}
