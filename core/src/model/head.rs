//! From the last hidden state to logits over the vocabulary, or over a few of its words.

use std::sync::{Arc, OnceLock};

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::config::Activation;
use super::mlp::activate;
use super::{Embedding, Linear, Norm, WeightType};
use crate::ops::{Way, product};

/// `logits = h·Wᵀ + bias`, where masked-LM models put `norm(act(dense(h)))` for `h`, and Gemma 2 puts
/// `cap · tanh(l / cap)` for the logits `l`.
///
/// The whole matrix goes to the device only when full logits are first asked for; in the host's own
/// memory it is the table that it came from, unless that is of another type than the model's matrices.
#[derive(Clone, Debug)]
pub struct Head {
    /// `[V, d]` on the host; the embedding table itself when tied.
    pub(super) matrix: Arc<Embedding>,
    pub(super) transform: Option<MaskedLmTransform>,
    /// `[V]`
    pub(super) bias: Option<Arc<[f32]>>,
    softcap: Option<f64>,
    kept: WeightType,
    on_device: Arc<OnceLock<HeadRows>>,
}

/// `norm(act(dense(h)))`, the first half of BERT's and RoBERTa's masked-LM head.
#[derive(Clone, Debug)]
pub(super) struct MaskedLmTransform {
    pub(super) dense: Linear,
    pub(super) activation: Activation,
    pub(super) norm: Norm,
}

/// Some rows of the head, ready on the device: the logits of k words, or of classes of them.
#[derive(Clone, Debug)]
pub struct HeadRows {
    /// `[k, d]`
    matrix: Tensor<2>,
    transform: Option<MaskedLmTransform>,
    /// `[1, k]`
    bias: Option<Tensor<2>>,
    softcap: Option<f64>,
    /// `[words, k]`, for classes: 1/m where the word is one of the class's m, else 0.
    averaging: Option<Tensor<2>>,
}

impl Head {
    pub(super) fn new(
        matrix: Arc<Embedding>,
        transform: Option<MaskedLmTransform>,
        bias: Option<Arc<[f32]>>,
        softcap: Option<f64>,
        kept: WeightType,
    ) -> Self {
        Self {
            matrix,
            transform,
            bias,
            softcap,
            kept,
            on_device: Arc::default(),
        }
    }

    /// The same head for another device, where its matrix goes when it is first asked for.
    pub(super) fn on(&self, device: &Device) -> Self {
        let transform = self.transform.clone();
        Self {
            transform: transform.map(|transform| MaskedLmTransform {
                dense: transform.dense.to_device(device),
                norm: transform.norm.to_device(device),
                ..transform
            }),
            on_device: Arc::default(),
            ..self.clone()
        }
    }

    /// The rows of the given words, in their order.
    pub(super) fn rows(&self, ids: &[u32], device: &Device) -> HeadRows {
        let bias = self
            .bias
            .as_ref()
            .map(|bias| ids.iter().map(|&id| bias[id as usize]).collect());
        self.with_matrix(self.matrix.upload_rows(ids, device), bias, device)
    }

    /// Classes of words, each with the mean of its words' logits (method §2).
    pub(super) fn classes(&self, classes: &[&[u32]], device: &Device) -> HeadRows {
        let share = |class: usize, words: &[u32]| {
            let mut row = vec![0.0; classes.len()];
            row[class] = 1.0 / words.len() as f32;
            row.repeat(words.len())
        };
        let shares = classes.iter().enumerate();
        let shares: Vec<f32> = shares
            .flat_map(|(class, words)| share(class, words))
            .collect();
        let words = classes.concat();
        let averaging = TensorData::new(shares, [words.len(), classes.len()]);
        HeadRows {
            averaging: Some(Tensor::from_data(averaging, device)),
            ..self.rows(&words, device)
        }
    }

    /// The whole head; uploaded at the first call, shared afterwards.
    pub(super) fn full(&self, device: &Device) -> &HeadRows {
        self.on_device.get_or_init(|| {
            let bias = self.bias.as_ref().map(|bias| bias.to_vec());
            self.with_matrix(self.matrix.upload(device, self.kept.dtype()), bias, device)
        })
    }

    fn with_matrix(&self, matrix: Tensor<2>, bias: Option<Vec<f32>>, device: &Device) -> HeadRows {
        let upload = |bias: Vec<f32>| {
            let width = bias.len();
            Tensor::from_data(TensorData::new(bias, [1, width]), device)
        };
        HeadRows {
            matrix,
            transform: self.transform.clone(),
            bias: bias.map(upload),
            softcap: self.softcap,
            averaging: None,
        }
    }
}

impl HeadRows {
    /// What its matrix is kept in.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.matrix.dtype()
    }

    /// How many logits it gives: k.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.averaging {
            Some(averaging) => averaging.dims()[1],
            None => self.matrix.dims()[0],
        }
    }

    /// `[rows, d]` → `[rows, k]`
    #[must_use]
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let mut logits = self.uncapped(hidden);
        if let Some(cap) = self.softcap {
            logits = (logits / cap).tanh() * cap;
        }
        match &self.averaging {
            Some(averaging) => logits.matmul(averaging.clone()),
            None => logits,
        }
    }

    fn uncapped(&self, hidden: Tensor<2>) -> Tensor<2> {
        let hidden = match &self.transform {
            Some(transform) => transform.forward(hidden),
            None => hidden,
        };
        let logits = product(hidden, self.matrix.clone(), Way::Across);
        match &self.bias {
            Some(bias) => logits + bias.clone(),
            None => logits,
        }
    }

    /// [`logits`](Self::logits) of several tensors by one product: the matrix is the largest there is,
    /// and reading it takes longer than multiplying it with few rows.
    #[must_use]
    pub fn logits_of_each<const N: usize>(&self, hidden: [Tensor<2>; N]) -> [Tensor<2>; N] {
        let rows = hidden.each_ref().map(|hidden| hidden.dims()[0]);
        let logits = self.logits(Tensor::cat(hidden.into(), 0));
        let mut start = 0;
        rows.map(|rows| {
            start += rows;
            logits.clone().narrow(0, start - rows, rows)
        })
    }

    /// The slope in the hidden states `[rows, d]` of what has the slope `[rows, k]` in their logits.
    /// Plain tensors, in and out: nothing as large as logits is ever traced.
    #[must_use]
    pub fn slope(&self, hidden: Tensor<2>, slope: Tensor<2>) -> Tensor<2> {
        let slope = match &self.averaging {
            Some(averaging) => slope.matmul(averaging.clone().transpose()),
            None => slope,
        };
        let slope = match self.softcap {
            Some(cap) => {
                let capped = (self.uncapped(hidden.clone()) / cap).tanh();
                slope.clone() - slope * capped.clone() * capped
            }
            None => slope,
        };
        let slope = product(slope, self.matrix.clone(), Way::Along);
        let Some(transform) = &self.transform else {
            return slope;
        };
        let leaf = hidden.autodiff().require_grad();
        let mut grads = (transform.forward(leaf.clone()) * slope).sum().backward();
        let slope = leaf.grad_remove(&mut grads);
        slope.unwrap_or_else(|| leaf.inner().zeros_like())
    }
}

impl MaskedLmTransform {
    fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.norm
            .forward(activate(self.activation, self.dense.forward(hidden)))
    }
}
