//! Products with a frozen matrix, which may be kept in 16 bits.

use burn::tensor::Tensor;

/// Which way a matrix is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `x·W`
    Along,
    /// `x·Wᵀ`
    Across,
}

/// `x·W` or `x·Wᵀ`, in f32 whatever W is kept in.
///
/// In the host's memory a matrix of 16 bits is widened where it is used, a panel at a time, so numbers
/// are those of the same matrix in f32; the way back widens it again, and nothing wide is kept for it.
/// Elsewhere both sides are multiplied in the matrix's type, as graphics cards are made for.
pub(crate) fn product(x: Tensor<2>, matrix: Tensor<2>, way: Way) -> Tensor<2> {
    #[cfg(feature = "half-weights")]
    if matrix.dtype() != burn::tensor::DType::F32 {
        return half::product(x, matrix, way);
    }
    x.matmul(turned(matrix, way))
}

fn turned(matrix: Tensor<2>, way: Way) -> Tensor<2> {
    match way {
        Way::Along => matrix,
        Way::Across => matrix.transpose(),
    }
}

#[cfg(feature = "half-weights")]
mod half {
    use ::half::{bf16, f16, slice::HalfFloatSliceExt};
    use burn::backend::Flex;
    use burn::backend::flex::FlexTensor;
    use burn::backend::ops::FloatTensorOps;
    use burn::tensor::{DType, Tensor};

    use super::{Way, turned};
    use crate::ops::host::{Host, Linear, rows, trace, upload};
    use crate::parallel;

    /// Numbers of a matrix that are wide at a time: 16 MiB of them.
    const PANEL: usize = 1 << 22;
    /// Numbers that one thread widens at a time.
    const CHUNK: usize = 1 << 16;

    pub(super) fn product(x: Tensor<2>, matrix: Tensor<2>, way: Way) -> Tensor<2> {
        let here = Host::of(&x).zip(matrix.clone().try_into_primitive::<Flex>().ok());
        match here {
            Some((x, matrix)) => trace(Product { matrix, way }, x).tensor(),
            None => by_tensors(x, matrix, way),
        }
    }

    /// For any device: in the matrix's own type.
    pub(super) fn by_tensors(x: Tensor<2>, matrix: Tensor<2>, way: Way) -> Tensor<2> {
        let kind = matrix.dtype();
        x.cast(kind).matmul(turned(matrix, way)).cast(DType::F32)
    }

    /// What multiplies, `[r, c]`, and how.
    #[derive(Clone, Debug)]
    struct Product {
        matrix: FlexTensor,
        way: Way,
    }

    impl Linear for Product {
        fn forward(&self, x: FlexTensor) -> FlexTensor {
            self.multiply(x, self.way, PANEL)
        }

        fn backward(&self, slope: FlexTensor) -> FlexTensor {
            let back = match self.way {
                Way::Along => Way::Across,
                Way::Across => Way::Along,
            };
            self.multiply(slope, back, PANEL)
        }
    }

    impl Product {
        /// `[n, r]` → `[n, c]` along the matrix, `[n, c]` → `[n, r]` across it, in panels of `most`
        /// numbers or of one row.
        fn multiply(&self, x: FlexTensor, way: Way, most: usize) -> FlexTensor {
            let [height, width] = [0, 1].map(|dim| self.matrix.layout().shape()[dim]);
            let step = (most / width).clamp(1, height);
            let panels = (0..height).step_by(step).map(|start| {
                let count = step.min(height - start);
                (start, count, widened(self.matrix.narrow(0, start, count)))
            });
            match way {
                Way::Across => {
                    let parts = panels
                        .map(|(_, _, panel)| Flex::float_matmul(x.clone(), panel.transpose(0, 1)));
                    joined(parts.collect())
                }
                Way::Along => panels
                    .map(|(start, count, panel)| {
                        Flex::float_matmul(x.narrow(1, start, count), panel)
                    })
                    .reduce(Flex::float_add)
                    .expect("a matrix has at least one row"),
            }
        }
    }

    /// Columns side by side.
    fn joined(mut parts: Vec<FlexTensor>) -> FlexTensor {
        match parts.len() {
            1 => parts.swap_remove(0),
            _ => Flex::float_cat(parts, 1),
        }
    }

    /// The same numbers in f32.
    fn widened(matrix: FlexTensor) -> FlexTensor {
        let matrix = rows(matrix);
        let shape: Vec<usize> = matrix.layout().shape().to_vec();
        let mut wide = vec![0.0; shape.iter().product()];
        if let Some(narrow) = matrix.as_slice::<bf16>() {
            each_chunk(narrow, &mut wide, |narrow, wide| {
                let pairs = wide.iter_mut().zip(narrow);
                pairs.for_each(|(wide, x)| *wide = f32::from_bits(u32::from(x.to_bits()) << 16));
            });
        } else {
            let narrow: &[f16] = matrix.as_slice().expect("kept in bf16 or f16");
            each_chunk(narrow, &mut wide, HalfFloatSliceExt::convert_to_f32_slice);
        }
        upload(wide, shape)
    }

    fn each_chunk<T: Sync>(
        narrow: &[T],
        wide: &mut [f32],
        widen: impl Fn(&[T], &mut [f32]) + Sync + Send,
    ) {
        let chunks = narrow.chunks(CHUNK).zip(wide.chunks_mut(CHUNK));
        parallel::each(chunks.collect(), |(narrow, wide)| widen(narrow, wide));
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    mod tests {
        use burn::tensor::Device;

        use super::*;
        use crate::ops::testing::{noise, same, values};

        const KINDS: [DType; 2] = [DType::BF16, DType::F16];
        const WAYS: [Way; 2] = [Way::Along, Way::Across];

        /// A matrix that a type holds exactly, narrow and wide.
        fn both(kind: DType, shape: [usize; 2]) -> [Tensor<2>; 2] {
            let narrow = noise(shape, 3).cast(kind);
            [narrow.clone(), narrow.cast(DType::F32)]
        }

        #[track_caller]
        fn near(found: &[f32], expected: &[f32], far: f32) {
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < far, "{a} instead of {b}");
            }
        }

        fn inputs(way: Way, [r, c]: [usize; 2]) -> [Tensor<2>; 1] {
            let width = if way == Way::Along { r } else { c };
            [noise([5, width], 4)]
        }

        #[test]
        fn numbers_and_slopes_are_those_of_the_widened_matrix() {
            for kind in KINDS {
                for way in WAYS {
                    let [narrow, wide] = both(kind, [7, 11]);
                    let plain = |x: &[Tensor<2>]| x[0].clone().matmul(turned(wide.clone(), way));
                    let kept = |x: &[Tensor<2>]| Some(product(x[0].clone(), narrow.clone(), way));
                    let x = inputs(way, [7, 11]);
                    same(&x, kept, plain);
                    assert_eq!(values(kept(&x).unwrap()), values(plain(&x)));
                }
            }
        }

        #[test]
        fn a_matrix_may_lie_in_columns_or_in_part_of_another() {
            let [narrow, wide] = both(DType::BF16, [9, 8]);
            let x = noise([5, 8], 4);
            let cut = |w: &Tensor<2>| w.clone().transpose().narrow(1, 2, 6);
            let found = values(product(x.clone(), cut(&narrow), Way::Along));
            near(&found, &values(x.matmul(cut(&wide))), 1e-5);
        }

        #[test]
        fn panels_are_put_together() {
            let [narrow, wide] = both(DType::F16, [10, 6]);
            for way in WAYS {
                let [x] = inputs(way, [10, 6]);
                let expected = values(x.clone().matmul(turned(wide.clone(), way)));
                let matrix = narrow.clone().try_into_primitive::<Flex>().unwrap();
                for most in [1, 6, 20, 1000] {
                    let product = Product {
                        matrix: matrix.clone(),
                        way,
                    };
                    let x = x.clone().try_into_primitive::<Flex>().unwrap();
                    let found = product.multiply(x, way, most);
                    let found = values(Tensor::<2>::from_primitive::<Flex>(found));
                    near(&found, &expected, 1e-5);
                }
            }
        }

        /// Every number of 16 bits.
        #[test]
        fn every_number_is_widened_exactly() {
            let all = || 0..=u16::MAX;
            let narrow: Vec<f16> = all().map(f16::from_bits).collect();
            check(&narrow, |x| x.to_f32());
            let narrow: Vec<bf16> = all().map(bf16::from_bits).collect();
            check(&narrow, |x| x.to_f32());
        }

        fn check<T: burn::tensor::Element>(narrow: &[T], wide: impl Fn(&T) -> f32) {
            let data = burn::tensor::TensorData::new(narrow.to_vec(), [256, 256]);
            let found = widened(FlexTensor::from_data(data));
            for (found, expected) in found.as_slice::<f32>().unwrap().iter().zip(narrow) {
                let expected = wide(expected);
                assert!(*found == expected || found.is_nan() && expected.is_nan());
            }
        }

        /// What other devices do is near, but rounds both sides.
        #[test]
        fn by_tensors_is_near() {
            for kind in KINDS {
                let [narrow, wide] = both(kind, [7, 11]);
                let x = noise([5, 7], 4);
                let leaf = x.clone().autodiff().require_grad();
                let found = by_tensors(leaf.clone(), narrow, Way::Along);
                assert_eq!(found.dtype(), DType::F32);
                let mut grads = found.clone().sum().backward();
                let slope = leaf.grad_remove(&mut grads).unwrap();
                assert_eq!(slope.dtype(), DType::F32);
                let expected = x.matmul(wide.clone());
                let ones = Tensor::<2>::ones([5, 11], &Device::flex());
                let pairs = [
                    (found.inner(), expected),
                    (slope, ones.matmul(wide.transpose())),
                ];
                for (found, expected) in pairs {
                    near(&values(found), &values(expected), 0.1);
                }
            }
        }
    }
}
