//! Protobuf primitives for the decoder. Nothing here trusts a length or recurses without bound.

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("malformed peer message: a field is longer than the bytes that are there")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("malformed peer message: a number has more than 64 bits")]
    Number,
    /// A tag that no protobuf message may contain.
    #[error("malformed peer message: {0} is no valid field tag")]
    Tag(u64),
    /// A known field in another encoding than its type has.
    #[error("malformed peer message: field {field} is encoded as another type")]
    WireType {
        /// Number of the field.
        field: u32,
    },
    /// An end of a group that did not begin, or groups within groups without end.
    #[error("malformed peer message: unpaired or too deeply nested groups")]
    Group,
    /// A string that is not UTF-8; the text is the reference's.
    #[error("string field contains invalid UTF-8")]
    NotUtf8,
    /// A small message that stands for a huge head.
    #[error("peer message has too many headers, or its headers repeat long names too often")]
    HeadTooLarge,
}

/// How a field is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Delimited,
    GroupStart,
    GroupEnd,
    Fixed32,
}

/// A field's tag.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    pub(super) field: u32,
    wire: Wire,
}

/// Reads a message from front to back.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// What protobuf decoders allow by convention.
const MAX_DEPTH: u32 = 100;

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Bytes not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next field's tag, or `None` at the end of the message.
    pub(super) fn next_tag(&mut self) -> Result<Option<Tag>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.tag().map(Some)
    }

    fn tag(&mut self) -> Result<Tag, DecodeError> {
        let key = self.raw_varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Delimited,
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32,
            _ => return Err(DecodeError::Tag(key)),
        };
        match u32::try_from(key) {
            Ok(short) if short >> 3 != 0 => Ok(Tag {
                field: short >> 3,
                wire,
            }),
            _ => Err(DecodeError::Tag(key)),
        }
    }

    /// The number of a field with that tag.
    pub(super) fn varint(&mut self, tag: Tag) -> Result<u64, DecodeError> {
        match tag.wire {
            Wire::Varint => self.raw_varint(),
            _ => Err(DecodeError::WireType { field: tag.field }),
        }
    }

    /// The number of an `int32` or enum field; bits beyond the type are cut, as protobuf has it.
    pub(super) fn int32(&mut self, tag: Tag) -> Result<i32, DecodeError> {
        self.varint(tag).map(|value| value as i32)
    }

    /// The content of a length-delimited field with that tag.
    pub(super) fn delimited(&mut self, tag: Tag) -> Result<&'a [u8], DecodeError> {
        match tag.wire {
            Wire::Delimited => self.raw_delimited(),
            _ => Err(DecodeError::WireType { field: tag.field }),
        }
    }

    /// The same for a sub-message.
    pub(super) fn message(&mut self, tag: Tag) -> Result<Reader<'a>, DecodeError> {
        self.delimited(tag).map(Reader::new)
    }

    /// The same for a string.
    pub(super) fn string(&mut self, tag: Tag) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.delimited(tag)?).map_err(|_| DecodeError::NotUtf8)
    }

    /// Passes over an unknown field.
    pub(super) fn skip(&mut self, tag: Tag) -> Result<(), DecodeError> {
        self.skip_nested(tag, MAX_DEPTH)
    }

    fn skip_nested(&mut self, tag: Tag, depth: u32) -> Result<(), DecodeError> {
        match tag.wire {
            Wire::Varint => self.raw_varint().map(drop),
            Wire::Fixed64 => self.take(8).map(drop),
            Wire::Fixed32 => self.take(4).map(drop),
            Wire::Delimited => self.raw_delimited().map(drop),
            Wire::GroupEnd => Err(DecodeError::Group),
            Wire::GroupStart => {
                let depth = depth.checked_sub(1).ok_or(DecodeError::Group)?;
                loop {
                    let inner = match self.next_tag()? {
                        Some(inner) => inner,
                        None => return Err(DecodeError::Truncated),
                    };
                    match inner.wire {
                        Wire::GroupEnd if inner.field == tag.field => return Ok(()),
                        _ => self.skip_nested(inner, depth)?,
                    }
                }
            }
        }
    }

    fn raw_delimited(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.raw_varint()?;
        self.take(usize::try_from(len).map_err(|_| DecodeError::Truncated)?)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn raw_varint(&mut self) -> Result<u64, DecodeError> {
        // Nearly all tags and lengths fit one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    return Err(DecodeError::Number);
                }
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            DecodeError::Truncated
        } else {
            DecodeError::Number
        })
    }
}
