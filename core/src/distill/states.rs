//! The teacher's last hidden states, computed once and kept.

use std::ops::Range;

use burn::tensor::Device;
use half::f16;

use super::{Corpus, DistillError};
use crate::checkpoint::SharedBytes;
use crate::model::{Lm, TokenBatch};
use crate::optim::read;
use crate::parallel;

/// The teacher's last hidden state of every token of a corpus: f16, little-endian, text after text
/// as [`teacher_states`] made them. Natively a memory map of a file.
pub struct TeacherStates {
    bytes: SharedBytes,
    width: usize,
}

/// The states of some texts, to be appended to a cache in the corpus's order: 2·d bytes a token. The texts
/// come in `pieces`, one pass each, which the teachers share: one model, once on each device.
///
/// # Errors
/// A failing device, or a state that half precision can't hold.
pub async fn teacher_states(
    teachers: &[Lm],
    corpus: &Corpus,
    pieces: &[Range<usize>],
) -> Result<Vec<u8>, DistillError> {
    let devices: Vec<&Device> = teachers.iter().map(Lm::device).collect();
    let pass = |number: usize, texts: &Range<usize>| {
        let ids: Vec<&[u32]> = texts.clone().map(|text| ids(corpus, text)).collect();
        let teacher = &teachers[number];
        teacher.hidden_all(&teacher.embed(&TokenBatch::padded(&ids, 0)))
    };
    let mut bytes = Vec::new();
    let hidden = parallel::shared(&devices, pieces, pass);
    for (texts, hidden) in pieces.iter().zip(hidden) {
        let [_, width, d] = hidden.dims();
        let values = read(hidden).await?;
        for (text, row) in texts.clone().zip(values.chunks(width * d)) {
            for &value in &row[..ids(corpus, text).len() * d] {
                let half = f16::from_f32(value);
                if !half.is_finite() {
                    return Err(DistillError::Overflow(text));
                }
                bytes.extend(half.to_le_bytes());
            }
        }
    }
    Ok(bytes)
}

fn ids(corpus: &Corpus, text: usize) -> &[u32] {
    &corpus.item(text).ids
}

impl TeacherStates {
    /// The cache of a corpus, for a teacher `width` numbers wide.
    ///
    /// # Errors
    /// [`DistillError::States`] when it hasn't exactly one state for each token.
    pub fn new(bytes: SharedBytes, corpus: &Corpus, width: usize) -> Result<Self, DistillError> {
        let (found, expected) = ((*bytes).as_ref().len(), corpus.tokens() * width * 2);
        if found == expected {
            Ok(Self { bytes, width })
        } else {
            Err(DistillError::States { expected, found })
        }
    }

    /// The states of one text, `[tokens, d]`.
    pub(super) fn text(&self, corpus: &Corpus, text: usize) -> impl Iterator<Item = f32> + '_ {
        let [start, end] = [text, text + 1].map(|text| corpus.start(text) * self.width * 2);
        let pairs = (*self.bytes).as_ref()[start..end].chunks_exact(2);
        pairs.map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32())
    }
}
