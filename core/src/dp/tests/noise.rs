use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::stats::{Z, chi_square, kolmogorov, pearson};
use crate::dp::{
    Entropy,
    clip::GRID,
    noise::{Noise, gaussian},
};

const N: usize = 1 << 18;
const SIGMA: f64 = GRID as f64;

fn draws(seed: u64, scale: f64) -> Vec<f64> {
    let mut noise = Noise::new(Entropy::insecure(seed).streams().1);
    (0..N).map(|_| noise.draw(scale) as f64).collect()
}

fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

fn kolmogorov_distance(mut draws: Vec<f64>) -> f64 {
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let gap = |(i, x): (usize, &f64)| {
        let cdf = normal_cdf(x / SIGMA);
        (cdf - i as f64 / n)
            .abs()
            .max(((i + 1) as f64 / n - cdf).abs())
    };
    draws.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// Standardised deviation of the variance from σ².
fn variance_score(draws: &[f64]) -> f64 {
    let n = draws.len() as f64;
    let variance = draws.iter().map(|x| (x / SIGMA).powi(2)).sum::<f64>() / n;
    (variance - 1.0) * (n / 2.0).sqrt()
}

/// χ² of the lowest four bits against uniform.
fn low_bits(values: &[f64]) -> f64 {
    let mut counts = [0.0; 16];
    values
        .iter()
        .for_each(|x| counts[x.rem_euclid(16.0) as usize] += 1.0);
    pearson(&counts, &[values.len() as f64 / 16.0; 16])
}

/// Standardised correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    dot / SIGMA / SIGMA / (a.len() as f64).sqrt()
}

#[test]
fn the_noise_is_gaussian_of_the_right_scale() {
    let noise = draws(1, SIGMA);
    assert!(variance_score(&noise).abs() < Z);
    assert!(low_bits(&noise) < chi_square(15));
    assert!(kolmogorov_distance(noise) < kolmogorov(N));
}

#[test]
fn noise_three_percent_too_small_is_noticed() {
    let noise = draws(1, 0.97 * SIGMA);
    assert!(variance_score(&noise) < -Z);
    assert!(kolmogorov_distance(noise) > kolmogorov(N));
}

#[test]
fn float_rounding_left_in_is_noticed() {
    // A sum of 2²⁷ grid units in f32 has lost the last four bits of whatever is added to it.
    let sum = (1u32 << 27) as f32;
    let release: Vec<_> = draws(1, SIGMA)
        .iter()
        .map(|&x| f64::from(sum + x as f32))
        .collect();
    assert!(low_bits(&release) > chi_square(15));
}

#[test]
fn streams_are_independent_and_a_reused_one_is_noticed() {
    let noise = draws(1, SIGMA);
    assert!(correlation(&noise, &draws(2, SIGMA)).abs() < Z);
    assert!(correlation(&noise[1..], &noise[..N - 1]).abs() < Z);
    assert!(correlation(&noise, &draws(1, SIGMA)) > Z);

    let (mut sampling, mut noise) = Entropy::insecure(1).streams();
    let equal: u32 = (0..N)
        .map(|_| (!(sampling.next_u64() ^ noise.next_u64())).count_ones())
        .sum();
    let bits = (64 * N) as f64;
    assert!((f64::from(equal) - bits / 2.0).abs() < Z * bits.sqrt() / 2.0);
    let (mut a, mut b) = (
        Entropy::insecure(1).streams().0,
        Entropy::insecure(1).streams().0,
    );
    assert!((0..N).all(|_| a.next_u64() == b.next_u64()));
}

/// `[high, low, angle, value, rest]`: words in hex, the true value as the sum of two f64.
type Golden = Vec<(String, String, String, f64, f64)>;

#[test]
fn each_draw_is_within_two_to_the_minus_49_of_the_truth() {
    let golden: Golden = serde_json::from_str(include_str!("gaussian.json")).unwrap();
    assert!(golden.len() >= 400);
    for (high, low, angle, value, rest) in golden {
        let wide = |text: &str| u128::from_str_radix(text, 16).unwrap();
        let drawn = gaussian(wide(&high), wide(&low), wide(&angle) as u64);
        let error = ((drawn - value) - rest).abs();
        assert!(
            error <= value.abs() / (1u64 << 49) as f64,
            "{high} {low} {angle}: {drawn}"
        );
    }
}

#[test]
fn a_draw_always_takes_five_words() {
    let mut counted = ChaCha20Rng::from_seed([7; 32]);
    let mut noise = Noise::new(counted.clone());
    for _ in 0..1000 {
        noise.draw(SIGMA);
        let _ = [(); 5].map(|()| counted.next_u64());
    }
    assert!(noise.0 == counted);
}
