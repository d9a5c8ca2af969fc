//! The place that decides whether an operation runs here, and its way into autodiff's graph.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
#[cfg(feature = "half-weights")]
use burn::backend::autodiff::ops::unary;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{DType, Tensor, TensorData};

use super::wide::{Work, wide};

/// A tensor in autodiff's hands.
type Traced = FloatTensor<Autodiff<Flex>>;

/// A tensor of f32 in the host's memory.
#[derive(Clone)]
pub(super) enum Host {
    /// Autodiff doesn't follow it.
    Plain(FlexTensor),
    /// Autodiff does, or is asked to and finds a constant.
    Traced(Traced),
}

impl Host {
    /// `None` when it lies elsewhere, or is of another type.
    pub(super) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        if let Ok(plain) = tensor.clone().try_into_primitive::<Flex>() {
            return Some(Self::Plain(plain));
        }
        let traced = tensor.clone().try_into_primitive::<Autodiff<Flex>>();
        traced.ok().map(Self::Traced)
    }

    /// All of some, or none.
    pub(super) fn all<const N: usize>(tensors: [Option<Self>; N]) -> Option<[Self; N]> {
        let all: Option<Vec<Self>> = tensors.into_iter().collect();
        all?.try_into().ok()
    }

    pub(super) fn tensor<const D: usize>(self) -> Tensor<D> {
        match self {
            Self::Plain(plain) => Tensor::from_primitive::<Flex>(plain),
            Self::Traced(traced) => Tensor::from_primitive::<Autodiff<Flex>>(traced),
        }
    }

    /// Its numbers, without its graph.
    pub(super) fn plain(self) -> FlexTensor {
        match self {
            Self::Plain(plain) => plain,
            Self::Traced(traced) => traced.into_primitive(),
        }
    }

    fn traced(self) -> Traced {
        match self {
            Self::Plain(plain) => Traced::new(plain),
            Self::Traced(traced) => traced,
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

/// An operation on slices, each the numbers of a tensor row after row. Both passes must be
/// `#[inline(always)]` ([`Work`]).
pub(super) trait Fused<const N: usize>: Clone + Debug + Send + 'static {
    /// Shape of the output.
    fn shape(&self) -> Vec<usize>;

    /// The output.
    fn forward(&self, inputs: [&[f32]; N]) -> Vec<f32>;

    /// The slopes of the inputs that are `wanted`, from the output's; of the others nothing.
    fn backward(
        &self,
        inputs: [&[f32]; N],
        slope: &[f32],
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N];
}

/// Runs `op`, and puts it into the graph if one of its inputs is in one.
pub(super) fn fuse<const N: usize, O: Fused<N>>(op: O, inputs: [Host; N]) -> Host {
    if inputs.iter().all(Host::is_plain) {
        return Host::Plain(forward(&op, &inputs.map(|input| rows(input.plain()))));
    }
    let traced = inputs.map(Host::traced);
    let nodes = traced.each_ref().map(Traced::node);
    let inputs = traced.map(|input| rows(input.into_primitive()));
    let output = forward(&op, &inputs);
    let prepared = Step(op).prepare::<NoCheckpointing>(nodes).compute_bound();
    Host::Traced(match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(inputs, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}

/// An operation that is linear in its one input: its way back needs nothing of it, and keeps nothing.
#[cfg(feature = "half-weights")]
pub(super) trait Linear: Clone + Debug + Send + 'static {
    /// The output.
    fn forward(&self, x: FlexTensor) -> FlexTensor;

    /// The input's slope, from the output's.
    fn backward(&self, slope: FlexTensor) -> FlexTensor;
}

/// Runs `op`, and puts it into the graph if its input is in one.
#[cfg(feature = "half-weights")]
pub(super) fn trace<L: Linear>(op: L, input: Host) -> Host {
    #[derive(Debug)]
    struct Back<L>(L);

    impl<L: Linear> Backward<Flex, 1> for Back<L> {
        type State = ();

        fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            unary::<Flex, _>(ops.parents, ops.node, grads, |slope| self.0.backward(slope));
        }
    }

    let traced = match input {
        Host::Plain(x) => return Host::Plain(op.forward(x)),
        Host::Traced(traced) => traced,
    };
    let node = traced.node();
    let output = op.forward(traced.into_primitive());
    let prepared = Back(op).prepare::<NoCheckpointing>([node]).compute_bound();
    Host::Traced(match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}

/// A tensor of the numbers of `values`.
pub(super) fn upload(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// The same tensor, its numbers row after row.
pub(super) fn rows(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The numbers of a tensor that lies row after row.
pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("only f32 is taken, and laid out in rows")
}

#[derive(Debug)]
struct Step<O>(O);

impl<const N: usize, O: Fused<N>> Backward<Flex, N> for Step<O> {
    /// The inputs.
    type State = [FlexTensor; N];

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        struct Run<'a, const N: usize, O> {
            op: &'a O,
            inputs: [&'a [f32]; N],
            slope: &'a [f32],
            wanted: [bool; N],
        }

        impl<const N: usize, O: Fused<N>> Work for Run<'_, N, O> {
            type Output = [Option<Vec<f32>>; N];

            #[inline(always)]
            fn run(self) -> Self::Output {
                self.op.backward(self.inputs, self.slope, self.wanted)
            }
        }

        let slope = rows(grads.consume::<Flex>(&ops.node));
        let slopes = wide(Run {
            op: &self.0,
            inputs: ops.state.each_ref().map(slice),
            slope: slice(&slope),
            wanted: ops.parents.each_ref().map(Option::is_some),
        });
        for ((parent, input), slope) in ops.parents.iter().zip(&ops.state).zip(slopes) {
            if let (Some(parent), Some(slope)) = (parent, slope) {
                let shape: Vec<usize> = input.shape().to_vec();
                grads.register::<Flex>(parent.id, upload(slope, shape));
            }
        }
    }
}

fn forward<const N: usize, O: Fused<N>>(op: &O, inputs: &[FlexTensor; N]) -> FlexTensor {
    struct Run<'a, const N: usize, O>(&'a O, [&'a [f32]; N]);

    impl<const N: usize, O: Fused<N>> Work for Run<'_, N, O> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run(self) -> Vec<f32> {
            self.0.forward(self.1)
        }
    }

    upload(wide(Run(op, inputs.each_ref().map(slice))), op.shape())
}
