//! Spans of time as Go programs write them: `1h2m3.5s`, `300ms`, `0`.
//!
//! Reads and prints exactly what Go's `time` package does, error texts included, because users see
//! both in flags, log lines and error messages (contract, configuration 1.1). Knows no calendar:
//! there are no days, and a bare number other than `0` is refused.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A signed span of time in whole nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(i64);

/// Why a text is no duration. The texts are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// Malformed, or too long for 64 bits of nanoseconds.
    #[error("time: invalid duration {}", quoted(.0))]
    Malformed(String),
    /// A number without its unit.
    #[error("time: missing unit in duration {}", quoted(.0))]
    MissingUnit(String),
    /// A unit that does not exist.
    #[error("time: unknown unit {} in duration {}", quoted(.unit), quoted(.text))]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The magnitude of the most negative value, one more than that of the most positive.
const LIMIT: u64 = 1 << 63;

impl GoDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole milliseconds; what does not fit stops at the nearest end of the range.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(MILLISECOND as i64))
    }

    /// From whole seconds; what does not fit stops at the nearest end of the range.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND as i64))
    }

    /// The whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether it is longer than nothing.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// As an unsigned duration, if it is not negative.
    #[must_use]
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }

    /// As an unsigned duration; anything negative becomes nothing.
    #[must_use]
    pub fn to_std_or_zero(self) -> Duration {
        self.to_std().unwrap_or_default()
    }
}

impl From<Duration> for GoDuration {
    fn from(span: Duration) -> Self {
        Self(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let malformed = || InvalidDuration::Malformed(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (nanos, after) = read_part(rest, text)?;
            total = total
                .checked_add(nanos)
                .filter(|sum| *sum <= LIMIT)
                .ok_or_else(malformed)?;
            rest = after;
        }
        if negative {
            return Ok(Self(0i64.wrapping_sub_unsigned(total)));
        }
        i64::try_from(total).map(Self).map_err(|_| malformed())
    }
}

/// One number with its unit at the front of `rest`, in nanoseconds, and what follows it.
fn read_part<'t>(rest: &'t str, text: &str) -> Result<(u64, &'t str), InvalidDuration> {
    let malformed = || InvalidDuration::Malformed(text.to_owned());
    let (whole, mut after) = split_digits(rest);
    let mut fraction = "";
    if let Some(behind_dot) = after.strip_prefix('.') {
        (fraction, after) = split_digits(behind_dot);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(malformed());
    }
    let end = after
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(after.len());
    let (unit_text, after) = after.split_at(end);
    let value = whole_number(whole).ok_or_else(malformed)?;
    if unit_text.is_empty() {
        return Err(InvalidDuration::MissingUnit(text.to_owned()));
    }
    let unit = unit_nanos(unit_text).ok_or_else(|| InvalidDuration::UnknownUnit {
        unit: unit_text.to_owned(),
        text: text.to_owned(),
    })?;
    let nanos = value
        .checked_mul(unit)
        .filter(|nanos| *nanos <= LIMIT)
        .and_then(|nanos| nanos.checked_add(fraction_nanos(fraction, unit)))
        .filter(|nanos| *nanos <= LIMIT)
        .ok_or_else(malformed)?;
    Ok((nanos, after))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn whole_number(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0u64, |value, digit| {
        value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))
            .filter(|value| *value <= LIMIT)
    })
}

/// Digits behind the point, as far as they can matter: what no longer fits is dropped, as in Go.
/// Go computes this in floating point, and the results must agree to the nanosecond.
fn fraction_nanos(digits: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale = 1.0f64;
    for digit in digits.bytes() {
        let Some(next) = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .filter(|next| *next <= LIMIT)
        else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // Both the micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// The `time` package quotes in its own way: byte by byte, everything outside ASCII in hex.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..0x80 => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = match nanos {
            0 => "0s".to_owned(),
            1..MICROSECOND => format!("{nanos}ns"),
            MICROSECOND..MILLISECOND => with_fraction(nanos, MICROSECOND, "\u{b5}s"),
            MILLISECOND..SECOND => with_fraction(nanos, MILLISECOND, "ms"),
            _ => clock(nanos),
        };
        f.pad(&format!("{sign}{text}"))
    }
}

fn clock(nanos: u64) -> String {
    let (hours, minutes) = (nanos / HOUR, nanos / MINUTE % 60);
    let seconds = with_fraction(nanos % MINUTE, SECOND, "s");
    if hours > 0 {
        format!("{hours}h{minutes}m{seconds}")
    } else if minutes > 0 {
        format!("{minutes}m{seconds}")
    } else {
        seconds
    }
}

fn with_fraction(nanos: u64, unit: u64, name: &str) -> String {
    let (whole, part) = (nanos / unit, nanos % unit);
    if part == 0 {
        return format!("{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}{name}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_as_go_does() {
        for (text, nanos, printed) in [
            ("1h2m3.5s", 3_723_500_000_000, "1h2m3.5s"),
            ("300ms", 300_000_000, "300ms"),
            ("0", 0, "0s"),
            ("-0", 0, "0s"),
            ("+5s", 5_000_000_000, "5s"),
            ("-5s", -5_000_000_000, "-5s"),
            ("1.s", 1_000_000_000, "1s"),
            (".5s", 500_000_000, "500ms"),
            ("1us", 1_000, "1µs"),
            ("1\u{b5}s", 1_000, "1µs"),
            ("1\u{3bc}s", 1_000, "1µs"),
            ("1.5us", 1_500, "1.5µs"),
            ("180s", 180_000_000_000, "3m0s"),
            ("3661s", 3_661_000_000_000, "1h1m1s"),
            ("1.5h30m", 7_200_000_000_000, "2h0m0s"),
            ("1.9ns", 1, "1ns"),
            ("0.000000000000000001h", 0, "0s"),
            (
                "0.9223372036854775808h",
                3_320_413_933_267,
                "55m20.413933267s",
            ),
            (
                "9223372036854775807ns",
                i64::MAX,
                "2562047h47m16.854775807s",
            ),
            (
                "-9223372036854775808ns",
                i64::MIN,
                "-2562047h47m16.854775808s",
            ),
        ] {
            let read: GoDuration = text.parse().expect(text);
            assert_eq!(read.as_nanos(), nanos, "{text}");
            assert_eq!(read.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_gets_gos_words() {
        for (text, error) in [
            ("", r#"time: invalid duration """#),
            ("+", r#"time: invalid duration "+""#),
            (".s", r#"time: invalid duration ".s""#),
            ("x", r#"time: invalid duration "x""#),
            ("\"5", r#"time: invalid duration "\"5""#),
            ("3", r#"time: missing unit in duration "3""#),
            ("3 s", r#"time: unknown unit " s" in duration "3 s""#),
            ("1e3s", r#"time: unknown unit "e" in duration "1e3s""#),
            (
                "5é",
                r#"time: unknown unit "\xc3\xa9" in duration "5\xc3\xa9""#,
            ),
            (
                "9223372036854775808ns",
                r#"time: invalid duration "9223372036854775808ns""#,
            ),
            (
                "-9223372036854775809ns",
                r#"time: invalid duration "-9223372036854775809ns""#,
            ),
            ("99999999999h", r#"time: invalid duration "99999999999h""#),
            (
                "99999999999999999999s",
                r#"time: invalid duration "99999999999999999999s""#,
            ),
        ] {
            let refused = text.parse::<GoDuration>().expect_err(text);
            assert_eq!(refused.to_string(), error);
        }
    }

    #[test]
    fn negative_spans_have_no_unsigned_form() {
        assert_eq!(GoDuration::from_secs(-1).to_std(), None);
        assert_eq!(GoDuration::from_secs(-1).to_std_or_zero(), Duration::ZERO);
        assert_eq!(
            GoDuration::from_millis(2).to_std(),
            Some(Duration::from_millis(2))
        );
        assert_eq!(
            GoDuration::from(Duration::MAX),
            GoDuration::from_nanos(i64::MAX)
        );
    }
}
