//! W3C trace context in its two forms: text (`traceparent`) and gRPC's binary (`grpc-trace-bin`)
//! (contract `observability.md` 7.1).
//!
//! Makes no spans and no ids; only says the same in the other form.

/// Bytes of the binary form.
pub const BINARY_LEN: usize = 29;

/// Characters of the text form.
pub const TEXT_LEN: usize = 55;

/// Digits of a version, a trace id, a span id and flags.
const PARTS: [usize; 4] = [2, 32, 16, 2];

/// Version, trace id, span id and flags of a valid `traceparent`.
fn parse(traceparent: &[u8]) -> Option<[u8; 26]> {
    let mut out = [0u8; 26];
    let mut at = 0;
    let mut rest = traceparent;
    for (index, digits) in PARTS.into_iter().enumerate() {
        let part = rest.get(..digits)?;
        for pair in part.chunks(2) {
            *out.get_mut(at)? = hex(*pair.first()?)? << 4 | hex(*pair.get(1)?)?;
            at += 1;
        }
        rest = &rest[digits..];
        match rest {
            [] if index == 3 => {}
            [b'-', tail @ ..] if index < 3 || out[0] != 0 => rest = tail,
            _ => return None,
        }
    }
    let valid = out[0] != 0xff && out[1..17] != [0; 16] && out[17..25] != [0; 8];
    valid.then_some(out)
}

/// Only lower case is valid.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The binary form of a valid `traceparent`.
pub fn to_binary(traceparent: &[u8]) -> Option<[u8; BINARY_LEN]> {
    let context = parse(traceparent)?;
    let mut out = [0u8; BINARY_LEN];
    out[2..18].copy_from_slice(&context[1..17]);
    out[18] = 1;
    out[19..27].copy_from_slice(&context[17..25]);
    out[27] = 2;
    out[28] = context[25];
    Some(out)
}

/// The `traceparent` of a valid binary form; span id and flags may be missing in it.
///
/// All-zero ids give a `traceparent` of zeros, as at the reference.
pub fn to_text(binary: &[u8]) -> Option<[u8; TEXT_LEN]> {
    let [0, 0, rest @ ..] = binary else {
        return None;
    };
    let (trace_id, rest) = rest.split_at_checked(16)?;
    let (span_id, rest): (&[u8], _) = match rest {
        [1, tail @ ..] => tail.split_at_checked(8).unwrap_or((&[0; 8], rest)),
        _ => (&[0; 8], rest),
    };
    let flags = match rest {
        [2, flags, ..] => *flags,
        _ => 0,
    };
    let mut out = [b'-'; TEXT_LEN];
    write_hex(&mut out[..2], &[0]);
    write_hex(&mut out[3..35], trace_id);
    write_hex(&mut out[36..52], span_id);
    write_hex(&mut out[53..], &[flags]);
    Some(out)
}

fn write_hex(out: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_mut(2).zip(bytes) {
        pair.copy_from_slice(&[
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
}

/// True if the text is a valid `traceparent`; anything else counts as absent.
pub fn is_valid(traceparent: &[u8]) -> bool {
    parse(traceparent).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn both_forms_say_the_same() {
        let binary = to_binary(TEXT).unwrap();
        assert_eq!(binary[..3], [0, 0, 0x0a]);
        assert_eq!(binary[17..20], [0x9c, 1, 0xb7]);
        assert_eq!(binary[26..], [0x31, 2, 1]);
        assert_eq!(to_text(&binary).unwrap(), TEXT);
    }

    #[test]
    fn invalid_texts_are_absent() {
        for bad in [
            "",
            "00-zz",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-012",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-012",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
        let later = b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert_eq!(to_binary(later), to_binary(TEXT));
    }

    #[test]
    fn span_and_flags_are_optional_in_the_binary_form() {
        let whole = to_binary(TEXT).unwrap();
        let bare = to_text(&whole[..18]).unwrap();
        assert!(bare.ends_with(b"-0000000000000000-00"));
        assert_eq!(&to_text(&whole[..27]).unwrap()[..52], &TEXT[..52]);
        assert_eq!(to_text(&whole[..17]), None);
        assert_eq!(to_text(&[1; 29]), None);
        assert_eq!(to_text(&[]), None);
    }

    proptest! {
        #[test]
        fn any_context_comes_back(ids in prop::array::uniform25(1u8..)) {
            let mut binary = [0u8; BINARY_LEN];
            binary[2..18].copy_from_slice(&ids[..16]);
            binary[18] = 1;
            binary[19..27].copy_from_slice(&ids[16..24]);
            binary[27..].copy_from_slice(&[2, ids[24]]);
            let text = to_text(&binary).unwrap();
            prop_assert_eq!(to_binary(&text), Some(binary));
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..70), text in "[0-9a-f-]{0,60}") {
            let _ = (to_text(&bytes), to_binary(&bytes), to_binary(text.as_bytes()));
        }
    }
}
