//! What Gemma 2 and 3 have beside Llama's keys. Much of it stands in llama.cpp's source and not in the file (`load_hparams`
//! of `LLM_ARCH_GEMMA2` and `LLM_ARCH_GEMMA3`).

use super::super::gemma2;
use super::keys::Keys;
use crate::model::ModelError;
use crate::model::config::{Activation, Config};
use crate::model::rotary::RopeScaling;

/// Makes a Gemma 2 of a plain Llama whose blocks have the angles of the file.
pub(super) fn read_gemma2(config: &mut Config, keys: &mut Keys<'_>) -> Result<(), ModelError> {
    common(config, 46)?;
    let [scores, logits] = gemma2::CAPS;
    config.attn_logit_softcapping = keys.or_off("attn_logit_softcapping", scores)?;
    config.final_logit_softcapping = keys.or_off("final_logit_softcapping", logits)?;
    windows(config, keys, gemma2::WINDOW, 2)
}

/// Makes a Gemma 3, text only: blocks with a window have angles of their own, which nothing stretches.
pub(super) fn read_gemma3(config: &mut Config, keys: &mut Keys<'_>) -> Result<(), ModelError> {
    common(config, 62)?;
    config.query_key_norm = true;
    config.final_logit_softcapping = keys.or_off("final_logit_softcapping", None)?;
    windows(config, keys, None, 6)?;
    let theta = keys.number("rope.freq_base_swa")?.unwrap_or(10_000.0);
    let windowed = config.layers.iter_mut();
    let windowed = windowed.filter(|layer| layer.window.is_some());
    for rope in windowed.filter_map(|layer| layer.rope.as_mut()) {
        rope.theta = theta;
        rope.scaling = RopeScaling::Default;
    }
    Ok(())
}

/// What they have in common. The `largest`, by its number of blocks, scales queries by the quotient of width and heads,
/// the others by the heads' width.
fn common(config: &mut Config, largest: usize) -> Result<(), ModelError> {
    gemma2::make(config);
    config.hidden_act = Activation::from_name("hidden_activation", gemma2::ACTIVATION)?;
    let quotient = config.hidden_size.checked_div(config.num_attention_heads);
    if config.layers.len() == largest {
        config.query_pre_attn_scalar = quotient.unwrap_or_default();
    }
    Ok(())
}

/// All blocks but each `every`th look through a window.
fn windows(
    config: &mut Config,
    keys: &mut Keys<'_>,
    absent: Option<usize>,
    every: usize,
) -> Result<(), ModelError> {
    let window = keys.window(absent, every)?;
    for (block, layer) in config.layers.iter_mut().enumerate() {
        layer.window = window.filter(|_| !(block + 1).is_multiple_of(every));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::MetaValue;
    use super::super::by_hand::{float, read, text};
    use super::*;

    /// Heads of 8 numbers in a width of 24, so that the two ways to scale queries differ.
    fn blocks(architecture: &str, count: i64) -> Config {
        let keys = [
            ("block_count", MetaValue::Int(count)),
            ("attention.key_length", MetaValue::Int(8)),
        ];
        read(architecture, &keys).unwrap()
    }

    #[test]
    fn the_largest_scale_their_queries_in_another_way() {
        for (architecture, largest) in [("gemma2", 46), ("gemma3", 62)] {
            let scale = |count| blocks(architecture, count).query_pre_attn_scalar;
            assert_eq!((scale(26), scale(largest)), (8, 6), "{architecture}");
        }
    }

    #[test]
    fn what_a_file_leaves_out_is_what_llama_cpp_has() {
        let second = blocks("gemma2", 3);
        let windows = |config: &Config| -> Vec<Option<usize>> {
            config.layers.iter().map(|layer| layer.window).collect()
        };
        assert_eq!(windows(&second), [Some(4096), None, Some(4096)]);
        let caps = [
            second.attn_logit_softcapping,
            second.final_logit_softcapping,
        ];
        assert_eq!(caps, gemma2::CAPS);
        let third = blocks("gemma3", 6);
        assert_eq!(windows(&third), [None; 6]);
        assert_eq!(third.final_logit_softcapping, None);

        let window = ("attention.sliding_window", MetaValue::Int(8));
        let base = ("rope.freq_base", float(1e6));
        let third = read("gemma3", &[window.clone(), base.clone()]).unwrap();
        assert_eq!(third.layers[0].rope.unwrap().theta, 10_000.0);
        let local = ("rope.freq_base_swa", float(500.0));
        let third = read("gemma3", &[window, base, local]).unwrap();
        assert_eq!(third.layers[0].rope.unwrap().theta, 500.0);
    }

    #[test]
    fn keys_that_say_something_else_are_errors() {
        let wrong = [
            ("gemma2", "rope.freq_base_swa", float(500.0)),
            ("gemma3", "attn_logit_softcapping", float(50.0)),
            (
                "gemma3",
                "attention.sliding_window_pattern",
                MetaValue::Int(2),
            ),
            ("gemma3", "attention.sliding_window", text("8")),
            ("gemma3", "hidden_activation", text("silu")),
            ("gemma2", "attention.scale", float(0.5)),
            ("gemma2", "vision.block_count", MetaValue::Int(27)),
        ];
        for (architecture, key, value) in wrong {
            let error = read(architecture, &[(key, value)]).unwrap_err().to_string();
            let key = format!("`{architecture}.{key}`");
            assert!(error.contains(&key), "{error}");
        }
        let right = [
            ("mm.tokens_per_image", MetaValue::Int(256)),
            ("vision.block_count", MetaValue::Int(27)),
            ("attention.sliding_window_pattern", MetaValue::Int(6)),
            ("hidden_activation", text("gelu_pytorch_tanh")),
            ("final_logit_softcapping", float(0.0)),
        ];
        let plain = read("gemma3", &[]).unwrap();
        for (key, value) in right {
            assert_eq!(read("gemma3", &[(key, value)]).unwrap(), plain, "{key}");
        }
    }
}
