use super::stats::{Z, chi_square, pearson};
use crate::dp::{Entropy, sample::Sampler};

const ROWS: usize = 40;
const RATE: f64 = 0.25;
const STEPS: usize = 20_000;

fn poisson() -> Vec<Vec<usize>> {
    let mut sampler = Sampler::new(Entropy::insecure(3).streams().0, RATE);
    (0..STEPS).map(|_| sampler.draw(ROWS)).collect()
}

/// The defect: batches of a fixed size, cut from a shuffled order (way 2).
fn shuffled() -> Vec<Vec<usize>> {
    use rand_core::Rng;
    let mut rng = Entropy::insecure(3).streams().0;
    let size = (RATE * ROWS as f64) as usize;
    let mut batches = Vec::new();
    while batches.len() < STEPS {
        let mut order: Vec<usize> = (0..ROWS).collect();
        order.sort_by_cached_key(|_| rng.next_u64());
        batches.extend(order.chunks(size).map(<[usize]>::to_vec));
    }
    batches
}

fn indicators(batch: &[usize]) -> [f64; ROWS] {
    let mut taken = [-RATE; ROWS];
    batch.iter().for_each(|&row| taken[row] += 1.0);
    taken
}

/// Σ over rows of the standardised, squared inclusion count: χ² with `ROWS` degrees.
fn singles(batches: &[Vec<usize>]) -> f64 {
    let mut sums = [0.0; ROWS];
    for batch in batches {
        sums.iter_mut()
            .zip(indicators(batch))
            .for_each(|(sum, x)| *sum += x);
    }
    sums.iter().map(|sum| sum * sum).sum::<f64>() / (STEPS as f64 * RATE * (1.0 - RATE))
}

/// The same over pairs, centred, so that all pairs are uncorrelated.
fn pairs(batches: &[Vec<usize>]) -> f64 {
    let mut sums = vec![0.0; ROWS * ROWS];
    for batch in batches {
        let taken = indicators(batch);
        for i in 0..ROWS {
            (0..i).for_each(|j| sums[i * ROWS + j] += taken[i] * taken[j]);
        }
    }
    let variance = STEPS as f64 * (RATE * (1.0 - RATE)).powi(2);
    sums.iter().map(|sum| sum * sum).sum::<f64>() / variance
}

/// Pearson's statistic of the batch sizes against the exact binomial, and its degrees.
fn sizes(batches: &[Vec<usize>]) -> (f64, usize) {
    let mut observed = vec![0.0; ROWS + 1];
    batches
        .iter()
        .for_each(|batch| observed[batch.len()] += 1.0);
    let mut pmf = vec![(1.0 - RATE).powi(ROWS as i32)];
    for k in 0..ROWS {
        pmf.push(pmf[k] * (ROWS - k) as f64 / (k + 1) as f64 * RATE / (1.0 - RATE));
    }
    let expected: Vec<_> = pmf.iter().map(|p| p * STEPS as f64).collect();
    let (mut pooled, mut cells) = ((vec![], vec![]), (0.0, 0.0));
    for (o, e) in observed.iter().zip(&expected) {
        cells = (cells.0 + o, cells.1 + e);
        if cells.1 >= 20.0 {
            pooled.0.push(std::mem::take(&mut cells.0));
            pooled.1.push(std::mem::take(&mut cells.1));
        }
    }
    let last = pooled.0.len() - 1;
    pooled.0[last] += cells.0;
    pooled.1[last] += cells.1;
    (pearson(&pooled.0, &pooled.1), last)
}

#[test]
fn batches_are_poisson() {
    let batches = poisson();
    assert!(singles(&batches) < chi_square(ROWS));
    assert!(pairs(&batches) < chi_square(ROWS * (ROWS - 1) / 2));
    let (statistic, freedom) = sizes(&batches);
    assert!(statistic < chi_square(freedom), "{statistic} of {freedom}");
}

#[test]
fn shuffled_batches_of_a_fixed_size_are_noticed() {
    let batches = &shuffled()[..STEPS];
    assert!(pairs(batches) > chi_square(ROWS * (ROWS - 1) / 2));
    let (statistic, freedom) = sizes(batches);
    assert!(statistic > chi_square(freedom));
}

#[test]
fn a_rate_one_percent_too_high_is_noticed() {
    let mut sampler = Sampler::new(Entropy::insecure(3).streams().0, 1.01 * RATE);
    let rows = 4_000_000;
    let score = |count: usize| {
        (count as f64 - RATE * rows as f64) / (rows as f64 * RATE * (1.0 - RATE)).sqrt()
    };
    assert!(score(sampler.draw(rows).len()) > Z);
    let mut sampler = Sampler::new(Entropy::insecure(3).streams().0, RATE);
    assert!(score(sampler.draw(rows).len()).abs() < Z);
}

#[test]
fn the_rate_is_rounded_down_and_its_ends_are_exact() {
    let threshold = |rate| Sampler::new(Entropy::insecure(3).streams().0, rate).threshold;
    assert_eq!(threshold(0.25), 1 << 62);
    assert_eq!(threshold(1.5 / (1u128 << 64) as f64), 1);
    assert_eq!(threshold(1.0), 1 << 64);
    let draw = |rate| {
        Sampler::new(Entropy::insecure(3).streams().0, rate)
            .draw(1000)
            .len()
    };
    assert_eq!((draw(0.0), draw(1.0)), (0, 1000));
}
