//! What a run would cost, by the accountant that the engine itself uses.

use post_core::dp::{Adjacency, Budget, Length, Plan, PlanConfig, PlanError, PrivacyUnit};
use serde::{Deserialize, Serialize};

use crate::protocol::{Answer, Request};

/// A run as the page's form has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// N, public.
    pub rows: u64,
    /// Mean size of a Poisson batch.
    pub expected_batch: f64,
    /// Optimiser steps.
    pub steps: u64,
    /// σ over C.
    pub noise_multiplier: f64,
    /// δ.
    pub delta: f64,
}

/// Answers one message of the page.
#[must_use]
pub fn answer(message: &str) -> Answer {
    let Request::Cost { number, run } = match serde_json::from_str(message) {
        Ok(request) => request,
        Err(error) => {
            return Answer::Refused {
                number: None,
                reason: error.to_string(),
            };
        }
    };
    match plan(&run) {
        Ok(plan) => Answer::Cost {
            number,
            epsilon: plan.epsilon(),
            sample_rate: plan.sample_rate(),
        },
        Err(error) => Answer::Refused {
            number: Some(number),
            reason: error.to_string(),
        },
    }
}

fn plan(run: &Run) -> Result<Plan, PlanError> {
    Plan::new(PlanConfig {
        budget: Budget::NoiseMultiplier(run.noise_multiplier),
        public_size: run.rows,
        expected_batch: run.expected_batch,
        length: Length::Steps(run.steps),
        max_grad_norm: 1.0,
        target_delta: run.delta,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    })
}
