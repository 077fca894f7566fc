//! Lines of a sidecar's log, in its text form.

/// The value behind a key of a text line, quotes taken off.
pub(crate) fn value(line: &str, key: &str) -> Option<String> {
    let begins = line.starts_with(key).then_some(0);
    let at = begins.or_else(|| line.find(&format!(" {key}")).map(|at| at + 1))?;
    let rest = &line[at + key.len()..];
    let Some(quoted) = rest.strip_prefix('"') else {
        return rest.split(' ').next().map(str::to_owned);
    };
    let mut text = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                'n' => text.push(' '),
                escaped => text.push(escaped),
            },
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_log_line_is_found() {
        let line = r#"time="2026" level=fatal msg="parsing \"hh\": bad" app_id=b"#;
        assert_eq!(value(line, "msg=").as_deref(), Some("parsing \"hh\": bad"));
        assert_eq!(
            value("level=info msg=ready app_id=b", "msg=").as_deref(),
            Some("ready")
        );
        for other in ["", "unknown flag: --x", r#"a msg="open"#, r#"a msg="x\"#] {
            assert_eq!(value(other, "msg="), None, "{other}");
        }
    }
}
