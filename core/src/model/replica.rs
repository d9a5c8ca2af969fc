//! A model once more, on another device.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;

use super::{Linear, Lm, Norm};

impl Lm {
    /// The same model on another device; what lies on the host is shared.
    #[must_use]
    pub fn on(&self, device: &Device) -> Self {
        let blocks = self.blocks.iter().cloned();
        let norm = |norm: &Norm| norm.clone().to_device(device);
        let linear = |linear: Linear| linear.to_device(device);
        Self {
            config: self.config.clone(),
            device: device.clone(),
            embedding: Arc::clone(&self.embedding),
            positions: self.positions.clone().map(|table| table.to_device(device)),
            embedding_norm: self.embedding_norm.as_ref().map(norm),
            projections: self.projections.clone().map(|pair| pair.map(linear)),
            blocks: blocks.map(|block| block.to_device(device)).collect(),
            final_norm: self.final_norm.as_ref().map(norm),
            head: self.head.on(device),
        }
    }
}
