//! The two parts of the transfer's loss.

use burn::tensor::Tensor;

use super::constants::Rows;
use super::{TransferError, Words};
use crate::model::{HeadRows, Lm};
use crate::optim::{Softened, divergence};

/// From hidden states to the logits z that the loss compares, of the same words on both sides.
pub(super) struct Heads {
    student: HeadRows,
    teacher: HeadRows,
}

impl Heads {
    pub(super) fn new(student: &Lm, teacher: &Lm, words: &Words) -> Result<Self, TransferError> {
        let sizes = [student, teacher].map(|lm| lm.config().vocab_size);
        if *words == Words::All && sizes[0] != sizes[1] {
            let [student, teacher] = sizes;
            return Err(TransferError::Vocabulary { student, teacher });
        }
        // 0 for the student's side of a pair, 1 for the teacher's.
        let head = |lm: &Lm, side: usize| match words {
            Words::All => lm.whole_head(),
            Words::Some(pairs) => {
                let words: Vec<u32> = pairs.iter().map(|pair| pair[side]).collect();
                lm.head_rows(&words)
            }
            Words::Classes(pairs) => {
                let classes: Vec<&[u32]> = pairs.iter().map(|pair| &*pair[side]).collect();
                lm.head_of_classes(&classes)
            }
        };
        Ok(Self {
            student: head(student, 0),
            teacher: head(teacher, 1),
        })
    }
}

/// The loss at each place, `[places, 1]`, and its slope in the teacher's prompted hidden state h_t^p,
/// `[places, d]` (method §3):
///
/// ```text
/// L1 = T²·KL( softmax(z_s^p/T) ‖ softmax(z_t^p/T) )
/// L2 = T²·KL( softmax((z_s^p − z_s)/T) ‖ softmax((z_t^p − z_t)/T) )
/// L  = (1 − α)·L1 + α·L2
/// ```
///
/// z_s and z_t are answers without a prompt, or behind those that [`Constants::since`](super::Constants::since) says.
/// Several places of one example count for their mean.
///
/// L1 asks the prompted teacher to answer as the prompted student does; L2 asks the prompt to move
/// the teacher's answer as it moves the student's.
pub(super) fn loss(
    heads: &Heads,
    rows: Rows,
    hidden: Tensor<2>,
    alpha: f64,
    temperature: f64,
) -> (Tensor<2>, Tensor<2>) {
    let Heads { student, teacher } = heads;
    let answers = |prompted, logits| divergence(prompted, logits, temperature);
    // A part that does not count is not computed.
    let Softened { value, slope } = if alpha == 0.0 {
        answers(
            student.logits(rows.prompted),
            teacher.logits(hidden.clone()),
        )
    } else {
        let [prompted, student] = student.logits_of_each([rows.prompted, rows.student]);
        let [logits, teacher] = teacher.logits_of_each([hidden.clone(), rows.teacher]);
        let (target, shift) = (prompted.clone() - student, logits.clone() - teacher);
        let shifts = divergence(target, shift, temperature);
        if alpha == 1.0 {
            shifts
        } else {
            mix(answers(prompted, logits), shifts, alpha)
        }
    };
    let slope = teacher.slope(hidden, slope) * rows.shares.clone();
    (value * rows.shares, slope)
}

fn mix(answers: Softened, shifts: Softened, alpha: f64) -> Softened {
    Softened {
        value: answers.value * (1.0 - alpha) + shifts.value * alpha,
        slope: answers.slope * (1.0 - alpha) + shifts.slope * alpha,
    }
}
