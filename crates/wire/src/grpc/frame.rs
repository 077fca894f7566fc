//! gRPC message framing without I/O: a flag byte, a big-endian length, the message.
//!
//! Messages are not looked into and not decompressed: peers send plain ones, and a set flag is an
//! error that the caller reports, unless it says that it can deal with it. Nothing is reserved for bytes that have only been announced.

use bytes::{Bytes, BytesMut};

/// Bytes before each message.
pub const PREFIX_LEN: usize = 5;

/// The prefix of an uncompressed message of that length; `None` if it does not fit four bytes.
pub fn prefix(len: usize) -> Option<[u8; PREFIX_LEN]> {
    let [a, b, c, d] = u32::try_from(len).ok()?.to_be_bytes();
    Some([0, a, b, c, d])
}

/// The message with its prefix; `None` if it is too long for one.
pub fn framed(message: &[u8]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(message.len() + PREFIX_LEN);
    out.extend_from_slice(&prefix(message.len())?);
    out.extend_from_slice(message);
    Some(out.freeze())
}

/// Why a stream of messages cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message is longer than allowed (`ResourceExhausted`, `grpc-api.md` 1).
    #[error("grpc: received message larger than max ({size} vs. {limit})")]
    TooLarge {
        /// The announced length.
        size: usize,
        /// What was allowed.
        limit: usize,
    },
    /// The message is compressed, but no compression was agreed upon (`Internal`).
    #[error("grpc: compressed flag set with identity or empty encoding")]
    Compressed,
    /// The flag byte is neither 0 nor 1 (`Internal`).
    #[error("grpc: received unexpected payload format {0}")]
    Flag(u8),
}

/// Room made at once for a message that comes in pieces.
const RESERVED: usize = 64 * 1024;

/// Cuts pushed pieces into messages. Order of use: push, then take messages until there is none.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// What arrived last, if nothing was held then.
    piece: Bytes,
    /// What is held of several pieces, in one buffer: tiny pieces must not cost more than bytes.
    gathered: BytesMut,
    /// Length of the message whose prefix has been taken.
    announced: Option<usize>,
    /// Compressed messages are handed out, too.
    takes_compressed: bool,
    /// The message of the prefix taken last is compressed.
    compressed: bool,
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader that hands out compressed messages, too, as they are.
    pub fn with_compressed() -> Self {
        Self {
            takes_compressed: true,
            ..Self::default()
        }
    }

    /// Whether the message handed out last is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Adds what arrived.
    pub fn push(&mut self, piece: Bytes) {
        if self.held() == 0 {
            self.piece = piece;
            return;
        }
        if self.gathered.is_empty() {
            // Room for the whole message, if its length is known and it is not a mere promise.
            let room = self.announced.unwrap_or(0).min(RESERVED);
            self.gathered
                .reserve(room.max(self.piece.len() + piece.len()));
            self.gathered
                .extend_from_slice(&std::mem::take(&mut self.piece));
        }
        self.gathered.extend_from_slice(&piece);
    }

    fn held(&self) -> usize {
        self.piece.len() + self.gathered.len()
    }

    /// The next whole message without its prefix, or `None` until more is pushed.
    ///
    /// A message that lies within one piece is a view of it; one that spans pieces is copied.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<Bytes>, FrameError> {
        let size = match self.announced {
            Some(size) => size,
            None => match self.take_prefix()? {
                Some(size) => *self.announced.insert(size),
                None => return Ok(None),
            },
        };
        if size > limit {
            return Err(FrameError::TooLarge { size, limit });
        }
        if self.held() < size {
            return Ok(None);
        }
        self.announced = None;
        Ok(Some(self.take(size)))
    }

    /// True if the stream must not end here: a message has begun and is not whole.
    pub fn is_mid_message(&self) -> bool {
        self.announced.is_some() || self.held() > 0
    }

    fn take_prefix(&mut self) -> Result<Option<usize>, FrameError> {
        if self.held() < PREFIX_LEN {
            return Ok(None);
        }
        let prefix = self.take(PREFIX_LEN);
        let [flag, a, b, c, d] = prefix[..] else {
            return Ok(None);
        };
        self.compressed = match flag {
            0 => false,
            1 if self.takes_compressed => true,
            1 => return Err(FrameError::Compressed),
            other => return Err(FrameError::Flag(other)),
        };
        // Targets have at least 32 bits; should one not, no such message can be held anyway.
        let size = u32::from_be_bytes([a, b, c, d]);
        Ok(Some(usize::try_from(size).unwrap_or(usize::MAX)))
    }

    /// Takes `size` bytes that are known to be held.
    fn take(&mut self, size: usize) -> Bytes {
        if self.gathered.is_empty() {
            return self.piece.split_to(size);
        }
        self.gathered.split_to(size).freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut out = prefix(message.len()).expect("short").to_vec();
        out.extend_from_slice(message);
        out
    }

    #[test]
    fn a_message_within_one_piece_is_not_copied() {
        let mut reader = FrameReader::new();
        let piece = Bytes::from([framed(b"hello"), framed(b""), framed(b"you")].concat());
        let start = piece.as_ptr();
        reader.push(piece);
        let first = reader.next_frame(10).unwrap().unwrap();
        assert_eq!(first, "hello");
        assert_eq!(first.as_ptr(), start.wrapping_add(5));
        assert_eq!(reader.next_frame(10).unwrap().unwrap(), "");
        assert!(reader.is_mid_message());
        assert_eq!(reader.next_frame(10).unwrap().unwrap(), "you");
        assert_eq!(reader.next_frame(10), Ok(None));
        assert!(!reader.is_mid_message());
    }

    #[test]
    fn a_long_message_is_refused_before_it_arrives() {
        let mut reader = FrameReader::new();
        reader.push(Bytes::from_static(&[0, 0, 0, 0, 11]));
        assert_eq!(reader.next_frame(11), Ok(None));
        let error = reader.next_frame(10).unwrap_err();
        assert_eq!(
            error,
            FrameError::TooLarge {
                size: 11,
                limit: 10
            }
        );
        assert_eq!(
            error.to_string(),
            "grpc: received message larger than max (11 vs. 10)"
        );
    }

    #[test]
    fn flags_other_than_plain_are_refused() {
        for (flag, error) in [(1, FrameError::Compressed), (7, FrameError::Flag(7))] {
            let mut reader = FrameReader::new();
            reader.push(Bytes::from(vec![flag, 0, 0, 0, 0]));
            assert_eq!(reader.next_frame(10), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_messages(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(1usize..50, 1..20),
        ) {
            let bytes = Bytes::from(messages.iter().flat_map(|m| framed(m)).collect::<Vec<_>>());
            let mut reader = FrameReader::new();
            let mut got = Vec::new();
            let mut rest = bytes;
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let cut = rest.len().min(*cuts.next().unwrap());
                reader.push(rest.split_to(cut));
                while let Some(message) = reader.next_frame(40).unwrap() {
                    got.push(message.to_vec());
                }
            }
            prop_assert_eq!(got, messages);
            prop_assert!(!reader.is_mid_message());
        }
    }
}
