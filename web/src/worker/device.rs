//! What there is to compute with: found, explained, opened.

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{logs, thrown};
use crate::protocol::{DeviceKind, DeviceReport};

/// The largest buffer that a run binds.
const BUFFER: f64 = 128.0 * 1024.0 * 1024.0;

/// A graphics card under this name is a program on the processor.
const SOFTWARE: [&str; 3] = ["swiftshader", "llvmpipe", "basic render"];

/// The devices of this tab.
pub(super) struct Devices {
    graphics: Graphics,
    /// Opened at most once: a second initialisation is refused.
    opened: Option<Device>,
    speeds: [Option<f64>; 2],
    /// Workers that compute together on the processor, once that is known.
    hands: usize,
}

/// What was found of a graphics card.
struct Graphics {
    name: String,
    unusable: Option<String>,
    software: bool,
}

impl Devices {
    /// Looks without opening anything.
    pub(super) async fn look() -> Self {
        let graphics = match adapter().await {
            Ok(graphics) => graphics,
            Err(reason) => Graphics {
                name: "none".to_owned(),
                unusable: Some(format!("{reason:#}")),
                software: false,
            },
        };
        Self {
            graphics,
            opened: None,
            speeds: [None; 2],
            hands: 1,
        }
    }

    /// Whether the graphics card is worth measuring.
    pub(super) fn promising(&self) -> bool {
        self.graphics.unusable.is_none() && !self.graphics.software
    }

    /// Opens a device, or hands out the open one.
    ///
    /// # Errors
    /// Why it can't be used.
    pub(super) async fn open(&mut self, kind: DeviceKind) -> Result<Device> {
        if kind == DeviceKind::Cpu {
            return Ok(Device::flex());
        }
        if let Some(reason) = &self.graphics.unusable {
            bail!("the graphics card can't be used: {reason}");
        }
        if let Some(device) = &self.opened {
            return Ok(device.clone());
        }
        let opened = Device::wgpu_options().init_with_setup_async().await;
        let (device, setup) =
            opened.context("the graphics card can't be opened; choose the processor")?;
        setup.device.set_device_lost_callback(|reason, message| {
            logs::fatal(format!(
                "the graphics card was lost ({reason:?}: {message})"
            ));
        });
        self.opened = Some(device.clone());
        Ok(device)
    }

    /// Takes note of a measurement, in examples a second.
    pub(super) fn measured(&mut self, kind: DeviceKind, speed: f64, hands: usize) {
        self.speeds[index(kind)] = Some(speed);
        self.hands = self.hands.max(hands);
    }

    /// Gives the graphics card up for the rest of the session.
    pub(super) fn lose(&mut self, reason: &str) {
        self.speeds[index(DeviceKind::WebGpu)] = None;
        self.graphics.unusable = Some(format!("{reason}; reload the page to try it again"));
    }

    /// Everything found, the faster first.
    pub(super) fn reports(&self) -> Vec<DeviceReport> {
        let graphics = DeviceReport {
            kind: DeviceKind::WebGpu,
            name: self.graphics.name.clone(),
            unusable: self.graphics.unusable.clone(),
            note: self.graphics.software.then(|| {
                "a software adapter: it stands in for a graphics card and is slower than the processor itself"
                    .to_owned()
            }),
            speed: self.speeds[0],
        };
        let processor = DeviceReport {
            kind: DeviceKind::Cpu,
            name: match self.hands {
                1 => "WebAssembly with SIMD".to_owned(),
                hands => format!("WebAssembly with SIMD, {hands} workers"),
            },
            unusable: None,
            note: None,
            speed: self.speeds[1],
        };
        let mut reports = vec![graphics, processor];
        let rank = |report: &DeviceReport| report.speed.unwrap_or(0.0);
        reports.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        reports
    }
}

/// Fails when the graphics stack has reported an error since it was last asked, and its numbers are
/// those that count: a lost card goes on complaining while the processor has taken over.
///
/// # Errors
/// The report.
pub fn sound(kind: DeviceKind) -> Result<()> {
    match logs::take_fatal().filter(|_| kind == DeviceKind::WebGpu) {
        Some(report) => Err(Unsound(report).into()),
        None => Ok(()),
    }
}

/// The device did something that makes its numbers worthless.
#[derive(Debug, thiserror::Error)]
#[error("the graphics card can't be trusted any more ({0})")]
pub struct Unsound(String);

const fn index(kind: DeviceKind) -> usize {
    match kind {
        DeviceKind::WebGpu => 0,
        DeviceKind::Cpu => 1,
    }
}

/// Asks the browser, by reflection: its WebGPU types are not part of stable `web-sys`.
async fn adapter() -> Result<Graphics> {
    let navigator = get(&js_sys::global(), "navigator")?;
    let gpu = get(&navigator, "gpu")?;
    if gpu.is_undefined() {
        bail!(
            "this browser has no WebGPU; a current Chrome, Edge or Safari has, and on http pages it needs \
             localhost or https"
        );
    }
    let request: Function = get(&gpu, "requestAdapter")?.unchecked_into();
    let promise: Promise = request.call0(&gpu).map_err(thrown)?.unchecked_into();
    let adapter = JsFuture::from(promise).await.map_err(thrown)?;
    if adapter.is_null() {
        bail!(
            "WebGPU is there, but gives no adapter; graphics acceleration may be off in the browser's settings, \
             or the driver blocked"
        );
    }
    let info = get(&adapter, "info")?;
    let word = |key| get(&info, key).ok().and_then(|value| value.as_string());
    let words: Vec<String> = ["vendor", "architecture", "device", "description"]
        .into_iter()
        .filter_map(word)
        .filter(|word| !word.is_empty())
        .collect();
    let name = if words.is_empty() {
        "graphics card".to_owned()
    } else {
        words.join(" ")
    };
    let limits = get(&adapter, "limits")?;
    let limit = |key| get(&limits, key).ok().and_then(|value| value.as_f64());
    let binding = limit("maxStorageBufferBindingSize").unwrap_or(0.0);
    let small = (binding < BUFFER).then(|| {
        let mib = binding / 1024.0 / 1024.0;
        format!("its buffers hold {mib:.0} MiB, and 128 are needed")
    });
    let fallback = get(&adapter, "isFallbackAdapter").is_ok_and(|value| value.is_truthy())
        || get(&info, "isFallbackAdapter").is_ok_and(|value| value.is_truthy());
    let lower = name.to_lowercase();
    Ok(Graphics {
        software: fallback || SOFTWARE.iter().any(|word| lower.contains(word)),
        unusable: small,
        name,
    })
}

fn get(object: &JsValue, key: &str) -> Result<JsValue> {
    Reflect::get(object, &key.into()).map_err(thrown)
}
