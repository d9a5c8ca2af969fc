//! Devices and students.

use serde::{Deserialize, Serialize};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The graphics card, through WebGPU.
    WebGpu,
    /// The processor, through WebAssembly.
    Cpu,
}

/// What the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Whatever is faster, by a quick measurement.
    Auto,
    /// This one.
    Only(DeviceKind),
}

/// What was found about a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// Which.
    pub kind: DeviceKind,
    /// Its name, as far as the browser tells.
    pub name: String,
    /// Why it can't be used and what to do about it; none when it can.
    pub unusable: Option<String>,
    /// What to know about it, such as that it is a software adapter.
    pub note: Option<String>,
    /// Examples a second in the quick measurement, once it was made.
    pub speed: Option<f64>,
}

/// A student that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Name of the file on the server; none when it is only stored here.
    pub file: Option<String>,
    /// Size of the file.
    pub bytes: u64,
    /// Bytes of it that are stored here; all of them when it is complete.
    pub stored: u64,
    /// What it says of itself.
    pub card: BundleCard,
}

/// What a bundle says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleCard {
    /// The student's name.
    pub name: String,
    /// The large model that it was made of, which the prompt will be transferred to.
    pub teacher: String,
    /// Licence of the weights.
    pub license: String,
    /// Blocks.
    pub layers: usize,
    /// Width.
    pub hidden_size: usize,
    /// Content hash.
    pub hash: String,
}

/// Where a bundle is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// One of [`Listed`], by its content hash: on the server, or stored here.
    Listed {
        /// Content hash.
        hash: String,
    },
    /// The file beside the message.
    File {
        /// Its name.
        name: String,
    },
}

/// How far loading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loading {
    /// Bytes come in.
    Fetching {
        /// Bytes so far, stored ones included.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The content hash is checked.
    Checking,
    /// Weights go to the device.
    Placing,
    /// Devices are measured.
    Measuring,
}
