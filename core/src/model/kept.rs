//! What a model's matrices are kept in, and how they get there.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};

use super::family::Layout;
use crate::checkpoint::{CheckpointError, HostData, HostTensor, Numbers, Tensors};
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

    /// Stored numbers of a tensor, rounded to 16 bits.
    #[cfg(feature = "half-weights")]
    fn round(self, stored: Numbers<'_>, name: &str) -> Result<HostData, CheckpointError> {
        if self == Self::F16 {
            return rounded::f16(stored, name).map(HostData::F16);
        }
        Ok(HostData::BF16(rounded::bf16(stored)))
    }

    /// A table as it is kept: f32 keeps what the file has, which it holds exactly.
    pub(super) fn table(
        self,
        tensors: &dyn Tensors,
        name: &str,
    ) -> Result<HostTensor, CheckpointError> {
        #[cfg(feature = "half-weights")]
        if self != Self::F32 {
            let mut data = None;
            tensors.show(name, &mut |stored| data = Some(self.round(stored, name)))?;
            let data = data.ok_or_else(|| CheckpointError::missing(name))??;
            let shape = tensors.shape(name).unwrap_or_default();
            return Ok(HostTensor { shape, data });
        }
        tensors.tensor(name)
    }
}

/// A matrix as burn takes it, in its own type; nothing is copied.
pub(super) fn tensor_data(numbers: HostData, shape: [usize; 2]) -> TensorData {
    match numbers {
        HostData::F32(x) => TensorData::new(x, shape),
        HostData::F16(x) => TensorData::new(x, shape),
        HostData::BF16(x) => TensorData::new(x, shape),
    }
}

/// A matrix `[in, total]` that is put together of stored ones.
pub(super) struct Columns {
    numbers: HostData,
    #[cfg(feature = "half-weights")]
    kept: WeightType,
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
            #[cfg(feature = "half-weights")]
            kept,
            input,
            total,
            filled: 0,
        }
    }

    /// Puts a stored matrix behind the last one.
    pub(super) fn push(
        &mut self,
        tensors: &dyn Tensors,
        name: &str,
        layout: Layout,
    ) -> Result<(), CheckpointError> {
        let mut put = Ok(());
        tensors.show(name, &mut |stored| put = self.put(stored, name, layout))?;
        put
    }

    fn put(
        &mut self,
        stored: Numbers<'_>,
        name: &str,
        layout: Layout,
    ) -> Result<(), CheckpointError> {
        let place = Place {
            input: self.input,
            total: self.total,
            column: self.filled,
            layout,
        };
        self.filled += match (&mut self.numbers, stored) {
            (HostData::F32(all), Numbers::F32(x)) => place.put(all, x, |x| x),
            (HostData::F32(all), Numbers::F16(x)) => place.put(all, x, f16::to_f32),
            (HostData::F32(all), Numbers::BF16(x)) => place.put(all, x, bf16::to_f32),
            #[cfg(feature = "half-weights")]
            (HostData::F16(all), Numbers::F16(x)) => place.put(all, x, |x| x),
            #[cfg(feature = "half-weights")]
            (HostData::BF16(all), Numbers::BF16(x)) => place.put(all, x, |x| x),
            #[cfg(feature = "half-weights")]
            (_, other) => {
                let rounded = self.kept.round(other, name)?;
                return self.put(rounded.numbers(), name, layout);
            }
            #[cfg(not(feature = "half-weights"))]
            _ => unreachable!("{name}: a model in f32 takes every type"),
        };
        Ok(())
    }

    /// `[in, total]`, a frozen parameter on a device.
    pub(super) fn on(self, device: &Device) -> Param<Tensor<2>> {
        let shape = [self.input, self.total];
        let data = tensor_data(self.numbers, shape);
        device.memory_persistent_allocations(data, |data| {
            let kept = data.dtype();
            Param::from_tensor(Tensor::from_data(data, (device, kept)))
        })
    }
}

/// Rows of the whole that are written at a time.
const ROWS: usize = 64;
/// Columns that are read at a time, so that what is read stays in the cache.
const COLUMNS: usize = 16;

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
        T: Copy + Default + Send,
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
    fn turn<S, T>(self, rows: &mut [T], first: usize, stored: &[S], number: impl Fn(S) -> T)
    where
        S: Copy,
        T: Copy + Default,
    {
        let count = rows.len() / self.total;
        let mut block = vec![T::default(); count * COLUMNS];
        for (part, columns) in stored.chunks(COLUMNS * self.input).enumerate() {
            for (at, column) in columns.chunks_exact(self.input).enumerate() {
                let numbers = &column[first..first + count];
                for (turned, x) in block.chunks_exact_mut(COLUMNS).zip(numbers) {
                    turned[at] = number(*x);
                }
            }
            let (column, width) = (self.column + part * COLUMNS, columns.len() / self.input);
            let blocks = block.chunks_exact(COLUMNS);
            for (row, turned) in rows.chunks_exact_mut(self.total).zip(blocks) {
                row[column..column + width].copy_from_slice(&turned[..width]);
            }
        }
    }
}

#[cfg(feature = "half-weights")]
mod rounded {
    use std::borrow::Cow;
    use std::ops::Range;

    use half::{bf16, f16, slice::HalfFloatSliceExt};

    use crate::checkpoint::{CheckpointError, Numbers};
    use crate::parallel;

    /// Numbers that one thread rounds at a time.
    const CHUNK: usize = 1 << 16;

    pub(super) fn bf16(stored: Numbers<'_>) -> Vec<bf16> {
        let round = |wide: &[f32], narrow: &mut [bf16]| narrow.convert_from_f32_slice(wide);
        each_chunk(stored, bf16::ZERO, round).0
    }

    /// As f16, which does not reach as far as the others.
    pub(super) fn f16(stored: Numbers<'_>, name: &str) -> Result<Vec<f16>, CheckpointError> {
        let round = |wide: &[f32], narrow: &mut [f16]| {
            narrow.convert_from_f32_slice(wide);
            let mut pairs = narrow.iter().zip(wide);
            pairs.all(|(narrow, wide)| narrow.is_finite() || !wide.is_finite())
        };
        match each_chunk(stored, f16::ZERO, round) {
            (narrow, held) if held.iter().all(|held| *held) => Ok(narrow),
            _ => Err(CheckpointError::Range {
                name: name.to_owned(),
            }),
        }
    }

    fn each_chunk<T: Copy + Send, R: Send>(
        stored: Numbers<'_>,
        zero: T,
        round: impl Fn(&[f32], &mut [T]) -> R + Sync + Send,
    ) -> (Vec<T>, Vec<R>) {
        let mut narrow = vec![zero; stored.len()];
        let parts = narrow.chunks_mut(CHUNK).enumerate();
        let done = parallel::each(parts.collect(), |(part, narrow)| {
            let start = part * CHUNK;
            round(&wide(stored, start..start + narrow.len()), narrow)
        });
        (narrow, done)
    }

    fn wide(stored: Numbers<'_>, range: Range<usize>) -> Cow<'_, [f32]> {
        match stored {
            Numbers::F32(x) => x[range].into(),
            Numbers::F16(x) => x[range].to_f32_vec().into(),
            Numbers::BF16(x) => x[range].to_f32_vec().into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
                columns.put(Numbers::F32(&stored), "", layout).unwrap();
                start += output;
            }
            assert_eq!(columns.numbers, HostData::F32(expected), "{layout:?}");
        }
    }
}
