//! What a scalar means: YAML 1.2 words with the extras of yaml.v3.
//!
//! `yes` and `on` are texts here and become booleans only where a boolean is wanted (contract,
//! configuration 3.1); numbers may be `0x1F`, `0o17`, `017`, `0b11`, `1_000`.

/// A scalar as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text after quotes and escapes.
    pub text: String,
    /// Whether it stands without quotes.
    pub plain: bool,
    /// The tag in front of it.
    pub tag: Option<Tag>,
}

/// The tags that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// `!!bool`
    Bool,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!null`
    Null,
    /// `!!str`, and every tag that is not known.
    Str,
}

impl Tag {
    pub(super) fn new(tag: &granit_parser::Tag) -> Self {
        match tag.core_suffix() {
            Some("bool") => Self::Bool,
            Some("int") => Self::Int,
            Some("float") => Self::Float,
            Some("null") => Self::Null,
            _ => Self::Str,
        }
    }
}

/// What a scalar means when nothing in particular is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number too large for the above.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A date, which counts as a type of its own but is used as its text.
    Timestamp,
    /// A text.
    Str,
}

impl Resolved {
    /// The tag as errors name it.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::Str => "!!str",
        }
    }
}

impl Scalar {
    /// Whether it is the key `<<` that takes in the entries of its value.
    #[must_use]
    pub fn is_merge_key(&self) -> bool {
        self.plain && self.tag.is_none() && self.text == "<<"
    }

    /// What it means.
    ///
    /// # Errors
    /// The tag in front of it promises something else than its text is.
    pub fn resolve(&self) -> Result<Resolved, String> {
        let Some(tag) = self.tag else {
            return Ok(if self.plain {
                implicit(&self.text)
            } else {
                Resolved::Str
            });
        };
        let meant = implicit(&self.text);
        match (tag, meant) {
            (Tag::Str, _) => Ok(Resolved::Str),
            (Tag::Bool, Resolved::Bool(_))
            | (Tag::Int, Resolved::Int(_) | Resolved::Uint(_))
            | (Tag::Float, Resolved::Float(_))
            | (Tag::Null, Resolved::Null) => Ok(meant),
            (Tag::Float, Resolved::Int(value)) => Ok(Resolved::Float(value as f64)),
            (Tag::Float, Resolved::Uint(value)) => Ok(Resolved::Float(value as f64)),
            (Tag::Bool, _) => Err(self.contradiction(meant, "!!bool")),
            (Tag::Int, _) => Err(self.contradiction(meant, "!!int")),
            (Tag::Float, _) => Err(self.contradiction(meant, "!!float")),
            (Tag::Null, _) => Err(self.contradiction(meant, "!!null")),
        }
    }

    fn contradiction(&self, meant: Resolved, tag: &str) -> String {
        format!("cannot decode {} `{}` as a {tag}", meant.tag(), self.text)
    }
}

/// The older words for yes and no, quoted or not.
#[must_use]
pub fn old_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn implicit(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        _ => Resolved::Str,
    }
}

fn number(text: &str) -> Resolved {
    if is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(whole) = whole(&plain) {
        return whole;
    }
    if is_decimal(&plain)
        && let Ok(value) = plain.parse()
    {
        return Resolved::Float(value);
    }
    Resolved::Str
}

fn whole(text: &str) -> Option<Resolved> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &magnitude[2..]),
        [b'0', b'o' | b'O', ..] => (8, &magnitude[2..]),
        [b'0', b'b' | b'B', ..] => (2, &magnitude[2..]),
        [b'0', _, ..] => (8, &magnitude[1..]),
        _ => (10, magnitude),
    };
    // The standard parser would take another sign.
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let value = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(value).map(Resolved::Int);
    }
    match i64::try_from(value) {
        Ok(value) => Some(Resolved::Int(value)),
        // A number with a plus sign does not become unsigned.
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Resolved::Uint(value)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits =
        digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_fits && exponent_fits
}

/// `2001-1-2`, alone or followed by a time of day.
fn is_timestamp(text: &str) -> bool {
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let within = |part: &str, widths: std::ops::RangeInclusive<usize>, most: u32| {
        widths.contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part
                .parse()
                .is_ok_and(|value: u32| (1..=most).contains(&value))
    };
    let date_fits = within(year, 4..=4, 9999) && within(month, 1..=2, 12) && within(day, 1..=2, 31);
    date_fits && (time.is_empty() || time[1..].split(':').count() >= 3)
}
