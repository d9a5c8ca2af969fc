//! What must hold for every family, whatever the weights.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "half-weights")]
mod kept;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::testing::{
    Memory, gemma3, gpt_neox, gpt2, llama, opt, random, random_tensors, roberta, uniform,
};
use super::{Config, Input, Lm, ModelError, PromptPlace, TokenBatch};

const SEQUENCES: [&[u32]; 3] = [&[3, 1, 4, 1, 5, 9, 2], &[6, 5], &[22, 0, 8, 9]];
/// As long, and begun by one token, as a tokenizer begins all texts.
const BEGUN: [&[u32]; 3] = [&[7, 1, 4, 1, 5, 9, 2], &[7, 5], &[7, 0, 8, 9]];
const PROMPT: usize = 3;

fn families() -> [Config; 6] {
    [llama(), gpt2(), roberta(), gemma3(), gpt_neox(), opt()]
}

fn prompt(model: &Lm, batch: usize, seed: u64) -> Tensor<3> {
    let shape = [batch, PROMPT, model.config().embedding_size];
    let values = uniform(
        &mut ChaCha20Rng::seed_from_u64(seed),
        shape.iter().product(),
    );
    Tensor::from_data(TensorData::new(values, shape), model.device())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    pollster::block_on(tensor.into_data_async())
        .unwrap()
        .try_into_vec()
        .unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0_f32, |scale, x| scale.max(x.abs()));
    assert!(scale > 1e-5, "nothing to compare: {scale}");
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!(
            (x - y).abs() <= tolerance * scale,
            "at {i}: {x} instead of {y}"
        );
    }
}

#[test]
fn a_model_on_another_device_computes_the_same() {
    for config in families() {
        let model = random(&config, 1);
        let copy = model.on(model.device());
        let logits = |lm: &Lm| {
            let input = lm.embed(&TokenBatch::padded(&SEQUENCES, 0));
            values(lm.logits(lm.hidden_at(&input, &[6, 1, 3])))
        };
        assert_eq!(logits(&copy), logits(&model), "{:?}", config.family);
    }
}

#[test]
fn right_padding_changes_nothing() {
    for config in families() {
        let model = random(&config, 1);
        let padded = TokenBatch::padded(&SEQUENCES, 11);
        for place in PromptPlace::ALL {
            let together = model.embed_with_prompts(prompt(&model, 3, 2), place, &padded);
            let together = values(model.hidden_at(&together, &[6, 1, 3]));
            for (row, sequence) in SEQUENCES.iter().enumerate() {
                let own = prompt(&model, 3, 2).narrow(0, row, 1);
                let alone = TokenBatch::padded(&[sequence], 0);
                let alone = model.embed_with_prompts(own, place, &alone);
                let alone = values(model.hidden_at(&alone, &alone.last()));
                let d = config.embedding_size;
                assert_close(&together[row * d..(row + 1) * d], &alone, 1e-5);
            }
        }
    }
}

/// As many places in each row, unlike numbers of them, beside a prompt of each row and one that was passed.
#[test]
fn hidden_within_is_hidden_all_at_the_positions() {
    for config in families() {
        for place in PromptPlace::ALL {
            hidden_within_is_hidden_all_at(&config, place);
        }
    }
}

fn hidden_within_is_hidden_all_at(config: &Config, place: PromptPlace) {
    let model = random(config, 3);
    let tokens = TokenBatch::padded(&BEGUN, 0);
    let each = model.embed_with_prompts(prompt(&model, 3, 4), place, &tokens);
    let shared = model.embed_with_prompt(prompt(&model, 1, 4).squeeze_dim(0), place, &tokens);
    // What was passed once for all rows can't be asked for any more.
    let passed = if config.causal {
        place.tokens_before()
    } else {
        0
    };
    for (input, first) in [(each, 0), (shared, passed)] {
        let all = model.hidden_all(&input);
        // Seven tokens of the longest row, and the prompt where it was not passed.
        let known = all.dims()[1];
        let stands = |at: usize| match at < place.tokens_before() {
            true => at,
            false => at + known - 7,
        };
        for positions in [[4..6, first..2, 2..4], [3..7, 1..2, first..3]] {
            let found = values(model.hidden_within(&input, &positions));
            let places = positions.iter().cloned().enumerate();
            let places = places.flat_map(|(row, places)| places.map(move |at| (row, at)));
            let expected = places.map(|(row, at)| {
                let row = all.clone().narrow(0, row, 1);
                values(row.narrow(1, stands(at), 1))
            });
            let expected = expected.collect::<Vec<_>>().concat();
            assert_close(&found, &expected, 1e-5);
        }
    }
}

#[test]
#[should_panic(expected = "a position lies outside the input")]
fn a_first_token_that_was_passed_is_not_asked_for() {
    let model = random(&llama(), 3);
    let prompt = prompt(&model, 1, 4).squeeze_dim(0);
    let tokens = TokenBatch::padded(&BEGUN, 0);
    let input = model.embed_with_prompt(prompt, PromptPlace::AfterBos, &tokens);
    let _ = model.hidden_at(&input, &[6, 0, 3]);
}

#[test]
fn hidden_at_is_hidden_all_at_the_position() {
    for config in families() {
        let model = random(&config, 3);
        let input = model
            .embed(&TokenBatch::padded(&SEQUENCES, 0))
            .with_prompt(prompt(&model, 3, 4));
        let all = model.hidden_all(&input);
        for positions in [[6, 1, 3], [0, 0, 2]] {
            let at = values(model.hidden_at(&input, &positions));
            for (row, position) in positions.into_iter().enumerate() {
                let expected = values(all.clone().narrow(0, row, 1).narrow(
                    1,
                    PROMPT + position,
                    1,
                ));
                let d = config.embedding_size;
                assert_close(&at[row * d..(row + 1) * d], &expected, 1e-5);
            }
        }
    }
}

#[test]
fn head_rows_are_columns_of_the_full_logits() {
    for config in families() {
        let model = random(&config, 5);
        let input = model.embed(&TokenBatch::padded(&SEQUENCES, 0));
        let hidden = model.hidden_at(&input, &input.last());
        let full = values(model.logits(hidden.clone()));
        let ids = [17, 0, 17, 22];
        let some = values(model.head_rows(&ids).logits(hidden));
        for row in 0..SEQUENCES.len() {
            let expected: Vec<f32> = ids
                .iter()
                .map(|&id| full[row * config.vocab_size + id as usize])
                .collect();
            assert_close(
                &some[row * ids.len()..(row + 1) * ids.len()],
                &expected,
                1e-5,
            );
        }
    }
}

#[test]
fn a_classs_logit_is_the_mean_of_its_words() {
    for config in families() {
        let model = random(&config, 5);
        let input = model.embed(&TokenBatch::padded(&SEQUENCES, 0));
        let hidden = model.hidden_at(&input, &input.last());
        let full = values(model.logits(hidden.clone()));
        let head = model.head_of_classes(&[&[17, 0], &[22]]);
        assert_eq!(head.width(), 2);
        let found = values(head.logits(hidden));
        for (found, full) in found.chunks(2).zip(full.chunks(config.vocab_size)) {
            assert_close(found, &[(full[17] + full[0]) / 2.0, full[22]], 1e-5);
        }
    }
}

/// Also through a head that is more than a matrix, as RoBERTa's, and of classes.
#[test]
fn a_heads_slope_is_the_one_that_autodiff_traces() {
    for (config, classes) in families()
        .into_iter()
        .flat_map(|c| [(c.clone(), false), (c, true)])
    {
        let model = random(&config, 5);
        let head = match classes {
            true => model.head_of_classes(&[&[3, 4, 9], &[19]]),
            false => model.whole_head(),
        };
        let input = model.embed(&TokenBatch::padded(&SEQUENCES, 0));
        let hidden = model.hidden_at(&input, &input.last());
        let pull = head.logits(hidden.clone()).sin();
        let found = values(head.slope(hidden.clone(), pull.clone()));
        let leaf = hidden.autodiff().require_grad();
        let mut grads = (head.logits(leaf.clone()) * pull).sum().backward();
        assert_close(&found, &values(leaf.grad_remove(&mut grads).unwrap()), 1e-5);
    }
}

#[test]
fn logits_of_several_at_once_are_those_of_each() {
    let model = random(&roberta(), 5);
    let head = model.whole_head();
    let input = model.embed(&TokenBatch::padded(&SEQUENCES, 0));
    let hidden = model.hidden_at(&input, &input.last());
    let first = hidden.clone().narrow(0, 0, 1) * 2.0;
    let both = head.logits_of_each([first.clone(), hidden.clone()]);
    for (found, alone) in both.into_iter().zip([first, hidden]) {
        assert_close(&values(found), &values(head.logits(alone)), 1e-6);
    }
}

/// A prompt passed once is a prompt in each row, and so is the gradient in it; also where rows begin unlike,
/// so that it can't be passed once behind their first tokens.
#[test]
fn a_prompt_of_all_rows_is_passed_once() {
    for config in families() {
        for place in PromptPlace::ALL {
            for sequences in [BEGUN, SEQUENCES] {
                is_passed_once(&config, place, &sequences);
            }
        }
    }
}

fn is_passed_once(config: &Config, place: PromptPlace, sequences: &[&[u32]]) {
    let model = random(config, 21);
    let tokens = TokenBatch::padded(sequences, 9);
    let run = |shared: bool| {
        let leaf = prompt(&model, 1, 22).squeeze_dim::<2>(0);
        let leaf = leaf.autodiff().require_grad();
        let [n, d] = leaf.dims();
        let input = if shared {
            model.embed_with_prompt(leaf.clone(), place, &tokens)
        } else {
            let copies = leaf.clone().unsqueeze::<3>();
            let copies = copies.expand([sequences.len(), n, d]);
            model.embed_with_prompts(copies, place, &tokens)
        };
        let begun = sequences.iter().all(|row| row[0] == sequences[0][0]);
        let once = shared && config.causal && (place.is_before_bos() || begun);
        assert_eq!(input.past.is_some(), once);
        assert_eq!(input.last(), [6, 1, 3]);
        let hidden = model.hidden_at(&input, &input.last());
        let mut grads = (hidden.clone() * hidden.clone()).sum().backward();
        let gradient = leaf.grad_remove(&mut grads).unwrap();
        (values(hidden.inner()), values(gradient))
    };
    let (once, each) = (run(true), run(false));
    assert_close(&once.0, &each.0, 1e-5);
    assert_close(&once.1, &each.1, 1e-4);
}

/// A text of its first token alone ends in the prompt behind it.
#[test]
fn a_prompt_stands_behind_a_text_of_one_token() {
    for config in families() {
        let model = random(&config, 21);
        let tokens = TokenBatch::padded(&[[7_u32]], 0);
        let row = prompt(&model, 1, 4).squeeze_dim(0);
        let input = model.embed_with_prompt(row, PromptPlace::AfterBos, &tokens);
        assert_eq!(input.lengths, [1 + PROMPT]);
        let parts = vec![model.embed(&tokens).embeddings, prompt(&model, 1, 4)];
        let by_hand = Input {
            embeddings: Tensor::cat(parts, 1),
            ..model.embed(&TokenBatch::padded(&[[0_u32; 1 + PROMPT]], 0))
        };
        let [found, expected] = [input, by_hand].map(|input| values(model.hidden_all(&input)));
        // What follows is padding.
        assert_close(&found[..expected.len()], &expected, 1e-6);
    }
}

/// Token after token, each row going on behind its own past, is all tokens at once.
#[test]
fn a_text_can_be_continued_token_by_token() {
    for config in families().into_iter().filter(|config| config.causal) {
        let model = random(&config, 23);
        let ids = [[3_u32, 1, 4, 1, 5], [9, 2, 6, 5, 3]];
        let all = model.hidden_all(&model.embed(&TokenBatch::padded(&ids, 0)));
        let start = ids.map(|row| [row[0], row[1]]);
        let (_, mut past) = model.pass(&model.embed(&TokenBatch::padded(&start, 0)));
        // Rows may be dropped and swapped on the way.
        past = past.select(&[1, 0]);
        for (place, next) in ids[1].iter().zip(ids[0]).enumerate().skip(2) {
            let next = [[*next.0], [next.1]];
            let input = model.embed(&TokenBatch::padded(&next, 0)).behind(past);
            let (hidden, longer) = model.pass(&input);
            past = longer;
            let swapped = Tensor::cat(
                vec![hidden.clone().narrow(0, 1, 1), hidden.narrow(0, 0, 1)],
                0,
            );
            let expected = all.clone().narrow(1, place, 1);
            assert_close(&values(swapped), &values(expected), 1e-5);
        }
    }
}

/// One backward pass of the summed loss leaves each example's gradient in its row of the prompt.
#[test]
fn prompt_gradients_come_back_example_by_example() {
    for config in families() {
        let model = random(&config, 6);
        let gradient = |sequences: &[&[u32]], prompt: Tensor<3>| {
            let leaf = prompt.autodiff().require_grad();
            let input = model
                .embed(&TokenBatch::padded(sequences, 0))
                .with_prompt(leaf.clone());
            let logits = model
                .head_rows(&[2, 7])
                .logits(model.hidden_at(&input, &input.last()));
            let mut grads = (logits.clone() * logits).sum().backward();
            values(leaf.grad_remove(&mut grads).unwrap())
        };
        let together = gradient(&SEQUENCES, prompt(&model, 3, 7));
        for (row, sequence) in SEQUENCES.iter().enumerate() {
            let alone = gradient(&[sequence], prompt(&model, 3, 7).narrow(0, row, 1));
            let n = PROMPT * config.embedding_size;
            assert_close(&together[row * n..(row + 1) * n], &alone, 1e-5);
        }
    }
}

/// Against finite differences, so that a backward pass which is consistently wrong is seen too.
#[test]
fn prompt_gradient_is_the_slope() {
    for config in families() {
        let model = random(&config, 8);
        let start = prompt(&model, 1, 9);
        let loss = |prompt: Tensor<3>| {
            let input = model
                .embed(&TokenBatch::padded(&SEQUENCES[..1], 0))
                .with_prompt(prompt);
            model
                .head_rows(&[2])
                .logits(model.hidden_at(&input, &input.last()))
                .sum()
        };
        let leaf = start.clone().autodiff().require_grad();
        let mut grads = loss(leaf.clone()).backward();
        let gradient = leaf.grad_remove(&mut grads).unwrap();
        let direction = prompt(&model, 1, 10);
        let slope = values((gradient * direction.clone()).sum())[0];
        let step = 1e-2;
        let ahead = values(loss(start.clone() + direction.clone() * step))[0];
        let behind = values(loss(start - direction * step))[0];
        let expected = (ahead - behind) / (2.0 * step as f32);
        assert!(
            (slope - expected).abs() <= 0.02 * expected.abs().max(0.05),
            "{slope} instead of {expected}"
        );
    }
}

#[test]
fn blocks_can_be_trained() {
    for config in families() {
        let model = random(&config, 11);
        let student = model.select_blocks(&[0, 2]).unwrap();
        let trained = student.with_blocks(
            student
                .blocks()
                .iter()
                .cloned()
                .map(Module::train)
                .collect(),
        );
        let input = trained.embed(&TokenBatch::padded(&SEQUENCES, 0));
        let hidden = trained.hidden_all(&input);
        let grads = (hidden.clone() * hidden).sum().backward();
        for block in trained.blocks() {
            for weight in [
                &block.attention.qkv,
                &block.attention.output,
                &block.mlp.input,
                &block.mlp.output,
            ] {
                let gradient = values(weight.weight.val().grad(&grads).unwrap());
                assert!(gradient.iter().any(|x| x.abs() > 1e-6));
            }
        }
    }
}

#[test]
fn a_student_of_all_blocks_is_the_teacher() {
    let model = random(&llama(), 12);
    let input = model.embed(&TokenBatch::padded(&SEQUENCES, 0));
    let same = model.select_blocks(&[0, 1, 2]).unwrap();
    assert_eq!(
        values(same.hidden_all(&input)),
        values(model.hidden_all(&input))
    );
    let other = model.select_blocks(&[2, 1]).unwrap();
    assert_ne!(
        values(other.hidden_all(&input)),
        values(model.hidden_all(&input))
    );
    assert_eq!(other.config().num_hidden_layers(), 2);
    assert!(matches!(
        model.select_blocks(&[0, 3]),
        Err(ModelError::NoSuchBlock { block: 3, last: 2 })
    ));
    assert!(model.select_blocks(&[]).is_err());
}

/// RoBERTa's token types are added to its places when loading, so there the function is compared.
#[test]
fn named_tensors_are_what_was_loaded() {
    for config in families() {
        let stored = random_tensors(&config, 13);
        let model = random(&config, 13);
        let named = pollster::block_on(model.named_tensors()).unwrap();
        // Token types are added to the places, and rows in front of the first place are left out.
        let all_kept = config.learned_positions.unwrap_or(0) == 0;
        if config.family.names().token_types.is_none() && all_kept {
            assert_eq!(
                named
                    .iter()
                    .cloned()
                    .collect::<std::collections::BTreeMap<_, _>>(),
                stored
            );
        }
        let again = Lm::load(
            &config,
            &Memory(named.into_iter().collect()),
            model.device(),
        )
        .unwrap();
        let input = model.embed(&TokenBatch::padded(&SEQUENCES, 0));
        assert_eq!(
            values(again.logits(again.hidden_at(&input, &[1, 1, 1]))),
            values(model.logits(model.hidden_at(&input, &[1, 1, 1])))
        );
    }
}

#[test]
fn a_student_read_from_its_teachers_file_is_the_selected_one() {
    for config in families() {
        let (teacher, tensors) = (random(&config, 13), Memory(random_tensors(&config, 13)));
        let selected = teacher.select_blocks(&[2, 0]).unwrap();
        let load = |chosen: &[usize]| Lm::load_blocks(&config, &tensors, teacher.device(), chosen);
        let loaded = load(&[2, 0]).unwrap();
        assert_eq!(loaded.config(), selected.config());
        let ids = |lm: &Lm| {
            lm.blocks()
                .iter()
                .map(|b| b.mlp.input.weight.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&loaded), ids(&selected));
        let input = teacher.embed(&TokenBatch::padded(&SEQUENCES, 0));
        assert_eq!(
            values(loaded.hidden_all(&input)),
            values(selected.hidden_all(&input))
        );
        let missing = load(&[0, 3]);
        assert!(matches!(
            missing,
            Err(ModelError::NoSuchBlock { block: 3, last: 2 })
        ));
    }
}

#[test]
fn norms_may_have_the_names_of_berts_oldest_files() {
    let config = roberta();
    let old = |name: String| match name.contains("LayerNorm") {
        true => name.replace("weight", "gamma").replace("bias", "beta"),
        false => name,
    };
    let tensors = random_tensors(&config, 13).into_iter();
    let tensors = Memory(tensors.map(|(name, tensor)| (old(name), tensor)).collect());
    assert!(tensors.0.keys().any(|name| name.ends_with("gamma")));
    let (new, device) = (random(&config, 13), burn::tensor::Device::default());
    let old = Lm::load(&config, &tensors, &device).unwrap();
    let input = new.embed(&TokenBatch::padded(&SEQUENCES, 0));
    let logits = |lm: &Lm| values(lm.logits(lm.hidden_at(&input, &[1, 1, 1])));
    assert_eq!(logits(&old), logits(&new));
}

/// As files lie on disk that have more than a language model, and as transformers has them in memory.
#[test]
fn a_language_model_is_read_out_of_a_larger_one() {
    let config = gemma3();
    let tensors = random_tensors(&config, 13);
    let alone = random(&config, 13);
    let input = alone.embed(&TokenBatch::padded(&SEQUENCES, 0));
    let logits = |lm: &Lm| values(lm.logits(lm.hidden_at(&input, &[6, 1, 3])));
    for prefix in ["language_model.model.", "model.language_model."] {
        let renamed = tensors.iter().map(|(name, tensor)| {
            let part = name.strip_prefix("model.").unwrap();
            (format!("{prefix}{part}"), tensor.clone())
        });
        let memory = Memory(renamed.collect());
        let part = Lm::load(&config, &memory, alone.device()).unwrap();
        assert_eq!(logits(&part), logits(&alone), "{prefix}");
    }
}

/// In the first block and the last, with the family's prefix and without.
#[test]
fn a_bias_that_the_config_does_not_know_is_refused() {
    let config = llama();
    for bias in [
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.2.self_attn.o_proj.bias",
        "layers.0.mlp.up_proj.bias",
        "layers.2.mlp.down_proj.bias",
    ] {
        let mut tensors = random_tensors(&config, 14);
        let values = crate::checkpoint::HostTensor::f32([60], vec![0.0; 60]);
        tensors.insert(bias.into(), values);
        let loaded = Lm::load(&config, &Memory(tensors), &burn::tensor::Device::default());
        match loaded {
            Err(ModelError::Unsupported { value, .. }) => assert!(value.contains(bias), "{value}"),
            other => panic!("{bias}: {:?}", other.err()),
        }
    }
}

#[test]
fn every_family_writes_the_config_that_it_reads() {
    for config in families() {
        let json = config.to_hf();
        assert_eq!(Config::from_hf(&json).unwrap(), config, "{json}");
    }
}
