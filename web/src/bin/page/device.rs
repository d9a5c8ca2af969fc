//! Where it computes.

use post_web::protocol::{Choice, DeviceKind, DeviceReport, Request};

use crate::dom::{self, Outcome};
use crate::words;
use crate::{Page, loading};

pub(crate) fn listen(page: &Page) -> Outcome {
    choice(page, "device-auto", Choice::Auto)?;
    choice(page, "device-web-gpu", Choice::Only(DeviceKind::WebGpu))?;
    choice(page, "device-cpu", Choice::Only(DeviceKind::Cpu))
}

fn choice(page: &Page, id: &str, choice: Choice) -> Outcome {
    let page = page.clone();
    dom::on(id, "change", move |_| {
        // A loaded student has to move.
        if page.card.borrow().is_some() {
            loading::began()?;
        }
        page.connection.send(&Request::Device { choice })
    })
}

pub(crate) fn show(devices: &[DeviceReport], chosen: Option<DeviceKind>) -> Outcome {
    for device in devices {
        let (radio, report) = ids(device.kind);
        dom::text(report, &about(device))?;
        dom::enable(radio, device.unusable.is_none())?;
    }
    let words = match chosen {
        Some(DeviceKind::WebGpu) => "the graphics card",
        Some(DeviceKind::Cpu) => "the processor",
        None => "chosen when the student is loaded",
    };
    dom::text("device-chosen", words)
}

fn ids(kind: DeviceKind) -> (&'static str, &'static str) {
    match kind {
        DeviceKind::WebGpu => ("device-web-gpu", "device-web-gpu-report"),
        DeviceKind::Cpu => ("device-cpu", "device-cpu-report"),
    }
}

fn about(device: &DeviceReport) -> String {
    if let Some(reason) = &device.unusable {
        return reason.clone();
    }
    let speed = device
        .speed
        .map(|speed| format!("{} examples a second", words::figure(speed)));
    let name = Some(device.name.clone()).filter(|name| !name.is_empty());
    let facts = [name, speed, device.note.clone()];
    facts.into_iter().flatten().collect::<Vec<_>>().join(". ")
}
