//! Base64 (RFC 4648): stored data that other programs read too, credentials, binary metadata.
//!
//! Knows one alphabet. Takes nothing but it: no line ends, no missing padding.

/// The standard form of `bytes`, with padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = encode_unpadded(bytes);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The standard form of `bytes` without padding, as gRPC sends binary metadata.
#[must_use]
pub fn encode_unpadded(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut padded = [0u8; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..=group.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

/// The bytes that `text` stands for, if it is exactly the standard form.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let padding = if index + 1 == groups.len() {
            padding
        } else {
            0
        };
        let mut bits = 0u32;
        for byte in &group[..4 - padding] {
            bits = bits << 6 | u32::from(value(*byte)?);
        }
        let [_, a, b, c] = (bits << (6 * padding)).to_be_bytes();
        bytes.extend_from_slice(&[a, b, c][..3 - padding]);
    }
    Some(bytes)
}

/// Where base64, padded or not, stops being that; `None` if it is whole.
pub fn first_illegal(text: &[u8]) -> Option<usize> {
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    let digits = &text[..text.len() - padding];
    let bad = digits.iter().position(|digit| value(*digit).is_none());
    bad.or_else(|| {
        let whole = match padding {
            0 => digits.len() % 4 != 1,
            _ => padding <= 2 && text.len().is_multiple_of(4),
        };
        (!whole).then_some(text.len())
    })
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_rfc_hold_both_ways() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(
                encode_unpadded(bytes.as_bytes()),
                text.trim_end_matches('=')
            );
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for from in 0..3 {
            let text = encode(&bytes[from..]);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(&bytes[from..]));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "Zg", "Z===", "Zg==Zm8=", "Zm9-", "====", "Z g=", "Zm9v\n", "=m9v",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
