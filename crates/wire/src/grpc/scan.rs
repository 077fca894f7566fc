//! Watches a gRPC byte stream that is passed on as it is: counts messages and enforces the limit
//! of each (contract `grpc-api.md` 9.5), without copying or holding anything.
//!
//! Compressed messages pass where an encoding was named, because only the two ends agree on that; the
//! limit then counts the compressed length, as on the wire. What comes after an error is not defined.

use super::frame::{FrameError, PREFIX_LEN};

/// Follows the messages of one direction of a stream.
#[derive(Clone, Debug)]
pub struct FrameScan {
    limit: usize,
    /// An encoding was named, so messages may be compressed.
    compressed: bool,
    /// The part of a prefix that has come so far.
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    /// Bytes of the current message that are still to come.
    missing: usize,
    messages: u64,
}

impl FrameScan {
    /// A scan at the start of a stream whose messages may have `limit` bytes each and, if an encoding
    /// was agreed upon, be `compressed`.
    pub fn new(limit: usize, compressed: bool) -> Self {
        Self {
            limit,
            compressed,
            prefix: [0; PREFIX_LEN],
            prefix_len: 0,
            missing: 0,
            messages: 0,
        }
    }

    /// Looks at the next bytes of the stream.
    ///
    /// # Errors
    ///
    /// As soon as the prefix of a message is known that is too long or no message. The chunk must
    /// then not be passed on.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), FrameError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.missing > 0 {
                let passed = self.missing.min(rest.len());
                rest = &rest[passed..];
                self.missing -= passed;
                self.count_if_whole();
                continue;
            }
            let wanted = &mut self.prefix[self.prefix_len..];
            let got = wanted.len().min(rest.len());
            wanted[..got].copy_from_slice(&rest[..got]);
            rest = &rest[got..];
            self.prefix_len += got;
            if self.prefix_len == PREFIX_LEN {
                self.missing = self.announced()?;
                self.prefix_len = 0;
                self.count_if_whole();
            }
        }
        Ok(())
    }

    /// True if the stream must not end here: a message has begun and is not whole.
    pub fn is_mid_message(&self) -> bool {
        self.missing > 0 || self.prefix_len > 0
    }

    /// Messages that have passed whole.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    fn count_if_whole(&mut self) {
        if self.missing == 0 {
            self.messages += 1;
        }
    }

    fn announced(&self) -> Result<usize, FrameError> {
        let [flag, a, b, c, d] = self.prefix;
        if flag > 1 {
            return Err(FrameError::Flag(flag));
        }
        if flag == 1 && !self.compressed {
            return Err(FrameError::Compressed);
        }
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let limit = self.limit;
        if size > limit {
            return Err(FrameError::TooLarge { size, limit });
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::FrameReader;
    use bytes::Bytes;
    use proptest::prelude::*;

    #[test]
    fn without_an_encoding_no_message_may_be_compressed() {
        let compressed = [1, 0, 0, 0, 1, 7];
        let scan = |agreed| FrameScan::new(3, agreed).push(&compressed);
        assert_eq!(scan(true), Ok(()));
        assert_eq!(scan(false), Err(FrameError::Compressed));
    }

    #[test]
    fn messages_are_counted_across_chunks() {
        let mut scan = FrameScan::new(3, true);
        assert!(!scan.is_mid_message());
        scan.push(&[0, 0, 0, 0, 2, b'h']).unwrap();
        assert!(scan.is_mid_message());
        assert_eq!(scan.messages(), 0);
        scan.push(&[b'i', 1, 0, 0]).unwrap();
        assert_eq!(scan.messages(), 1);
        assert!(scan.is_mid_message());
        scan.push(&[]).unwrap();
        scan.push(&[0, 0, 0, 0, 0, 0, 3]).unwrap();
        assert_eq!(scan.messages(), 2);
        scan.push(b"you").unwrap();
        assert_eq!(scan.messages(), 3);
        assert!(!scan.is_mid_message());
    }

    #[test]
    fn a_long_message_is_refused_at_its_prefix() {
        let mut scan = FrameScan::new(3, true);
        scan.push(&[0, 0, 0, 0]).unwrap();
        let error = scan.push(&[4]).unwrap_err();
        assert_eq!(error, FrameError::TooLarge { size: 4, limit: 3 });
        let mut scan = FrameScan::new(usize::MAX, true);
        assert_eq!(scan.push(&[1, 255, 255, 255, 255]), Ok(()));
        assert_eq!(scan.push(&[0; 100]), Ok(()));
        assert!(scan.is_mid_message());
    }

    #[test]
    fn flags_beyond_compression_are_refused() {
        let mut scan = FrameScan::new(3, true);
        assert_eq!(scan.push(&[2, 0, 0, 0, 0]), Err(FrameError::Flag(2)));
    }

    /// What a reader of the whole says: messages, whether one is open, the error.
    fn read_whole(bytes: &[u8], limit: usize) -> (u64, bool, Option<FrameError>) {
        let mut reader = FrameReader::new();
        reader.push(Bytes::copy_from_slice(bytes));
        let mut messages = 0;
        loop {
            match reader.next_frame(limit) {
                Ok(Some(_)) => messages += 1,
                Ok(None) => return (messages, reader.is_mid_message(), None),
                Err(error) => return (messages, true, Some(error)),
            }
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_verdict_of_the_whole(
            messages in prop::collection::vec(
                (prop::sample::select(vec![0u8, 0, 0, 0, 0, 0, 2, 255]), 0usize..24),
                0..10,
            ),
            cut_off in 0usize..12,
            cuts in prop::collection::vec(1usize..12, 1..20),
            limit in 12usize..26,
        ) {
            let mut bytes = Vec::new();
            for (flag, len) in messages {
                bytes.extend([flag, 0, 0, 0, len as u8]);
                bytes.extend(std::iter::repeat_n(7, len));
            }
            bytes.truncate(bytes.len().saturating_sub(cut_off));
            let mut scan = FrameScan::new(limit, true);
            let mut rest = &bytes[..];
            let mut error = None;
            for cut in cuts.iter().cycle() {
                let Some(chunk) = rest.split_off(..rest.len().min(*cut)).filter(|c| !c.is_empty()) else {
                    break;
                };
                if let Err(found) = scan.push(chunk) {
                    error = Some(found);
                    break;
                }
            }
            let open = error.is_some() || scan.is_mid_message();
            prop_assert_eq!((scan.messages(), open, error), read_whole(&bytes, limit));
        }

        #[test]
        fn no_bytes_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20), limit in any::<usize>()) {
            let mut scan = FrameScan::new(limit, true);
            for chunk in &chunks {
                if scan.push(chunk).is_err() {
                    break;
                }
            }
        }
    }
}
