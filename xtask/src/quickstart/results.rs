//! What the evaluations said, as one file. `post-native report` draws it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    TeacherZeroShot,
    TeacherCalibrated,
    StudentZeroShot,
    StudentPrompt,
    StudentPromptDp,
    Direct,
    DirectDp,
    Post,
    PostDp,
    PostCalibrated,
    PostCalibratedDp,
    UpperBound,
}

impl Key {
    /// In `results.json`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TeacherZeroShot => "teacher_zero_shot",
            Self::TeacherCalibrated => "teacher_calibrated",
            Self::StudentZeroShot => "student_zero_shot",
            Self::StudentPrompt => "student_prompt",
            Self::StudentPromptDp => "student_prompt_dp",
            Self::Direct => "direct",
            Self::DirectDp => "direct_dp",
            Self::Post => "post",
            Self::PostDp => "post_dp",
            Self::PostCalibrated => "post_calibrated",
            Self::PostCalibratedDp => "post_calibrated_dp",
            Self::UpperBound => "upper_bound",
        }
    }

    /// Whether what the model says to public rows on the whole is taken off its answers.
    pub(super) fn calibrated(self) -> bool {
        matches!(
            self,
            Self::TeacherCalibrated | Self::PostCalibrated | Self::PostCalibratedDp
        )
    }
}

/// What an evaluation must say.
const FIELDS: [&str; 4] = ["accuracy", "low", "high", "n"];

/// Everything that `results.json` holds.
#[derive(Debug, Default)]
pub(super) struct Results {
    accuracies: BTreeMap<Key, Map<String, Value>>,
    /// ε and δ of the private prompt, as its receipt states them.
    privacy: Option<(f64, f64)>,
    /// Seconds by phase.
    seconds: BTreeMap<String, f64>,
}

impl Results {
    /// Adds what `post-native eval --json` printed.
    ///
    /// # Errors
    /// When it isn't JSON or lacks a field.
    pub(super) fn evaluation(&mut self, key: Key, output: &str) -> Result<()> {
        let all: Value =
            serde_json::from_str(output).with_context(|| format!("{} is no JSON", key.name()))?;
        let mut kept = Map::new();
        for field in FIELDS {
            let value = all.get(field).filter(|value| value.is_number());
            let value = value
                .with_context(|| format!("the evaluation of {} has no {field}", key.name()))?;
            kept.insert(field.to_owned(), value.clone());
        }
        self.accuracies.insert(key, kept);
        Ok(())
    }

    /// Adds what the receipt states.
    ///
    /// # Errors
    /// When it isn't JSON or lacks ε or δ.
    pub(super) fn receipt(&mut self, receipt: &str) -> Result<()> {
        let all: Value = serde_json::from_str(receipt).context("the receipt is no JSON")?;
        let number = |name: &str| {
            all.get(name)
                .and_then(Value::as_f64)
                .with_context(|| format!("the receipt has no {name}"))
        };
        self.privacy = Some((number("epsilon")?, number("delta")?));
        Ok(())
    }

    /// Adds how long a phase took.
    pub(super) fn took(&mut self, phase: &str, seconds: f64) {
        self.seconds.insert(phase.to_owned(), seconds);
    }

    /// The content of `results.json`.
    pub(super) fn to_json(&self) -> Value {
        let mut all = Map::new();
        for (key, accuracy) in &self.accuracies {
            all.insert(key.name().to_owned(), Value::Object(accuracy.clone()));
        }
        if let Some((epsilon, delta)) = self.privacy {
            all.insert("epsilon".into(), json!(epsilon));
            all.insert("delta".into(), json!(delta));
        }
        all.insert("seconds".into(), json!(self.seconds));
        Value::Object(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EVAL: &str = r#"{"accuracy": 0.75, "low": 0.7, "high": 0.8, "n": 400, "confusion": []}"#;

    #[test]
    fn results_have_the_promised_keys_and_nothing_private() {
        let mut results = Results::default();
        results.evaluation(Key::PostDp, EVAL).unwrap();
        results
            .receipt(r#"{"epsilon": 7.99, "delta": 1e-5, "steps": 400}"#)
            .unwrap();
        results.took("tune-dp", 12.5);
        let expected = json!({
            "post_dp": {"accuracy": 0.75, "low": 0.7, "high": 0.8, "n": 400},
            "epsilon": 7.99, "delta": 1e-5, "seconds": {"tune-dp": 12.5}
        });
        assert_eq!(results.to_json(), expected);
    }

    #[test]
    fn a_missing_figure_is_named() {
        let error = Results::default()
            .evaluation(Key::Post, r#"{"accuracy": 0.5}"#)
            .unwrap_err();
        assert_eq!(error.to_string(), "the evaluation of post has no low");
    }
}
