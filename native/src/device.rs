//! Where the numbers are computed: `--device auto|cpu|cuda[:i]|wgpu[:i]|vulkan[:i]`, or several of these, those
//! of other machines among them, where they can share the work.
//!
//! Asking a runtime for a device that isn't there panics at the first tensor, so devices are
//! always listed first and only a listed one is taken.

mod several;
pub(crate) mod worker;

use std::fmt;
use std::str::FromStr;

pub(crate) use several::{Devices, Found};

use anyhow::{Result, anyhow};
use burn::tensor::{Device, DeviceType};
use serde::{Deserialize, Serialize};

use crate::failure::hinted;
use crate::term::Terminal;

/// A device as a person names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum DeviceChoice {
    /// The first that is there of CUDA, Vulkan and wgpu; the processor otherwise.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The i-th device of a kind.
    Gpu(Kind, usize),
}

/// A way to reach a graphics processor, which is also the cargo feature that compiles it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// NVIDIA's own.
    Cuda,
    /// Vulkan, named explicitly.
    Vulkan,
    /// Whatever wgpu finds: Vulkan, Metal, DirectX 12.
    Wgpu,
}

/// In the order in which `auto` tries them.
const KINDS: [Kind; 3] = [Kind::Cuda, Kind::Vulkan, Kind::Wgpu];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
        }
    }

    /// `None` when this build can't speak to such devices at all.
    fn compiled(self) -> Option<DeviceType> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(DeviceType::Cuda),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some(DeviceType::Vulkan),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(DeviceType::Wgpu),
            #[cfg(not(all(feature = "cuda", feature = "vulkan", feature = "wgpu")))]
            _ => None,
        }
    }

    fn list(self) -> Option<Vec<Device>> {
        self.compiled().map(|kind| Device::enumerate(kind).to_vec())
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, index.parse().map_err(|_| unknown(text))?),
            None => (text, 0),
        };
        let kind = KINDS.into_iter().find(|kind| kind.name() == name);
        match (text, kind) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            (_, Some(kind)) => Ok(Self::Gpu(kind, index)),
            (_, None) => Err(unknown(text)),
        }
    }
}

fn unknown(text: &str) -> String {
    if worker::Worker::is_one(text) {
        return format!(
            "`{text}` is another machine's device, and what goes there is not encrypted: only `distill` and \
             `transfer`, whose text is public, take it"
        );
    }
    format!("`{text}` is none of auto, cpu, cuda[:i], wgpu[:i], vulkan[:i]")
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(kind, index) => write!(f, "{}:{index}", kind.name()),
        }
    }
}

impl DeviceChoice {
    /// Finds the device and says on stderr which one it is.
    ///
    /// # Errors
    /// When a named device isn't there, or this build has no support for its kind.
    pub(crate) fn open(self, term: &Terminal) -> Result<Device> {
        let (device, name) = match self {
            Self::Auto => auto()?,
            Self::Cpu => (cpu()?, "cpu".to_owned()),
            Self::Gpu(kind, index) => (gpu(kind, index)?, self.to_string()),
        };
        let chosen = if self == Self::Auto {
            " (chosen by auto)"
        } else {
            ""
        };
        term.note(format!("device: {name}{chosen}"));
        Ok(device)
    }
}

fn auto() -> Result<(Device, String)> {
    let first = |kind: Kind| {
        Some((
            kind.list()?.into_iter().next()?,
            format!("{}:0", kind.name()),
        ))
    };
    match KINDS.into_iter().find_map(first) {
        Some(found) => Ok(found),
        None => Ok((cpu()?, "cpu".to_owned())),
    }
}

fn gpu(kind: Kind, index: usize) -> Result<Device> {
    let name = kind.name();
    let devices = kind.list().ok_or_else(|| {
        hinted(
            anyhow!("this build has no {name} support"),
            format!("rebuild with `--features {name}`, or use --device cpu"),
        )
    })?;
    let count = devices.len();
    devices.into_iter().nth(index).ok_or_else(|| {
        hinted(
            anyhow!("there is no device {name}:{index}: {count} found"),
            "use --device auto, which takes what is there",
        )
    })
}

#[cfg(feature = "flex")]
fn cpu() -> Result<Device> {
    Ok(Device::flex())
}

#[cfg(not(feature = "flex"))]
fn cpu() -> Result<Device> {
    Err(hinted(
        anyhow!("this build can't compute on the processor"),
        "rebuild with `--features flex`, or name a device with --device",
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_written() {
        for text in ["auto", "cpu", "cuda:1", "wgpu:0", "vulkan:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        let short: DeviceChoice = "cuda".parse().unwrap();
        assert_eq!(short, DeviceChoice::Gpu(Kind::Cuda, 0));
        for text in ["gpu", "cuda:x", "cuda:", "auto:1", "cpu:0", ""] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn auto_always_finds_one() {
        assert!(DeviceChoice::Auto.open(&Terminal::new(true)).is_ok());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_kind_that_is_not_compiled_in_names_its_feature() {
        let error = DeviceChoice::Gpu(Kind::Cuda, 0).open(&Terminal::new(true));
        assert!(error.unwrap_err().to_string().contains("no cuda support"));
    }
}
