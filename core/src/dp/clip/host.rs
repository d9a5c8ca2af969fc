//! Clipping one example at a time in f64, for devices whose memory is the host's.

use super::{GRID, target};

/// Adds each of the first `real` rows of `gradients` (`[rows, dimension]`), clipped and on the
/// grid, to `sum`.
pub(in crate::dp) fn add(gradients: &[f32], real: usize, max_grad_norm: f64, sum: &mut [i64]) {
    let mut grid = vec![0; sum.len()];
    for row in gradients.chunks_exact(sum.len()).take(real) {
        if onto_grid(row, max_grad_norm, &mut grid) {
            sum.iter_mut().zip(&grid).for_each(|(sum, x)| *sum += x);
        }
    }
}

/// Writes round(g·s) to `grid`; false when the row must count as zero: it is not finite, or its
/// integer norm, which no float can talk its way around, is above the bound.
fn onto_grid(row: &[f32], max_grad_norm: f64, grid: &mut [i64]) -> bool {
    let norm = row
        .iter()
        .map(|&g| f64::from(g).powi(2))
        .sum::<f64>()
        .sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return false;
    }
    let scale = (GRID as f64 / max_grad_norm).min(target(row.len()) / norm);
    let mut square = 0i64;
    for (x, &g) in grid.iter_mut().zip(row) {
        *x = ((f64::from(g) * scale).round() as i64).clamp(-GRID, GRID);
        square += *x * *x;
    }
    square <= GRID * GRID
}
