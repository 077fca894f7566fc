//! Header fields as they travel: an ordered list of (name, value) byte strings in one buffer.
//!
//! A call copies its head once into `text` and from then on moves ranges; nothing is allocated per
//! field. Names keep the case they arrived in, because the peer wire is case-sensitive
//! (contract `sidecar-protocol.md` 4.1); every look-up here ignores ASCII case. Order is kept, also
//! between equal names. Semantics (hop-by-hop, renames) live elsewhere.

use std::fmt;

/// An ordered multi-map of header fields in one buffer.
#[derive(Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    spans: Vec<Span>,
}

/// Where one field stands in the buffer: name, then value, back to back.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    name: u32,
    value: u32,
}

impl Fields {
    /// An empty list that has room for `bytes` of text and `fields` fields.
    pub fn with_capacity(bytes: usize, fields: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            spans: Vec::with_capacity(fields),
        }
    }

    /// Appends a field behind all others. Names and values are taken as they are.
    ///
    /// Heads are bounded far below 4 GiB before they get here; what does not fit is dropped.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let (Ok(start), Ok(name_len), Ok(value_len)) = (
            u32::try_from(self.text.len()),
            u32::try_from(name.len()),
            u32::try_from(value.len()),
        ) else {
            return;
        };
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.spans.push(Span {
            start,
            name: name_len,
            value: value_len,
        });
    }

    /// Appends a field under Go's canonical form of its name: each word between `-` starts with a
    /// capital and goes on in lower case. A name with bytes outside RFC 9110's token is left alone.
    pub fn push_canonical(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.push(name, value);
        if let Some(pushed) = self.text.get_mut(start..start + name.len()) {
            crate::headers::canonicalize_in_place(pushed);
        }
    }

    /// Replaces every field of that name by one value at the end of the list.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.push(name, value);
    }

    /// The number of fields, repeats counted.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if there is no field.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of all names and values together.
    pub fn text_len(&self) -> usize {
        self.spans.iter().map(|s| (s.name + s.value) as usize).sum()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.spans.iter().map(|s| s.of(&self.text))
    }

    /// The first value of that name, ignoring ASCII case.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.spans
            .iter()
            .filter(|s| s.name as usize == name.len())
            .map(|s| s.of(&self.text))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All values of that name in order, ignoring ASCII case.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.spans
            .iter()
            .filter(move |s| s.name as usize == name.len())
            .map(|s| s.of(&self.text))
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// True if a field of that name exists, ignoring ASCII case.
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.get(name).is_some()
    }

    /// Removes every field of that name, ignoring ASCII case.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        let text = &self.text;
        self.spans
            .retain(|s| s.name as usize != name.len() || !s.of(text).0.eq_ignore_ascii_case(name));
    }

    /// Keeps the fields for which `keep(name, value)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let text = &self.text;
        self.spans.retain(|s| {
            let (name, value) = s.of(text);
            keep(name, value)
        });
    }

    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }
}

impl Span {
    fn of<'a>(&self, text: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let name = self.start as usize;
        let value = name + self.name as usize;
        (
            &text[name..value],
            &text[value..value + self.value as usize],
        )
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.iter()
                    .map(|(n, v)| (String::from_utf8_lossy(n), String::from_utf8_lossy(v))),
            )
            .finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'a [u8], &'a [u8])>>(iter: T) -> Self {
        let mut fields = Self::default();
        for (name, value) in iter {
            fields.push(name, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Fields {
        let mut fields = Fields::default();
        fields.push(b"Accept", b"a");
        fields.push(b"X-One", b"1");
        fields.push(b"accept", b"b");
        fields
    }

    #[test]
    fn look_ups_ignore_case_and_keep_order() {
        let fields = sample();
        assert_eq!(fields.get("ACCEPT"), Some(&b"a"[..]));
        let all: Vec<_> = fields.get_all(b"Accept").collect();
        assert_eq!(all, [b"a", b"b"]);
        assert!(!fields.contains("X-Two"));
    }

    #[test]
    fn canonical_names_are_gos() {
        let mut fields = Fields::default();
        fields.push_canonical(b"x-fOO-1bar", b"v");
        fields.push_canonical(b"http2-settings", b"v");
        fields.push_canonical(b"a b", b"v");
        let names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"X-Foo-1bar"[..], b"Http2-Settings", b"a b"]);
    }

    #[test]
    fn set_replaces_every_repeat() {
        let mut fields = sample();
        fields.set(b"ACCEPT", b"c");
        assert_eq!(fields.get_all(b"accept").collect::<Vec<_>>(), [b"c"]);
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn retain_sees_names_and_values() {
        let mut fields = sample();
        fields.retain(|name, value| name != b"X-One" && value != b"a");
        assert_eq!(
            fields.iter().collect::<Vec<_>>(),
            [(&b"accept"[..], &b"b"[..])]
        );
    }
}
