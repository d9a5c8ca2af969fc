//! The same on the device, in i32 where nothing can overflow.

use burn::tensor::{Bool, Device, Int, IntDType, Tensor, TensorData};

use super::{Clip, ClipError, Clipping, GRID, GRID_BITS, target};

/// Columns whose squares are added at once: 2¹² halves of at most 2¹⁴ stay below 2²⁷.
const CHUNK: usize = 1 << 12;

/// Sum over the first `real` rows of `gradients` (`[rows, dimension]`), clipped and on the grid:
/// `[1, dimension]`, each entry at most 2¹⁴ × rows in magnitude.
///
/// Floats only choose x. That it is in bounds is decided by integers, so neither a device's
/// rounding nor a shader that forgets NaN can break the sensitivity.
pub(in crate::dp) fn add(gradients: Tensor<2>, real: usize, clip: Clip) -> Tensor<2, Int> {
    let grid = onto_grid(gradients.narrow(0, 0, real), clip);
    let over = exceeds(&grid);
    let [rows, dimension] = grid.dims();
    grid.mask_fill(over.expand([rows, dimension]), 0).sum_dim(0)
}

/// round(g·s) as integers within ±2¹⁴. Dividing by the largest entry first keeps the norm of huge
/// gradients finite.
fn onto_grid(gradients: Tensor<2>, clip: Clip) -> Tensor<2, Int> {
    let [rows, dimension] = gradients.dims();
    let largest = gradients.clone().abs().max_dim(1);
    let divisor = largest.clone().clamp_min(f32::MIN_POSITIVE);
    let unit = gradients / divisor.clone();
    let norm = unit.clone().square().sum_dim(1).sqrt();
    let kept = largest
        .clone()
        .lower_equal_elem(f32::MAX)
        .bool_and(norm.clone().greater_elem(0.5));
    let target = target(dimension);
    let scale = match clip.clipping {
        Clipping::Threshold => {
            let room = GRID as f64 / clip.max_grad_norm;
            (largest * room).min_pair(norm.recip() * target)
        }
        // γ is divided, not the norm multiplied: that could overflow.
        Clipping::Automatic { gamma } => (norm + divisor.recip() * gamma).recip() * target,
    };
    let grid = unit * scale;
    let lost = kept.bool_not().expand([rows, dimension]);
    let grid = grid.mask_fill(lost, 0.0).round().clamp(-GRID, GRID);
    grid.int().cast(IntDType::I32).clamp(-GRID, GRID)
}

/// Whether ‖x‖² > 2²⁸, exactly, per row: `[rows, 1]`.
///
/// x² ≤ 2²⁸ is split into 2¹⁴·h + l, h ≤ 2¹⁴, l < 2¹⁴, and added in chunks; a chunk's h is cut at
/// 2¹⁴ + 1, which already decides. With at most 2²⁰ columns every intermediate stays below 2²⁷.
pub(in crate::dp) fn exceeds(grid: &Tensor<2, Int>) -> Tensor<2, Bool> {
    let [rows, dimension] = grid.dims();
    let chunks = dimension.div_ceil(CHUNK);
    let square = grid.clone() * grid.clone();
    let square = square.pad((0, chunks * CHUNK - dimension, 0, 0), 0);
    let (high, low) = split(square.reshape([rows, chunks, CHUNK]));
    let (carry, low) = split(low.sum_dim(2));
    let high = (high.sum_dim(2) + carry).clamp_max(GRID + 1);
    let (carry, low) = split(low.sum_dim(1));
    let high: Tensor<2, Int> = (high.sum_dim(1) + carry).reshape([rows, 1]);
    let low: Tensor<2, Int> = low.reshape([rows, 1]);
    // Past the bound when h > 2¹⁴, or h = 2¹⁴ and anything is left over.
    (high + low.clamp_max(1)).greater_elem(GRID)
}

/// Whether the live device decides like [`exceeds`] must, just below and above the bound: a shader
/// that fails to compile may be skipped without an error (cubecl #1641).
pub(in crate::dp) async fn is_exact(device: &Device, dimension: usize) -> Result<bool, ClipError> {
    let bound = GRID as i32;
    let row = |first, last| {
        let mut row = vec![0; dimension + 1];
        (row[0], row[dimension]) = (first, last);
        row
    };
    let all = vec![-bound; dimension + 1];
    let rows = [
        row(bound, 0),
        row(-bound, 1),
        row(0, bound),
        all,
        row(bound - 1, 181),
        row(0, 0),
    ];
    let data = TensorData::new(rows.concat(), [rows.len(), dimension + 1]);
    let over = exceeds(&Tensor::from_data(data, device)).int();
    let over = over.into_data_async().await?;
    // (2¹⁴ − 1)² + 181² is 2²⁸ − 6.
    Ok(over.iter::<i64>().eq([0, 1, 0, 1, 0, 0]))
}

/// (x >> 14, x mod 2¹⁴) of x ≥ 0.
fn split(x: Tensor<3, Int>) -> (Tensor<3, Int>, Tensor<3, Int>) {
    let high = x.clone().bitwise_right_shift_scalar(GRID_BITS);
    let low = x.bitwise_and_scalar(GRID - 1);
    (high, low)
}
