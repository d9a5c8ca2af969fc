//! What a model's matrices are kept in, and how they get there.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};

use super::family::Layout;
use crate::checkpoint::{CheckpointError, HostData, HostTensor};
use crate::parallel;

/// The type that a frozen model's matrices are kept in; everything else of it is f32, and so are
/// activations, slopes, prompts and losses.
///
/// Two bytes a number halve what a model takes. A weight is rounded to the type once, when it is
/// loaded: then results are those of the same model with its matrices so rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// 32 bits.
    #[default]
    F32,
    /// The upper half of a 32-bit float: any size, three digits.
    #[cfg(feature = "half-weights")]
    Bf16,
    /// IEEE half precision: up to 65 504, four digits.
    #[cfg(feature = "half-weights")]
    F16,
}

impl WeightType {
    /// As burn names it.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            #[cfg(feature = "half-weights")]
            Self::Bf16 => DType::BF16,
            #[cfg(feature = "half-weights")]
            Self::F16 => DType::F16,
        }
    }

    /// A stored tensor as it is kept: f32 keeps what the file has, which it holds exactly.
    #[cfg(feature = "half-weights")]
    pub(super) fn round(
        self,
        tensor: HostTensor,
        name: &str,
    ) -> Result<HostTensor, CheckpointError> {
        let HostTensor { shape, data } = tensor;
        let data = match self {
            Self::F32 => data,
            Self::Bf16 => HostData::BF16(rounded::bf16(data)),
            Self::F16 => HostData::F16(rounded::f16(data, name)?),
        };
        Ok(HostTensor { shape, data })
    }

    /// A stored tensor as it is.
    #[cfg(not(feature = "half-weights"))]
    pub(super) fn round(self, tensor: HostTensor, _: &str) -> Result<HostTensor, CheckpointError> {
        Ok(tensor)
    }
}

/// A matrix `[in, total]` that is put together of stored ones.
pub(super) struct Columns {
    numbers: HostData,
    input: usize,
    total: usize,
    filled: usize,
}

impl Columns {
    pub(super) fn new(kept: WeightType, [input, total]: [usize; 2]) -> Self {
        let count = input * total;
        let numbers = match kept {
            WeightType::F32 => HostData::F32(vec![0.0; count]),
            #[cfg(feature = "half-weights")]
            WeightType::Bf16 => HostData::BF16(vec![bf16::ZERO; count]),
            #[cfg(feature = "half-weights")]
            WeightType::F16 => HostData::F16(vec![f16::ZERO; count]),
        };
        Self {
            numbers,
            input,
            total,
            filled: 0,
        }
    }

    /// Puts a stored matrix, [rounded](WeightType::round), behind the last one.
    pub(super) fn push(&mut self, stored: &HostData, layout: Layout) {
        let place = Place {
            input: self.input,
            total: self.total,
            column: self.filled,
            layout,
        };
        self.filled += match (&mut self.numbers, stored) {
            (HostData::F32(all), HostData::F32(x)) => place.put(all, x, |x| x),
            (HostData::F32(all), HostData::F16(x)) => place.put(all, x, f16::to_f32),
            (HostData::F32(all), HostData::BF16(x)) => place.put(all, x, bf16::to_f32),
            #[cfg(feature = "half-weights")]
            (HostData::F16(all), HostData::F16(x)) => place.put(all, x, |x| x),
            #[cfg(feature = "half-weights")]
            (HostData::BF16(all), HostData::BF16(x)) => place.put(all, x, |x| x),
            _ => unreachable!("a matrix is rounded before it is put"),
        };
    }

    /// `[in, total]`, a frozen parameter on a device.
    pub(super) fn on(self, device: &Device) -> Param<Tensor<2>> {
        let shape = [self.input, self.total];
        let data = match self.numbers {
            HostData::F32(x) => TensorData::new(x, shape),
            HostData::F16(x) => TensorData::new(x, shape),
            HostData::BF16(x) => TensorData::new(x, shape),
        };
        device.memory_persistent_allocations(data, |data| {
            let kept = data.dtype();
            Param::from_tensor(Tensor::from_data(data, (device, kept)))
        })
    }
}

/// Rows of the whole that are written at a time.
const ROWS: usize = 64;
/// Columns that are read at a time, so that what is read stays in the cache.
const COLUMNS: usize = 32;

/// Where a stored matrix goes.
#[derive(Clone, Copy)]
struct Place {
    input: usize,
    total: usize,
    column: usize,
    layout: Layout,
}

impl Place {
    /// Writes it, and says how wide it is.
    fn put<S, T>(self, all: &mut [T], stored: &[S], number: impl Fn(S) -> T + Sync + Send) -> usize
    where
        S: Copy + Sync,
        T: Send,
    {
        let output = stored.len() / self.input;
        let parts = all.chunks_mut(ROWS * self.total).enumerate();
        parallel::each(parts.collect(), |(part, rows)| {
            let first = part * ROWS;
            match self.layout {
                Layout::InOut => self.copy(rows, &stored[first * output..], output, &number),
                Layout::OutIn => self.turn(rows, first, stored, &number),
            }
        });
        output
    }

    /// Rows from rows.
    fn copy<S: Copy, T>(
        self,
        rows: &mut [T],
        stored: &[S],
        output: usize,
        number: impl Fn(S) -> T,
    ) {
        for (row, stored) in rows.chunks_mut(self.total).zip(stored.chunks(output)) {
            let row = row[self.column..].iter_mut().zip(stored);
            row.for_each(|(value, x)| *value = number(*x));
        }
    }

    /// Rows, of which `first` is the first, from columns.
    fn turn<S: Copy, T>(self, rows: &mut [T], first: usize, stored: &[S], number: impl Fn(S) -> T) {
        for (part, columns) in stored.chunks(COLUMNS * self.input).enumerate() {
            let column = self.column + part * COLUMNS;
            for (i, row) in rows.chunks_mut(self.total).enumerate() {
                let numbers = columns[first + i..].iter().step_by(self.input);
                let row = row[column..].iter_mut().zip(numbers);
                row.for_each(|(value, x)| *value = number(*x));
            }
        }
    }
}

#[cfg(feature = "half-weights")]
mod rounded {
    use half::{bf16, f16, slice::HalfFloatSliceExt};

    use crate::checkpoint::{CheckpointError, HostData};
    use crate::parallel;

    /// Numbers that one thread rounds at a time.
    const CHUNK: usize = 1 << 16;

    pub(super) fn bf16(data: HostData) -> Vec<bf16> {
        match data {
            HostData::BF16(x) => x,
            HostData::F32(x) => from(&x, bf16::ZERO, <[bf16]>::convert_from_f32_slice),
            HostData::F16(x) => from(
                &x.to_f32_vec(),
                bf16::ZERO,
                <[bf16]>::convert_from_f32_slice,
            ),
        }
    }

    /// As f16, which does not reach as far as the others.
    pub(super) fn f16(data: HostData, name: &str) -> Result<Vec<f16>, CheckpointError> {
        let wide = match data {
            HostData::F16(x) => return Ok(x),
            HostData::F32(x) => x,
            HostData::BF16(x) => x.to_f32_vec(),
        };
        let narrow = from(&wide, f16::ZERO, <[f16]>::convert_from_f32_slice);
        let lost = narrow
            .iter()
            .zip(&wide)
            .any(|(x, wide)| x.is_infinite() && wide.is_finite());
        if lost {
            return Err(CheckpointError::Range {
                name: name.to_owned(),
            });
        }
        Ok(narrow)
    }

    fn from<T: Copy + Send>(
        wide: &[f32],
        zero: T,
        round: impl Fn(&mut [T], &[f32]) + Sync + Send,
    ) -> Vec<T> {
        let mut narrow = vec![zero; wide.len()];
        let chunks = narrow.chunks_mut(CHUNK).zip(wide.chunks(CHUNK));
        parallel::each(chunks.collect(), |(narrow, wide)| round(narrow, wide));
        narrow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Larger than what is written and read at a time, and no multiple of it.
    #[test]
    fn stored_matrices_lie_side_by_side() {
        let (input, outputs) = (2 * ROWS + 3, [COLUMNS + 5, 3 * COLUMNS]);
        let total = outputs.iter().sum();
        for layout in [Layout::OutIn, Layout::InOut] {
            let mut columns = Columns::new(WeightType::F32, [input, total]);
            let mut expected = vec![0.0; input * total];
            let mut start = 0;
            for output in outputs {
                let mut stored = vec![0.0; input * output];
                for (i, o) in (0..input).flat_map(|i| (0..output).map(move |o| (i, o))) {
                    let number = (i * total + start + o) as f32;
                    expected[i * total + start + o] = number;
                    let at = match layout {
                        Layout::OutIn => o * input + i,
                        Layout::InOut => i * output + o,
                    };
                    stored[at] = number;
                }
                columns.push(&HostData::F32(stored), layout);
                start += output;
            }
            assert_eq!(columns.numbers, HostData::F32(expected), "{layout:?}");
        }
    }
}
