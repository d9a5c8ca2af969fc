//! The embedding table, in host memory.

use burn::tensor::{DType, Device, Element, Tensor, TensorData};

use super::TokenBatch;
use super::kept::tensor_data;
use crate::checkpoint::{HostData, HostTensor};
use crate::ops::Table;

/// `[V, d]` in the type it was stored in, or that the model's matrices are kept in.
///
/// It stays off the device: a tab's largest buffer is often smaller than the table, and a batch reads
/// a few thousand rows of it.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Table,
    scale: f32,
}

impl Embedding {
    /// A table of shape `[V, d]`, whose rows enter the model multiplied by `scale`.
    pub(super) fn new(table: HostTensor, scale: f64) -> Self {
        let shape = [table.shape[0], table.shape[1]];
        Self {
            table: Table::new(tensor_data(table.data, shape)),
            scale: scale as f32,
        }
    }

    /// A copy of the table.
    #[must_use]
    pub fn table(&self) -> HostTensor {
        let data = self.table.data();
        let shape = data.shape().to_vec();
        let data = match data.dtype() {
            DType::F16 => HostData::F16(numbers(data)),
            DType::BF16 => HostData::BF16(numbers(data)),
            _ => HostData::F32(numbers(data)),
        };
        HostTensor { shape, data }
    }

    /// Size of the table in memory, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.table.byte_len()
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
        let mut out = Vec::with_capacity(ids.len() * self.table.width);
        self.table.read(ids, &mut out);
        out
    }

    /// `[batch, width, d]` on the device; zeros beyond each row's length.
    pub(super) fn lookup(&self, tokens: &TokenBatch, device: &Device) -> Tensor<3> {
        let width = self.table.width;
        let shape = [tokens.batch(), tokens.width, width];
        let mut values = Vec::with_capacity(shape.iter().product());
        for (row, &length) in tokens.ids.chunks(tokens.width).zip(&tokens.lengths) {
            values.extend(self.rows(&row[..length]));
            values.resize(values.len() + (tokens.width - length) * width, 0.0);
        }
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Rows as they are stored, as a matrix of f32 on the device, `[ids, d]`.
    pub(super) fn upload_rows(&self, ids: &[u32], device: &Device) -> Tensor<2> {
        let rows = TensorData::new(self.stored_rows(ids), [ids.len(), self.table.width]);
        Tensor::from_data(rows, device)
    }

    /// The whole table on the device, `[V, d]`; the host's own memory holds it once.
    pub(super) fn upload(&self, device: &Device, kept: DType) -> Tensor<2> {
        self.table.on(device, kept)
    }
}

fn numbers<E: Element>(data: TensorData) -> Vec<E> {
    data.try_into_vec()
        .expect("a table's numbers are of its type")
}
