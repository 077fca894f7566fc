//! Fills Rust values from a tree the way yaml.v3 fills Go values.
//!
//! A value is decoded *over* what is already there, which is how several files merge (contract,
//! configuration 3.1): structs field by field, maps key by key, lists replaced, `null` resets what
//! can be absent. Wrong types do not stop the decoding; all of them are reported.

use super::{Content, Error, Node, Problem, Resolved, scalar};
use outrider_core::duration::GoDuration;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A value that can be filled from a node.
pub trait Decode {
    /// The type as errors name it.
    fn type_name() -> String;

    /// Takes the node over what is there. False if nothing was taken.
    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool;
}

/// What comes up while decoding.
#[derive(Debug, Default)]
pub struct Decoder {
    problems: Vec<Problem>,
    /// What ends the decoding at once.
    broken: Option<String>,
    unknown: Vec<UnknownKey>,
    path: Vec<String>,
}

/// A key that no field has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Where, counted from 1.
    pub line: usize,
    /// The keys that lead there, joined by dots.
    pub path: String,
    /// The key that was perhaps meant.
    pub meant: Option<&'static str>,
}

/// Decodes a document over the value; gives the keys that no field has.
///
/// # Errors
/// All values of the wrong type and all keys given twice.
pub fn decode<T: Decode>(value: &mut T, node: &Node) -> Result<Vec<UnknownKey>, Error> {
    let mut decoder = Decoder::default();
    value.decode(node, &mut decoder);
    if let Some(what) = decoder.broken {
        return Err(Error::Structure(what));
    }
    if !decoder.problems.is_empty() {
        return Err(Error::Unmarshal(decoder.problems));
    }
    Ok(decoder.unknown)
}

type Entry<'n> = (&'n Arc<Node>, &'n Arc<Node>);

impl Decoder {
    /// Hands each entry of a mapping whose key is a known field to `fill`, and remembers the rest.
    pub fn fields(
        &mut self,
        node: &Node,
        type_name: &str,
        known: &[&'static str],
        mut fill: impl FnMut(&'static str, &Node, &mut Self),
    ) -> bool {
        let Some(entries) = self.entries(node, type_name) else {
            return false;
        };
        for (key, value) in entries {
            let Some(name) = self.key_text(key) else {
                continue;
            };
            match known.iter().find(|known| **known == name) {
                Some(field) => {
                    self.path.push(name);
                    fill(field, value, self);
                    self.path.pop();
                }
                None => self.remember_unknown(key.line, &name, known),
            }
        }
        true
    }

    /// The entries of a mapping, merge keys followed; none if the node is no mapping, which is a
    /// problem unless it is null.
    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        type_name: &str,
    ) -> Option<Vec<Entry<'n>>> {
        let Content::Mapping(pairs) = &node.content else {
            self.wrong_type(node, type_name);
            return None;
        };
        if !self.keys_are_unique(pairs) {
            return None;
        }
        let mut entries = Vec::with_capacity(pairs.len());
        let mut merged = Vec::new();
        for (key, value) in pairs {
            match key.scalar() {
                Some(scalar) if scalar.is_merge_key() => merged.push(value),
                _ => entries.push((key, value)),
            }
        }
        if !merged.is_empty() {
            let mut taken: HashSet<&str> =
                entries.iter().filter_map(|(key, _)| text(key)).collect();
            for value in merged {
                self.merge(value, &mut taken, &mut entries);
            }
        }
        Some(entries)
    }

    /// Adds the entries of a merged mapping, or of each in a list, whose keys are not taken yet.
    fn merge<'n>(
        &mut self,
        node: &'n Node,
        taken: &mut HashSet<&'n str>,
        entries: &mut Vec<Entry<'n>>,
    ) {
        match &node.content {
            Content::Mapping(pairs) => {
                for (key, value) in pairs {
                    match key.scalar() {
                        Some(scalar) if scalar.is_merge_key() => self.merge(value, taken, entries),
                        Some(scalar) if taken.insert(&scalar.text) => entries.push((key, value)),
                        _ => {}
                    }
                }
            }
            Content::Sequence(items)
                if items
                    .iter()
                    .all(|item| matches!(item.content, Content::Mapping(_))) =>
            {
                for item in items {
                    self.merge(item, taken, entries);
                }
            }
            Content::Sequence(_) | Content::Scalar(_) => {
                let what = "map merge requires map or sequence of maps as the value";
                self.break_off(what.to_owned());
            }
        }
    }

    fn keys_are_unique(&mut self, pairs: &[(Arc<Node>, Arc<Node>)]) -> bool {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let before = self.problems.len();
        for (key, _) in pairs {
            let Some(name) = text(key) else { continue };
            match seen.get(name) {
                Some(first) => {
                    let name = outrider_core::quote::quote(name);
                    let text = format!("mapping key {name} already defined at line {first}");
                    self.problems.push(Problem {
                        line: key.line,
                        text,
                    });
                }
                None => {
                    seen.insert(name, key.line);
                }
            }
        }
        self.problems.len() == before
    }

    /// A key as text. One that is null counts as absent, one that is a collection is a problem.
    fn key_text(&mut self, key: &Node) -> Option<String> {
        let mut name = String::new();
        name.decode(key, self).then_some(name)
    }

    fn remember_unknown(&mut self, line: usize, name: &str, known: &[&'static str]) {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        let meant = known
            .iter()
            .copied()
            .find(|known| known.eq_ignore_ascii_case(name));
        self.unknown.push(UnknownKey {
            line,
            path: path.join("."),
            meant,
        });
    }

    pub(super) fn break_off(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// What a scalar means; none if its tag contradicts it.
    pub(super) fn resolve(&mut self, scalar: &scalar::Scalar) -> Option<Resolved> {
        match scalar.resolve() {
            Ok(resolved) => Some(resolved),
            Err(what) => {
                self.break_off(what);
                None
            }
        }
    }

    /// Reports a node of the wrong type; null is none.
    fn wrong_type(&mut self, node: &Node, type_name: &str) {
        let found = match &node.content {
            Content::Sequence(_) => "!!seq".to_owned(),
            Content::Mapping(_) => "!!map".to_owned(),
            Content::Scalar(scalar) => match self.resolve(scalar) {
                None | Some(Resolved::Null) => return,
                Some(resolved) => format!("{} `{}`", resolved.tag(), shortened(&scalar.text)),
            },
        };
        let text = format!("cannot unmarshal {found} into {type_name}");
        self.problems.push(Problem {
            line: node.line,
            text,
        });
    }

    fn is_null(&mut self, node: &Node) -> bool {
        node.scalar()
            .is_some_and(|scalar| self.resolve(scalar) == Some(Resolved::Null))
    }
}

fn text(node: &Node) -> Option<&str> {
    node.scalar().map(|scalar| scalar.text.as_str())
}

/// The first seven bytes of a longer text, whole characters only.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(7)])
}

/// Decodes one scalar through `take`, which says whether it fits. Null leaves the value as it is.
fn decode_scalar(
    node: &Node,
    decoder: &mut Decoder,
    type_name: &str,
    take: impl FnOnce(Resolved, &str) -> bool,
) -> bool {
    if let Some(scalar) = node.scalar() {
        match decoder.resolve(scalar) {
            None | Some(Resolved::Null) => return false,
            Some(resolved) if take(resolved, &scalar.text) => return true,
            Some(_) => {}
        }
    }
    decoder.wrong_type(node, type_name);
    false
}

impl Decode for String {
    fn type_name() -> String {
        "string".to_owned()
    }

    /// Numbers and booleans are taken as they are written.
    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        decode_scalar(node, decoder, "string", |_, text| {
            text.clone_into(self);
            true
        })
    }
}

impl Decode for bool {
    fn type_name() -> String {
        "bool".to_owned()
    }

    /// The older words are taken too, even in quotes, but not `"true"`.
    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        decode_scalar(node, decoder, "bool", |resolved, text| {
            let value = match resolved {
                Resolved::Bool(value) => Some(value),
                Resolved::Str => scalar::old_boolean(text),
                _ => None,
            };
            value.map(|value| *self = value).is_some()
        })
    }
}

impl Decode for i64 {
    fn type_name() -> String {
        "int".to_owned()
    }

    /// Fractions are cut off.
    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        decode_scalar(node, decoder, "int", |resolved, _| {
            let value = match resolved {
                Resolved::Int(value) => Some(value),
                Resolved::Float(value) if value.abs() < 9.2e18 => Some(value as i64),
                _ => None,
            };
            value.map(|value| *self = value).is_some()
        })
    }
}

impl Decode for GoDuration {
    fn type_name() -> String {
        "time.Duration".to_owned()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        decode_scalar(node, decoder, "time.Duration", |resolved, text| {
            let value = match resolved {
                Resolved::Str => text.parse().ok(),
                _ => None,
            };
            value.map(|value| *self = value).is_some()
        })
    }
}

impl<T: Decode + Default> Decode for Option<T> {
    fn type_name() -> String {
        T::type_name()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        if decoder.is_null(node) {
            *self = None;
            return false;
        }
        self.get_or_insert_default().decode(node, decoder)
    }
}

impl<T: Decode + Default> Decode for Vec<T> {
    fn type_name() -> String {
        format!("[]{}", T::type_name())
    }

    /// The list is replaced; elements that are null or of the wrong type are left out.
    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        let Content::Sequence(items) = &node.content else {
            if decoder.is_null(node) {
                self.clear();
            }
            decoder.wrong_type(node, &Self::type_name());
            return false;
        };
        self.clear();
        for item in items {
            let mut element = T::default();
            if element.decode(item, decoder) {
                self.push(element);
            }
        }
        true
    }
}

impl Decode for BTreeMap<String, String> {
    fn type_name() -> String {
        "map[string]string".to_owned()
    }

    fn decode(&mut self, node: &Node, decoder: &mut Decoder) -> bool {
        if decoder.is_null(node) {
            self.clear();
            return false;
        }
        let Some(entries) = decoder.entries(node, &Self::type_name()) else {
            return false;
        };
        for (key, value) in entries {
            let Some(key) = decoder.key_text(key) else {
                continue;
            };
            let mut element = String::new();
            if element.decode(value, decoder) || decoder.is_null(value) {
                self.insert(key, element);
            }
        }
        true
    }
}

/// Anything at all; nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ignored;

impl Decode for Ignored {
    fn type_name() -> String {
        "anything".to_owned()
    }

    fn decode(&mut self, _: &Node, _: &mut Decoder) -> bool {
        true
    }
}

/// Implements [`Decode`] for a struct: its name in errors, and its keys with their fields.
macro_rules! decode_fields {
    ($type:ty, $name:literal, { $($key:literal => $field:ident),* $(,)? }) => {
        impl $crate::yaml::decode::Decode for $type {
            fn type_name() -> String {
                $name.to_owned()
            }

            fn decode(
                &mut self,
                node: &$crate::yaml::Node,
                decoder: &mut $crate::yaml::decode::Decoder,
            ) -> bool {
                decoder.fields(node, $name, &[$($key),*], |key, value, decoder| {
                    match key {
                        $($key => { self.$field.decode(value, decoder); })*
                        _ => {}
                    }
                })
            }
        }
    };
}
pub(crate) use decode_fields;
