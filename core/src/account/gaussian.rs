//! The Gaussian mechanism without sampling, exactly (Balle and Wang 2018, Theorem 8).
//!
//! T steps with noise σ are one mechanism with μ = √T/σ, and both directions are alike:
//! δ(ε) = Φ(μ/2 − ε/μ) − e^ε·Φ(−μ/2 − ε/μ).

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use libm::{erfc, exp, log};

/// δ(ε) of a Gaussian mechanism with sensitivity / deviation `mu`.
pub fn delta(mu: f64, epsilon: f64) -> f64 {
    // With z = ε/μ − μ/2 and y = ε/μ + μ/2, e^ε·φ(y) = φ(z): the second term is φ(z)·Φ(−y)/φ(y),
    // in which nothing overflows.
    let (z, y) = (epsilon / mu - 0.5 * mu, epsilon / mu + 0.5 * mu);
    let density = exp(-0.5 * z * z) / TAU.sqrt();
    (0.5 * erfc(z * FRAC_1_SQRT_2) - density * mills_ratio(y)).clamp(0.0, 1.0)
}

/// The smallest ε ≥ 0 with δ(ε) ≤ `delta`; the upper end of the last bisected interval.
pub fn epsilon(mu: f64, delta: f64) -> f64 {
    let enough = |epsilon| self::delta(mu, epsilon) <= delta;
    if enough(0.0) {
        return 0.0;
    }
    // Chernoff's bound.
    smallest(0.0, mu * (0.5 * mu + (-2.0 * log(delta)).sqrt()), enough)
}

/// The largest μ that is (ε, δ)-DP, from below.
pub fn largest_mu(epsilon: f64, delta: f64) -> f64 {
    let enough = |inverse: f64| self::delta(1.0 / inverse, epsilon) <= delta;
    let mut largest = 1.0;
    while !enough(largest) {
        largest *= 2.0;
    }
    1.0 / smallest(0.0, largest, enough)
}

/// The smallest argument that is `enough`, from above, to the last bits.
fn smallest(mut below: f64, mut above: f64, enough: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = 0.5 * (below + above);
        if middle <= below || middle >= above || above - below <= 4.0 * f64::EPSILON * above {
            return above;
        }
        *(if enough(middle) {
            &mut above
        } else {
            &mut below
        }) = middle;
    }
}

/// (1 − Φ(y)) / φ(y) for y > 0.
fn mills_ratio(y: f64) -> f64 {
    if y < 10.0 {
        return 0.5 * erfc(y * FRAC_1_SQRT_2) * exp(0.5 * y * y) * TAU.sqrt();
    }
    // Laplace's continued fraction 1/(y + 1/(y + 2/(y + 3/(y + …)))).
    (1..=40)
        .rev()
        .fold(y, |rest, k| y + f64::from(k) / rest)
        .recip()
}
