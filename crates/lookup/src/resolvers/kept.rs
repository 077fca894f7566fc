//! A set that forgets its oldest members: what a client makes up must not grow without end.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::MOST_KEPT;

/// Keys in order of arrival with what is known of each.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    order: VecDeque<K>,
    values: HashMap<K, V>,
}

impl<K: Clone + Eq + Hash, V> Kept<K, V> {
    pub(super) fn new() -> Self {
        Self {
            order: VecDeque::new(),
            values: HashMap::new(),
        }
    }

    /// Puts a value there. Gives the oldest entry, if it had to make room.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if self.values.insert(key.clone(), value).is_some() {
            return None;
        }
        self.order.push_back(key);
        if self.order.len() <= MOST_KEPT {
            return None;
        }
        let oldest = self.order.pop_front()?;
        self.values.remove_entry(&oldest)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.values.remove(key)?;
        self.order.retain(|it| it != key);
        Some(value)
    }

    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.values.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.values.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.values.iter_mut()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Keeps the keys that pass.
    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.order.retain(|key| keep(key));
        self.values.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut kept = Kept::new();
        for n in 0..MOST_KEPT {
            assert_eq!(kept.insert(n, ()), None);
        }
        assert_eq!(kept.insert(5, ()), None, "it is there already");
        assert_eq!(kept.remove(&0), Some(()));
        assert_eq!(kept.insert(MOST_KEPT, ()), None);
        assert_eq!(kept.insert(MOST_KEPT + 1, ()), Some((1, ())));
        kept.retain(|n| *n == 7);
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [7]);
    }
}
