//! Time stamps as Go's `RFC3339Nano` prints them. Knows no time zone database: the distance to
//! UTC is an argument.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

const NANOS: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Appends `at`, seen `offset` seconds east of UTC. The fraction has up to nine digits and no
/// trailing zeros; no distance at all is `Z`.
pub(super) fn push_rfc3339(out: &mut String, at: SystemTime, offset: i32) {
    let (seconds, nanos) = split(at);
    let local = seconds.saturating_add(i64::from(offset));
    let (year, month, day) = civil_from_days(local.div_euclid(DAY_SECONDS));
    let second = local.rem_euclid(DAY_SECONDS);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    push_fraction(out, nanos);
    push_offset(out, offset);
}

fn split(at: SystemTime) -> (i64, u32) {
    let signed = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => nanos_of(since),
        Err(before) => -nanos_of(before.duration()),
    };
    let seconds = i64::try_from(signed.div_euclid(NANOS)).unwrap_or(0);
    let nanos = u32::try_from(signed.rem_euclid(NANOS)).unwrap_or(0);
    (seconds, nanos)
}

fn nanos_of(span: Duration) -> i128 {
    i128::from(span.as_secs()) * NANOS + i128::from(span.subsec_nanos())
}

fn push_fraction(out: &mut String, nanos: u32) {
    if nanos == 0 {
        return;
    }
    let _ = write!(out, ".{nanos:09}");
    out.truncate(out.trim_end_matches('0').len());
}

fn push_offset(out: &mut String, offset: i32) {
    let minutes = offset / 60;
    if minutes == 0 {
        out.push('Z');
        return;
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
}

/// Year, month and day of the proleptic Gregorian calendar, counted in eras of 400 years that
/// begin on 1 March so that the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::push_rfc3339;

    /// Seconds, nanoseconds, offset and what Go's `time.Time.Format(time.RFC3339Nano)` prints.
    const TABLE: &[(i64, u32, i32, &str)] = &[
        (0, 0, 0, "1970-01-01T00:00:00Z"),
        (0, 0, -19800, "1969-12-31T18:30:00-05:30"),
        (0, 1, -19800, "1969-12-31T18:30:00.000000001-05:30"),
        (0, 100, 3600, "1970-01-01T01:00:00.0000001+01:00"),
        (0, 100, -19800, "1969-12-31T18:30:00.0000001-05:30"),
        (0, 120000000, -19800, "1969-12-31T18:30:00.12-05:30"),
        (0, 123456789, -19800, "1969-12-31T18:30:00.123456789-05:30"),
        (0, 999999990, 0, "1970-01-01T00:00:00.99999999Z"),
        (0, 999999990, 3600, "1970-01-01T01:00:00.99999999+01:00"),
        (0, 999999990, -19800, "1969-12-31T18:30:00.99999999-05:30"),
        (951782400, 1, 0, "2000-02-29T00:00:00.000000001Z"),
        (951782400, 120000000, 3600, "2000-02-29T01:00:00.12+01:00"),
        (951782400, 999999990, 0, "2000-02-29T00:00:00.99999999Z"),
        (
            951782400,
            999999990,
            3600,
            "2000-02-29T01:00:00.99999999+01:00",
        ),
        (
            951782400,
            999999990,
            -19800,
            "2000-02-28T18:30:00.99999999-05:30",
        ),
        (951868799, 100, 0, "2000-02-29T23:59:59.0000001Z"),
        (
            951868799,
            123456789,
            3600,
            "2000-03-01T00:59:59.123456789+01:00",
        ),
        (951868799, 999999990, 0, "2000-02-29T23:59:59.99999999Z"),
        (
            951868799,
            999999990,
            3600,
            "2000-03-01T00:59:59.99999999+01:00",
        ),
        (
            951868799,
            999999990,
            -19800,
            "2000-02-29T18:29:59.99999999-05:30",
        ),
        (1583020799, 0, -19800, "2020-02-29T18:29:59-05:30"),
        (1583020799, 120000000, 0, "2020-02-29T23:59:59.12Z"),
        (1583020799, 999999990, 0, "2020-02-29T23:59:59.99999999Z"),
        (
            1583020799,
            999999990,
            3600,
            "2020-03-01T00:59:59.99999999+01:00",
        ),
        (
            1583020799,
            999999990,
            -19800,
            "2020-02-29T18:29:59.99999999-05:30",
        ),
        (1709164800, 1, -19800, "2024-02-28T18:30:00.000000001-05:30"),
        (1709164800, 123456789, 0, "2024-02-29T00:00:00.123456789Z"),
        (1709164800, 999999990, 0, "2024-02-29T00:00:00.99999999Z"),
        (
            1709164800,
            999999990,
            3600,
            "2024-02-29T01:00:00.99999999+01:00",
        ),
        (
            1709164800,
            999999990,
            -19800,
            "2024-02-28T18:30:00.99999999-05:30",
        ),
        (1735689599, 0, 3600, "2025-01-01T00:59:59+01:00"),
        (1735689599, 100, -19800, "2024-12-31T18:29:59.0000001-05:30"),
        (1735689599, 999999990, 0, "2024-12-31T23:59:59.99999999Z"),
        (
            1735689599,
            999999990,
            3600,
            "2025-01-01T00:59:59.99999999+01:00",
        ),
        (
            1735689599,
            999999990,
            -19800,
            "2024-12-31T18:29:59.99999999-05:30",
        ),
        (4102444800, 1, 3600, "2100-01-01T01:00:00.000000001+01:00"),
        (
            4102444800,
            120000000,
            -19800,
            "2099-12-31T18:30:00.12-05:30",
        ),
        (4102444800, 999999990, 0, "2100-01-01T00:00:00.99999999Z"),
        (
            4102444800,
            999999990,
            3600,
            "2100-01-01T01:00:00.99999999+01:00",
        ),
        (
            4102444800,
            999999990,
            -19800,
            "2099-12-31T18:30:00.99999999-05:30",
        ),
        (-1, 0, 0, "1969-12-31T23:59:59Z"),
        (-1, 0, -19800, "1969-12-31T18:29:59-05:30"),
        (-1, 1, 0, "1969-12-31T23:59:59.000000001Z"),
        (-1, 1, -19800, "1969-12-31T18:29:59.000000001-05:30"),
        (-1, 100, 0, "1969-12-31T23:59:59.0000001Z"),
        (-1, 100, 3600, "1970-01-01T00:59:59.0000001+01:00"),
        (-1, 100, -19800, "1969-12-31T18:29:59.0000001-05:30"),
        (-1, 120000000, 0, "1969-12-31T23:59:59.12Z"),
        (-1, 120000000, -19800, "1969-12-31T18:29:59.12-05:30"),
        (-1, 123456789, 0, "1969-12-31T23:59:59.123456789Z"),
        (-1, 123456789, -19800, "1969-12-31T18:29:59.123456789-05:30"),
        (-1, 999999990, 0, "1969-12-31T23:59:59.99999999Z"),
        (-1, 999999990, 3600, "1970-01-01T00:59:59.99999999+01:00"),
        (-1, 999999990, -19800, "1969-12-31T18:29:59.99999999-05:30"),
        (253402300799, 0, 0, "9999-12-31T23:59:59Z"),
        (253402300799, 0, -19800, "9999-12-31T18:29:59-05:30"),
        (253402300799, 1, 0, "9999-12-31T23:59:59.000000001Z"),
        (
            253402300799,
            1,
            -19800,
            "9999-12-31T18:29:59.000000001-05:30",
        ),
        (253402300799, 100, 0, "9999-12-31T23:59:59.0000001Z"),
        (
            253402300799,
            100,
            -19800,
            "9999-12-31T18:29:59.0000001-05:30",
        ),
    ];

    #[test]
    fn stamps_read_as_go_prints_them() {
        for &(seconds, nanos, offset, want) in TABLE {
            let whole = Duration::from_secs(seconds.unsigned_abs());
            let at = if seconds < 0 {
                SystemTime::UNIX_EPOCH - whole
            } else {
                SystemTime::UNIX_EPOCH + whole
            };
            let mut text = String::new();
            push_rfc3339(&mut text, at + Duration::from_nanos(nanos.into()), offset);
            assert_eq!(text, want);
        }
    }
}
