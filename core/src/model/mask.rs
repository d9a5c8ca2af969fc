//! Who may look at whom, as a number that is added to the attention scores.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::Config;
use super::config::Layer;

/// Added where a query may not look. Large enough that its exponential is 0 beside any real score,
/// and finite, so that a row that may look nowhere stays a number.
const BLOCKED: f32 = -1e9;

/// `[batch or 1, 1, queries or 1, keys]`, for queries at the `width` places behind `past` earlier ones.
///
/// Right padding stands after everything real, so to a causal model it is the future like any other:
/// one triangle serves all rows. A bidirectional model must not see keys beyond a row's length.
/// What a *padded* query computes is never read.
pub(super) fn along(
    config: &Config,
    layer: &Layer,
    lengths: &[usize],
    [past, width]: [usize; 2],
    device: &Device,
) -> Tensor<4> {
    let keys = past + width;
    if config.causal {
        let visible = (past..keys).map(|query| layer.seen_from(query));
        upload(visible, keys, |rows| [1, 1, rows, keys], device)
    } else {
        let visible = lengths.iter().map(|&length| 0..length);
        upload(visible, keys, |rows| [rows, 1, 1, keys], device)
    }
}

/// `[batch, 1, q, keys]`, for q queries in each row, at `places[i·q..(i + 1)·q]` in row i.
pub(super) fn at(
    config: &Config,
    layer: &Layer,
    lengths: &[usize],
    places: &[usize],
    keys: usize,
    device: &Device,
) -> Tensor<4> {
    let (batch, queries) = (lengths.len(), places.len() / lengths.len());
    let visible = places
        .iter()
        .enumerate()
        .map(|(query, &place)| match config.causal {
            true => layer.seen_from(place),
            false => 0..lengths[query / queries],
        });
    upload(visible, keys, |_| [batch, 1, queries, keys], device)
}

impl Layer {
    /// The keys that a causal query at `place` sees.
    fn seen_from(&self, place: usize) -> Range<usize> {
        let end = place + 1;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }
}

/// One row of the mask for each range of visible keys.
fn upload(
    visible: impl Iterator<Item = Range<usize>>,
    keys: usize,
    shape: impl Fn(usize) -> [usize; 4],
    device: &Device,
) -> Tensor<4> {
    let cost = |seen: bool| if seen { 0.0 } else { BLOCKED };
    let values: Vec<f32> = visible
        .flat_map(|visible| (0..keys).map(move |key| cost(visible.contains(&key))))
        .collect();
    let rows = values.len() / keys;
    Tensor::from_data(TensorData::new(values, shape(rows)), device)
}
