//! Poisson sampling, and the batches that come of it.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// Which step of which mechanism something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) run: u64,
    pub(super) number: u64,
}

/// Includes every row independently with probability p = ⌊q·2⁶⁴⌋/2⁶⁴ ≤ q.
///
/// The accountant is given q itself: ε grows with the rate, so rounding p down and q up can only
/// overstate it.
pub(super) struct Sampler {
    rng: ChaCha20Rng,
    pub(super) threshold: u128,
}

impl Sampler {
    pub(super) fn new(rng: ChaCha20Rng, sample_rate: f64) -> Self {
        // Scaling by a power of two is exact, and the cast truncates.
        let threshold = (sample_rate * 18_446_744_073_709_551_616.0) as u128;
        Self { rng, threshold }
    }

    /// The rows of one batch, ascending; one word is drawn per row, taken or not.
    pub(super) fn draw(&mut self, rows: usize) -> Vec<usize> {
        let mut hit = || u128::from(self.rng.next_u64()) < self.threshold;
        (0..rows).filter(|_| hit()).collect()
    }

    /// A number that tells this run's batches from another's.
    pub(super) fn run(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

/// The rows of one step. It may be empty, and then the step still counts and is still noised.
///
/// Only [`Mechanism::sample`](super::Mechanism::sample) makes one, and it can be clipped once.
#[must_use = "a drawn batch must be clipped and noised, even when it is empty"]
#[derive(Debug)]
pub struct PoissonBatch {
    pub(super) rows: Vec<usize>,
    pub(super) step: Step,
}

impl PoissonBatch {
    /// How many rows were drawn. Private: it depends on the size of the data.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row was drawn.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Some rows of a batch, filled up to a fixed size, so that every backward pass has one shape.
#[must_use = "the gradients of every micro-batch must be given back"]
#[derive(Debug)]
pub struct MicroBatch {
    pub(super) rows: Vec<usize>,
    pub(super) weights: Vec<f32>,
    pub(super) real: usize,
    pub(super) step: Step,
}

impl MicroBatch {
    /// The first of `rows` and nothing else, `size` places wide.
    pub(super) fn fill(mut rows: Vec<usize>, size: usize, step: Step) -> Self {
        let real = rows.len();
        rows.resize(size, rows[0]);
        let weights = (0..size).map(|at| f32::from(at < real)).collect();
        Self {
            rows,
            weights,
            real,
            step,
        }
    }

    /// Row numbers in the data set; places past the drawn rows repeat the first one.
    pub fn indices(&self) -> &[usize] {
        &self.rows
    }

    /// What each row's loss is to be multiplied with: 1 for drawn rows, 0 for the padding.
    ///
    /// Padding rows are dropped while clipping whatever their gradient is. The self-test sets
    /// other weights to make giant and broken gradients.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
}
