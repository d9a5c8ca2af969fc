//! Where a prompt starts: at a sentence, or where an earlier run's prompt ended.

use crate::dp::receipt::{Hashes, Receipt, ReceiptError, sha256};
use crate::prompt::peft::{self, Adapter, PeftError};
use crate::prompt::{Files, SoftPrompt};

use super::release::RECEIPT;

/// Where a prompt starts.
#[derive(Debug, Clone)]
pub struct Initial {
    pub(super) prompt: SoftPrompt,
    /// SHA-256 of the earlier prompt's weights; none of a sentence, which is public.
    pub(super) earlier: Option<String>,
}

/// A prompt that another run left, with the receipt that came with it.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// The prompt and what PEFT says of it.
    pub adapter: Adapter,
    /// Its receipt, recomputed and found right; none where none came with it.
    pub receipt: Option<Receipt>,
    hash: String,
}

/// The files are no prompt, or their receipt is not this prompt's.
#[derive(Debug, thiserror::Error)]
pub enum EarlierError {
    /// PEFT's files.
    #[error(transparent)]
    Peft(#[from] PeftError),
    /// The receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

impl Earlier {
    /// Reads a prompt, and holds its receipt to it.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the receipt was written for another prompt.
    pub fn read(files: &Files) -> Result<Self, EarlierError> {
        let adapter = peft::read(files)?;
        let name = peft::WEIGHTS;
        let weights = files.get(name).ok_or(PeftError::Missing { name })?;
        let hash = sha256(weights);
        let receipt = match files.get(RECEIPT) {
            None => None,
            Some(bytes) => {
                let receipt = Receipt::from_json(bytes)?;
                receipt.verify(&Hashes::from([("prompt".to_owned(), hash.clone())]))?;
                Some(receipt)
            }
        };
        Ok(Self {
            adapter,
            receipt,
            hash,
        })
    }

    /// Whether a guarantee covers it. Whatever it tells adds to what a run tells that starts from it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.receipt.as_ref().is_some_and(|receipt| receipt.private)
    }
}

impl Initial {
    /// The prompt before the first step.
    #[must_use]
    pub fn prompt(&self) -> &SoftPrompt {
        &self.prompt
    }
}

impl From<Earlier> for Initial {
    fn from(earlier: Earlier) -> Self {
        Self {
            prompt: earlier.adapter.prompt,
            earlier: Some(earlier.hash),
        }
    }
}

/// Of public text, or of nothing at all.
impl From<SoftPrompt> for Initial {
    fn from(prompt: SoftPrompt) -> Self {
        let earlier = None;
        Self { prompt, earlier }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pollster::block_on;
    use serde_json::Value;

    use super::*;
    use crate::prompt::peft::BaseModel;
    use crate::task::ready;
    use crate::tune::testing::{PROMPT, plain, private, setup};
    use crate::tune::{Privacy, TuneConfig, TuneError, Tuner};

    fn start(initial: Option<Initial>, privacy: Privacy, resume: Option<&[u8]>) -> Tuner {
        block_on(Tuner::start(from(initial, privacy), resume)).unwrap()
    }

    fn from(initial: Option<Initial>, privacy: Privacy) -> crate::tune::Setup {
        let mut setup = setup(TuneConfig::default(), privacy);
        if let Some(initial) = initial {
            setup.initial = initial;
        }
        setup
    }

    fn files(mut tuner: Tuner) -> Files {
        while block_on(tuner.step()).unwrap().is_some() {}
        let base = BaseModel {
            name: "toy".into(),
            num_layers: 2,
            num_attention_heads: 2,
            causal: true,
        };
        let task = ready("sst2").unwrap();
        let tuned = tuner.finish().unwrap();
        tuned.hand_over(&base, &task, &["s".into()]).unwrap().files
    }

    fn two_steps() -> Privacy {
        private(48, 1.0, 0.5, 2)
    }

    #[test]
    fn a_run_goes_on_where_another_ended_and_its_receipt_says_so() {
        let first = files(start(None, two_steps(), None));
        let earlier = Earlier::read(&first).unwrap();
        assert!(earlier.is_private());
        assert_eq!(earlier.receipt.as_ref().unwrap().not_covered.len(), 5);
        let hash = earlier.hash.clone();
        let prompt = earlier.adapter.prompt.clone();
        let tuner = start(Some(earlier.into()), two_steps(), None);
        assert_eq!(tuner.prompt().unwrap(), prompt);
        let second = files(tuner);
        let later = Earlier::read(&second).unwrap();
        let receipt = later.receipt.unwrap();
        assert_eq!(receipt.hashes["initial"], hash);
        assert_eq!(receipt.not_covered.len(), 6);
        let started = "It started from another prompt";
        assert!(receipt.statement.contains(started), "{}", receipt.statement);
        assert_eq!(later.adapter.config.prompt_tuning_init_text, None);
    }

    #[test]
    fn a_receipt_that_hides_where_it_started_does_not_hold() {
        let first = Earlier::read(&files(start(None, two_steps(), None))).unwrap();
        let mut second = files(start(Some(first.into()), two_steps(), None));
        let mut receipt: Value = serde_json::from_slice(&second[RECEIPT]).unwrap();
        receipt["hashes"].as_object_mut().unwrap().remove("initial");
        second.insert(RECEIPT.into(), serde_json::to_vec(&receipt).unwrap());
        assert!(matches!(
            Earlier::read(&second),
            Err(EarlierError::Receipt(ReceiptError::Differs { .. }))
        ));
    }

    #[test]
    fn a_prompt_without_a_guarantee_or_with_another_ones_is_told_apart() {
        let mut open = files(start(None, plain(2), None));
        assert!(!Earlier::read(&open).unwrap().is_private());
        let private = files(start(None, two_steps(), None));
        open.insert(RECEIPT.into(), private[RECEIPT].clone());
        assert!(matches!(
            Earlier::read(&open),
            Err(EarlierError::Receipt(ReceiptError::Differs { field, .. })) if field == "hashes.prompt"
        ));
    }

    #[test]
    fn an_interrupted_run_is_taken_up_only_where_it_started() {
        let earlier = || Earlier::read(&files(start(None, two_steps(), None))).unwrap();
        let (one, other) = (Initial::from(earlier()), Initial::from(earlier()));
        assert_eq!(one.prompt().num_virtual_tokens(), PROMPT);
        let mut tuner = start(Some(one.clone()), plain(3), None);
        block_on(tuner.step()).unwrap();
        let kept = tuner.checkpoint();
        let again = start(Some(one), plain(3), Some(&kept));
        assert_eq!(again.prompt().unwrap(), tuner.prompt().unwrap());
        for begun in [Some(other), None] {
            let refused = block_on(Tuner::start(from(begun, plain(3)), Some(&kept)));
            assert!(matches!(refused.err(), Some(TuneError::State(_))));
        }
    }
}
