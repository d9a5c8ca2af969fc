//! Clipping one example at a time, for devices whose memory is the host's: what [`device`] does, by
//! the same f32 operations, so that both choose the same integers.
//!
//! [`device`]: super::device

use super::{Clip, Clipping, GRID, target};

/// Adds each of the first `real` rows of `gradients` (`[rows, dimension]`), clipped and on the
/// grid, to `sum`.
pub(in crate::dp) fn add(gradients: &[f32], real: usize, clip: Clip, sum: &mut [i64]) {
    let mut grid = vec![0; sum.len()];
    for row in gradients.chunks_exact(sum.len()).take(real) {
        if onto_grid(row, clip, &mut grid) {
            sum.iter_mut().zip(&grid).for_each(|(sum, x)| *sum += x);
        }
    }
}

/// Writes round(g·s) to `grid`; false when the row must count as zero: it is not finite, or its
/// integer norm, which no float can talk its way around, is above the bound.
fn onto_grid(row: &[f32], clip: Clip, grid: &mut [i64]) -> bool {
    let largest = row.iter().fold(0.0, |most: f32, g| most.max(g.abs()));
    let divisor = largest.max(f32::MIN_POSITIVE);
    // Rounded once: the order in which a device adds in f32 rarely changes more than the last bit.
    let square = |&g: &f32| f64::from(g / divisor).powi(2);
    let norm = row.iter().map(square).sum::<f64>().sqrt() as f32;
    // NaN, which `max` passes over, is in the norm.
    if !largest.is_finite() || norm.is_nan() || norm <= 0.5 {
        return false;
    }
    let target = target(row.len()) as f32;
    let scale = match clip.clipping {
        Clipping::Threshold => {
            let room = (GRID as f64 / clip.max_grad_norm) as f32;
            (largest * room).min(norm.recip() * target)
        }
        Clipping::Automatic { gamma } => (norm + divisor.recip() * gamma as f32).recip() * target,
    };
    let bound = GRID as f32;
    let mut square = 0i64;
    for (x, &g) in grid.iter_mut().zip(row) {
        *x = (g / divisor * scale).round_ties_even().clamp(-bound, bound) as i64;
        square += *x * *x;
    }
    square <= GRID * GRID
}
