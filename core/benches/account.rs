//! Time of ε by privacy loss distributions, and of calibrating the noise for it.
//!
//! `cargo bench -p post-core --bench account`; `benches/peer/account.py` does the same with
//! dp-accounting. Prints one JSON line for each row: ε, and the median wall seconds of the repeats.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::Instant;

use post_core::dp::account::{Event, calibrate_noise, epsilon};

const REPEATS: usize = 9;

/// (sample rate, noise multiplier, steps, δ), as in the peer's script.
const ROWS: [(f64, f64, u64, f64); 6] = [
    (0.04, 1.5, 2_250, 1e-5),
    (0.0064, 1.0, 782, 1e-6),
    (0.01, 1.0, 10_000, 1e-5),
    (0.001, 1.0, 30_000, 1e-7),
    (0.001, 1.0, 100_000, 1e-6),
    (0.01, 4.0, 100_000, 1e-6),
];

fn median<T>(mut run: impl FnMut() -> T) -> (T, f64) {
    let mut seconds = Vec::new();
    let mut result = run();
    for _ in 0..REPEATS {
        let start = Instant::now();
        result = run();
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    (result, seconds[REPEATS / 2])
}

fn main() {
    for (sample_rate, noise_multiplier, steps, delta) in ROWS {
        let event = Event {
            sample_rate,
            noise_multiplier,
            steps,
        };
        let (epsilon, seconds) = median(|| epsilon(&[event], delta).unwrap());
        let (noise, calibration) =
            median(|| calibrate_noise(epsilon, delta, sample_rate, steps).unwrap());
        println!(
            r#"{{"sample_rate": {sample_rate}, "noise_multiplier": {noise_multiplier}, "steps": {steps}, "delta": {delta:e}, "epsilon": {epsilon:.6}, "seconds": {seconds:.4}, "calibrated": {noise:.6}, "calibration_seconds": {calibration:.4}}}"#
        );
    }
}
