//! Floating point numbers as Go prints them, since both the metrics page and the log lines are
//! compared with text that Go wrote. Never rounds: always the shortest digits that read back.

use std::fmt::Write as _;

/// Appends `value` as Go's `%v` and the Prometheus text writer do: an exponent of at least two
/// digits below `1e-04` and from `1e+06` on.
pub(crate) fn push_go_float(out: &mut String, value: f64) {
    if push_special(out, value) {
        return;
    }
    let parts = Scientific::of(value);
    if (-4..6).contains(&parts.exponent) {
        push_plain(out, value);
    } else {
        parts.push(out, 2);
    }
}

/// Appends `value` as Go's JSON encoder does: an exponent, without padding, only below `1e-6` and
/// from `1e21` on. What JSON cannot express is a string here; Go would lose the whole line.
pub(crate) fn push_json_float(out: &mut String, value: f64) {
    if !value.is_finite() {
        out.push('"');
        push_special(out, value);
        out.push('"');
        return;
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let parts = Scientific::of(value);
        // Go pads `1e-7` to `1e-07` first and then removes that zero again, but keeps `1e+21`.
        parts.push(out, 1);
    } else {
        push_plain(out, value);
    }
}

fn push_special(out: &mut String, value: f64) -> bool {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        return false;
    };
    out.push_str(text);
    true
}

fn push_plain(out: &mut String, value: f64) {
    // Writing to a string cannot fail. Rust's plain form has the same shortest digits as Go's.
    let _ = write!(out, "{value}");
}

/// The scientific form Rust writes, in a buffer on the stack.
struct Scientific {
    text: Short,
    mantissa: usize,
    exponent: i32,
}

impl Scientific {
    fn of(value: f64) -> Self {
        let mut text = Short::default();
        let _ = write!(text, "{value:e}");
        let (mantissa, exponent) = text
            .as_str()
            .split_once('e')
            .map_or((text.len, 0), |(head, tail)| {
                (head.len(), tail.parse().unwrap_or_default())
            });
        Self {
            text,
            mantissa,
            exponent,
        }
    }

    fn push(&self, out: &mut String, width: usize) {
        out.push_str(&self.text.as_str()[..self.mantissa]);
        let sign = if self.exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:0width$}", self.exponent.unsigned_abs());
    }
}

/// 24 bytes hold the longest scientific form, `-2.2250738585072014e-308`.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    len: usize,
}

impl Short {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{push_go_float, push_json_float};

    /// Bits, `strconv.FormatFloat(x, 'g', -1, 64)`, `json.Marshal(x)`; all printed by Go.
    const TABLE: &[(u64, &str, &str)] = &[
        (0x0000000000000000, "0", "0"),
        (0x8000000000000000, "-0", "-0"),
        (0x3ff0000000000000, "1", "1"),
        (0xbff0000000000000, "-1", "-1"),
        (0x3fb999999999999a, "0.1", "0.1"),
        (0x3ff8000000000000, "1.5", "1.5"),
        (0x40f86a0000000000, "100000", "100000"),
        (0x40fe240000000000, "123456", "123456"),
        (0x412e847e00000000, "999999", "999999"),
        (0x412e848000000000, "1e+06", "1000000"),
        (0x4130000000000000, "1.048576e+06", "1048576"),
        (0x4110000000000000, "262144", "262144"),
        (0x41f0000000000000, "4.294967296e+09", "4294967296"),
        (0x4415af1d78b58c40, "1e+20", "100000000000000000000"),
        (0x444b1ae4d6e2ef50, "1e+21", "1e+21"),
        (0x4480f0cf064dd592, "1e+22", "1e+22"),
        (0x419d6f3456000000, "1.234567895e+08", "123456789.5"),
        (0x3f50624dd2f1a9fc, "0.001", "0.001"),
        (0x3f1a36e2eb1c432d, "0.0001", "0.0001"),
        (0x3f202e4b6ce5dc68, "0.00012345", "0.00012345"),
        (0x3ee4f8b588e368f1, "1e-05", "0.00001"),
        (0x3eb0c6f7a0b5ed8d, "1e-06", "0.000001"),
        (0x3e7ad7f29abcaf48, "1e-07", "1e-7"),
        (0x3e80c6f7a0b5ed8d, "1.25e-07", "1.25e-7"),
        (
            0x7fefffffffffffff,
            "1.7976931348623157e+308",
            "1.7976931348623157e+308",
        ),
        (0x0000000000000001, "5e-324", "5e-324"),
        (0x41d954fc40000000, "1.7e+09", "1700000000"),
        (0x41da4860f617ae14, "1.76380412037e+09", "1763804120.37"),
        (
            0x3fd3333333333334,
            "0.30000000000000004",
            "0.30000000000000004",
        ),
        (0x3df12e0be826d695, "2.5e-10", "2.5e-10"),
        (0x54b249ad2594c37d, "1e+100", "1e+100"),
        (
            0x43b12210f47de981,
            "1.2345678901234568e+18",
            "1234567890123456800",
        ),
        (0x4034000000000000, "20", "20"),
        (0xc132d68700000000, "-1.234567e+06", "-1234567"),
        (0x3fe0000000000000, "0.5", "0.5"),
    ];

    #[test]
    fn floats_read_as_go_prints_them() {
        for &(bits, want, _) in TABLE {
            let mut text = String::new();
            push_go_float(&mut text, f64::from_bits(bits));
            assert_eq!(text, want);
        }
    }

    #[test]
    fn floats_in_json_read_as_go_prints_them() {
        for &(bits, _, want) in TABLE {
            let mut text = String::new();
            push_json_float(&mut text, f64::from_bits(bits));
            assert_eq!(text, want);
        }
    }

    #[test]
    fn floats_that_json_lacks_become_strings() {
        let mut text = String::new();
        push_json_float(&mut text, f64::NAN);
        push_json_float(&mut text, f64::NEG_INFINITY);
        assert_eq!(text, "\"NaN\"\"-Inf\"");
    }
}
