//! The blocks' numbers as one vector, and back.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::model::Block;
use crate::optim::{DeviceError, read};

/// All parameters of `blocks`, one after the other in the module's order.
pub(super) async fn values(blocks: &[Block]) -> Result<Vec<f32>, DeviceError> {
    struct Read(Vec<Tensor<1>>);
    impl ModuleVisitor for Read {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.push(parameter.val().inner().flatten(0, D - 1));
        }
    }
    let mut all = Read(Vec::new());
    blocks.iter().for_each(|block| block.visit(&mut all));
    flat(all.0).await
}

/// Their gradients, each flattened, in the same order; zeros where none came.
pub(super) fn gradients(blocks: &[Block], grads: &mut Gradients) -> Vec<Tensor<1>> {
    struct Take<'a>(&'a mut Gradients, Vec<Tensor<1>>);
    impl ModuleVisitor for Take<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let tensor = parameter.val();
            let gradient = tensor.grad_remove(self.0);
            let gradient = gradient.unwrap_or_else(|| tensor.inner().zeros_like());
            self.1.push(gradient.flatten(0, D - 1));
        }
    }
    let mut take = Take(grads, Vec::new());
    blocks.iter().for_each(|block| block.visit(&mut take));
    take.1
}

/// Tensors read one after the other into one vector.
pub(super) async fn flat(tensors: Vec<Tensor<1>>) -> Result<Vec<f32>, DeviceError> {
    let len = tensors.iter().map(|tensor| tensor.dims()[0]).sum();
    let mut all = Vec::with_capacity(len);
    for tensor in tensors {
        all.extend(read(tensor).await?);
    }
    Ok(all)
}

/// `blocks` with their parameters taken from `values`, which must be as many.
pub(super) fn replace(blocks: &[Block], values: &[f32]) -> Vec<Block> {
    struct Put<'a>(&'a [f32]);
    impl ModuleMapper for Put<'_> {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, old, mapper) = parameter.consume();
            let shape = old.dims();
            let (own, rest) = self.0.split_at(shape.iter().product());
            self.0 = rest;
            let new = Tensor::from_data(TensorData::new(own.to_vec(), shape), &old.device());
            Param::from_mapped_value(id, new, mapper)
        }
    }
    let mut put = Put(values);
    blocks
        .iter()
        .map(|block| block.clone().map(&mut put))
        .collect()
}
