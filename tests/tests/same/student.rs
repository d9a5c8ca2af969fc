//! A bundle of a few kilobytes: a random model of the golden tests with a tokenizer of words, and a task
//! for it. It learns nothing, and quickly.

use std::sync::Arc;

use post_core::bundle::{Card, Contents, Dtype, write};
use post_core::checkpoint::hf::Folder;
use post_core::checkpoint::{Checkpoint, SharedBytes};
use post_core::model::NamedTensors;
use serde_json::{Value, json};

pub(crate) const TASK_FILE: &str = r#"
name = "toy"
template = "{text} it was"
init_text = "good or bad"
max_length = 16
[columns]
text = "text"
label = "label"
[[classes]]
name = "negative"
words = ["bad", "awful"]
[[classes]]
name = "positive"
words = ["good"]
"#;

/// Special tokens first; fewer than the models' 37 rows.
const WORDS: [&str; 12] = [
    "<unk>", "it", "was", "bad", "awful", "good", "or", "film", "play", "dull", "fine", "the",
];

/// Models of two families, so that both kinds of every part are there: norms, positions, biases, heads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Model {
    Llama,
    Gpt2,
}

impl Model {
    fn files(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Llama => (
                include_bytes!("../../fixtures/models/llama/config.json"),
                include_bytes!("../../fixtures/models/llama/model.safetensors"),
            ),
            Self::Gpt2 => (
                include_bytes!("../../fixtures/models/gpt2/config.json"),
                include_bytes!("../../fixtures/models/gpt2/model.safetensors"),
            ),
        }
    }

    fn checkpoint(self) -> Checkpoint {
        let (config, weights) = self.files();
        let weights: SharedBytes = Arc::new(weights);
        let folder = Folder {
            config: config.to_vec(),
            weights: vec![("model.safetensors".to_owned(), weights)],
            tokenizer: Some(tokenizer().to_string().into_bytes()),
            ..Folder::default()
        };
        folder.read().unwrap()
    }

    /// The model as a provider publishes it.
    pub(crate) fn bundle(self) -> Vec<u8> {
        self.bundle_as(Dtype::F16)
    }

    pub(crate) fn bundle_as(self, dtype: Dtype) -> Vec<u8> {
        let student = self.checkpoint();
        let tensors = student.tensors.names().into_iter();
        let tensors: NamedTensors = tensors
            .map(|name| {
                let tensor = student.tensors.tensor(&name).unwrap();
                (name, tensor)
            })
            .collect();
        let contents = Contents {
            tensors: &tensors,
            config: &student.config,
            tokenizer: student.tokenizer().unwrap(),
            card: Card {
                name: "tiny".to_owned(),
                teacher: "tiny teacher".to_owned(),
                license: "Apache-2.0".to_owned(),
                blocks: vec![0, 1, 2],
                tasks: vec![TASK_FILE.to_owned()],
                ..Card::default()
            },
        };
        write(&contents, dtype).unwrap()
    }
}

/// A `tokenizer.json` of whole words.
pub(crate) fn tokenizer() -> Value {
    let vocab: Value = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| (*word, id))
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
    })
}

/// Rows of both classes in turn; no two are the same.
pub(crate) fn table(rows: usize, text: &str) -> String {
    let mut table = "text,label\n".to_owned();
    for row in 0..rows {
        let (word, label) = [("dull", "negative"), ("fine", "positive")][row % 2];
        table += &format!("the {word} film {row} {text},{label}\n");
    }
    table
}
