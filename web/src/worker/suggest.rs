//! Settings for a person who changes nothing.
//!
//! They depend on the rounded number of rows alone, so they may become public. What they are comes
//! from `docs/experiments.md`.

use post_core::dp::{
    Adjacency, Budget, Clipping, Length, Plan, PlanConfig, PlanError, PrivacyUnit, suggest_delta,
};
use post_core::model::Config;
use post_core::tune::TuneConfig;

use crate::protocol::{Settings, Unit};

/// Most rows in a mean batch.
const BATCH: f64 = 256.0;

/// Bytes of the largest tensor of a pass; no buffer of a graphics card need be larger than twice that.
const LARGEST: usize = 64 << 20;

/// For so many rows.
pub fn settings(public_size: u64) -> Settings {
    Settings {
        epsilon: 8.0,
        delta: suggest_delta(public_size),
        public_size,
        unit: Unit::Row,
        expected_batch: BATCH.min((public_size as f64 / 4.0).ceil()),
        steps: 40,
        max_grad_norm: 0.5,
        num_virtual_tokens: 10,
        learning_rate: 2e-2,
        decay: true,
    }
}

/// The plan of a run.
///
/// # Errors
/// A setting out of range, or a budget that no noise keeps.
pub fn plan(settings: &Settings) -> Result<Plan, PlanError> {
    Plan::new(PlanConfig {
        budget: Budget::Epsilon(settings.epsilon),
        public_size: settings.public_size,
        expected_batch: settings.expected_batch,
        length: Length::Steps(settings.steps),
        max_grad_norm: settings.max_grad_norm,
        clipping: Clipping::Threshold,
        target_delta: settings.delta,
        unit: match settings.unit {
            Unit::Row => PrivacyUnit::Row,
            Unit::Person => PrivacyUnit::Person,
        },
        adjacency: Adjacency::AddRemove,
    })
}

/// How the prompt moves.
pub fn tuning(settings: &Settings, micro_batch: usize) -> TuneConfig {
    use post_core::optim::Schedule;
    TuneConfig {
        learning_rate: settings.learning_rate,
        schedule: if settings.decay {
            Schedule::DECAY
        } else {
            Schedule::Constant
        },
        micro_batch,
        ..TuneConfig::default()
    }
}

/// Examples in one pass, for prompt and texts of at most `longest` places together. Results don't depend
/// on it.
pub fn micro_batch(longest: usize, config: &Config) -> usize {
    (LARGEST / example(longest, config).max(1)).clamp(1, 8)
}

/// Bytes of the largest tensor that one example of so many places needs: its widest activation, or what
/// each head gives each pair of places.
pub fn example(longest: usize, config: &Config) -> usize {
    let widest = config.intermediate_size.max(config.hidden_size);
    4 * longest * widest.max(config.num_attention_heads * longest)
}

/// The most places whose [`example`] fits into a buffer of a graphics card.
pub fn places(config: &Config) -> usize {
    let fits = |&places: &usize| example(places, config) <= 2 * LARGEST;
    (1..).take_while(fits).last().unwrap_or(0)
}
