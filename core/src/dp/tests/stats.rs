//! Critical values at α = 1e-6.

/// Two-sided normal quantile.
pub(super) const Z: f64 = 4.892;
/// One-sided.
const Z_UPPER: f64 = 4.753;

/// Upper quantile of χ² (Wilson and Hilferty 1931).
pub(super) fn chi_square(freedom: usize) -> f64 {
    let k = freedom as f64;
    let a = 2.0 / (9.0 * k);
    k * (1.0 - a + Z_UPPER * a.sqrt()).powi(3)
}

/// Of Kolmogorov and Smirnov's D for `n` draws.
pub(super) fn kolmogorov(n: usize) -> f64 {
    ((2e6f64).ln() / 2.0 / n as f64).sqrt()
}

/// Pearson's statistic.
pub(super) fn pearson(observed: &[f64], expected: &[f64]) -> f64 {
    observed
        .iter()
        .zip(expected)
        .map(|(o, e)| (o - e).powi(2) / e)
        .sum()
}
