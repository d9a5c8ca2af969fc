//! Normalisation over the width of the residual stream.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::ops;

/// RMSNorm or LayerNorm.
///
/// RMSNorm: `y = x / sqrt(mean(x²) + eps) · (offset + weight)` (Zhang and Sennrich 2019).
/// LayerNorm: `y = (x − mean(x)) / sqrt(var(x) + eps) · weight + bias` (Ba et al. 2016).
/// A norm with a bias is a LayerNorm: no family has the one without the other.
#[derive(Module, Debug)]
pub struct Norm {
    /// `[d]`
    pub weight: Param<Tensor<1>>,
    /// `[d]`, LayerNorm only.
    pub bias: Option<Param<Tensor<1>>>,
    /// Added under the root.
    pub eps: f64,
    /// Added to an RMSNorm's weight: 1 in Gemma, 0 elsewhere.
    pub offset: f64,
}

impl Norm {
    /// `[rows, d]` → `[rows, d]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let weight = match self.offset {
            0.0 => self.weight.val(),
            offset => self.weight.val() + offset,
        };
        let bias = self.bias.as_ref().map(Param::val);
        let fused = match &bias {
            None => ops::rms_norm(&x, &weight, self.eps),
            Some(bias) => ops::layer_norm(&x, &weight, bias, self.eps),
        };
        fused.unwrap_or_else(|| by_tensors(x, weight, bias, self.eps))
    }
}

/// The norm as tensor operations, for any device.
fn by_tensors(x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>, eps: f64) -> Tensor<2> {
    match bias {
        None => scale_to_unit(x, eps) * weight.unsqueeze(),
        Some(bias) => {
            let mean = x.clone().mean_dim(1);
            scale_to_unit(x - mean, eps) * weight.unsqueeze() + bias.unsqueeze()
        }
    }
}

/// `x / sqrt(mean(x²) + eps)` for each row.
fn scale_to_unit(x: Tensor<2>, eps: f64) -> Tensor<2> {
    let root = (x.clone() * x.clone()).mean_dim(1).add_scalar(eps).sqrt();
    x / root
}
