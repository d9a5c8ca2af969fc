//! Clipping on an integer grid: per-example gradients in, an exact integer sum out.
//!
//! A gradient g is scaled to norm at most C ([`Clipping`] says how), rounded to multiples of C/2¹⁴, and dropped unless its
//! integer norm is at most 2¹⁴. So one example changes the sum by at most 2¹⁴ grid units, which is
//! C, and that is the sensitivity that the accountant uses: rounding is inside it.

pub(super) mod aside;
pub(super) mod device;
pub(super) mod host;

use burn::tensor::{Device, ExecutionError, Int, Tensor};

use super::config::Clipping;
use super::sample::{MicroBatch, PoissonBatch, Step};

/// C in grid units.
pub(super) const GRID: i64 = 1 << GRID_BITS;
const GRID_BITS: u32 = 14;

/// Rows that an i32 on the device may hold at 2¹⁴ each, with room for one more micro-batch.
const DEVICE_ROWS: usize = 1 << 16;

/// The most numbers a gradient may have; see `device::exceeds` and [`slack`](super::slack).
pub const MAX_DIMENSION: usize = 1 << 20;

/// What is done to each gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// C.
    pub max_grad_norm: f64,
    /// How g is brought to it.
    pub clipping: Clipping,
}

/// A step's gradients do not fit its batch.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// Wrong `[batch, n, d]`.
    #[error(
        "per-example gradients are {found:?}, but this micro-batch needs {rows} rows of {dimension} numbers"
    )]
    Shape {
        /// What came.
        found: [usize; 3],
        /// Places in the micro-batch.
        rows: usize,
        /// Numbers in a gradient, as the plan's mechanism was told.
        dimension: usize,
    },
    /// From another step or run.
    #[error(
        "these gradients belong to another step; give each micro-batch back to its own clipper"
    )]
    Foreign,
    /// Dropped examples.
    #[error("{missing} of {drawn} drawn examples were never added; every drawn example must be")]
    Missing {
        /// Examples not seen.
        missing: usize,
        /// Examples drawn.
        drawn: usize,
    },
    /// The read-back failed.
    #[error("the device lost the gradients ({0}); run again from the last checkpoint")]
    Device(#[from] ExecutionError),
}

/// Takes one step's gradients, micro-batch by micro-batch.
#[must_use = "the sum must be finished and noised, even when the batch is empty"]
pub struct Clipper {
    rows: Vec<usize>,
    handed: usize,
    added: usize,
    step: Step,
    clip: Clip,
    sum: Vec<i64>,
    /// Not read back yet: `[1, dimension]` and how many rows are in it.
    pending: Option<(Tensor<2, Int>, usize)>,
}

/// Σ of one step's clipped gradients in grid units; not private before it is noised.
#[must_use = "an unreleased sum must be noised"]
pub struct ClippedSum {
    pub(super) sum: Vec<i64>,
    pub(super) step: Step,
}

impl Clipper {
    pub(super) fn new(batch: PoissonBatch, clip: Clip, dimension: usize) -> Self {
        Self {
            rows: batch.rows,
            handed: 0,
            added: 0,
            step: batch.step,
            clip,
            sum: vec![0; dimension],
            pending: None,
        }
    }

    /// The next at most `size` rows, filled up to exactly `size`; `None` once all were handed out.
    pub fn next_micro(&mut self, size: usize) -> Option<MicroBatch> {
        let rows: Vec<_> = self
            .rows
            .iter()
            .skip(self.handed)
            .take(size)
            .copied()
            .collect();
        self.handed += rows.len();
        (!rows.is_empty()).then(|| MicroBatch::fill(rows, size, self.step))
    }

    /// Clips and adds the gradients `[batch, n, d]` of `micro`, one row per example; a row that is
    /// not finite counts as zero.
    ///
    /// # Errors
    /// Another shape or step, or a device that fails. The step can then not be finished.
    pub async fn add(&mut self, micro: MicroBatch, gradients: Tensor<3>) -> Result<(), ClipError> {
        if micro.step != self.step {
            return Err(ClipError::Foreign);
        }
        let [batch, n, d] = gradients.dims();
        let (rows, dimension) = (micro.rows.len(), self.sum.len());
        if batch != rows || n * d != dimension {
            let found = [batch, n, d];
            return Err(ClipError::Shape {
                found,
                rows,
                dimension,
            });
        }
        let gradients = gradients.reshape([rows, dimension]);
        if is_host(&gradients.device()) {
            let data: Vec<f32> = gradients.into_data_async().await?.iter().collect();
            host::add(&data, micro.real, self.clip, &mut self.sum);
        } else {
            self.add_on_device(gradients, micro.real).await?;
        }
        self.added += micro.real;
        Ok(())
    }

    /// Adds without reading back, unless an i32 could then overflow.
    async fn add_on_device(&mut self, gradients: Tensor<2>, real: usize) -> Result<(), ClipError> {
        for from in (0..real).step_by(DEVICE_ROWS) {
            let rows = DEVICE_ROWS.min(real - from);
            let part = gradients.clone().slice(from..from + rows);
            let part = device::add(part, rows, self.clip);
            if self
                .pending
                .as_ref()
                .is_some_and(|(_, held)| held + rows > DEVICE_ROWS)
            {
                self.read_back(None).await?;
            }
            self.pending = Some(match self.pending.take() {
                Some((sum, held)) => (sum + part, held + rows),
                None => (part, rows),
            });
        }
        Ok(())
    }

    /// Moves what waits on the device into the sum, and fetches `aside` with it.
    async fn read_back(&mut self, aside: Option<Tensor<1>>) -> Result<Option<f32>, ClipError> {
        let Some((sum, _)) = self.pending.take() else {
            return Ok(match aside {
                Some(number) => number.into_data_async().await?.iter().next(),
                None => None,
            });
        };
        let fetched = match aside {
            Some(number) => Tensor::cat(vec![sum, aside::integers(number)], 1),
            None => sum,
        };
        let fetched: Vec<i64> = fetched.into_data_async().await?.iter().collect();
        let (sum, rest) = fetched.split_at(self.sum.len());
        self.sum.iter_mut().zip(sum).for_each(|(sum, x)| *sum += x);
        Ok(aside::number(rest))
    }

    /// The sum, once every drawn example is in it.
    ///
    /// # Errors
    /// When an example is missing or the device fails.
    pub async fn finish(self) -> Result<ClippedSum, ClipError> {
        Ok(self.finish_beside(None).await?.0)
    }

    /// [`finish`](Self::finish), and `aside` (`[1]`, at least 0), which a device hands over in the
    /// same transfer. It is no part of the sum, and no noise is added to it: for the data owner's
    /// eyes only.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn finish_beside(
        mut self,
        aside: Option<Tensor<1>>,
    ) -> Result<(ClippedSum, Option<f32>), ClipError> {
        let drawn = self.rows.len();
        if self.added != drawn {
            let missing = drawn - self.added;
            return Err(ClipError::Missing { missing, drawn });
        }
        let aside = self.read_back(aside).await?;
        let (sum, step) = (self.sum, self.step);
        Ok((ClippedSum { sum, step }, aside))
    }
}

/// The norm that gradients are scaled to: rounding `dimension` numbers moves a vector by at most
/// ½√dimension, and four units are left for the floats that did the scaling.
pub(super) fn target(dimension: usize) -> f64 {
    GRID as f64 - 4.0 - 0.5 * (dimension as f64).sqrt()
}

/// Whether reading a tensor back costs nothing. Only speed depends on the answer.
pub(super) fn is_host(device: &Device) -> bool {
    format!("{device:?}").contains("Flex")
}
