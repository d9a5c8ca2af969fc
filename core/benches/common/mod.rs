//! A stopwatch, and what is timed.
#![allow(dead_code, reason = "no bench needs all of it")]

pub(crate) mod model;
pub(crate) mod tuning;

use std::time::Instant;

/// User and system seconds of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .filter_map(|x| x.parse().ok())
        .collect();
    // Fields 14 and 15 of the file; the state letter before them isn't a number.
    fields
        .get(10)
        .zip(fields.get(11))
        .map_or(f64::NAN, |(user, system)| (user + system) / 100.0)
}

/// Prints the smallest wall and CPU seconds of `repeats` runs, after one that doesn't count.
pub(crate) fn measure(name: &str, blocks: usize, repeats: usize, mut step: impl FnMut()) {
    step();
    let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..repeats {
        let (start, before) = (Instant::now(), cpu_seconds());
        step();
        wall = wall.min(start.elapsed().as_secs_f64());
        cpu = cpu.min(cpu_seconds() - before);
    }
    println!(
        "{}",
        serde_json::json!({"what": name, "blocks": blocks, "wall_s": wall, "cpu_s": cpu})
    );
}
