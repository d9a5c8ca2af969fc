//! A prompt that Python's PEFT saved loads here; `fixtures/peft/make.py` made it and also checks,
//! with `--check`, that PEFT loads what `post_core::prompt::peft` writes without a warning.

use post_core::prompt::{Files, archive, peft};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    num_virtual_tokens: usize,
    token_dim: usize,
    embeddings: Vec<f32>,
}

fn made_by_peft() -> Files {
    let config = include_bytes!("../../fixtures/peft/made-by-peft/adapter_config.json");
    let weights = include_bytes!("../../fixtures/peft/made-by-peft/adapter_model.safetensors");
    [
        (peft::CONFIG.to_owned(), config.to_vec()),
        (peft::WEIGHTS.to_owned(), weights.to_vec()),
    ]
    .into()
}

#[test]
fn a_prompt_made_by_peft_loads_bit_for_bit() {
    let expected: Expected =
        serde_json::from_str(include_str!("../../fixtures/peft/expected.json")).unwrap();
    let adapter = peft::read(&made_by_peft()).unwrap();
    assert_eq!(
        adapter.prompt.num_virtual_tokens(),
        expected.num_virtual_tokens
    );
    assert_eq!(adapter.prompt.token_dim(), expected.token_dim);
    assert_eq!(adapter.prompt.embeddings(), expected.embeddings);
    assert_eq!(adapter.config.task_type.as_deref(), Some("CAUSAL_LM"));
}

#[test]
fn our_weights_file_equals_pefts_byte_for_byte() {
    let theirs = made_by_peft();
    let prompt = peft::read(&theirs).unwrap().prompt;
    let model = peft::BaseModel {
        name: "tiny".into(),
        num_layers: 1,
        num_attention_heads: 2,
        causal: true,
    };
    let ours = peft::write(&prompt, &model, None, "").unwrap();
    assert_eq!(ours[peft::WEIGHTS], theirs[peft::WEIGHTS]);
    let unpacked = archive::unpack(&archive::pack(&ours).unwrap()).unwrap();
    assert_eq!(peft::read(&unpacked).unwrap().prompt, prompt);
}
