//! What gRPC cannot carry as metadata, in the reference's words (contract `grpc-api.md` 5).

/// Metadata that cannot be sent over gRPC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A field without a name.
    #[error("there is an empty key in the header")]
    Empty,
    /// A name with other characters than gRPC allows.
    #[error("header key {0:?} contains illegal characters not in [0-9a-z-_.]")]
    Key(String),
    /// A text value with other bytes than printable ASCII.
    #[error("header key {0:?} contains value with non-printable ASCII characters")]
    Value(String),
}

/// True if gRPC can carry the field; the case of the name does not matter.
pub fn can_carry(name: &[u8], value: &[u8]) -> bool {
    is_key(name) && (is_binary(name) || is_printable(value))
}

/// Says why gRPC cannot carry the field; the name is in lower case.
pub(super) fn check(name: &[u8], value: &[u8]) -> Result<(), MetadataError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    if name.is_empty() {
        return Err(MetadataError::Empty);
    }
    if !is_key(name) {
        return Err(MetadataError::Key(shown()));
    }
    if !is_binary(name) && !is_printable(value) {
        return Err(MetadataError::Value(shown()));
    }
    Ok(())
}

fn is_key(name: &[u8]) -> bool {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.iter().all(is_fit)
}

fn is_binary(name: &[u8]) -> bool {
    name.last_chunk::<4>()
        .is_some_and(|end| end.eq_ignore_ascii_case(b"-bin"))
}

fn is_printable(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b' '..=b'~'))
}
