//! What a prompt's change is counted from.

use anyhow::Result;
use clap::ValueEnum;
use post_core::prompt::SoftPrompt;
use post_core::task::Task;
use serde::{Deserialize, Serialize};

use crate::models::Loaded;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Since {
    /// What a model says without a prompt, as the paper has it
    #[default]
    ZeroShot,
    /// What it says behind the task's sentence, in as many virtual tokens as the prompt has: where tuning began
    Sentence,
}

impl Since {
    /// The paper's need not be named, as in settings of before there was a choice.
    pub(super) fn is_zero_shot(&self) -> bool {
        *self == Self::ZeroShot
    }

    /// What a model answers behind before `prompt` changes anything.
    ///
    /// # Errors
    /// When the task doesn't fit the model, or its sentence has no tokens.
    pub(super) fn base(
        self,
        model: &Loaded,
        task: &Task,
        prompt: &SoftPrompt,
    ) -> Result<Option<SoftPrompt>> {
        match self {
            Self::ZeroShot => Ok(None),
            Self::Sentence => {
                let sentence = model.sentence(task, prompt.num_virtual_tokens(), prompt.place());
                sentence.map(Some)
            }
        }
    }
}
