//! What a sidecar said last, for the case that it ends.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use crate::{log_line, output::printable};

/// Both streams of one process remember here.
#[derive(Clone, Debug, Default)]
pub(super) struct Said(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    line: Option<String>,
    error: Option<String>,
}

impl Said {
    /// Remembers a line; true if it tells of an error.
    pub(super) fn take(&self, line: &[u8]) -> bool {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return false;
        }
        let error = error(text);
        let is_error = error.is_some();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.line = Some(shortened(text));
        last.error = error.map(|text| shortened(&text)).or(last.error.take());
        is_error
    }

    /// Its last error, or else its last line.
    pub(super) fn cause(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.error.clone().or_else(|| last.line.clone())
    }
}

/// The message of a line of level error or fatal.
fn error(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    if line.starts_with('{') {
        let Line { level, msg } = serde_json::from_str(line).ok()?;
        return is_error(&level).then_some(msg);
    }
    let level = log_line::value(line, "level=")?;
    if !is_error(&level) {
        return None;
    }
    log_line::value(line, "msg=")
}

fn is_error(level: &str) -> bool {
    matches!(level, "error" | "fatal")
}

fn shortened(text: &str) -> String {
    let bare = text
        .strip_prefix("Fatal error from runtime: ")
        .unwrap_or(text);
    printable(&bare.chars().take(LONGEST).collect::<String>())
}

const LONGEST: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_the_cause_whatever_follows() {
        let said = Said::default();
        assert_eq!(said.cause(), None);
        assert!(!said.take(b"Run 'x --help'\n"));
        assert_eq!(said.cause().as_deref(), Some("Run 'x --help'"));
        for (line, is_error) in [
            (
                r#"time="2026" level=error msg="no \"peer\"" app_id=a"#,
                true,
            ),
            (
                r#"time="2026" level=fatal msg="Fatal error from runtime: port\ntaken" app_id=a"#,
                true,
            ),
            (
                r#"time="2026" level=info msg="level=error" app_id=a"#,
                false,
            ),
            ("", false),
        ] {
            assert_eq!(said.take(line.as_bytes()), is_error, "{line}");
        }
        assert_eq!(said.cause().as_deref(), Some("port taken"));
        let json = br#"{"app_id":"a","level":"error","msg":"bad"}"#;
        assert!(said.take(json));
        assert_eq!(said.cause().as_deref(), Some("bad"));
        for odd in [
            "level=error",
            "level=error msg=\"open",
            "{",
            "{\"level\":\"error\"}",
        ] {
            assert!(!said.take(odd.as_bytes()), "{odd}");
        }
    }
}
