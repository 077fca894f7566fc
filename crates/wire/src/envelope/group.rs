//! Gathers repeated names, because a protobuf map keeps only the last entry of a key.
//!
//! Names are equal if they differ in ASCII case only. Short heads are compared pairwise, which
//! needs no memory; long ones are sorted, so that a hostile head costs n log n.

use std::cmp::Ordering;

use crate::fields::Fields;

/// A name and its value.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// Heads of up to so many fields are grouped without memory; a bit set holds a group.
const SHORT: usize = 64;

/// The values of one name.
#[derive(Clone, Copy)]
pub(super) enum Values<'b, 'a> {
    /// Those whose bit is set.
    Scattered(&'b [Pair<'a>; SHORT], u64),
    /// All of them.
    Run(&'b [Pair<'a>]),
}

impl<'a> Values<'_, 'a> {
    pub(super) fn for_each(self, mut with: impl FnMut(&'a [u8])) {
        match self {
            Self::Scattered(list, mut bits) => {
                while bits != 0 {
                    with(list[bits.trailing_zeros() as usize].1);
                    bits &= bits - 1;
                }
            }
            Self::Run(list) => list.iter().for_each(|(_, value)| with(value)),
        }
    }
}

/// Calls `each` once per distinct name, with the spelling that comes first and all values in order:
/// first those of `fields`, then those of `appended`. Names in `without` are passed over.
pub(super) fn for_each_name<'a, E>(
    fields: &'a Fields,
    appended: &[(&'a str, &'a str)],
    without: &[(&str, &str)],
    each: impl FnMut(&'a [u8], Values<'_, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    let replaced = |name: &[u8]| {
        without
            .iter()
            .any(|(other, _)| name.eq_ignore_ascii_case(other.as_bytes()))
    };
    let appended = appended
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let list = fields
        .iter()
        .chain(appended.clone())
        .filter(|(name, _)| !replaced(name));
    if fields.len() + appended.len() <= SHORT {
        short(list, each)
    } else {
        long(list.collect(), each)
    }
}

fn short<'a, E>(
    pairs: impl Iterator<Item = Pair<'a>>,
    mut each: impl FnMut(&'a [u8], Values<'_, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut list: [Pair<'a>; SHORT] = [(b"", b""); SHORT];
    let mut prints = [0; SHORT];
    let mut len = 0;
    for (pair, (slot, slot_print)) in pairs.zip(list.iter_mut().zip(&mut prints)) {
        *slot = pair;
        *slot_print = print(pair.0);
        len += 1;
    }
    let mut done = 0u64;
    for i in 0..len {
        if done >> i & 1 == 1 {
            continue;
        }
        let name = list[i].0;
        let mut same = 1u64 << i;
        for j in i + 1..len {
            if prints[j] == prints[i] && list[j].0.eq_ignore_ascii_case(name) {
                same |= 1 << j;
            }
        }
        done |= same;
        each(name, Values::Scattered(&list, same))?;
    }
    Ok(())
}

fn long<'a, E>(
    mut list: Vec<Pair<'a>>,
    mut each: impl FnMut(&'a [u8], Values<'_, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    // The sort is stable: values of one name stay in order.
    list.sort_by(|(a, _), (b, _)| compare(a, b));
    for run in list.chunk_by(|(a, _), (b, _)| a.eq_ignore_ascii_case(b)) {
        if let Some((name, _)) = run.first() {
            each(name, Values::Run(run))?;
        }
    }
    Ok(())
}

/// Differs for most names that differ: length, first and last byte, ignoring ASCII case.
pub(super) fn print(name: &[u8]) -> u32 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return 0;
    };
    // Cutting the length to 16 bits only makes a comparison more likely.
    (name.len() as u32) << 16 | u32::from(first | 0x20) << 8 | u32::from(last | 0x20)
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| {
        a.iter()
            .map(u8::to_ascii_lowercase)
            .cmp(b.iter().map(u8::to_ascii_lowercase))
    })
}
