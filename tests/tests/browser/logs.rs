//! What the graphics stack only says in its log.

use burn::tensor::Tensor;
use js_sys::{Function, eval};
use post_web::protocol::DeviceKind;
use post_web::worker::device::sound;
use post_web::worker::logs;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::graphics::graphics;

/// Every shader is broken from now on, until what this gives is called.
const SPOIL: &str = r"(() => {
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (about) {
        return create.call(this, { ...about, code: 'no shader at all' });
    };
    return () => { GPUDevice.prototype.createShaderModule = create; };
})()";

/// An error is fatal where it comes from the graphics stack and its numbers count; told once.
#[wasm_bindgen_test]
fn errors_of_the_graphics_stack_alone_are_fatal() {
    logs::install();
    assert!(sound(DeviceKind::WebGpu).is_ok());
    log::warn!(target: "wgpu_core", "slow");
    log::error!(target: "post_web", "something else");
    assert!(sound(DeviceKind::WebGpu).is_ok());
    log::error!(target: "cubecl_wgpu::compute", "a shader was refused");
    let said = sound(DeviceKind::WebGpu).unwrap_err().to_string();
    assert!(said.contains("a shader was refused"), "{said}");
    assert!(sound(DeviceKind::WebGpu).is_ok());
    log::error!(target: "cubecl_wgpu::compute", "a shader was refused");
    assert!(sound(DeviceKind::Cpu).is_ok());
    assert!(sound(DeviceKind::WebGpu).is_ok());
}

/// A shader that the browser refuses is skipped without an error to whoever asked for numbers.
#[wasm_bindgen_test]
async fn a_refused_shader_is_fatal() {
    logs::install();
    let device = graphics().await;
    let numbers = Tensor::<1>::from_data([0.5_f32, 2.0], &device);
    assert!(sound(DeviceKind::WebGpu).is_ok());
    let mend: Function = eval(SPOIL).unwrap().unchecked_into();
    // Nothing else computes this, so its shader is made now.
    let answer = numbers.clone().atanh().into_data_async().await;
    mend.call0(&JsValue::NULL).unwrap();
    let said = sound(DeviceKind::WebGpu)
        .err()
        .map(|error| error.to_string());
    assert!(said.is_some(), "{answer:?} came without a word");
    // The card is still there for what is not spoilt.
    let sum = numbers.sum().into_data_async().await.unwrap();
    assert_eq!(sum.iter::<f32>().next(), Some(2.5));
}
