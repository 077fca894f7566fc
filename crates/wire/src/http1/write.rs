//! Heads and chunks written into a buffer that becomes one write.

use super::{Version, reason};
use crate::headers::is_field_name;

/// Appends `HTTP/1.1 <status> <reason>`, or `HTTP/1.0` to a client that speaks that.
pub fn push_status_line(out: &mut Vec<u8>, version: Version, status: u16) {
    out.extend_from_slice(match version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 => b"HTTP/1.1 ",
    });
    push_decimal(out, u64::from(status));
    out.push(b' ');
    match reason(status) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => {
            out.extend_from_slice(b"status code ");
            push_decimal(out, u64::from(status));
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one header field. Line breaks in a value become spaces, as the reference writes them,
/// and a name that is none is left out with its value: nothing in a field can start another one.
pub fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if !is_field_name(name) {
        return;
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the empty line that ends a head.
pub fn finish_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends one chunk. Never called with empty data: that would end the body.
pub fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    debug_assert!(!data.is_empty());
    let mut digits = [0u8; 16];
    let (mut at, mut left) = (16, data.len());
    loop {
        at -= 1;
        digits[at] = HEX[left & 15];
        left >>= 4;
        if left == 0 {
            break;
        }
    }
    out.reserve(data.len() + 20);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends a decimal number.
pub fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = 20;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn status_lines() {
        assert_eq!(
            text(|o| push_status_line(o, Version::Http11, 404)),
            "HTTP/1.1 404 Not Found\r\n"
        );
        assert_eq!(
            text(|o| push_status_line(o, Version::Http11, 999)),
            "HTTP/1.1 999 status code 999\r\n"
        );
    }

    #[test]
    fn a_value_cannot_start_another_field() {
        assert_eq!(
            text(|o| push_field(o, b"A", b"b\r\nC: d")),
            "A: b  C: d\r\n"
        );
        for name in [&b"a: 1\r\n\r\nGET"[..], b"Transfer-Encoding ", b"", b"a\0"] {
            assert_eq!(text(|o| push_field(o, name, b"v")), "");
        }
    }

    #[test]
    fn numbers_and_chunks() {
        assert_eq!(text(|o| push_decimal(o, 0)), "0");
        assert_eq!(text(|o| push_decimal(o, u64::MAX)), u64::MAX.to_string());
        assert_eq!(
            text(|o| push_chunk(o, &[b'x'; 17])),
            format!("11\r\n{}\r\n", "x".repeat(17))
        );
    }
}
