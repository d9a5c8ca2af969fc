//! What a model's matrices are kept in: `--dtype f32|bf16|f16`.

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use clap::ValueEnum;
use post_core::model::WeightType;
use serde::{Deserialize, Serialize};

use crate::failure::hinted;

/// A type as a person names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dtype {
    /// Four bytes a number.
    #[default]
    F32,
    /// Two bytes a number: as far as f32, three digits.
    Bf16,
    /// Two bytes a number: up to 65504, four digits.
    F16,
}

impl Dtype {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Settings that don't say otherwise are those of a run before there was a choice.
    pub(crate) fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// The model's own name for it, if the device computes with such numbers.
    ///
    /// # Errors
    /// When it doesn't.
    pub(crate) fn on(self, device: &Device) -> Result<WeightType> {
        let kept = match self {
            Self::F32 => WeightType::F32,
            Self::Bf16 => WeightType::Bf16,
            Self::F16 => WeightType::F16,
        };
        match device.supports_dtype(kept.dtype()) {
            true => Ok(kept),
            false => Err(self.lacking()),
        }
    }

    fn lacking(self) -> anyhow::Error {
        let name = self.name();
        hinted(
            anyhow!("the device does not compute with {name} numbers"),
            self.way_out(),
        )
    }

    fn way_out(self) -> String {
        let other = match self {
            Self::Bf16 => "f16",
            Self::F32 | Self::F16 => "bf16",
        };
        format!(
            "use --dtype f32, or {other} where the device has it, or --device cpu, which has all three"
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(feature = "flex")]
    #[test]
    fn the_processor_has_all_of_them() {
        for (dtype, kept) in [
            (Dtype::F32, WeightType::F32),
            (Dtype::Bf16, WeightType::Bf16),
            (Dtype::F16, WeightType::F16),
        ] {
            assert_eq!(dtype.on(&Device::flex()).unwrap(), kept);
            assert_eq!(Dtype::from_str(dtype.name(), false), Ok(dtype));
        }
    }

    #[test]
    fn a_device_without_it_names_the_ways_out() {
        assert!(Dtype::Bf16.lacking().to_string().contains("bf16"));
        let hint = Dtype::Bf16.way_out();
        for way in ["--dtype f32", "or f16", "--device cpu"] {
            assert!(hint.contains(way), "{hint}");
        }
    }
}
