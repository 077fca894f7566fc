//! gRPC's five bytes before each message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const PREFIX: usize = 5;

/// A message with its prefix, not compressed.
///
/// # Panics
/// If the message is 4 GiB or longer.
pub fn framed(message: impl AsRef<[u8]>) -> Bytes {
    let message = message.as_ref();
    let mut out = BytesMut::with_capacity(message.len() + PREFIX);
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).expect("tests send no message of 4 GiB"));
    out.put_slice(message);
    out.freeze()
}

/// The whole messages at the beginning of `bytes`, flags left out.
pub fn messages_of(bytes: &[u8]) -> Vec<Bytes> {
    let mut rest = BytesMut::from(bytes);
    std::iter::from_fn(|| take_message(&mut rest)).collect()
}

/// Takes the first message off the front, if it is all there.
pub(crate) fn take_message(bytes: &mut BytesMut) -> Option<Bytes> {
    let len = bytes.get(1..PREFIX)?;
    let len = u32::from_be_bytes(len.try_into().ok()?);
    let len = usize::try_from(len).ok()?;
    if bytes.len() - PREFIX < len {
        return None;
    }
    bytes.advance(PREFIX);
    Some(bytes.split_to(len).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_when_they_are_whole() {
        let bytes = [framed("ab"), framed(""), framed("c")].concat();
        assert_eq!(messages_of(&bytes), ["ab", "", "c"]);
        assert_eq!(messages_of(&bytes[..bytes.len() - 1]), ["ab", ""]);
        assert!(messages_of(&bytes[..4]).is_empty());
    }
}
