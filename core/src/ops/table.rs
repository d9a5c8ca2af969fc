//! A matrix in the host's memory that is looked up row by row and, as a whole, multiplied.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::host;
use crate::parallel;

/// `[rows, width]`, in the type it came in.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    numbers: FlexTensor,
    /// Numbers in a row.
    pub(crate) width: usize,
}

impl Table {
    /// Takes the numbers over, of f32, f16 or bf16, and two dimensions.
    pub(crate) fn new(data: TensorData) -> Self {
        let width = data.shape()[1];
        Self {
            numbers: FlexTensor::from_data(data),
            width,
        }
    }

    /// What the numbers are kept in.
    pub(crate) fn dtype(&self) -> DType {
        self.numbers.dtype()
    }

    /// Size in memory.
    pub(crate) fn byte_len(&self) -> usize {
        self.numbers.bytes().len()
    }

    /// A copy of the numbers.
    pub(crate) fn data(&self) -> TensorData {
        let bytes = self.numbers.bytes().to_vec();
        TensorData::from_bytes_vec(bytes, self.shape(), self.dtype())
    }

    /// Appends the rows in f32, in the given order.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub(crate) fn read(&self, rows: &[u32], out: &mut Vec<f32>) {
        let of = |row: &u32| *row as usize * self.width..(*row as usize + 1) * self.width;
        if let Some(x) = self.numbers.as_slice::<f16>() {
            rows.iter()
                .for_each(|row| out.extend(x[of(row)].iter().map(|x| x.to_f32())));
        } else if let Some(x) = self.numbers.as_slice::<bf16>() {
            rows.iter()
                .for_each(|row| out.extend(x[of(row)].iter().map(|x| x.to_f32())));
        } else {
            let x = host::slice(&self.numbers);
            rows.iter()
                .for_each(|row| out.extend_from_slice(&x[of(row)]));
        }
    }

    /// The whole table on a device, in its own type or in f32: these very numbers where they are what is
    /// asked for, and where, else a copy.
    pub(crate) fn on(&self, device: &Device, kept: DType) -> Tensor<2> {
        let own = self.dtype() == kept;
        if own && parallel::is_host(device) {
            return Tensor::from_primitive::<Flex>(self.numbers.clone());
        }
        let data = if own {
            self.data()
        } else {
            TensorData::new(self.wide(), self.shape())
        };
        Tensor::from_data(data, (device, kept))
    }

    fn shape(&self) -> Vec<usize> {
        self.numbers.layout().shape().to_vec()
    }

    fn wide(&self) -> Vec<f32> {
        let numbers = &self.numbers;
        match (numbers.as_slice::<f16>(), numbers.as_slice::<bf16>()) {
            (Some(x), _) => x.to_f32_vec(),
            (_, Some(x)) => x.to_f32_vec(),
            _ => host::slice(numbers).to_vec(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ops::testing::values;

    const NUMBERS: [f32; 6] = [0.5, -1.0, 2.0, 0.25, 3.0, -4.0];

    fn tables() -> [Table; 3] {
        let shape = [3, 2];
        [
            TensorData::new(NUMBERS.to_vec(), shape),
            TensorData::new(NUMBERS.map(f16::from_f32).to_vec(), shape),
            TensorData::new(NUMBERS.map(bf16::from_f32).to_vec(), shape),
        ]
        .map(Table::new)
    }

    #[test]
    fn rows_are_read_in_the_order_asked_for() {
        for table in tables() {
            let mut out = vec![7.0];
            table.read(&[2, 0, 2], &mut out);
            assert_eq!(out, [7.0, 3.0, -4.0, 0.5, -1.0, 3.0, -4.0]);
        }
    }

    /// A tied head is the largest matrix there is.
    #[test]
    fn in_the_hosts_memory_the_numbers_are_there_once() {
        for table in tables() {
            let own = table.dtype();
            for kept in [own, DType::F32] {
                let found = table.on(&Device::flex(), kept);
                assert_eq!(found.dtype(), kept);
                let primitive = found.clone().try_into_primitive::<Flex>().unwrap();
                let shared = Arc::ptr_eq(&primitive.data_arc(), &table.numbers.data_arc());
                assert_eq!(shared, own == kept);
                assert_eq!(values(found.cast(DType::F32)), NUMBERS);
            }
        }
    }
}
