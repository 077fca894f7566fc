//! Values that flags and templates have in common, checked before anything starts. An error is what
//! would be right, to be told behind the name of the value; the sidecar's own words for the same
//! (contract `configuration.md` 1.3) say only that it is wrong.

use outrider_core::{ids::AppId, quantity::parse_bytes};

pub(super) fn app_id(text: &str) -> Result<(), String> {
    match AppId::try_new(text) {
        Ok(_) => Ok(()),
        Err(why) => Err(why.to_string()),
    }
}

/// Zero and less mean that it was not given.
pub(super) fn port(number: i64) -> Result<Option<u16>, String> {
    match u16::try_from(number.max(0)) {
        Ok(0) => Ok(None),
        Ok(port) => Ok(Some(port)),
        Err(_) => Err("it must be at most 65535".to_owned()),
    }
}

pub(super) fn protocol(text: &str) -> Result<(), String> {
    one_of(text, &["http", "https", "h2c", "grpc", "grpcs"])
}

pub(super) fn log_level(text: &str) -> Result<(), String> {
    one_of(text, &["debug", "info", "warn", "error", "fatal"])
}

/// In any case, or empty for the default.
fn one_of(text: &str, allowed: &[&str]) -> Result<(), String> {
    let is_known = allowed.iter().any(|it| it.eq_ignore_ascii_case(text));
    match is_known || text.is_empty() {
        true => Ok(()),
        false => Err(format!("allowed are {}", allowed.join(", "))),
    }
}

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<(), String> {
    let is_size = |text: &str| parse_bytes(text).is_ok();
    if text.is_empty() || is_size(text) {
        return Ok(());
    }
    let without = text.strip_suffix(['B', 'b']).filter(|it| is_size(it));
    Err(match without {
        Some(meant) => format!("did you mean {meant}?"),
        None => "write bytes, as in 4Mi, 512Ki or 100000".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for right in ["", "http", "H2C", "grpcs"] {
            assert_eq!(protocol(right), Ok(()));
        }
        assert!(protocol("htp").unwrap_err().ends_with("h2c, grpc, grpcs"));
        assert!(log_level("loud").unwrap_err().starts_with("allowed are "));
        for right in ["", "4Mi", "-1", "1e6"] {
            assert_eq!(size(right), Ok(()));
        }
        assert_eq!(size("4MiB").unwrap_err(), "did you mean 4Mi?");
        assert!(size("3x").unwrap_err().starts_with("write bytes"));
        assert_eq!(port(-3), Ok(None));
        assert!(port(65536).is_err());
        assert!(app_id("a.b").unwrap_err().contains("dots"));
    }
}
