//! What the attacks and `bench` find: printed as JSON, and read again by an experiment for its report.

use post_core::audit::roc::{Estimate, Reached};
use post_core::report::{Align, Table};
use serde::{Deserialize, Serialize};

/// Of `audit lira`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lira {
    pub(crate) rows: usize,
    pub(crate) shadows: usize,
    /// Of each prompt; `null` without privacy.
    pub(crate) epsilon: Option<f64>,
    pub(crate) delta: Option<f64>,
    #[serde(flatten)]
    pub(crate) reached: Reached,
    /// What no attack can pass if ε and δ hold.
    pub(crate) allowed: Option<Allowed>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Allowed {
    pub(crate) auc: f64,
    pub(crate) tpr_at_1_percent: f64,
    pub(crate) tpr_at_01_percent: f64,
}

/// Of `audit min-k`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MinK {
    pub(crate) members: usize,
    pub(crate) others: usize,
    pub(crate) share: f64,
    #[serde(flatten)]
    pub(crate) reached: Reached,
}

/// Of `score`, for one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scored {
    pub(crate) file: String,
    pub(crate) rows: usize,
    /// From 0 to 1.
    pub(crate) score: f64,
}

/// Of `bench`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Floating-point operations a second.
    pub(crate) best_matmul: f64,
    pub(crate) measured: Vec<Measured>,
    pub(crate) runs: Vec<Run>,
}

/// A kind of step, measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) phase: String,
    /// Of one step, the fastest.
    pub(crate) seconds: f64,
    pub(crate) examples_per_second: f64,
    /// By count, a second.
    pub(crate) flops_per_second: f64,
    /// Of the device's best matrix product.
    pub(crate) share_of_matmul: f64,
    /// The most the process ever held up to the end of the phase, or within it where the system can
    /// tell; of the host's memory, so that what a GPU holds in its own is not in it.
    pub(crate) peak_bytes: Option<u64>,
}

/// A whole run, worked out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) phase: String,
    pub(crate) who: String,
    pub(crate) examples: f64,
    pub(crate) flops: f64,
    /// Weights read from memory.
    pub(crate) bytes: f64,
    /// At the measured speed of such steps.
    pub(crate) seconds: f64,
}

impl Costs {
    /// Single steps.
    pub(crate) fn speed(&self) -> Table {
        let mut speed = Table::new([
            ("step", Align::Left),
            ("s", Align::Right),
            ("examples/s", Align::Right),
            ("GFLOP/s", Align::Right),
            ("of matmul", Align::Right),
            ("peak, host MB", Align::Right),
        ]);
        for row in &self.measured {
            let peak = row.peak_bytes;
            speed.push([
                row.phase.clone(),
                format!("{:.3}", row.seconds),
                format!("{:.1}", row.examples_per_second),
                format!("{:.1}", row.flops_per_second / 1e9),
                format!("{:.0} %", 100.0 * row.share_of_matmul),
                peak.map_or_else(
                    || "-".to_owned(),
                    |bytes| format!("{:.0}", bytes as f64 / 1e6),
                ),
            ]);
        }
        speed
    }

    /// Whole runs.
    pub(crate) fn cost(&self) -> Table {
        let mut cost = Table::new([
            ("run", Align::Left),
            ("by", Align::Left),
            ("examples", Align::Right),
            ("TFLOP", Align::Right),
            ("weights read, GB", Align::Right),
            ("minutes", Align::Right),
        ]);
        for row in &self.runs {
            cost.push([
                row.phase.clone(),
                row.who.clone(),
                format!("{:.0}", row.examples),
                format!("{:.2}", row.flops / 1e12),
                format!("{:.1}", row.bytes / 1e9),
                format!("{:.1}", row.seconds / 60.0),
            ]);
        }
        cost
    }
}

/// `0.561 [0.552, 0.570]`
pub(crate) fn with_interval(estimate: &Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{value:.3} [{low:.3}, {high:.3}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_step_is_said_to_be_the_hosts() {
        let step = Measured {
            phase: "distil".into(),
            seconds: 0.5,
            examples_per_second: 8.0,
            flops_per_second: 1e9,
            share_of_matmul: 0.25,
            peak_bytes: Some(3_000_000),
        };
        let costs = Costs {
            best_matmul: 4e9,
            measured: vec![step],
            runs: Vec::new(),
        };
        let text = costs.speed().to_text();
        assert!(
            text.contains("peak, host MB") && text.trim_end().ends_with(" 3"),
            "{text}"
        );
    }
}
