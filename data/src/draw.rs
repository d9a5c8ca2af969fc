//! As many items out of a stream of any length as are wanted, each as likely as any other.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use post_core::optim::SplitMix64;

/// A shuffle of a stream, of which only the beginning is kept.
///
/// Every item gets a random key; those with the smallest keys stay. So it holds at most `limit` items,
/// whatever the stream's length, and they are what a full shuffle by the keys would put first. The
/// i-th item's key is the i-th number of the seed's generator (whose numbers don't repeat): what is
/// drawn depends on the seed, the limit and the items' order alone.
pub struct Draw<T> {
    keys: SplitMix64,
    limit: usize,
    met: usize,
    /// The largest key on top.
    kept: BinaryHeap<Entry<T>>,
}

struct Entry<T> {
    key: u64,
    index: usize,
    item: T,
}

impl<T> Draw<T> {
    /// Keeps at most `limit` items.
    #[must_use]
    pub fn new(seed: u64, limit: usize) -> Self {
        Self {
            keys: SplitMix64::new(seed),
            limit,
            met: 0,
            kept: BinaryHeap::new(),
        }
    }

    /// Offers the stream's next item.
    pub fn offer(&mut self, item: T) {
        let (key, index) = (self.keys.next_u64(), self.met);
        self.met += 1;
        if self.kept.len() == self.limit && self.kept.peek().is_none_or(|last| key > last.key) {
            return;
        }
        self.kept.push(Entry { key, index, item });
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// How many items are kept at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many items were offered.
    #[must_use]
    pub fn met(&self) -> usize {
        self.met
    }

    /// What was kept, in the order of the shuffle, each with its place in the stream, from 0.
    #[must_use]
    pub fn shuffled(self) -> Vec<(usize, T)> {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted.map(|entry| (entry.index, entry.item)).collect()
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, limit: usize, items: usize) -> Vec<usize> {
        let mut draw = Draw::new(seed, limit);
        (0..items).for_each(|item| draw.offer(item));
        assert_eq!(draw.met(), items);
        let kept = draw.shuffled();
        assert!(kept.iter().all(|(index, item)| index == item));
        kept.into_iter().map(|(_, item)| item).collect()
    }

    #[test]
    fn a_short_draw_is_the_beginning_of_a_full_shuffle() {
        let all = drawn(7, 1000, 1000);
        for limit in [0, 1, 10, 999] {
            assert_eq!(drawn(7, limit, 1000), all[..limit]);
        }
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(all, sorted);
        assert_ne!(drawn(8, 10, 1000), all[..10]);
        assert_eq!(drawn(7, 10, 3).len(), 3);
    }

    #[test]
    fn every_item_is_as_likely_as_any_other() {
        let (runs, items, limit) = (20_000, 40, 10);
        let mut counts = vec![0.0; items];
        for seed in 0..runs {
            for item in drawn(seed, limit, items) {
                counts[item] += 1.0;
            }
        }
        // χ² of inclusion counts over 39 degrees of freedom; without replacement it is smaller by
        // (1 − limit/items)·items/(items − 1). 95 is beyond the quantile of one in a million.
        let share = limit as f64 / items as f64;
        let expected = runs as f64 * share;
        let square: f64 = counts.iter().map(|c: &f64| (c - expected).powi(2)).sum();
        let chi = square / (expected * (1.0 - share)) * (items - 1) as f64 / items as f64;
        assert!((10.0..95.0).contains(&chi), "{chi}");
    }
}
