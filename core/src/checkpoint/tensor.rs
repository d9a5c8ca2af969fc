//! A tensor in host memory, in the type it was stored in.

use half::{bf16, f16};

use super::CheckpointError;

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum HostData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// IEEE half precision.
    F16(Vec<f16>),
    /// The upper half of a 32-bit float.
    BF16(Vec<bf16>),
}

/// Elements that are only looked at.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// As [`HostData::F32`].
    F32(&'a [f32]),
    /// As [`HostData::F16`].
    F16(&'a [f16]),
    /// As [`HostData::BF16`].
    BF16(&'a [bf16]),
}

#[cfg(feature = "half-weights")]
impl Numbers<'_> {
    /// How many there are.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::BF16(v) => v.len(),
        }
    }
}

impl HostData {
    /// The elements, to be looked at.
    #[must_use]
    pub fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::F32(v) => Numbers::F32(v),
            Self::F16(v) => Numbers::F16(v),
            Self::BF16(v) => Numbers::BF16(v),
        }
    }
}

/// A tensor in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// As many elements as the shape says.
    pub data: HostData,
}

impl HostTensor {
    /// A tensor of 32-bit floats.
    #[must_use]
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self {
            shape: shape.into(),
            data: HostData::F32(data),
        }
    }

    /// A tensor of half-precision floats.
    #[must_use]
    pub fn f16(shape: impl Into<Vec<usize>>, data: Vec<f16>) -> Self {
        Self {
            shape: shape.into(),
            data: HostData::F16(data),
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.data {
            HostData::F32(v) => v.len(),
            HostData::F16(v) => v.len(),
            HostData::BF16(v) => v.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every element is a number, and none infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        match &self.data {
            HostData::F32(v) => v.iter().all(|x| x.is_finite()),
            HostData::F16(v) => v.iter().all(|x| x.is_finite()),
            HostData::BF16(v) => v.iter().all(|x| x.is_finite()),
        }
    }

    /// Size in bytes, in the type it is stored in.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        let size = if matches!(self.data, HostData::F32(_)) {
            4
        } else {
            2
        };
        self.len() * size
    }

    /// The elements' little-endian bytes, in the type they are stored in.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match &self.data {
            HostData::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            HostData::F16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            HostData::BF16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// All elements as 32-bit floats, which holds every value of the other types exactly.
    #[must_use]
    pub fn into_f32(self) -> Vec<f32> {
        match self.data {
            HostData::F32(v) => v,
            HostData::F16(v) => v.into_iter().map(f16::to_f32).collect(),
            HostData::BF16(v) => v.into_iter().map(bf16::to_f32).collect(),
        }
    }

    /// All elements rounded to half precision.
    #[must_use]
    pub fn into_f16(self) -> Vec<f16> {
        match self.data {
            HostData::F32(v) => v.into_iter().map(f16::from_f32).collect(),
            HostData::F16(v) => v,
            HostData::BF16(v) => v.into_iter().map(|x| f16::from_f32(x.to_f32())).collect(),
        }
    }

    /// The same tensor, if it has the shape that the caller expects.
    ///
    /// # Errors
    /// [`CheckpointError::Shape`] naming the tensor and both shapes.
    pub fn expect_shape(self, name: &str, expected: &[usize]) -> Result<Self, CheckpointError> {
        if self.shape == expected {
            return Ok(self);
        }
        Err(CheckpointError::Shape {
            name: name.to_owned(),
            found: self.shape,
            expected: expected.to_vec(),
        })
    }
}
