//! Where a prompt stands among the student's words, found again among the teacher's.
//!
//! Two models name the same words by unlike vectors, but a vector's similarities to words that both
//! know mean the same in both ("Zero-Shot Continuous Prompt Transfer", Wu, Wu and Mou, ICLR 2024).
//! With the anchors' embeddings as rows of unit length, S `[m, d_s]` and T `[m, d_t]`, and a row p̂ of
//! the prompt of unit length:
//!
//! ```text
//! r  = S p̂                          its similarities; only the largest ones, if so asked
//! x* = argmax cos(T x, r)           the same similarities to the teacher's embeddings
//! |x*| = |p| · mean |t| / mean |s|   as long among the teacher's words as p among the student's
//! ```
//!
//! The paper looks for x* with Adam from a random start, and gives all rows together the mean and the
//! deviation of the embedding table. cos(T x, r) does not depend on x's length and is largest for
//! x = argmin ‖T x − r‖², so here it is found by conjugate gradients, without a step size and without
//! chance; and each row keeps its length, so that a model's prompt is its own image. What the paper
//! chooses by labelled examples (when to stop) is fixed.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::TransferError;
use crate::model::Lm;
use crate::optim::read;
use crate::prompt::SoftPrompt;
use crate::task::shared_words;

/// Keeps a quotient of zeros at zero.
const TINY: f32 = 1e-30;
/// A row is found when its squared slope is this share of the first: what is left is rounding, and
/// going on would let it grow.
const FOUND: f32 = 1e-12;

/// How a prompt's place is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelativeConfig {
    /// Words that are compared with at most: those of the teacher's smallest ids, which a tokenizer
    /// gives to the commonest words.
    pub anchors: usize,
    /// How many of them count for each virtual token, those most like it; `None`: all.
    pub nearest: Option<usize>,
    /// Steps of conjugate gradients.
    pub iterations: usize,
}

impl Default for RelativeConfig {
    fn default() -> Self {
        Self {
            anchors: 8192,
            nearest: None,
            iterations: 100,
        }
    }
}

/// The words that both models have one token for, at most as many as are asked for: the student's id
/// and the teacher's. Rows of a tokenizer that its model doesn't have are left out.
///
/// # Errors
/// [`TransferError::Anchors`] when there are fewer than two.
pub fn anchors(
    [student, teacher]: [&Lm; 2],
    tokenizers: [&Tokenizer; 2],
    config: &RelativeConfig,
) -> Result<Vec<[u32; 2]>, TransferError> {
    let sizes = [student, teacher].map(|lm| lm.config().vocab_size);
    let words = shared_words(tokenizers[0], tokenizers[1]).into_iter();
    let known = |ids: &[u32; 2]| {
        ids.iter()
            .zip(sizes)
            .all(|(&id, size)| (id as usize) < size)
    };
    let words: Vec<[u32; 2]> = words.filter(known).take(config.anchors).collect();
    match words.len() {
        found @ 0..2 => Err(TransferError::Anchors { found }),
        _ => Ok(words),
    }
}

/// The prompt that stands among the teacher's embeddings as `prompt` does among the student's, as long
/// as `prompt` and as wide as the teacher. `anchors` are ids of words in both models, see [`anchors()`].
///
/// # Errors
/// A prompt that isn't the student's, settings out of range, a failing device.
pub async fn relative(
    prompt: &SoftPrompt,
    [student, teacher]: [&Lm; 2],
    anchors: &[[u32; 2]],
    config: RelativeConfig,
) -> Result<SoftPrompt, TransferError> {
    prompt.fits("student", student.config().embedding_size)?;
    let rows = |lm: &Lm, side: usize| {
        let ids: Vec<u32> = anchors.iter().map(|pair| pair[side]).collect();
        lm.embedding().rows(&ids)
    };
    let [source, target] = [rows(student, 0), rows(teacher, 1)];
    search(prompt, &source, &target, config, teacher.device()).await
}

/// [`relative()`] on numbers: the anchors' embeddings are `source` `[m, d_s]` and `target` `[m, d_t]`.
///
/// # Errors
/// Settings out of range, a failing device.
///
/// # Panics
/// If `source` is not as wide as the prompt, or there is no anchor.
pub async fn search(
    prompt: &SoftPrompt,
    source: &[f32],
    target: &[f32],
    config: RelativeConfig,
    device: &Device,
) -> Result<SoftPrompt, TransferError> {
    check(&config)?;
    let (n, width) = (prompt.num_virtual_tokens(), prompt.token_dim());
    let m = source.len() / width;
    assert!(
        m > 0 && source.len() == m * width,
        "anchors of the prompt's width"
    );
    let wide = target.len() / m;
    let upload = |values: &[f32], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let (rows, lengths) = unit(upload(prompt.embeddings(), [n, width]));
    let (source, short) = unit(upload(source, [m, width]));
    let (target, long) = unit(upload(target, [m, wide]));
    let similar = rows.matmul(source.transpose());
    let kept = match config.nearest {
        Some(k) if k < m => upload(&nearest(&read(similar.clone()).await?, m, k), [n, m]),
        _ => Tensor::ones([n, m], device),
    };
    let found = least_squares(&target, similar * kept.clone(), &kept, config.iterations);
    let lengths = lengths * (long.mean_dim(0) / (short.mean_dim(0) + TINY));
    let values = read(unit(found).0 * lengths).await?;
    Ok(SoftPrompt::new(values, n, wide)?.with_place(prompt.place()))
}

fn check(config: &RelativeConfig) -> Result<(), TransferError> {
    let settings = [
        ("anchors", config.anchors),
        ("nearest", config.nearest.unwrap_or(1)),
        ("iterations", config.iterations),
    ];
    match settings.into_iter().find(|&(_, value)| value == 0) {
        None => Ok(()),
        Some((field, value)) => Err(TransferError::Range {
            field,
            value: value as f64,
            must: "at least 1",
        }),
    }
}

/// Rows of unit length, and how long they were, `[rows, 1]`; a row of zeros stays one.
fn unit(rows: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let length = (rows.clone() * rows.clone()).sum_dim(1).sqrt();
    (rows / (length.clone() + TINY), length)
}

/// 1 where a row's similarity is among its `k` largest, of equal ones the earlier, else 0.
fn nearest(similar: &[f32], m: usize, k: usize) -> Vec<f32> {
    let mut kept = vec![0.0; similar.len()];
    for (row, kept) in similar.chunks(m).zip(kept.chunks_mut(m)) {
        let mut order: Vec<usize> = (0..m).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        order[..k].iter().for_each(|&anchor| kept[anchor] = 1.0);
    }
    kept
}

/// argmin over x of ‖kept ∘ (T x) − r‖² for each row r `[n, m]`, `[n, d]`: conjugate gradients on the
/// normal equations (Hestenes and Stiefel, 1952), all rows at once, from zero. Where there are fewer
/// anchors than numbers in a row it is the shortest of the solutions.
fn least_squares(
    target: &Tensor<2>,
    similar: Tensor<2>,
    kept: &Tensor<2>,
    iterations: usize,
) -> Tensor<2> {
    let square = |rows: &Tensor<2>| (rows.clone() * rows.clone()).sum_dim(1);
    let mut rest = similar;
    let mut slope = rest.clone().matmul(target.clone());
    let mut found = slope.zeros_like();
    let (mut along, mut size) = (slope.clone(), square(&slope));
    let enough = size.clone() * FOUND;
    for _ in 0..iterations {
        let moved = along.clone().matmul(target.clone().transpose()) * kept.clone();
        let step = size.clone() / (square(&moved) + TINY);
        found = found + along.clone() * step.clone();
        rest = rest - moved * step;
        slope = rest.clone().matmul(target.clone());
        let next = square(&slope);
        let going = next.clone().greater(enough.clone()).float();
        along = (slope + along * (next.clone() / (size + TINY))) * going;
        size = next;
    }
    found
}
