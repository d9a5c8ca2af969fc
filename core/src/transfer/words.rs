//! Whose logits the loss compares.

use serde::Serialize;
use tokenizers::Tokenizer;

use super::TransferError;
use crate::task::{Encoder, unlike_token};

/// Words whose logits are compared, in the tokens of both models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Words {
    /// The whole vocabulary, as the paper has it. Both models must have the same.
    All,
    /// These alone, of which a distribution over the vocabulary tells little: they have a small share
    /// of it. The student's token and the teacher's, word after word; no token twice.
    Some(Vec<[u32; 2]>),
    /// Classes of words by their means, as answers are judged, whatever becomes of single words: of each class the
    /// student's tokens and the teacher's, which need not be as many.
    Classes(Vec<[Vec<u32>; 2]>),
}

impl Words {
    /// The whole vocabulary, where both tokenizers mean the same by each id.
    ///
    /// # Errors
    /// [`TransferError::Tokenizer`] with the first id that they don't.
    pub fn all(student: &Tokenizer, teacher: &Tokenizer) -> Result<Self, TransferError> {
        match unlike_token(student, teacher) {
            None => Ok(Self::All),
            Some((id, [student, teacher])) => Err(TransferError::Tokenizer {
                id,
                student,
                teacher,
            }),
        }
    }

    /// The classes of a task, by each model's own tokens.
    ///
    /// # Errors
    /// [`TransferError::NoClasses`] where answers are text: only the whole vocabulary can be compared then.
    pub fn classes(student: &Encoder<'_>, teacher: &Encoder<'_>) -> Result<Self, TransferError> {
        let [student, teacher] = [student.words()?, teacher.words()?];
        let both = student.by_class().into_iter().zip(teacher.by_class());
        let pairs = both.map(|(student, teacher)| [student.to_vec(), teacher.to_vec()]);
        Ok(Self::Classes(pairs.collect()))
    }

    /// The label words of a task, by one token of each model. A word that begins like an earlier one
    /// in either model is left out: its share would be counted twice on one side.
    ///
    /// # Errors
    /// [`TransferError::LabelWords`] when fewer than two are left, [`TransferError::NoClasses`] where
    /// answers are text: only the whole vocabulary can be compared then.
    pub fn labels(student: &Encoder<'_>, teacher: &Encoder<'_>) -> Result<Self, TransferError> {
        let [student, teacher] = [student.words()?, teacher.words()?];
        let both = student.tokens().iter().zip(teacher.tokens());
        let mut pairs: Vec<[u32; 2]> = Vec::new();
        for (&student, &teacher) in both {
            let taken = |pair: &[u32; 2]| pair[0] == student || pair[1] == teacher;
            if !pairs.iter().any(taken) {
                pairs.push([student, teacher]);
            }
        }
        match pairs.len() {
            found @ 0..2 => Err(TransferError::LabelWords { found }),
            _ => Ok(Self::Some(pairs)),
        }
    }
}
