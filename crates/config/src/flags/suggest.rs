//! Guesses which flag a mistyped name was meant to be.

use outrider_core::words::distance;

use super::{Flag, Status};

/// The nearest name of the table, if one is near enough to be worth a line.
pub(super) fn nearest(written: &str, flags: &[Flag]) -> Option<&'static str> {
    let written = written.to_ascii_lowercase().replace('_', "-");
    // Longer than any name by far: not worth the quadratic comparison.
    if written.len() > 64 || written.len() < 2 {
        return None;
    }
    let allowed = (written.len() / 4).clamp(1, 3);
    flags
        .iter()
        .filter(|flag| flag.status == Status::Current)
        .map(|flag| (distance(&written, flag.name), flag.name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
        .or_else(|| containing(&written, flags))
}

/// The only flag that has the written words in its name, as `dapr-http-port` has `http-port`.
fn containing(written: &str, flags: &[Flag]) -> Option<&'static str> {
    let mut found = flags
        .iter()
        .filter(|flag| flag.status == Status::Current)
        .filter(|flag| written.len() >= 4 && flag.name.ends_with(written));
    let first = found.next()?;
    found.next().is_none().then_some(first.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Kind;

    const FLAGS: &[Flag] = &[
        Flag::new("app-port", Kind::Str, ""),
        Flag::new("app-id", Kind::Str, ""),
        Flag::new("profile-port", Kind::Str, ""),
        Flag::new("app-ssl", Kind::Bool, "").deprecated("x"),
    ];

    #[test]
    fn small_slips_are_recognised() {
        assert_eq!(nearest("app-prot", FLAGS), Some("app-port"));
        assert_eq!(nearest("App_Port", FLAGS), Some("app-port"));
        assert_eq!(nearest("appid", FLAGS), Some("app-id"));
        assert_eq!(nearest("file-port", FLAGS), Some("profile-port"));
    }

    #[test]
    fn far_names_and_old_flags_are_not_offered() {
        assert_eq!(nearest("bogus", FLAGS), None);
        assert_eq!(nearest("app-sls", FLAGS), None);
        assert_eq!(nearest("", FLAGS), None);
        assert_eq!(nearest(&"é".repeat(200), FLAGS), None);
    }
}
