//! Writing a bundle.

use std::collections::BTreeMap;

use half::f16;
use safetensors::Dtype as Stored;
use tokenizers::Tokenizer;

use super::weights::SCALE;
use super::{BundleError, Card, FORMAT, HASH, PLACE, hash};
use crate::checkpoint::safetensors::{Piece, serialize};
use crate::checkpoint::{Checkpoint, HostTensor, Safetensors, tokenizer};
use crate::model::{Config, NamedTensors};

/// What goes into a bundle.
pub struct Contents<'a> {
    /// The student's tensors under Hugging Face's names.
    pub tensors: &'a NamedTensors,
    /// The student's configuration.
    pub config: &'a Config,
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// What the bundle says of itself.
    pub card: Card,
}

/// How matrices are stored. Vectors are always f32: they are few, and a norm's error touches everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// Half precision.
    F16,
    /// 8-bit integers with one scale a row.
    Int8,
}

/// Writes a bundle that needs nothing else.
///
/// # Errors
/// [`BundleError::NotFinite`] when a value doesn't survive `dtype`.
pub fn write(contents: &Contents<'_>, dtype: Dtype) -> Result<Vec<u8>, BundleError> {
    let tokenizer = tokenizer::to_json(contents.tokenizer)?;
    finish(contents, dtype, ("tokenizer.json", tokenizer))
}

/// Writes a bundle of blocks alone; embeddings, final norm, head and tokenizer come from the teacher that
/// [`super::Bundle::complete`] is given.
///
/// # Errors
/// As [`write`]; [`BundleError::Outside`] when `contents` has a tensor outside the blocks.
pub fn write_without_embeddings(
    contents: &Contents<'_>,
    dtype: Dtype,
    teacher: &Checkpoint,
) -> Result<Vec<u8>, BundleError> {
    if let Some((name, _)) = contents
        .tensors
        .iter()
        .find(|(name, _)| !hash::in_block(contents.config, name))
    {
        return Err(BundleError::Outside(name.clone()));
    }
    finish(
        contents,
        dtype,
        ("completed_by", hash::outside_blocks(teacher)?),
    )
}

/// Writes the file twice: once to hash what a reader will see, once with the hash in it.
fn finish(
    contents: &Contents<'_>,
    dtype: Dtype,
    extra: (&str, String),
) -> Result<Vec<u8>, BundleError> {
    let card = &contents.card;
    let list = |value: serde_json::Value| value.to_string();
    let mut metadata = BTreeMap::from([
        ("format", FORMAT.to_owned()),
        ("name", card.name.clone()),
        ("teacher", card.teacher.clone()),
        ("license", card.license.clone()),
        ("blocks", list(card.blocks.clone().into())),
        ("tasks", list(card.tasks.clone().into())),
        ("config.json", contents.config.to_hf().to_string()),
        extra,
    ]);
    // Bundles from before there was a choice stay what they were.
    if !card.prompt_place.is_before_bos() {
        metadata.insert(PLACE, card.prompt_place.to_string());
    }
    let mut pieces = Vec::with_capacity(2 * contents.tensors.len());
    for (name, tensor) in contents.tensors {
        encode(&mut pieces, name, tensor, dtype)?;
    }
    let unsigned = serialize(&metadata, &mut pieces);
    let read = Safetensors::open(vec![(
        "the bundle".to_owned(),
        std::sync::Arc::new(unsigned),
    )])?;
    metadata.insert(HASH, hash::contents(&read));
    drop(read);
    Ok(serialize(&metadata, &mut pieces))
}

fn encode(
    pieces: &mut Vec<Piece>,
    name: &str,
    tensor: &HostTensor,
    dtype: Dtype,
) -> Result<(), BundleError> {
    let values = tensor.clone().into_f32();
    let shape = tensor.shape.clone();
    let refuse = |value: f32, dtype| {
        Err(BundleError::NotFinite {
            name: name.to_owned(),
            value,
            dtype,
        })
    };
    if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
        return refuse(value, "a bundle");
    }
    let piece = |name: String, dtype, shape, data| Piece {
        name,
        dtype,
        shape,
        data,
    };
    if dtype == Dtype::F32 || shape.len() < 2 {
        let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        pieces.push(piece(name.to_owned(), Stored::F32, shape, data));
    } else if dtype == Dtype::F16 {
        if let Some(&value) = values
            .iter()
            .find(|&&value| !f16::from_f32(value).is_finite())
        {
            return refuse(value, "f16");
        }
        let data = values
            .iter()
            .flat_map(|&x| f16::from_f32(x).to_le_bytes())
            .collect();
        pieces.push(piece(name.to_owned(), Stored::F16, shape, data));
    } else {
        let (data, scales) = quantise(&values, shape[0]);
        let scale_shape = vec![shape[0]];
        pieces.push(piece(name.to_owned(), Stored::I8, shape, data));
        pieces.push(piece(
            format!("{name}{SCALE}"),
            Stored::F32,
            scale_shape,
            scales,
        ));
    }
    Ok(())
}

/// `q = round(x / scale)` with `scale = max |row| / 127`; a row of zeros has scale 0.
fn quantise(values: &[f32], rows: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut data, mut scales) = (
        Vec::with_capacity(values.len()),
        Vec::with_capacity(4 * rows),
    );
    for row in values.chunks((values.len() / rows.max(1)).max(1)) {
        let scale = row.iter().fold(0.0, |most: f32, x| most.max(x.abs())) / 127.0;
        let inverse = if scale > 0.0 {
            1.0 / f64::from(scale)
        } else {
            0.0
        };
        // `as` saturates, so the largest value can't wrap.
        data.extend(
            row.iter()
                .map(|&x| (f64::from(x) * inverse).round() as i8 as u8),
        );
        scales.extend(scale.to_le_bytes());
    }
    (data, scales)
}
