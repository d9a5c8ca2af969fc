//! The embedding table, in host memory.

use burn::tensor::{Device, Tensor, TensorData};

use super::TokenBatch;
use crate::checkpoint::{HostData, HostTensor};

/// `[V, d]` in the type it was stored in.
///
/// It stays off the device: a tab's largest buffer is often smaller than the table, and a batch reads
/// a few thousand rows of it.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: HostTensor,
    width: usize,
    scale: f32,
}

impl Embedding {
    /// A table of shape `[V, d]`, whose rows enter the model multiplied by `scale`.
    pub(super) fn new(table: HostTensor, scale: f64) -> Self {
        let width = table.shape[1];
        Self {
            table,
            width,
            scale: scale as f32,
        }
    }

    /// The table itself.
    #[must_use]
    pub fn table(&self) -> &HostTensor {
        &self.table
    }

    /// What tokens are to the model, `[ids, d]`: rows of the table, scaled where the model does that.
    ///
    /// # Panics
    /// If an id is not in the table: the tokenizer doesn't belong to the model, which loading checks.
    #[must_use]
    pub fn rows(&self, ids: &[u32]) -> Vec<f32> {
        let mut rows = self.stored_rows(ids);
        if self.scale != 1.0 {
            rows.iter_mut().for_each(|x| *x *= self.scale);
        }
        rows
    }

    fn stored_rows(&self, ids: &[u32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(ids.len() * self.width);
        for &id in ids {
            let row = id as usize * self.width..(id as usize + 1) * self.width;
            match &self.table.data {
                HostData::F32(v) => out.extend_from_slice(&v[row]),
                HostData::F16(v) => out.extend(v[row].iter().map(|x| x.to_f32())),
                HostData::BF16(v) => out.extend(v[row].iter().map(|x| x.to_f32())),
            }
        }
        out
    }

    /// `[batch, width, d]` on the device; zeros beyond each row's length.
    pub(super) fn lookup(&self, tokens: &TokenBatch, device: &Device) -> Tensor<3> {
        let shape = [tokens.batch(), tokens.width, self.width];
        let mut values = Vec::with_capacity(shape.iter().product());
        for (row, &length) in tokens.ids.chunks(tokens.width).zip(&tokens.lengths) {
            values.extend(self.rows(&row[..length]));
            values.resize(values.len() + (tokens.width - length) * self.width, 0.0);
        }
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Rows as they are stored, as a matrix on the device, `[ids, d]`.
    pub(super) fn upload_rows(&self, ids: &[u32], device: &Device) -> Tensor<2> {
        Tensor::from_data(
            TensorData::new(self.stored_rows(ids), [ids.len(), self.width]),
            device,
        )
    }

    /// The whole table on the device, `[V, d]`.
    pub(super) fn upload(&self, device: &Device) -> Tensor<2> {
        let data = TensorData::new(self.table.clone().into_f32(), self.table.shape.clone());
        Tensor::from_data(data, device)
    }
}
