//! Noticing that the loss falls no more.

use serde::{Deserialize, Serialize};

use crate::optim::{State, StateError};

/// Share of a new loss in the smoothed one: about fifty steps' memory.
const SMOOTHING: f64 = 0.02;

/// When the loss counts as flat. It is computed from public text, so stopping by it costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauConfig {
    /// Steps without improvement.
    pub patience: u64,
    /// The share by which the smoothed loss must fall to count as improved.
    pub min_improvement: f64,
}

/// The course of the loss so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plateau {
    config: Option<PlateauConfig>,
    smoothed: f64,
    best: f64,
    since: u64,
}

impl Plateau {
    pub(super) fn new(config: Option<PlateauConfig>) -> Self {
        Self {
            config,
            smoothed: f64::NAN,
            best: f64::INFINITY,
            since: 0,
        }
    }

    /// Hears a step's loss; says whether it has been flat for long enough.
    pub(super) fn hear(&mut self, loss: f64) -> bool {
        let Some(config) = self.config else {
            return false;
        };
        if self.smoothed.is_nan() {
            self.smoothed = loss;
        } else {
            self.smoothed += SMOOTHING * (loss - self.smoothed);
        }
        if self.smoothed < self.best * (1.0 - config.min_improvement) || self.best.is_infinite() {
            self.best = self.smoothed;
            self.since = 0;
        } else {
            self.since += 1;
        }
        self.since >= config.patience
    }

    pub(super) fn save(&self, state: State) -> State {
        state
            .with_field("plateau_smoothed", self.smoothed)
            .with_field("plateau_best", self.best)
            .with_field("plateau_since", self.since)
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.smoothed = state.field("plateau_smoothed")?;
        self.best = state.field("plateau_best")?;
        self.since = state.field("plateau_since")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_loss_is_no_plateau_and_a_flat_one_is() {
        let config = PlateauConfig {
            patience: 30,
            min_improvement: 0.001,
        };
        let mut plateau = Plateau::new(Some(config));
        let falling = (0..300).any(|step| plateau.hear(10.0 * 0.99f64.powi(step)));
        assert!(!falling);
        let flat = (0..1000).position(|_| plateau.hear(0.5));
        assert!(flat.is_some_and(|steps| steps >= 30), "{flat:?}");
        assert!(!(0..1000).any(|_| Plateau::new(None).hear(1.0)));
    }
}
