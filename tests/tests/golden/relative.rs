//! A prompt's place in another embedding space against numpy (`fixtures/transfer/relative.py`).

use pollster::block_on;
use post_core::prompt::SoftPrompt;
use post_core::transfer::relative::{RelativeConfig, search};
use serde_json::Value;

#[test]
fn a_prompt_is_found_where_numpy_finds_it() {
    let golden = include_str!("../../fixtures/transfer/relative.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let numbers = |values: &Value| -> Vec<f32> {
        let values = values.as_array().unwrap().iter();
        values.map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let size = |value: &Value| value.as_u64().unwrap() as usize;
    let (n, narrow) = (size(&golden["virtual_tokens"]), size(&golden["widths"][0]));
    let prompt = SoftPrompt::new(numbers(&golden["prompt"]), n, narrow).unwrap();
    let [source, target] = ["source", "target"].map(|name| numbers(&golden[name]));
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let config = RelativeConfig {
            nearest: case["nearest"].as_u64().map(|k| k as usize),
            ..RelativeConfig::default()
        };
        let device = burn::tensor::Device::default();
        let image = block_on(search(&prompt, &source, &target, config, &device)).unwrap();
        let expected = numbers(&case["image"]);
        let scale = expected.iter().fold(0f32, |scale, x| scale.max(x.abs()));
        assert_eq!(image.embeddings().len(), expected.len());
        for (x, y) in image.embeddings().iter().zip(&expected) {
            let nearest = &case["nearest"];
            assert!(
                (x - y).abs() < 1e-3 * scale,
                "{nearest}: {x} instead of {y}"
            );
        }
    }
}
