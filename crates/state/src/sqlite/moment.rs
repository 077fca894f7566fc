//! Moments as SQLite's own functions write them: `2026-11-25 20:26:40`, in UTC.

use std::time::Duration;

use outrider_core::calendar::civil_from_seconds;

/// The second in which the time since 1970 lies.
pub(super) fn text(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    let [year, month, day, hour, minute, second] = civil_from_seconds(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_moments() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00"),
            (86_399, "1970-01-01 23:59:59"),
            (1_795_638_400, "2026-11-25 20:26:40"),
        ] {
            assert_eq!(text(Duration::from_millis(seconds * 1000 + 999)), expected);
        }
    }
}
