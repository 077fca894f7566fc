//! The names that `Connection` values list and that end at this hop with it.
//!
//! A handful is compared one by one; beyond that a set keeps hostile heads from costing names
//! times names.

use std::collections::HashSet;

use super::is_hop_by_hop;
use crate::fields::Fields;

/// More names than any honest head lists.
const FEW: usize = 16;

/// Names listed in all `Connection` values.
pub(super) struct Nominated<'a> {
    few: [&'a [u8]; FEW],
    len: usize,
    /// Lower case; holds all names as soon as there are too many for `few`.
    many: HashSet<Vec<u8>>,
}

impl<'a> Nominated<'a> {
    pub(super) fn of(fields: &'a Fields) -> Self {
        let mut found = Self {
            few: [b""; FEW],
            len: 0,
            many: HashSet::new(),
        };
        for name in names(fields) {
            match found.few.get_mut(found.len) {
                Some(free) => {
                    *free = name;
                    found.len += 1;
                }
                None => {
                    if found.many.is_empty() {
                        found
                            .many
                            .extend(found.few.iter().map(|n| n.to_ascii_lowercase()));
                    }
                    found.many.insert(name.to_ascii_lowercase());
                }
            }
        }
        found
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        if self.many.is_empty() {
            return self.few[..self.len]
                .iter()
                .any(|n| n.eq_ignore_ascii_case(name));
        }
        self.many.contains(&name.to_ascii_lowercase())
    }
}

/// The listed names in lower case that are not hop-by-hop anyway. `close` is left out too unless a
/// field has that name, so that nothing is allocated for the values that honest heads have.
pub(super) fn uncommon(fields: &Fields) -> HashSet<Vec<u8>> {
    let has_close = fields.contains("close");
    names(fields)
        .filter(|name| !is_hop_by_hop(name))
        .filter(|name| !name.eq_ignore_ascii_case(b"close") || has_close)
        .map(<[u8]>::to_ascii_lowercase)
        .collect()
}

fn names(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    fields
        .get_all(b"connection")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
}
