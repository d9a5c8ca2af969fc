//! Was a text in a model's training data? The Min-K% probability (Shi et al. 2024): a text that was
//! not has a few tokens that the model found very improbable.

use burn::tensor::{Tensor, TensorData, activation};

use crate::model::{Lm, TokenBatch};
use crate::optim::{DeviceError, read};

/// The share of tokens that Shi et al. look at.
pub const SHARE: f64 = 0.2;

/// Mean of the lowest `share` of the tokens' log-probabilities, of at least one: higher speaks for
/// membership. NaN where there is none.
#[must_use]
pub fn min_k(log_probabilities: &[f32], share: f64) -> f64 {
    let mut rising: Vec<f64> = log_probabilities.iter().map(|&x| f64::from(x)).collect();
    rising.sort_by(f64::total_cmp);
    let count = ((share * rising.len() as f64) as usize).max(1);
    let lowest = rising.iter().take(count);
    lowest.sum::<f64>() / count.min(rising.len()) as f64
}

/// ln p(token | those before it) of every token but the first, by a causal model.
///
/// # Errors
/// [`DeviceError`].
pub async fn log_probabilities(lm: &Lm, ids: &[u32]) -> Result<Vec<f32>, DeviceError> {
    let Some((_, targets)) = ids.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Ok(Vec::new());
    };
    let count = targets.len();
    let hidden = lm.hidden_all(&lm.embed(&TokenBatch::padded(&[ids], ids.len())));
    let [_, _, d] = hidden.dims();
    let hidden = hidden.narrow(1, 0, count).reshape([count, d]);
    let logits = lm.logits(hidden);
    let targets: Vec<i32> = targets.iter().map(|&id| id as i32).collect();
    let targets = Tensor::from_data(TensorData::new(targets, [count, 1]), lm.device());
    read(activation::log_softmax(logits, 1).gather(1, targets)).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::model::testing::{llama, random};
    use crate::prompt::logits_at;

    #[test]
    fn the_lowest_share_is_averaged() {
        let values = [-1.0, -7.0, -2.0, -5.0, -3.0, -0.5, -0.1, -0.2, -4.0, -6.0];
        assert!((min_k(&values, 0.2) + 6.5).abs() < 1e-12);
        assert!((min_k(&values, 0.29) + 6.5).abs() < 1e-12);
        assert!((min_k(&values, 1.0) - values.iter().sum::<f32>() as f64 / 10.0).abs() < 1e-6);
        // Never fewer than one, and nothing of nothing.
        assert!((min_k(&values, 0.01) + 7.0).abs() < 1e-12);
        assert!(min_k(&[], 0.2).is_nan());
    }

    /// Against the logits that `forward` prints, one place at a time.
    #[test]
    fn log_probabilities_are_of_the_next_token() {
        let lm = random(&llama(), 3);
        let ids = [5, 17, 2, 9, 9, 1];
        let found = block_on(log_probabilities(&lm, &ids)).unwrap();
        assert_eq!(found.len(), 5);
        for (at, found) in found.iter().enumerate() {
            let logits = block_on(logits_at(&lm, &ids, at, None)).unwrap();
            let sum: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
            let expected = f64::from(logits[ids[at + 1] as usize]) - sum.ln();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{at}");
        }
        assert!(block_on(log_probabilities(&lm, &[4])).unwrap().is_empty());
        assert!(block_on(log_probabilities(&lm, &[])).unwrap().is_empty());
    }
}
