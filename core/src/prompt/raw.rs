//! A prompt as one tensor in a safetensors file: what vLLM takes as `prompt_embeds`.

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::{FormatError, SoftPrompt, peft};

/// The tensor's name where we write it.
pub const TENSOR: &str = "prompt_embeds";

/// Names under which a prompt's tensor is looked for; a file with one tensor may call it anything.
pub(super) const NAMES: [&str; 3] = [TENSOR, peft::TENSOR, "default.embedding.weight"];

/// Writes `prompt_embeds` `[num_virtual_tokens, token_dim]`, 32-bit floats.
///
/// # Errors
/// [`FormatError::Safetensors`], which a checked prompt should not meet.
pub fn write(prompt: &SoftPrompt) -> Result<Vec<u8>, FormatError> {
    let values = prompt.embeddings().iter();
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![prompt.num_virtual_tokens(), prompt.token_dim()];
    let view = TensorView::new(Dtype::F32, shape, &bytes)?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    Ok(serialize([(TENSOR, view)], Some(metadata))?)
}

/// Reads a safetensors file with a prompt in it.
///
/// # Errors
/// [`FormatError`] when it is none, or holds no tensor that can be a prompt.
pub fn read(bytes: &[u8]) -> Result<SoftPrompt, FormatError> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let mut names = tensors.names();
    names.sort();
    let name = choose(names.iter().map(|name| name.as_ref()))?;
    let tensor = tensors.tensor(name)?;
    let values = peft::floats(&tensor).map_err(|found| FormatError::Dtype { found })?;
    matrix(tensor.shape(), values)
}

/// The one tensor that is the prompt.
pub(super) fn choose<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<&'a str, FormatError> {
    let known = NAMES
        .iter()
        .find_map(|known| names.clone().find(|name| name == known));
    let only = || Some(names.clone().next()?).filter(|_| names.clone().count() == 1);
    known.or_else(only).ok_or_else(|| FormatError::NoTensor {
        found: names.map(str::to_owned).take(8).collect(),
    })
}

/// A prompt out of a tensor of this shape; one of batch 1 is taken, too.
pub(super) fn matrix(shape: &[usize], values: Vec<f32>) -> Result<SoftPrompt, FormatError> {
    match *shape {
        [n, d] | [1, n, d] => Ok(SoftPrompt::new(values, n, d)?),
        _ => Err(FormatError::Shape {
            found: shape.to_vec(),
        }),
    }
}
