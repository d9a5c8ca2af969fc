//! The order in which public or non-private examples are visited.

/// A small generator for shuffles and tests, of no cryptographic worth.
///
/// SplitMix64 (Steele, Lea and Flood, 2014). What a guarantee rests on is drawn by `core::dp`.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator whose whole future `seed` decides.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`, by the high half of a 128-bit product (bias below `bound`/2⁶⁴).
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Epoch after epoch of shuffled indices, cut into batches; batch `t` is a function of `t` alone,
/// so a resumed run sees what an uninterrupted one would have seen.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    len: usize,
    batch: usize,
    shuffled: Option<(u64, Vec<usize>)>,
}

impl Order {
    /// Batches of `batch` out of `len` examples; both must be positive.
    pub fn new(seed: u64, len: usize, batch: usize) -> Self {
        assert!(
            len > 0 && batch > 0,
            "an order needs examples and a batch size"
        );
        Self {
            seed,
            len,
            batch,
            shuffled: None,
        }
    }

    /// Indices of batch `step`, always `batch` of them; a batch may span two epochs.
    pub fn batch(&mut self, step: u64) -> Vec<usize> {
        let start = step * self.batch as u64;
        let len = self.len as u64;
        (start..start + self.batch as u64)
            .map(|position| self.epoch(position / len)[(position % len) as usize])
            .collect()
    }

    fn epoch(&mut self, epoch: u64) -> &[usize] {
        let stale = self.shuffled.as_ref().is_none_or(|(e, _)| *e != epoch);
        if stale {
            let mut generator = SplitMix64::new(self.seed);
            let mut generator = SplitMix64::new(generator.next_u64() ^ epoch);
            let mut order: Vec<usize> = (0..self.len).collect();
            generator.shuffle(&mut order);
            self.shuffled = Some((epoch, order));
        }
        self.shuffled.as_ref().map_or(&[], |(_, order)| order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_matches_its_published_vector() {
        let mut g = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| g.next_u64()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(drawn, published);
    }

    #[test]
    fn each_epoch_visits_everything_once_and_epochs_differ() {
        let mut order = Order::new(7, 10, 4);
        let visited: Vec<usize> = (0..5).flat_map(|t| order.batch(t)).collect();
        for epoch in visited.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(visited[..10], visited[10..]);
    }

    #[test]
    fn a_batch_depends_on_its_number_alone() {
        let mut straight = Order::new(3, 9, 2);
        for t in 0..6 {
            straight.batch(t);
        }
        assert_eq!(straight.batch(6), Order::new(3, 9, 2).batch(6));
    }
}
