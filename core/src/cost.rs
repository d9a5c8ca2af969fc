//! What the steps cost, counted from a configuration: floating-point operations and bytes of weights.
//!
//! Counted are the products that the mathematics needs, a multiplication and an addition as two:
//! projections, MLPs, heads, and for each query its visible keys. Not counted are norms, activations
//! and softmax (below a hundredth of it), what a program computes twice to save memory, and padding.
//! A backward pass through frozen weights has the products of the forward pass once more, and of
//! attention twice; one that also differentiates the weights has theirs twice.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::model::{Config, HeadKind};
use crate::optim::{DeviceError, read};

/// Bytes of a number as it is computed with.
const NUMBER: f64 = 4.0;

/// What one example, or one text, costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Floating-point operations.
    pub flops: f64,
    /// Weights of blocks and head that a micro-batch of such examples reads, in f32: once forward, once
    /// backward.
    pub weight_bytes: f64,
}

/// The examples of a task as a model sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// n.
    pub num_virtual_tokens: usize,
    /// Tokens of a text.
    pub text: usize,
    /// Label words of all classes together.
    pub label_words: usize,
}

/// The products of one forward pass.
#[derive(Debug, Clone, Copy)]
struct Pass {
    /// With weights.
    linear: f64,
    /// Of scores and of values.
    attention: f64,
}

impl Pass {
    fn forward(self) -> f64 {
        self.linear + self.attention
    }

    /// Forward, and back to the inputs.
    fn to_inputs(self) -> f64 {
        2.0 * self.linear + 3.0 * self.attention
    }

    /// Forward, and back to inputs and weights.
    fn to_weights(self) -> f64 {
        3.0 * self.linear + 3.0 * self.attention
    }
}

/// One example of tuning on `model`: forward to the label words at one place, and back to the prompt.
#[must_use]
pub fn tune(model: &Config, shape: &Shape) -> Cost {
    let places = shape.num_virtual_tokens + shape.text;
    let words = head(model, 1, shape.label_words);
    Cost {
        flops: pass(model, 0, places, Read::One).to_inputs() + 2.0 * words,
        weight_bytes: 2.0 * weights(model, shape.label_words),
    }
}

/// One public example of a step of transferring: the teacher forward to `words` at one place (the
/// whole vocabulary, or the label words), and back to the prompt. A causal teacher passes the prompt
/// once for all the `micro_batch` examples beside it.
#[must_use]
pub fn transfer(teacher: &Config, shape: &Shape, words: usize, micro_batch: usize) -> Cost {
    let (n, text) = (shape.num_virtual_tokens, shape.text);
    let blocks = if teacher.causal {
        let prompt = pass(teacher, 0, n, Read::None).to_inputs() / micro_batch.max(1) as f64;
        prompt + pass(teacher, n, text, Read::One).to_inputs()
    } else {
        pass(teacher, 0, n + text, Read::One).to_inputs()
    };
    Cost {
        flops: blocks + 2.0 * head(teacher, 1, words),
        weight_bytes: 2.0 * weights(teacher, words),
    }
}

/// What a public example costs once, before the first step of transferring: the student with its
/// prompt and without, the teacher without, each to its whole vocabulary.
#[must_use]
pub fn constants(student: &Config, teacher: &Config, shape: &Shape) -> Cost {
    let forward = |model: &Config, from| {
        pass(model, from, shape.text, Read::One).forward() + head(model, 1, model.vocab_size)
    };
    let behind = if student.causal {
        forward(student, shape.num_virtual_tokens)
    } else {
        let places = shape.num_virtual_tokens + shape.text;
        pass(student, 0, places, Read::One).forward() + head(student, 1, student.vocab_size)
    };
    let [small, large] = [student, teacher].map(|model| weights(model, model.vocab_size));
    Cost {
        flops: behind + forward(student, 0) + forward(teacher, 0),
        weight_bytes: 2.0 * small + large,
    }
}

/// One text of a step of distilling: the student forward and back with its blocks' weights, and the
/// frozen head for `rows` of its places: the student's logits, the teacher's, and the way back.
#[must_use]
pub fn distill(student: &Config, text: usize, rows: usize) -> Cost {
    let head = head(student, rows, student.vocab_size);
    Cost {
        flops: pass(student, 0, text, Read::All).to_weights() + 3.0 * head,
        weight_bytes: 3.0 * weights(student, student.vocab_size),
    }
}

/// One text through the teacher, once, for the hidden states that distilling compares with.
#[must_use]
pub fn states(teacher: &Config, text: usize) -> Cost {
    Cost {
        flops: pass(teacher, 0, text, Read::All).forward(),
        weight_bytes: weights(teacher, 0),
    }
}

/// The square product that a device's speed is measured by. The caller has the clock.
pub struct Product {
    side: usize,
    factor: Tensor<2>,
}

impl Product {
    /// Of two `[side, side]` in f32.
    #[must_use]
    pub fn new(side: usize, device: &Device) -> Self {
        let factor = Tensor::full([side, side], 0.5, device);
        Self { side, factor }
    }

    /// Floating-point operations of one product.
    #[must_use]
    pub fn flops(&self) -> f64 {
        2.0 * (self.side as f64).powi(3)
    }

    /// Multiplies; done when one number has been read back, which is `side`/4.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn run(&self) -> Result<Vec<f32>, DeviceError> {
        let product = self.factor.clone().matmul(self.factor.clone());
        read(product.slice([0..1, 0..1])).await
    }
}

/// Where the last block's output is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Nowhere: only keys and values are left behind.
    None,
    /// At the last place.
    One,
    /// Everywhere.
    All,
}

/// `width` places behind `from` that were passed before.
fn pass(model: &Config, from: usize, width: usize, read: Read) -> Pass {
    let read = match read {
        Read::None => 0,
        Read::One => width.min(1),
        Read::All => width,
    };
    let (keys_values, rest) = (keys_and_values(model), queries_and_mlp(model));
    let blocks = model.layers.len();
    let mut pass = Pass {
        linear: 0.0,
        attention: 0.0,
    };
    for (block, layer) in model.layers.iter().enumerate() {
        let queries = if block + 1 == blocks { read } else { width };
        let pairs: usize = (from + width - queries..from + width)
            .map(|place| {
                let before = if model.causal {
                    place + 1
                } else {
                    from + width
                };
                before.min(layer.window.unwrap_or(usize::MAX))
            })
            .sum();
        pass.linear += width as f64 * keys_values + queries as f64 * rest;
        pass.attention += 4.0 * (model.num_attention_heads * model.head_dim * pairs) as f64;
    }
    pass.linear += (width + read) as f64 * projection(model);
    pass
}

/// Products of one place's projection from the embeddings to the blocks, or back, where there is one.
fn projection(model: &Config) -> f64 {
    match model.has_projections() {
        true => 2.0 * (model.embedding_size * model.hidden_size) as f64,
        false => 0.0,
    }
}

/// Products of one place's key and value projections in one block.
fn keys_and_values(model: &Config) -> f64 {
    2.0 * (model.hidden_size * 2 * model.num_key_value_heads * model.head_dim) as f64
}

/// Those of its query and output projections, and its MLP.
fn queries_and_mlp(model: &Config) -> f64 {
    let (d, f) = (model.hidden_size, model.intermediate_size);
    let matrices = if model.gated_mlp { 3 } else { 2 };
    2.0 * (d * 2 * model.num_attention_heads * model.head_dim + matrices * d * f) as f64
}

/// Products of the head for `words` at so many places.
fn head(model: &Config, places: usize, words: usize) -> f64 {
    let d = model.embedding_size;
    let dense = match model.head {
        HeadKind::Linear => 0,
        HeadKind::MaskedLm(_) => d * d,
    };
    2.0 * (places * (dense + d * words)) as f64
}

/// Bytes of the matrices of blocks and projections, and of the head's rows for `words`.
fn weights(model: &Config, words: usize) -> f64 {
    // Each weight of a block makes two operations for each place.
    let block = 0.5 * (keys_and_values(model) + queries_and_mlp(model));
    let blocks = block * model.layers.len() as f64;
    NUMBER * (blocks + projection(model) + 0.5 * head(model, 1, words))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Two blocks of d 4, two heads of 2 and one of keys, f 6, V 10.
    fn config(causal: bool) -> Config {
        let json = serde_json::json!({
            "model_type": "llama", "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 6,
            "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
        });
        Config {
            causal,
            ..Config::from_hf(&json).unwrap()
        }
    }

    const SHAPE: Shape = Shape {
        num_virtual_tokens: 2,
        text: 3,
        label_words: 3,
    };

    /// By hand. Of one place, keys and values: 2·4·(2 + 2) = 32; queries, output and MLP:
    /// 2·(4·4 + 4·4 + 3·4·6) = 208. Five places see 1 + 2 + 3 + 4 + 5 keys in the first block and the last
    /// one 5 in the second, at 4·2·2 = 16 for each.
    #[test]
    fn embeddings_of_another_width_are_projected_there_and_back() {
        let even = config(true);
        let narrow = Config {
            embedding_size: 2,
            ..even.clone()
        };
        let products = |model: &Config| pass(model, 0, 5, Read::One).linear;
        // Five places go in, one comes out.
        let by_hand = f64::from(2 * (5 + 1) * 2 * 4);
        assert_eq!(products(&narrow), products(&even) + by_hand);
    }

    #[test]
    fn tuning_by_hand() {
        let linear = 5.0 * 32.0 + 5.0 * 208.0 + 5.0 * 32.0 + 208.0;
        let attention = 16.0 * (15.0 + 5.0);
        let words = 2.0 * 4.0 * 3.0;
        let cost = tune(&config(true), &SHAPE);
        assert_eq!(cost.flops, 2.0 * linear + 3.0 * attention + 2.0 * words);
        // 120 weights in each block, 12 of the label words.
        assert_eq!(cost.weight_bytes, 2.0 * 4.0 * (2.0 * 120.0 + 12.0));
        // Looking both ways, every place sees five.
        let both = tune(&config(false), &SHAPE).flops;
        assert_eq!(both - cost.flops, 3.0 * 16.0 * 10.0);
    }

    #[test]
    fn transferring_shares_the_prompt() {
        let teacher = config(true);
        // The text: three places of 240 and then of 32 with one read, seeing 3 + 4 + 5 and 5 keys.
        let text = 2.0 * (3.0 * 240.0 + 3.0 * 32.0 + 208.0) + 3.0 * 16.0 * 17.0;
        // The prompt: two places, seeing 1 + 2; of the last block only keys and values.
        let prompt = 2.0 * (2.0 * 240.0 + 2.0 * 32.0) + 3.0 * 16.0 * 3.0;
        let words = 2.0 * 2.0 * 4.0 * 10.0;
        let cost = |micro| transfer(&teacher, &SHAPE, 10, micro).flops;
        assert_eq!(cost(1), prompt + text + words);
        assert_eq!(cost(8), prompt / 8.0 + text + words);
        let masked = transfer(&config(false), &SHAPE, 3, 8);
        assert_eq!(masked.flops, tune(&config(false), &SHAPE).flops);
    }

    #[test]
    fn distilling_by_hand() {
        let model = config(true);
        let forward = 2.0 * 3.0 * 240.0 + 2.0 * 16.0 * 6.0;
        assert_eq!(states(&model, 3).flops, forward);
        let head = 2.0 * 2.0 * 4.0 * 10.0;
        assert_eq!(distill(&model, 3, 2).flops, 3.0 * forward + 3.0 * head);
        // Student and teacher alone, forward, and the student behind the prompt's places.
        let one = 3.0 * 240.0 + 3.0 * 32.0 + 208.0;
        let alone = one + 16.0 * (6.0 + 3.0) + 80.0;
        let behind = one + 16.0 * (12.0 + 5.0) + 80.0;
        let found = constants(&model, &model, &SHAPE).flops;
        assert_eq!(found, 2.0 * alone + behind);
    }

    #[test]
    fn a_product_is_one() {
        let product = Product::new(8, &Device::default());
        assert_eq!(product.flops(), 1024.0);
        assert_eq!(pollster::block_on(product.run()).unwrap(), [2.0]);
    }

    #[test]
    fn a_window_hides_keys() {
        let mut model = config(true);
        model.layers[0].window = Some(2);
        // 1 + 2 + 2 + 2 + 2 instead of 15.
        let saved = tune(&config(true), &SHAPE).flops - tune(&model, &SHAPE).flops;
        assert_eq!(saved, 3.0 * 16.0 * 6.0);
    }

    /// SmolLM2's thirty blocks against the count of its paper-and-pencil rule, 2 operations for each of
    /// 106 million weights and token.
    #[test]
    fn a_known_model_has_its_known_size() {
        let json = serde_json::json!({
            "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
        });
        let model = Config::from_hf(&json).unwrap();
        let states = states(&model, 1);
        assert!((states.weight_bytes / 4.0 / 106.2e6 - 1.0).abs() < 1e-3);
        assert!((states.flops / (2.0 * 106.2e6) - 1.0).abs() < 2e-3);
    }
}
