//! What is handed over at the end of a run: the prompt, what may be said about it, the proof.

use super::{Released, Tuned};
use crate::dp::receipt::{self, INITIAL, Receipt, ReceiptError, sha256};
use crate::prompt::peft::{self, BaseModel, PeftError};
use crate::prompt::{Files, SoftPrompt};
use crate::task::Task;

/// The receipt's file name, beside PEFT's files.
pub const RECEIPT: &str = "privacy.json";

/// What nobody may overlook who gets a prompt without a guarantee.
pub const NOT_PRIVATE: &str = "this run is NOT PRIVATE. Whoever gets the prompt may be able to tell \
     which examples it was tuned on, or read them out of it";

/// The result could not be put into files.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// PEFT's files.
    #[error(transparent)]
    Peft(#[from] PeftError),
    /// The receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// A hash for each student that the prompt was tuned on, or the receipt is silent about one.
    #[error("the prompt was tuned on {tuned} students, and hashes of {named} are given")]
    Students {
        /// In the run.
        tuned: usize,
        /// Hashes given.
        named: usize,
    },
    /// The receipt as JSON.
    #[error("the receipt can't be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// A finished run in files.
pub struct Handover {
    /// The prompt.
    pub prompt: SoftPrompt,
    /// PEFT's folder, and the receipt of a private run in it.
    pub files: Files,
    /// The receipt; none for a run without a guarantee.
    pub receipt: Option<Receipt>,
}

impl Tuned {
    /// Puts the result into files. `students` are the hashes that the receipt knows the models by, in the order of
    /// [`Setup`](super::Setup).
    ///
    /// # Errors
    /// [`ReleaseError`], none of which a finished run should meet.
    pub fn hand_over(
        self,
        base: &BaseModel,
        task: &Task,
        students: &[String],
    ) -> Result<Handover, ReleaseError> {
        if students.len() != self.students {
            return Err(ReleaseError::Students {
                tuned: self.students,
                named: students.len(),
            });
        }
        let notes = match &self.released {
            Released::Private(_) => "The guarantee stands in `privacy.json`.",
            Released::NotPrivate => "**NOT PRIVATE**: tuned without differential privacy.",
        };
        let sentence = self.earlier.is_none().then(|| task.init_text());
        let mut files = peft::write(&self.prompt, base, sentence, notes)?;
        let receipt = match self.released {
            Released::NotPrivate => None,
            Released::Private(completed) => {
                let mut hashes = receipt::of_students(students);
                hashes.insert("task".into(), task.hash());
                hashes.insert("prompt".into(), sha256(&files[peft::WEIGHTS]));
                hashes.extend(self.earlier.map(|hash| (INITIAL.into(), hash)));
                Some(Receipt::new(completed, hashes)?)
            }
        };
        if let Some(receipt) = &receipt {
            files.insert(RECEIPT.to_owned(), serde_json::to_vec_pretty(receipt)?);
        }
        Ok(Handover {
            prompt: self.prompt,
            files,
            receipt,
        })
    }
}
