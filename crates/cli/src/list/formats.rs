//! Rows as JSON and as YAML.

use std::fmt::Write as _;

use serde_json::Value;

use super::rows::Row;

pub(super) fn json(rows: &[Row]) -> String {
    let text = serde_json::to_string_pretty(rows);
    text.expect("strings and numbers always make JSON") + "\n"
}

/// A list of maps in block style; texts are quoted unless they can be nothing else.
pub(super) fn yaml(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "[]\n".to_owned();
    }
    let mut out = String::new();
    for row in rows {
        for (at, (key, value)) in row.0.iter().enumerate() {
            let lead = if at == 0 { "- " } else { "  " };
            out.push_str(lead);
            out.push_str(key);
            out.push_str(": ");
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
    out
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => quoted(text),
        // Null, truths and numbers are written alike in both.
        other => other.to_string(),
    }
}

/// Begins with a letter or a slash and has nothing that means something to YAML; no word that is
/// a truth or nothing in any version of it.
fn is_plain(text: &str) -> bool {
    let is_inner =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-');
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '/');
    let word = text.to_ascii_lowercase();
    begins && text.chars().all(is_inner) && !WORDS.contains(&&*word)
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Line ends and invisible letters too, which YAML would fold or refuse.
            _ if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::sidecars::Sidecar;

    fn row() -> Row {
        let sidecar = Sidecar {
            app_id: "nodeapp".into(),
            pid: 77,
            http_port: Some(3500),
            started_unix_ms: 1000,
            ..Sidecar::default()
        };
        Row::of(&sidecar, Duration::from_secs(3))
    }

    #[test]
    fn json_has_the_keys_of_the_dapr_cli_and_ours() {
        assert_eq!(json(&[]), "[]\n");
        let text = json(&[row()]);
        let rows: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(rows[0]["appId"], "nodeapp");
        assert_eq!(rows[0]["httpPort"], 3500);
        assert_eq!(rows[0]["appPort"], 0);
        assert_eq!(rows[0]["daprdPid"], 77);
        assert_eq!(rows[0]["age"], "2s");
        assert_eq!(rows[0]["startedUnixMs"], 1000);
        assert!(rows[0]["address"].is_null());
        // In this order.
        assert!(text.find("appId") < text.find("httpPort"), "{text}");
    }

    #[test]
    fn yaml_has_the_same() {
        assert_eq!(yaml(&[]), "[]\n");
        let text = yaml(&[row(), row()]);
        assert!(text.starts_with("- appId: nodeapp\n  httpPort: 3500\n"));
        assert!(text.contains("\n  created: \"1970-01-01 00:00.01\"\n"));
        assert!(text.contains("\n  address: null\n"), "{text}");
        assert_eq!(text.matches("- appId").count(), 2);
    }

    #[test]
    fn texts_that_yaml_would_read_otherwise_are_quoted() {
        for (text, shown) in [
            ("/run/dapr.yaml", "/run/dapr.yaml"),
            ("", "\"\""),
            ("No", "\"No\""),
            ("1.18.3", "\"1.18.3\""),
            ("a: b", "\"a: b\""),
            ("a\"\\\n\u{7}\u{85}é", "\"a\\\"\\\\\\n\\u0007\\u0085é\""),
        ] {
            assert_eq!(scalar(&json!(text)), shown, "{text}");
        }
    }
}
