//! A prompt that `torch.save` wrote: POST's own `.pth`, an older PEFT's `adapter_model.bin`, or
//! another dictionary of one tensor. Nothing in the pickle is executed.

use super::{FormatError, SoftPrompt, raw};
use crate::checkpoint::CheckpointError;
use crate::checkpoint::pytorch::File;

/// The prompt in a file: `default.embedding.weight` as POST's public code saves it
/// (`prompt_encoder.state_dict()`), `prompt_embeddings` or `prompt_embeds`, or the only tensor.
///
/// # Errors
/// [`FormatError`] when the file holds no tensor that can be a prompt.
pub fn read(file: &File) -> Result<SoftPrompt, FormatError> {
    let failed = |reason: CheckpointError| FormatError::Pytorch(reason.to_string());
    let names = file.names();
    let name = raw::choose(names.iter().map(String::as_str))?;
    let tensor = file.tensor(name).map_err(failed)?;
    let shape = tensor.shape.clone();
    raw::matrix(&shape, tensor.into_f32())
}
