//! The blocks' numbers as one vector, and back.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::model::Block;
use crate::optim::{DeviceError, read};
use crate::parallel;

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
    Ok(each(all.0).await?.concat())
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

/// Tensors read one after the other.
pub(super) async fn each(tensors: Vec<Tensor<1>>) -> Result<Vec<Vec<f32>>, DeviceError> {
    let mut all = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        all.push(read(tensor).await?);
    }
    Ok(all)
}

/// `blocks` with their parameters taken from `values`, which must be as many.
pub(super) fn replace(blocks: &[Block], values: &[f32]) -> Vec<Block> {
    struct Put(std::vec::IntoIter<Vec<f32>>);
    impl ModuleMapper for Put {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, old, mapper) = parameter.consume();
            let own = self.0.next().expect("values are cut for these parameters");
            let new = Tensor::from_data(TensorData::new(own, old.dims()), &old.device());
            Param::from_mapped_value(id, new, mapper)
        }
    }
    let mut rest = values;
    let cut = lengths(blocks).into_iter().map(|len| {
        let (own, others) = rest.split_at(len);
        rest = others;
        own
    });
    let copies = parallel::each(cut.collect(), <[f32]>::to_vec);
    let mut put = Put(copies.into_iter());
    blocks
        .iter()
        .map(|block| block.clone().map(&mut put))
        .collect()
}

/// Numbers in each parameter.
fn lengths(blocks: &[Block]) -> Vec<usize> {
    struct Count(Vec<usize>);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.push(parameter.shape().num_elements());
        }
    }
    let mut count = Count(Vec::new());
    blocks.iter().for_each(|block| block.visit(&mut count));
    count.0
}
