//! Sizes as Kubernetes writes them: `400`, `2Ki`, `1.5Mi`, `2M`, `1e6`.
//!
//! Gives whole bytes or refuses (contract, configuration 1.3 step 1). Computes exactly, never in
//! floating point, and never rounds: `1500m` bytes is an error, not two bytes.

/// Why a text is no size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Characters that no quantity has. The text is pinned.
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Malformed,
    /// A suffix that does not exist.
    #[error("unable to parse quantity's suffix")]
    UnknownSuffix,
    /// A part of a byte, or more bytes than 63 bits can count.
    #[error("cannot get bytes from resource quantity value '{0}'")]
    NotBytes(String),
}

/// Reads a quantity that must be a whole number of bytes.
///
/// # Errors
/// Says which rule the text breaks.
pub fn parse_bytes(text: &str) -> Result<i64, InvalidQuantity> {
    let parts = Parts::split(text)?;
    let suffix = Suffix::interpret(parts.suffix)?;
    let number = parts.number(suffix);
    number
        .and_then(|magnitude| {
            let signed = i128::try_from(magnitude).ok()?;
            i64::try_from(if parts.negative { -signed } else { signed }).ok()
        })
        .ok_or_else(|| InvalidQuantity::NotBytes(parts.describe(text, suffix)))
}

/// The text cut at its seams.
struct Parts<'t> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
}

impl<'t> Parts<'t> {
    fn split(text: &'t str) -> Result<Self, InvalidQuantity> {
        if text.is_empty() {
            return Err(InvalidQuantity::Malformed);
        }
        let negative = text.starts_with('-');
        let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = split_while(rest, |c| c.is_ascii_digit());
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_while(rest, |c| c.is_ascii_digit()),
            None => ("", rest),
        };
        let (_, rest) = split_while(suffix, |c| "eEinumkKMGTP".contains(c));
        let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if !rest.chars().all(|c| c.is_ascii_digit()) {
            return Err(InvalidQuantity::Malformed);
        }
        Ok(Self {
            negative,
            whole: whole.trim_start_matches('0'),
            fraction,
            suffix,
        })
    }

    /// The size without its sign, if it is whole and fits.
    fn number(&self, suffix: Suffix) -> Option<u128> {
        let digits = format!("{}{}", self.whole, self.fraction);
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(0);
        }
        let dropped = digits.len() - digits.trim_end_matches('0').len();
        let places = i64::try_from(dropped).ok()? - i64::try_from(self.fraction.len()).ok()?;
        let tens = suffix.tens.checked_add(places)?;
        let value: u128 = significant.parse().ok()?;
        // 10^n is 2^n times 5^n: taken apart, halves and Ki can cancel before anything overflows.
        let value = scale(value, 5, tens)?;
        scale(value, 2, tens.checked_add(suffix.twos)?)
    }

    /// The value as the reference prints it where its short form can hold it (contract,
    /// configuration 1.3), else as written.
    fn describe(&self, text: &str, suffix: Suffix) -> String {
        let whole = if self.whole.is_empty() {
            "0"
        } else {
            self.whole
        };
        let digits = format!("{whole}{}", self.fraction);
        let scale = i64::try_from(self.fraction.len())
            .ok()
            .and_then(|places| suffix.tens.checked_sub(places));
        let short = digits.len() <= 18 && suffix.format != Format::BinarySi;
        let (Ok(value), Some(scale @ -9..), true) = (digits.parse::<i64>(), scale, short) else {
            return text.to_owned();
        };
        let canonical = scale % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0');
        let value = if self.negative { -value } else { value };
        let written = if canonical { text } else { "" };
        format!(
            "{{{{{value} {scale}}} {{<nil>}} {written} {}}}",
            suffix.format.name()
        )
    }
}

fn split_while(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Multiplies by `base` to the power, or divides where that leaves nothing over.
fn scale(value: u128, base: u128, power: i64) -> Option<u128> {
    let factor = base.checked_pow(u32::try_from(power.unsigned_abs()).ok()?)?;
    if power >= 0 {
        value.checked_mul(factor)
    } else if value.is_multiple_of(factor) {
        Some(value / factor)
    } else {
        None
    }
}

/// What the letters behind the number mean: a power of ten or of two.
#[derive(Clone, Copy)]
struct Suffix {
    tens: i64,
    twos: i64,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    DecimalSi,
    DecimalExponent,
    BinarySi,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::DecimalSi => "DecimalSI",
            Self::DecimalExponent => "DecimalExponent",
            Self::BinarySi => "BinarySI",
        }
    }
}

impl Suffix {
    fn interpret(text: &str) -> Result<Self, InvalidQuantity> {
        if let Some(tens) = decimal_power(text) {
            return Ok(Self {
                tens,
                twos: 0,
                format: Format::DecimalSi,
            });
        }
        if let Some(twos) = binary_power(text) {
            return Ok(Self {
                tens: 0,
                twos,
                format: Format::BinarySi,
            });
        }
        text.strip_prefix(['e', 'E'])
            .and_then(|exponent| exponent.parse::<i64>().ok())
            .map(|tens| Self {
                tens,
                twos: 0,
                format: Format::DecimalExponent,
            })
            .ok_or(InvalidQuantity::UnknownSuffix)
    }
}

fn decimal_power(suffix: &str) -> Option<i64> {
    Some(match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => return None,
    })
}

fn binary_power(suffix: &str) -> Option<i64> {
    Some(match suffix {
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        "Pi" => 50,
        "Ei" => 60,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            (".", 0),
            ("-", 0),
            ("400", 400),
            ("+1", 1),
            ("-1", -1),
            ("-1Ki", -1024),
            ("00010", 10),
            ("5.", 5),
            ("4.0", 4),
            ("2Ki", 2048),
            ("2Mi", 2 << 20),
            ("1.5Mi", 3 << 19),
            (".5Ki", 512),
            ("1k", 1000),
            ("2M", 2_000_000),
            ("1e6", 1_000_000),
            ("1E6", 1_000_000),
            ("1e+3", 1000),
            ("1000e-3", 1),
            ("2000m", 2),
            ("1000000000n", 1),
            ("1E", 1_000_000_000_000_000_000),
            ("7Ei", 7 << 60),
            ("0e99999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn letters_that_mean_nothing_are_refused() {
        for text in [
            "", " ", "x", "1x", "1 Ki", "1KiB", "1.2.3", "1e3.5", "1e3Ki", "0x10", "1_0",
        ] {
            assert_eq!(parse_bytes(text), Err(InvalidQuantity::Malformed), "{text}");
        }
        for text in ["K", "1K", "1e", "1mi", "1Ki3", "1e99999999999999999999"] {
            assert_eq!(
                parse_bytes(text),
                Err(InvalidQuantity::UnknownSuffix),
                "{text}"
            );
        }
    }

    #[test]
    fn parts_of_a_byte_and_too_many_bytes_are_refused() {
        for (text, shown) in [
            ("1500m", "{{1500 -3} {<nil>} 1500m DecimalSI}"),
            ("+1500m", "{{1500 -3} {<nil>} +1500m DecimalSI}"),
            ("01500m", "{{1500 -3} {<nil>} 01500m DecimalSI}"),
            ("1.5", "{{15 -1} {<nil>}  DecimalSI}"),
            ("-1.5", "{{-15 -1} {<nil>}  DecimalSI}"),
            ("0.5", "{{5 -1} {<nil>}  DecimalSI}"),
            ("1n", "{{1 -9} {<nil>} 1n DecimalSI}"),
            ("1000n", "{{1000 -9} {<nil>}  DecimalSI}"),
            ("1e-3", "{{1 -3} {<nil>} 1e-3 DecimalExponent}"),
            ("1e19", "{{1 19} {<nil>}  DecimalExponent}"),
            ("1e400", "{{1 400} {<nil>}  DecimalExponent}"),
            ("1.1Ki", "1.1Ki"),
            ("8Ei", "8Ei"),
            ("0.1n", "0.1n"),
            ("9223372036854775808", "9223372036854775808"),
            (
                "1e9223372036854775807",
                "{{1 9223372036854775807} {<nil>}  DecimalExponent}",
            ),
        ] {
            assert_eq!(
                parse_bytes(text),
                Err(InvalidQuantity::NotBytes(shown.to_owned())),
                "{text}"
            );
        }
        assert!(parse_bytes(&"9".repeat(5000)).is_err());
        assert!(parse_bytes(&format!("0.{}1", "0".repeat(5000))).is_err());
    }
}
