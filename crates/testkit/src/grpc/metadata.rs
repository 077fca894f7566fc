//! Values of gRPC metadata as they stand on the wire.
//!
//! Refuses to be strict: tests look at what they got, well-formed or not.

use http::header::{HeaderMap, HeaderName, HeaderValue};

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// All values under `name`, in order.
pub fn values(fields: &HeaderMap, name: &str) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    fields.get_all(name).iter().map(text).collect()
}

/// All values under the `-bin` key `name`, decoded; several in one field are taken apart.
pub fn bin_values(fields: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    let all = values(fields, name);
    let each = all.iter().flat_map(|field| field.split(','));
    each.map(|value| from_base64(value.trim())).collect()
}

/// Standard base64 with padding.
pub fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize] as char;
            out.push(if i <= three.len() { letter } else { '=' });
        }
    }
    out
}

/// Bytes of standard base64, with or without padding; what is no letter of it is skipped.
pub fn from_base64(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut have) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let Some(at) = LETTERS.iter().position(|l| *l == letter) else {
            continue;
        };
        bits = bits << 6 | u32::try_from(at).unwrap_or_default();
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have & 0xff) as u8);
        }
    }
    out
}

/// The text of a `grpc-message`.
pub fn percent_decoded(value: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `text` as a `grpc-message`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            b' '..=b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Adds fields, repeats kept.
///
/// # Panics
/// If the transport cannot carry a name or a value; then the test is wrong.
pub(crate) fn add(fields: &mut HeaderMap, more: &[(String, Vec<u8>)]) {
    for (name, value) in more {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name in a test");
        let value = HeaderValue::from_bytes(value).expect("a field value in a test");
        fields.append(name, value);
    }
}

/// Fields of a table.
pub(crate) fn owned<V: AsRef<[u8]>>(fields: &[(&str, V)]) -> Vec<(String, Vec<u8>)> {
    let owned = |(name, value): &(&str, V)| ((*name).to_owned(), value.as_ref().to_vec());
    fields.iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_percents_come_back() {
        for bytes in [&b""[..], b"\0", b"\xff\xfe", b"abc", b"abcd"] {
            let text = to_base64(bytes);
            assert_eq!(from_base64(&text), bytes);
            assert_eq!(from_base64(text.trim_end_matches('=')), bytes);
        }
        let text = "50 % of ü\n";
        assert_eq!(percent_encoded(text), "50 %25 of %C3%BC%0A");
        assert_eq!(percent_decoded(percent_encoded(text).as_bytes()), text);
        assert_eq!(percent_decoded(b"%zz%4"), "%zz%4");
    }
}
