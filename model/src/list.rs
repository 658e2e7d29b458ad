//! Lists of a fixed capacity and sets of orders: small values that copy and hash fast, because millions of states are
//! made of them.

/// Orders as a set: bit `o` is order `o`.
pub type Orders = u8;

/// The orders of a set, lowest first.
pub fn each(orders: Orders) -> impl Iterator<Item = u8> {
    (0..8).filter(move |order| orders >> order & 1 == 1)
}

/// Up to `N` items in the order in which they came. The default value of `T` stands for an empty place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct List<T, const N: usize> {
    items: [T; N],
}

impl<T: Copy + Default + Ord, const N: usize> List<T, N> {
    /// The items.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let empty = T::default();
        self.items.iter().copied().take_while(move |item| *item != empty)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items[0] == T::default()
    }

    /// Whether `item` is among them.
    pub fn contains(&self, item: &T) -> bool {
        self.iter().any(|other| other == *item)
    }

    /// Adds an item at the end; false when the list is full.
    pub fn push(&mut self, item: T) -> bool {
        let end = self.len();
        let Some(place) = self.items.get_mut(end) else { return false };
        *place = item;
        true
    }

    /// Changes items in place.
    pub fn for_each(&mut self, mut change: impl FnMut(&mut T)) {
        let count = self.len();
        self.items[..count].iter_mut().for_each(&mut change);
    }

    /// Takes the first item out for which `which` holds.
    pub fn take(&mut self, which: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.iter().position(|item| which(&item))?;
        let item = self.items[at];
        self.items.copy_within(at + 1.., at);
        self.items[N - 1] = T::default();
        Some(item)
    }

    /// Sorts the items where their order means nothing, so that fewer states differ.
    pub fn sort(&mut self) {
        let count = self.len();
        self.items[..count].sort_unstable();
    }
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N] }
    }
}

impl<T: Copy + Default + Ord, const N: usize> FromIterator<T> for List<T, N> {
    /// Items beyond the capacity are an error of the caller.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::default();
        for item in items {
            assert!(list.push(item), "more than {N} items");
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_order_and_gaps_close() {
        let mut list: List<u8, 3> = [5, 3, 4].into_iter().collect();
        assert!(!list.push(9), "it is full");
        assert_eq!(list.take(|item| *item == 3), Some(3));
        assert_eq!(list.take(|item| *item == 3), None);
        assert_eq!(list.iter().collect::<Vec<_>>(), [5, 4]);
        list.sort();
        assert_eq!(list.iter().collect::<Vec<_>>(), [4, 5]);
        list.for_each(|item| *item += 1);
        assert!(list.contains(&6) && list.len() == 2 && !list.is_empty());
        assert_eq!(each(0b1010).collect::<Vec<_>>(), [1, 3]);
    }
}
