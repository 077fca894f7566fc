//! The parts of gRPC that are text: status codes, `grpc-message`, `grpc-timeout`, error wording.
//!
//! Wording and rounding follow grpc-go, because callers see them through the reference. Message
//! framing is in [`frame`], watched but not cut in [`scan`]; [`metadata`] and [`trace`] turn what
//! travels beside messages, [`status`] and [`details`] what an error becomes. Knows nothing of HTTP/2 or of what messages
//! mean.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

mod binary;
pub mod details;
pub mod frame;
pub mod metadata;
pub mod scan;
pub mod schema;
pub mod status;
pub mod trace;

pub use self::frame::{FrameError, FrameReader};
pub use self::scan::FrameScan;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the gRPC specification's")]
pub enum Code {
    Ok = 0,
    Canceled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// Every code; the index is the number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Canceled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of that number, if the specification has one.
    pub fn from_i32(number: i32) -> Option<Self> {
        usize::try_from(number)
            .ok()
            .and_then(|i| Self::ALL.get(i).copied())
    }

    /// The code's number.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name as Go prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Canceled => "Canceled",
            Self::Unknown => "Unknown",
            Self::InvalidArgument => "InvalidArgument",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::PermissionDenied => "PermissionDenied",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::FailedPrecondition => "FailedPrecondition",
            Self::Aborted => "Aborted",
            Self::OutOfRange => "OutOfRange",
            Self::Unimplemented => "Unimplemented",
            Self::Internal => "Internal",
            Self::Unavailable => "Unavailable",
            Self::DataLoss => "DataLoss",
            Self::Unauthenticated => "Unauthenticated",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How Go prints any code number: the name, or `Code(17)`.
pub fn code_name(number: i32) -> Cow<'static, str> {
    match Code::from_i32(number) {
        Some(code) => Cow::Borrowed(code.name()),
        // Go's codes are unsigned.
        None => Cow::Owned(format!("Code({})", number.cast_unsigned())),
    }
}

/// The text of a Go gRPC error, which ends up inside other messages.
pub fn rpc_error_text(code: Code, message: &str) -> String {
    rpc_error_text_of(code.number(), message)
}

/// The same for any code number, as apps may use.
pub fn rpc_error_text_of(code: i32, message: &str) -> String {
    format!("rpc error: code = {} desc = {message}", code_name(code))
}

/// The `grpc-message` form: printable ASCII stays, all else and `%` become `%XX`.
pub fn encode_message(message: &str) -> Cow<'_, str> {
    let plain = |b: u8| matches!(b, b' '..=b'~') && b != b'%';
    if message.bytes().all(plain) {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len() + 16);
    for byte in message.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(out)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Reads a `grpc-message`. A `%` without two hex digits stays; invalid UTF-8 is replaced.
pub fn decode_message(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// A `grpc-timeout` value that cannot be read, in the words of grpc-go, which name the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutError {
    /// Fewer than one digit and one unit.
    #[error("transport: timeout string is too short: {0:?}")]
    TooShort(String),
    /// More than eight digits and one unit.
    #[error("transport: timeout string is too long: {0:?}")]
    TooLong(String),
    /// The last byte is no unit.
    #[error("transport: timeout unit is not recognized: {0:?}")]
    Unit(String),
    /// Something else than digits before the unit.
    #[error("strconv.ParseUint: parsing {0:?}: invalid syntax")]
    Number(String),
}

/// Reads a `grpc-timeout`.
pub fn parse_timeout(value: &[u8]) -> Result<Duration, TimeoutError> {
    let quoted = || String::from_utf8_lossy(value).into_owned();
    let (unit, digits) = match value {
        [] | [_] => return Err(TimeoutError::TooShort(quoted())),
        [digits @ .., unit] if value.len() <= 9 => (unit, digits),
        _ => return Err(TimeoutError::TooLong(quoted())),
    };
    let (nanos_per_unit, seconds_per_unit) = match unit {
        b'n' => (1, 0),
        b'u' => (1_000, 0),
        b'm' => (1_000_000, 0),
        b'S' => (0, 1),
        b'M' => (0, 60),
        b'H' => (0, 3_600),
        _ => return Err(TimeoutError::Unit(quoted())),
    };
    let mut number = 0u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            let digits = String::from_utf8_lossy(digits);
            return Err(TimeoutError::Number(digits.into_owned()));
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    // Eight digits of the largest factor stay far below u64.
    Ok(Duration::from_secs(number * seconds_per_unit)
        + Duration::from_nanos(number * nanos_per_unit))
}

/// Writes a `grpc-timeout` as grpc-go does: the finest unit that needs at most eight digits,
/// rounded up so that the far side never gives up first.
pub fn format_timeout(timeout: Duration) -> String {
    const UNITS: [(u128, char); 5] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
    ];
    const HOUR: u128 = 3_600_000_000_000;
    const MOST: u128 = 99_999_999;
    let nanos = timeout.as_nanos();
    for (factor, unit) in UNITS {
        let number = nanos.div_ceil(factor);
        if number <= MOST {
            return format!("{number}{unit}");
        }
    }
    format!("{}H", nanos.div_ceil(HOUR).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_know_number_and_name() {
        for (number, code) in (0..).zip(Code::ALL) {
            assert_eq!(Code::from_i32(number), Some(code));
            assert_eq!(code.number(), number);
        }
        assert_eq!(Code::from_i32(17), None);
        assert_eq!(Code::from_i32(-1), None);
        assert_eq!(code_name(0), "OK");
        assert_eq!(code_name(16), "Unauthenticated");
        assert_eq!(code_name(99), "Code(99)");
        assert_eq!(code_name(-1), "Code(4294967295)");
    }

    #[test]
    fn error_text_is_go_s() {
        assert_eq!(
            rpc_error_text(Code::Internal, "app channel is not initialized"),
            "rpc error: code = Internal desc = app channel is not initialized"
        );
        assert_eq!(
            rpc_error_text_of(20, "x"),
            "rpc error: code = Code(20) desc = x"
        );
    }

    #[test]
    fn messages_survive_percent_encoding() {
        for (plain, wire) in [
            ("", ""),
            ("plain text ~", "plain text ~"),
            ("100%", "100%25"),
            ("line\n", "line%0A"),
            ("grün", "gr%C3%BCn"),
            ("\u{7f}", "%7F"),
        ] {
            assert_eq!(encode_message(plain), wire);
            assert_eq!(decode_message(wire.as_bytes()), plain);
        }
    }

    #[test]
    fn broken_percent_signs_stay() {
        assert_eq!(decode_message(b"50% off %4"), "50% off %4");
        assert_eq!(decode_message(b"%"), "%");
        assert_eq!(decode_message(b"%zz%41"), "%zzA");
        assert_eq!(decode_message(b"%ff"), "\u{fffd}");
        assert_eq!(decode_message(b"%%41"), "%A");
    }

    #[test]
    fn timeouts_take_the_finest_unit_that_fits() {
        for (timeout, text) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_secs(60), "60000000u"),
            (Duration::from_millis(100_000), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::from_secs(6_000_000_000), "1666667H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(format_timeout(timeout), text);
        }
    }

    #[test]
    fn timeouts_of_every_unit_are_read() {
        for (text, timeout) in [
            ("1n", Duration::from_nanos(1)),
            ("20u", Duration::from_micros(20)),
            ("300m", Duration::from_millis(300)),
            ("4S", Duration::from_secs(4)),
            ("5M", Duration::from_secs(300)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("0S", Duration::ZERO),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), Ok(timeout), "{text}");
        }
    }

    #[test]
    fn bad_timeouts_name_their_fault() {
        assert_eq!(
            parse_timeout(b""),
            Err(TimeoutError::TooShort(String::new()))
        );
        assert_eq!(
            parse_timeout(b"S"),
            Err(TimeoutError::TooShort("S".to_owned()))
        );
        assert_eq!(
            parse_timeout(b"5x"),
            Err(TimeoutError::Unit("5x".to_owned()))
        );
        assert_eq!(
            parse_timeout(b"+5S"),
            Err(TimeoutError::Number("+5".to_owned()))
        );
        assert_eq!(
            parse_timeout(b"123456789S"),
            Err(TimeoutError::TooLong("123456789S".to_owned()))
        );
    }
}
