//! Reads a map from header name to values into a header list.
//!
//! A key that comes twice keeps its last entry, as everywhere in protobuf; no honest peer sends
//! one. Bounds what a small message can blow up to, because the list repeats the name per value.

use std::collections::HashMap;
use std::mem;

use super::group::print;
use super::read::{DecodeError, Reader};
use crate::fields::Fields;

/// Entries that are compared pairwise as they come; beyond that a set decides at the end.
const FEW: usize = 32;

/// Entries and values together; far beyond what an HTTP head can hold in practice.
const MAX_FIELDS: usize = 1 << 16;

/// What the list may be longer than the message: honest repeats of a name stay far below.
const MAX_GROWTH: usize = 4 << 20;

/// A map while it is read; may come in several parts.
pub(super) struct MapReader<'a> {
    fields: Fields,
    few: [Entry<'a>; FEW],
    more: Vec<Entry<'a>>,
    entries: usize,
    /// Text that may still be added.
    room: usize,
    /// A key was seen twice among the first few.
    repeated: bool,
}

#[derive(Clone, Copy, Default)]
struct Entry<'a> {
    key: &'a [u8],
    print: u32,
    /// How many fields there were after the entry; at most [`MAX_FIELDS`].
    end: u32,
}

impl<'a> MapReader<'a> {
    /// For a message of that length.
    pub(super) fn new(message_len: usize) -> Self {
        Self {
            fields: Fields::default(),
            few: [Entry::default(); FEW],
            more: Vec::new(),
            entries: 0,
            room: message_len.saturating_add(MAX_GROWTH),
            repeated: false,
        }
    }

    /// Reads one entry; `left` bytes of the map's message come behind it.
    pub(super) fn read(&mut self, mut entry: Reader<'a>, left: usize) -> Result<(), DecodeError> {
        if self.entries == 0 {
            let text = entry.remaining() + left.min(2048);
            self.fields = Fields::with_capacity(text, text / 32 + 4);
        }
        let whole = entry;
        let mut key = "";
        let mut values = Reader::new(b"");
        let mut lists = 0;
        while let Some(tag) = entry.next_tag()? {
            match tag.field {
                1 => key = entry.string(tag)?,
                2 => {
                    values = entry.message(tag)?;
                    lists += 1;
                }
                _ => entry.skip(tag)?,
            }
        }
        if lists == 1 {
            self.read_values(key.as_bytes(), values)?;
        } else {
            self.read_lists(key.as_bytes(), whole)?;
        }
        self.note(key.as_bytes())
    }

    /// Whether there was any entry.
    pub(super) fn any(&self) -> bool {
        self.entries > 0
    }

    /// The list, only with the last entry of each key.
    pub(super) fn finish(&mut self) -> Fields {
        let mut fields = mem::take(&mut self.fields);
        if !self.repeated && self.entries <= FEW {
            return fields;
        }
        let few = self.few.len().min(self.entries);
        let entries = || self.few[..few].iter().chain(&self.more);
        let last: HashMap<&[u8], usize> = entries()
            .enumerate()
            .map(|(i, entry)| (entry.key, i))
            .collect();
        if last.len() == self.entries {
            return fields;
        }
        let mut keep = Vec::with_capacity(fields.len());
        for (i, entry) in entries().enumerate() {
            keep.resize(entry.end as usize, last.get(entry.key) == Some(&i));
        }
        let mut keep = keep.into_iter();
        fields.retain(|_, _| keep.next().unwrap_or(true));
        fields
    }

    /// The rare entry whose values come in no or several parts: they are joined.
    fn read_lists(&mut self, key: &[u8], mut entry: Reader<'a>) -> Result<(), DecodeError> {
        while let Some(tag) = entry.next_tag()? {
            match tag.field {
                2 => {
                    let values = entry.message(tag)?;
                    self.read_values(key, values)?;
                }
                _ => entry.skip(tag)?,
            }
        }
        Ok(())
    }

    fn read_values(&mut self, key: &[u8], mut values: Reader<'a>) -> Result<(), DecodeError> {
        while let Some(tag) = values.next_tag()? {
            if tag.field != 1 {
                values.skip(tag)?;
                continue;
            }
            let value = values.string(tag)?.as_bytes();
            self.room = self
                .room
                .checked_sub(key.len() + value.len())
                .ok_or(DecodeError::HeadTooLarge)?;
            if self.fields.len() >= MAX_FIELDS {
                return Err(DecodeError::HeadTooLarge);
            }
            self.fields.push(key, value);
        }
        Ok(())
    }

    fn note(&mut self, key: &'a [u8]) -> Result<(), DecodeError> {
        let entry = Entry {
            key,
            print: print(key),
            end: self.fields.len() as u32,
        };
        match self.few.get_mut(self.entries) {
            Some(free) => *free = entry,
            None if self.entries < MAX_FIELDS => self.more.push(entry),
            None => return Err(DecodeError::HeadTooLarge),
        }
        let before = &self.few[..self.entries.min(FEW)];
        self.repeated |= self.entries < FEW
            && before
                .iter()
                .any(|e| e.print == entry.print && e.key == entry.key);
        self.entries += 1;
        Ok(())
    }
}
