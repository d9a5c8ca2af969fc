//! Prompts behind the token that every text begins with, from the provider's choice to the answers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use post_core::checkpoint::{Safetensors, SharedBytes, Tensors};
use post_core::prompt::{PromptPlace, SoftPrompt, archive, peft};
use serde_json::{Value, json};

use super::journey::{Place, TUNE};
use super::{post, stderr};

const TRANSFER: &str =
    "transfer --public @rows.csv --task @toy.toml --steps 2 --batch 4 --device cpu";
const EVAL: &str = "eval --task @toy.toml --data @rows.csv --device cpu";

/// One of the random models, with a tokenizer that begins every text with `<s>` and knows a mask.
fn begun(place: &Place, name: &str, fixture: &str) {
    place.model(name, fixture);
    let path = place.path(name).join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let part = |name: &str, id: &str| json!({ name: { "id": id, "type_id": 0 } });
    tokenizer["model"]["vocab"]["<s>"] = json!(12);
    tokenizer["model"]["vocab"]["<mask>"] = json!(13);
    tokenizer["added_tokens"] = json!([{
        "id": 13, "content": "<mask>", "special": true, "normalized": false,
        "single_word": false, "lstrip": false, "rstrip": false,
    }]);
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [part("SpecialToken", "<s>"), part("Sequence", "A")],
        "pair": [part("Sequence", "A"), part("Sequence", "B")],
        "special_tokens": { "<s>": { "id": "<s>", "ids": [12], "tokens": ["<s>"] } },
    });
    fs::write(path, tokenizer.to_string()).unwrap();
}

/// Such a model, with a prompt that was tuned behind its `<s>`.
fn tuned(name: &str, fixture: &str) -> Place {
    let place = Place::new();
    begun(&place, name, fixture);
    let tune = TUNE.replace("@teacher", &format!("@{name}"));
    place.done(&format!(
        "{tune} --steps 2 --no-dp --prompt-place after-bos --run @tune"
    ));
    place
}

#[track_caller]
fn stands(place: &Place, prompt: &str) -> Value {
    place.done(&format!("inspect @{prompt}"))["prompt_place"].take()
}

/// The place is chosen once, with the student, and kept by all that is made on it and of it.
#[test]
fn what_the_provider_chose_holds_all_the_way() {
    let place = Place::new();
    begun(&place, "begun", "llama");
    place.done(
        "distill --teacher @begun --blocks 0,2 --task @toy.toml --data @rows.csv --steps 2 --batch 4 \
         --behind-init 3 --prompt-place after-bos --run @distill --device cpu",
    );
    place.done("bundle --student @distill/student --license MIT --out @s.post.safetensors");
    assert_eq!(stands(&place, "s.post.safetensors"), "after-bos");
    for student in ["distill/student", "s.post.safetensors"] {
        let tune = TUNE.replace("@teacher", &format!("@{student}"));
        place.done(&format!(
            "{tune} --steps 2 --target-epsilon 8 --run @tune --force"
        ));
        assert_eq!(stands(&place, "tune/prompt"), "after-bos");
    }
    place.done("receipt verify @tune/prompt --student @s.post.safetensors --task @toy.toml");
    let tune = TUNE.replace("@teacher", "@s.post.safetensors");
    let before = "--no-dp --steps 2 --prompt-place before-bos";
    place.done(&format!("{tune} {before} --run @before"));
    assert_eq!(stands(&place, "before/prompt"), "before-bos");
    place.refused(
        &format!(
            "{} --run @before --resume",
            format!("{tune} {before}").replace("before-bos", "after-bos")
        ),
        &["other settings: prompt_place"],
    );
    for init in ["text", "prompt", "relative"] {
        place.done(&format!(
            "{TRANSFER} --student @s.post.safetensors --teacher @begun --prompt @tune/prompt \
             --init {init} --run @transfer --force"
        ));
        assert_eq!(stands(&place, "transfer/prompt"), "after-bos");
    }
    place.done(&format!("{EVAL} --model @begun --prompt @transfer/prompt"));
    place.done(&format!(
        "{EVAL} --model @begun --student @s.post.safetensors --prompt @tune/prompt"
    ));
    place.done(
        "score --student @s.post.safetensors --prompt @tune/prompt --public @rows.csv \
         --task @toy.toml --device cpu",
    );
    let audit = TUNE
        .replace("tune ", "audit canaries ")
        .replace("@teacher", "@s.post.safetensors");
    let audit = audit.replace("--ledger @ledger.json", "");
    place.done(&format!("{audit} --canaries 8 --steps 2 --no-dp"));
    let sentence = "--sentence 4 --prompt-place after-bos";
    place.done(&format!("{EVAL} --model @begun {sentence}"));
    place.refused(
        &format!("{EVAL} --model @teacher {sentence}"),
        &["needs a token that every text begins with"],
    );
    // A run goes on where the prompt stood, whatever the student's bundle says.
    place.done(&format!(
        "{tune} --no-dp --steps 2 --initial-prompt @before/prompt --run @on"
    ));
    assert_eq!(stands(&place, "on/prompt"), "before-bos");
    place.refused(
        &format!("{tune} --no-dp --steps 2 --initial-prompt @before/prompt --prompt-place after-bos --run @x"),
        &["tuned before-bos", "says after-bos", "hint: leave --prompt-place out"],
    );
}

#[test]
fn a_masked_models_prompt_stands_behind_its_first_token() {
    let place = tuned("masked", "roberta");
    place.done(&format!(
        "{TRANSFER} --student @masked --teacher @masked --prompt @tune/prompt --run @transfer"
    ));
    assert_eq!(stands(&place, "transfer/prompt"), "after-bos");
    place.done(&format!("{EVAL} --model @masked --prompt @transfer/prompt"));
}

/// The models' logits with a prompt of PEFT's that stands behind the first id.
#[test]
fn logits_are_those_of_transformers() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/models");
    for (model, width) in [("llama", 18), ("gpt2", 20), ("roberta", 20), ("bert", 20)] {
        let place = Place::new();
        place.model("model", model);
        let bytes = |name: &str| -> (String, SharedBytes) {
            let bytes = fs::read(fixtures.join(model).join(name)).unwrap();
            (name.to_owned(), Arc::new(bytes))
        };
        let files = ["expected.safetensors", "behind.safetensors"].map(bytes);
        let expected = Safetensors::open(files.into()).unwrap();
        let values = |name: &str, count: usize| {
            let all = expected.tensor(name).unwrap().into_f32();
            all[..count].to_vec()
        };
        let prompt = SoftPrompt::new(values("prompt", 3 * width), 3, width).unwrap();
        let base = peft::BaseModel {
            name: model.to_owned(),
            num_layers: 3,
            num_attention_heads: 4,
            causal: true,
        };
        let prompt = prompt.with_place(PromptPlace::AfterBos);
        let files = peft::write(&prompt, &base, None, "").unwrap();
        fs::write(place.path("prompt.zip"), archive::pack(&files).unwrap()).unwrap();
        let ids = values("ids", 7)
            .iter()
            .map(f32::to_string)
            .collect::<Vec<_>>();
        let found = place.done(&format!(
            "forward --model @model --ids {} --prompt @prompt.zip --device cpu",
            ids.join(",")
        ));
        let found: Vec<f32> = serde_json::from_value(found["logits"].clone()).unwrap();
        let want = values("behind.logits", 37);
        let scale = want.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (x, y) in found.iter().zip(&want) {
            assert!((x - y).abs() <= 1e-4 * scale, "{model}: {x} instead of {y}");
        }
    }
}

/// Wherever the place is chosen, and wherever such a prompt is met.
#[test]
fn a_tokenizer_that_begins_no_text_has_no_such_place() {
    let place = tuned("begun", "llama");
    let (with, without) = ("--prompt @tune/prompt", "--prompt-place after-bos");
    let data = "--task @toy.toml --data @rows.csv";
    for line in [
        format!("{TUNE} --steps 2 --no-dp {without} --run @a"),
        format!("{TUNE} --steps 2 --no-dp --initial-prompt @tune/prompt --run @b"),
        format!("distill --teacher @teacher {data} --steps 1 {without} --run @c --device cpu"),
        format!("distill --teacher @teacher --steps 0 {without} --run @d --device cpu"),
        format!("bundle --student @teacher --license MIT {without} --out @e.post.safetensors"),
        format!("{EVAL} --model @teacher {with}"),
        format!("{TRANSFER} --student @teacher --teacher @begun {with} --run @f"),
        format!("{TRANSFER} --student @begun --teacher @teacher {with} --run @g"),
        format!("forward --model @teacher --text film {with} --device cpu"),
    ] {
        place.refused(
            &line,
            &[
                "after-bos",
                "teacher has none",
                "hint: tune with --prompt-place before-bos",
            ],
        );
    }
    place.done(&format!(
        "forward --model @begun --text film {with} --device cpu"
    ));
    place.done(&format!(
        "forward --model @teacher --ids 5,6 {with} --device cpu"
    ));
    let args = place.args(&format!("{TUNE} --no-dp --prompt-place middle"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    super::refused(&args, 2, &["middle", "before-bos, after-bos"]);
}

#[test]
fn a_format_that_cannot_say_so_is_named_when_it_is_written() {
    let place = tuned("begun", "llama");
    let export = |from: &str, out: &str| {
        let args = place.args(&format!(
            "export --prompt @{from} --out @{out} --model @begun"
        ));
        let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", stderr(&output));
        (stands(&place, out), stderr(&output))
    };
    for bare in ["p.npy", "p.safetensors"] {
        let (stands, said) = export("tune/prompt", bare);
        assert_eq!(stands, "before-bos");
        assert!(
            said.contains("warning") && said.contains("after-bos"),
            "{said}"
        );
        let (_, said) = export(bare, "again.npy");
        assert!(!said.contains("warning"), "{said}");
    }
    for whole in ["p.zip", "folder"] {
        let (stands, said) = export("tune/prompt", whole);
        assert_eq!(stands, "after-bos");
        assert!(!said.contains("warning"), "{said}");
    }
}
