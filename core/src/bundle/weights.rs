//! A bundle's tensors as the model reads them.

use std::sync::Arc;

use half::f16;
use safetensors::Dtype;

use super::hash::in_block;
use crate::checkpoint::{CheckpointError, HostTensor, Safetensors, Tensors};
use crate::model::Config;

/// The suffix of an int8 matrix's scales.
pub(super) const SCALE: &str = ".scale";

/// The tensors of a bundle, int8 put back into floats.
pub(super) struct Weights {
    file: Safetensors,
    /// Tables that stay in host memory as f16: the embeddings and the head.
    tables: [String; 2],
}

impl Weights {
    pub(super) fn new(file: Safetensors, config: &Config) -> Self {
        let names = config.family.names();
        Self {
            file,
            tables: [names.embedding, names.head].map(|name| format!("{name}.weight")),
        }
    }

    /// An int8 matrix's rows times their scales: f16 for the tables, which are the bulk of a tab's
    /// memory, f32 for the rest.
    fn dequantise(
        &self,
        name: &str,
        shape: &[usize],
        bytes: &[u8],
    ) -> Result<HostTensor, CheckpointError> {
        let rows = shape.first().copied().unwrap_or(1);
        let scales = self
            .file
            .tensor(&format!("{name}{SCALE}"))?
            .expect_shape(name, &[rows])?
            .into_f32();
        // An extent of zero leaves nothing to scale; `max` only keeps the chunk size legal.
        let columns = (bytes.len() / rows.max(1)).max(1);
        let values = bytes
            .chunks(columns)
            .zip(scales)
            .flat_map(|(row, scale)| row.iter().map(move |&q| scale * f32::from(q as i8)));
        Ok(if self.tables.iter().any(|table| table == name) {
            HostTensor::f16(shape, values.map(f16::from_f32).collect())
        } else {
            HostTensor::f32(shape, values.collect())
        })
    }
}

impl Tensors for Weights {
    fn names(&self) -> Vec<String> {
        let is_scale = |name: &String| {
            let quantised = name
                .strip_suffix(SCALE)
                .and_then(|name| self.file.raw(name));
            quantised.is_some_and(|(dtype, ..)| dtype == Dtype::I8)
        };
        self.file
            .names()
            .into_iter()
            .filter(|name| !is_scale(name))
            .collect()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let tensor = match self.file.raw(name) {
            Some((Dtype::I8, shape, bytes)) => self.dequantise(name, shape, bytes)?,
            _ => self.file.tensor(name)?,
        };
        if tensor.is_finite() {
            return Ok(tensor);
        }
        Err(CheckpointError::NotFinite {
            name: name.to_owned(),
        })
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.file.shape(name)
    }
}

/// Blocks out of a bundle, the rest out of the teacher.
pub(super) struct Completed {
    blocks: Weights,
    teacher: Arc<dyn Tensors>,
    config: Config,
}

impl Completed {
    pub(super) fn new(blocks: Weights, teacher: Arc<dyn Tensors>, config: &Config) -> Self {
        Self {
            blocks,
            teacher,
            config: config.clone(),
        }
    }

    fn source(&self, name: &str) -> &dyn Tensors {
        if in_block(&self.config, name) {
            &self.blocks
        } else {
            &*self.teacher
        }
    }
}

impl Tensors for Completed {
    fn names(&self) -> Vec<String> {
        let teachers = self
            .teacher
            .names()
            .into_iter()
            .filter(|name| !in_block(&self.config, name));
        let mut names: Vec<String> = self.blocks.names().into_iter().chain(teachers).collect();
        names.sort();
        names
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        self.source(name).tensor(name)
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.source(name).shape(name)
    }
}
