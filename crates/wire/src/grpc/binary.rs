//! Base64 as gRPC writes and reads it: values of `-bin` metadata (contract `sidecar-protocol.md`
//! 4.1 and 4.4).
//!
//! gRPC sends no padding, the peer map wants it; both are read, as are stray last bits, because Go
//! reads them too.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const BASE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BARE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, BASE.with_encode_padding(false));
const PADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BASE);

/// The bytes of a value with or without padding.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    BARE.decode(text).ok()
}

/// The form on the wire: without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BARE.encode(bytes)
}

/// The form in a peer's metadata map: with padding.
pub(crate) fn encode_padded(bytes: &[u8]) -> String {
    PADDED.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        assert_eq!(encode(b"\x01"), "AQ");
        assert_eq!(encode_padded(b"\x01"), "AQ==");
        for text in ["AQ", "AQ==", "AR"] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(&b"\x01"[..]));
        }
        assert_eq!(decode(b""), Some(Vec::new()));
        for bad in ["A", "A Q", "AQ=a", "-_", "\u{fc}"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
