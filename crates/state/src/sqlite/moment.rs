//! Moments as SQLite's own functions write them: `2026-11-25 20:26:40`, in UTC.

use std::time::Duration;

use outrider_core::calendar;

const DAY: u64 = 86_400;

/// The second in which the time since 1970 lies.
pub(super) fn text(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) =
        calendar::civil_from_days(i64::try_from(seconds / DAY).unwrap_or(i64::MAX));
    let (minutes, second) = (seconds % DAY / 60, seconds % 60);
    let (hour, minute) = (minutes / 60, minutes % 60);
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
