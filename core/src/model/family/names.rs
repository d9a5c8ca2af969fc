//! What a family calls its tensors.

use std::borrow::Cow;

/// How a family stores the matrix of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[out, in]`, PyTorch's `nn.Linear`.
    OutIn,
    /// `[in, out]`, GPT-2's `Conv1D`.
    InOut,
}

/// Names of tensors, without `.weight` and `.bias`; those of a block also without the block's prefix.
///
/// A projection with several names is stored in pieces that the model keeps side by side in one matrix.
#[derive(Debug)]
pub struct Names {
    /// Prefix that files of the bare model (without a head) leave out.
    pub base: &'static str,
    /// Prefixes that other files have in its place, of models that this one is a part of.
    pub other_bases: &'static [&'static str],
    /// The embedding table.
    pub embedding: &'static str,
    /// The table of learned positions.
    pub positions: Option<&'static str>,
    /// The table of token types, whose row 0 is added to every position.
    pub token_types: Option<&'static str>,
    /// The norm after the embeddings.
    pub embedding_norm: Option<&'static str>,
    /// The projections from the embeddings to the blocks and back, where their widths differ.
    pub projections: Option<[&'static str; 2]>,
    /// Prefix of a block, before and after its number.
    pub block: [&'static str; 2],
    /// The norm of the attention.
    pub attention_norm: &'static str,
    /// Query, key and value projections, or the one that holds all three.
    pub qkv: &'static [&'static str],
    /// Whether the one projection has the query, key and value of a head side by side.
    pub qkv_by_head: bool,
    /// The norms of each head's queries and of its keys.
    pub query_key_norms: Option<[&'static str; 2]>,
    /// Attention's output projection.
    pub attention_output: &'static str,
    /// The norm of the MLP.
    pub mlp_norm: &'static str,
    /// The projections into the MLP: gate and up, or the only one.
    pub mlp_input: &'static [&'static str],
    /// The projection out of the MLP.
    pub mlp_output: &'static str,
    /// The norms of what attention and MLP add.
    pub branch_norms: Option<[&'static str; 2]>,
    /// The norm after the last block.
    pub final_norm: Option<&'static str>,
    /// The head's matrix, when it is not the embedding table.
    pub head: &'static str,
    /// The masked-LM head's dense layer, its norm, and the name of the vocabulary's bias.
    pub masked_lm: Option<[&'static str; 3]>,
    /// How matrices of linear layers lie on disk.
    pub layout: Layout,
}

/// What most descendants of Llama call their tensors.
pub(super) const DECODER: Names = Names {
    base: "model.",
    other_bases: &[],
    embedding: "model.embed_tokens",
    positions: None,
    token_types: None,
    embedding_norm: None,
    projections: None,
    block: ["model.layers.", "."],
    attention_norm: "input_layernorm",
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    qkv_by_head: false,
    query_key_norms: None,
    attention_output: "self_attn.o_proj",
    mlp_norm: "post_attention_layernorm",
    mlp_input: &["mlp.gate_proj", "mlp.up_proj"],
    mlp_output: "mlp.down_proj",
    branch_norms: None,
    final_norm: Some("model.norm"),
    head: "lm_head",
    masked_lm: None,
    layout: Layout::OutIn,
};

impl Names {
    /// A name as this family spells it, of one with another prefix.
    #[must_use]
    pub fn spelled<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let mut bases = self.other_bases.iter();
        match bases.find_map(|base| name.strip_prefix(*base)) {
            Some(part) => Cow::Owned(format!("{}{part}", self.base)),
            None => Cow::Borrowed(name),
        }
    }

    /// What a file may call the tensor of this name: with the family's prefix, without it, with another.
    pub fn spellings<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'n, str>> {
        let part = name.strip_prefix(self.base);
        let own = [Some(name), part].into_iter().flatten();
        let other = move |base: &&'static str| -> Option<Cow<'n, str>> {
            Some(Cow::Owned(format!("{base}{}", part?)))
        };
        let others = self.other_bases.iter().filter_map(other);
        own.map(Cow::Borrowed).chain(others)
    }

    /// The full name of a part of block `layer`.
    #[must_use]
    pub fn in_block(&self, layer: usize, part: &str) -> String {
        let [before, after] = self.block;
        format!("{before}{layer}{after}{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_larger_model_is_found_by_its_prefix() {
        let names = Names {
            other_bases: &["text.model.", "model.text."],
            ..DECODER
        };
        let spellings: Vec<_> = names.spellings("model.norm.weight").collect();
        let expected = [
            "model.norm.weight",
            "norm.weight",
            "text.model.norm.weight",
            "model.text.norm.weight",
        ];
        assert_eq!(spellings, expected);
        for name in ["text.model.norm.weight", "model.text.norm.weight"] {
            assert_eq!(names.spelled(name), "model.norm.weight");
        }
        assert_eq!(names.spelled("vision.norm.weight"), "vision.norm.weight");
        let head: Vec<_> = names.spellings("lm_head.weight").collect();
        assert_eq!(head, ["lm_head.weight"]);
    }
}
