//! What can be measured in a cell of the grid, what it costs in privacy, and what it depends on.

use serde::{Deserialize, Serialize};

/// Ways to get the large model to do the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Method {
    /// The teacher, asked without a prompt.
    ZeroShot,
    /// The teacher behind the task's sentence, where prompts start; as long as those of the grid's first ε.
    Sentence,
    /// Zero-shot, less what the teacher says to public rows on the whole.
    Calibrated,
    /// The teacher behind the task's sentence, less what it says to public rows behind it on the whole.
    SentenceCalibrated,
    /// The student, asked without a prompt.
    StudentZeroShot,
    /// The student behind the prompt that was tuned on it.
    Student,
    /// The teacher behind the student's prompt as it is.
    Direct,
    /// z_t + z_s^p − z_s, the student beside the teacher.
    LogitArithmetic,
    /// The same, counted from what both say behind the task's sentence.
    SentenceLogitArithmetic,
    /// The teacher behind the student's prompt, placed by relative representation without training.
    Relative,
    /// The teacher behind the transferred prompt.
    Post,
    /// The same, less what the teacher says to public rows behind it on the whole.
    PostCalibrated,
    /// The teacher behind a prompt tuned on it with the cell's ε.
    TeacherTuned,
    /// The teacher behind a prompt tuned on it without DP.
    UpperBound,
}

/// Settings of a prompt that a sentence in its place shares.
const OF_THE_SENTENCE: [&str; 2] = ["tune.num_virtual_tokens", "tune.prompt_place"];

impl Method {
    /// In tables.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ZeroShot => "teacher, zero-shot",
            Self::Sentence => "teacher + the task's sentence, nothing tuned",
            Self::Calibrated => "teacher, zero-shot, calibrated on public rows",
            Self::SentenceCalibrated => "teacher + the task's sentence, calibrated on public rows",
            Self::StudentZeroShot => "student, zero-shot",
            Self::Student => "student + its prompt",
            Self::Direct => "teacher + the student's prompt as it is",
            Self::LogitArithmetic => "teacher + what the prompt changes in the student's logits",
            Self::SentenceLogitArithmetic => {
                "teacher + what the prompt changes in the student's logits, since the sentence"
            }
            Self::Relative => "teacher + prompt placed without training",
            Self::Post => "teacher + transferred prompt (POST)",
            Self::PostCalibrated => {
                "teacher + transferred prompt (POST), calibrated on public rows"
            }
            Self::TeacherTuned => "teacher + prompt tuned on it",
            Self::UpperBound => "teacher + prompt tuned on it, no DP",
        }
    }

    /// Who learns what of the private rows.
    pub(crate) fn privacy(self) -> &'static str {
        match self {
            Self::ZeroShot
            | Self::Sentence
            | Self::Calibrated
            | Self::SentenceCalibrated
            | Self::StudentZeroShot => "no private row is used",
            Self::Student => "(ε, δ) to whoever gets the prompt; no teacher takes part",
            Self::Direct | Self::Relative | Self::Post | Self::PostCalibrated => {
                "(ε, δ) to the provider, who gets the prompt alone"
            }
            Self::LogitArithmetic | Self::SentenceLogitArithmetic => {
                "(ε, δ) to the provider, who runs the student beside the teacher for each text"
            }
            Self::TeacherTuned => {
                "the provider sees every private row; (ε, δ) to the prompt's users"
            }
            Self::UpperBound => {
                "none: the provider sees every private row, and the prompt may leak them"
            }
        }
    }

    /// Whether the provider gets to see private rows.
    pub(crate) fn leaks(self) -> bool {
        matches!(self, Self::TeacherTuned | Self::UpperBound)
    }

    /// Whether a prompt is tuned on private rows for it.
    pub(crate) fn tunes(self) -> bool {
        !matches!(
            self,
            Self::ZeroShot
                | Self::Sentence
                | Self::Calibrated
                | Self::SentenceCalibrated
                | Self::StudentZeroShot
        )
    }

    /// Whether a sentence takes the prompt's place.
    pub(crate) fn says_a_sentence(self) -> bool {
        matches!(self, Self::Sentence | Self::SentenceCalibrated)
    }

    pub(crate) fn needs_student(self) -> bool {
        !matches!(
            self,
            Self::ZeroShot
                | Self::Sentence
                | Self::Calibrated
                | Self::SentenceCalibrated
                | Self::TeacherTuned
                | Self::UpperBound
        )
    }

    pub(crate) fn needs_public(self) -> bool {
        matches!(self, Self::Post) || self.calibrates()
    }

    /// Whether public rows say what the model favours.
    pub(crate) fn calibrates(self) -> bool {
        matches!(
            self,
            Self::Calibrated | Self::SentenceCalibrated | Self::PostCalibrated
        )
    }

    /// Whether an axis of the grid changes what the method gives. A student is distilled once, whatever
    /// the seed.
    pub(crate) fn depends_on(self, axis: &str) -> bool {
        match axis.split('.').next().unwrap_or_default() {
            "teacher" | "task" => true,
            "student" | "distill" => self.needs_student(),
            "public" => self.needs_public(),
            "alpha" | "transfer" => matches!(self, Self::Post | Self::PostCalibrated),
            "epsilon" => self.tunes() && self != Self::UpperBound,
            "seed" | "tune" => {
                self.tunes() || (self.says_a_sentence() && OF_THE_SENTENCE.contains(&axis))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_depends_on_what_it_uses() {
        let axes = [
            "teacher",
            "student",
            "public",
            "epsilon",
            "seed",
            "tune.rank",
            "transfer.steps",
        ];
        let depends = |method: Method| axes.map(|axis| method.depends_on(axis));
        let all = [true; 7];
        assert_eq!(depends(Method::Post), all);
        assert_eq!(depends(Method::PostCalibrated), all);
        assert_eq!(
            depends(Method::ZeroShot),
            [true, false, false, false, false, false, false]
        );
        assert_eq!(depends(Method::Sentence), depends(Method::ZeroShot));
        assert!(Method::Sentence.depends_on("tune.num_virtual_tokens"));
        assert_eq!(
            depends(Method::Calibrated),
            [true, false, true, false, false, false, false]
        );
        assert_eq!(
            depends(Method::SentenceCalibrated),
            depends(Method::Calibrated)
        );
        assert!(Method::SentenceCalibrated.depends_on("tune.prompt_place"));
        assert_eq!(
            depends(Method::UpperBound),
            [true, false, false, false, true, true, false]
        );
        assert_eq!(
            depends(Method::Direct),
            [true, true, false, true, true, true, false]
        );
    }
}
