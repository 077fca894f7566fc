//! Protobuf primitives for the encoder. Every tag of the envelope fits one byte.

use bytes::{BufMut, BytesMut};

/// Tag of a length-delimited field.
pub(super) const fn length_tag(field: u8) -> u8 {
    field << 3 | 2
}

/// Tag of a varint field.
pub(super) const fn varint_tag(field: u8) -> u8 {
    field << 3
}

/// Bytes that a varint takes.
pub(super) const fn varint_len(value: u64) -> usize {
    // Seven bits to a byte, and zero takes one byte as well.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Bytes that a length-delimited field takes with tag and length.
pub(super) const fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// The same, if the field is left out when empty.
pub(super) const fn optional_len(len: usize) -> usize {
    if len == 0 { 0 } else { delimited_len(len) }
}

pub(super) fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits; the cut is meant.
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Tag and length of a field whose content follows.
pub(super) fn put_delimiter(out: &mut BytesMut, field: u8, len: usize) {
    out.put_u8(length_tag(field));
    put_varint(out, len as u64);
}

/// A whole length-delimited field, also when empty.
pub(super) fn put_delimited(out: &mut BytesMut, field: u8, content: &[u8]) {
    put_delimiter(out, field, content.len());
    out.extend_from_slice(content);
}

/// A whole length-delimited field, left out when empty.
pub(super) fn put_optional(out: &mut BytesMut, field: u8, content: &[u8]) {
    if !content.is_empty() {
        put_delimited(out, field, content);
    }
}

/// A sub-message whose length is known only when it has been written.
///
/// Two bytes are kept for the length, which fits heads from 128 bytes to 16 KiB; others are moved.
#[must_use = "the length is written by close"]
pub(super) struct Open {
    content: usize,
}

const KEPT: usize = 2;

pub(super) fn open(out: &mut BytesMut, field: u8) -> Open {
    out.put_u8(length_tag(field));
    out.put_bytes(0, KEPT);
    Open { content: out.len() }
}

impl Open {
    /// Writes the length in front of all that was written since.
    pub(super) fn close(self, out: &mut BytesMut) {
        let start = self.content;
        let len = out.len() - start;
        let wanted = varint_len(len as u64);
        if wanted > KEPT {
            out.put_bytes(0, wanted - KEPT);
            out.copy_within(start..start + len, start - KEPT + wanted);
        } else if wanted < KEPT {
            out.copy_within(start..start + len, start - KEPT + wanted);
            out.truncate(start - KEPT + wanted + len);
        }
        let mut rest = len as u64;
        for (i, byte) in out[start - KEPT..][..wanted].iter_mut().enumerate() {
            *byte = rest as u8 & 0x7f | if i + 1 < wanted { 0x80 } else { 0 };
            rest >>= 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_their_length() {
        for value in (0..64).flat_map(|shift| [(1u64 << shift) - 1, 1 << shift, u64::MAX]) {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }

    #[test]
    fn a_closed_message_has_the_length_it_got() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let content = vec![7; len];
            let mut expected = BytesMut::from(&b"before"[..]);
            put_delimited(&mut expected, 3, &content);
            let mut out = BytesMut::from(&b"before"[..]);
            let message = open(&mut out, 3);
            out.extend_from_slice(&content);
            message.close(&mut out);
            assert!(out == expected, "{len}");
        }
    }
}
