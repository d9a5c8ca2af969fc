//! How well public text suits a prompt, before anything is transferred.

use crate::task::probabilities;

/// How far the student behind its prompt tells public rows apart: the mutual information of row and
/// class, (H(p̄) − mean H(p)) / ln C, where p are its class probabilities of a row and p̄ their mean.
///
/// A transfer can only carry over what the prompt does on the public rows. Where the prompted student
/// says the same of every row the score is 0, and there is nothing to be learned but that one answer;
/// where it gives all C classes equally often and is sure of each it is 1. `logits` are class logits of
/// the public rows, `C` a row. Without private rows, so a prompt's (ε, δ) holds for its score, too.
///
/// # Example
/// ```
/// use post_core::transfer::public_score;
/// assert!(public_score(&[vec![9.0, -9.0], vec![-9.0, 9.0]]) > 0.99);
/// assert!(public_score(&[vec![9.0, -9.0], vec![9.0, -9.0]]) < 0.01);
/// ```
#[must_use]
pub fn public_score(logits: &[Vec<f32>]) -> f64 {
    let classes = logits.first().map_or(0, Vec::len);
    if classes < 2 {
        return 0.0;
    }
    let mut mean = vec![0.0; classes];
    let mut sure = 0.0;
    for row in logits {
        let probabilities = probabilities(row);
        sure += entropy(&probabilities) / logits.len() as f64;
        let pairs = mean.iter_mut().zip(&probabilities);
        pairs.for_each(|(mean, p)| *mean += p / logits.len() as f64);
    }
    ((entropy(&mean) - sure) / (classes as f64).ln()).max(0.0)
}

/// In nats.
fn entropy(probabilities: &[f64]) -> f64 {
    let part = |&p: &f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    probabilities.iter().map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rows_share_does_not_count() {
        // p = 3/4 and 1/4, so p̄ = 1/2: ln 2 − H(1/4) nats, H(1/4) = 0.562335.
        let odds = 3f32.ln();
        let apart = public_score(&[vec![odds, 0.0], vec![0.0, odds]]);
        let expected = 1.0 - 0.562_335_144_618_8 / 2f64.ln();
        assert!((apart - expected).abs() < 1e-6, "{apart}");
        let alike = public_score(&[vec![odds, 0.0], vec![odds + 5.0, 5.0]]);
        assert!(alike.abs() < 1e-6, "{alike}");
        assert_eq!(public_score(&[]), 0.0);
    }
}
