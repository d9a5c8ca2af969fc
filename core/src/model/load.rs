//! Host tensors under Hugging Face's names → a model on a device.

use std::borrow::Cow;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use super::config::{HeadKind, NormKind, NormPlacement};
use super::family::{Layout, Names};
use super::head::MaskedLmTransform;
use super::kept::{Columns, WeightType};
use super::{Attention, Block, Config, Embedding, Head, Linear, Lm, Mlp, ModelError, Norm};
use crate::checkpoint::{CheckpointError, HostTensor, Tensors};

impl Lm {
    /// Loads a model in f32.
    ///
    /// # Errors
    /// As [`load_kept`](Self::load_kept).
    pub fn load(
        config: &Config,
        tensors: &dyn Tensors,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::load_kept(config, tensors, device, WeightType::F32)
    }

    /// Loads a model whose matrices are kept in a type, one tensor after the other, so that no more than
    /// one layer is in memory twice. The embedding table is rounded to a type of 16 bits as well; norms,
    /// biases and learned places stay f32.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] names the tensor that is missing, has another shape than the
    /// configuration says or a number that the type can't hold; [`ModelError::Unsupported`] a bias that
    /// the configuration doesn't know.
    pub fn load_kept(
        config: &Config,
        tensors: &dyn Tensors,
        device: &Device,
        kept: WeightType,
    ) -> Result<Self, ModelError> {
        let all: Vec<usize> = (0..config.num_hidden_layers()).collect();
        let source = Source {
            config,
            tensors,
            names: config.family.names(),
            device,
            kept,
        };
        source.model(&all)
    }

    /// A student in f32 out of its teacher's tensors: as [`load`](Self::load) and
    /// [`select_blocks`](Self::select_blocks), with no other block in memory.
    ///
    /// # Errors
    /// As these.
    pub fn load_blocks(
        config: &Config,
        tensors: &dyn Tensors,
        device: &Device,
        chosen: &[usize],
    ) -> Result<Self, ModelError> {
        super::lm::check_blocks(chosen, config.num_hidden_layers())?;
        let source = Source {
            config,
            tensors,
            names: config.family.names(),
            device,
            kept: WeightType::F32,
        };
        Ok(source.model(chosen)?.renumbered(chosen))
    }
}

struct Source<'a> {
    config: &'a Config,
    tensors: &'a dyn Tensors,
    names: &'static Names,
    device: &'a Device,
    kept: WeightType,
}

impl Source<'_> {
    /// The model with these of its blocks.
    fn model(&self, blocks: &[usize]) -> Result<Lm, ModelError> {
        self.refuse_unknown_biases()?;
        let norm = |name: Option<&str>| name.map(|name| self.norm(name)).transpose();
        let (names, ends) = (self.names, self.config.has_final_norm());
        let embedding = Arc::new(self.table(names.embedding)?);
        Ok(Lm {
            config: self.config.clone(),
            device: self.device.clone(),
            positions: self.positions()?,
            embedding_norm: norm(names.embedding_norm)?,
            projections: self.projections()?,
            blocks: blocks
                .iter()
                .map(|layer| self.block(*layer))
                .collect::<Result<_, _>>()?,
            final_norm: norm(names.final_norm.filter(|_| ends))?,
            head: self.head(&embedding)?,
            embedding,
        })
    }

    /// A tensor's name in the file, by any of its spellings, if it has the given shape.
    ///
    /// Memory is taken only for what was found here, so never more than a few times the file's size,
    /// whatever a configuration asks for.
    fn find<'n>(&self, name: &'n str, shape: &[usize]) -> Result<Cow<'n, str>, CheckpointError> {
        let (name, found) = self
            .named(name)
            .ok_or_else(|| CheckpointError::missing(name))?;
        if found == shape {
            return Ok(name);
        }
        Err(CheckpointError::Shape {
            name: name.into_owned(),
            found,
            expected: shape.to_vec(),
        })
    }

    fn named<'n>(&self, name: &'n str) -> Option<(Cow<'n, str>, Vec<usize>)> {
        let with_shape = |name: Cow<'n, str>| {
            let shape = self.tensors.shape(&name)?;
            Some((name, shape))
        };
        self.names.spellings(name).find_map(with_shape)
    }

    fn has(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    fn host(&self, name: &str, shape: &[usize]) -> Result<HostTensor, CheckpointError> {
        self.tensors.tensor(&self.find(name, shape)?)
    }

    fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, CheckpointError> {
        Ok(self.host(name, &[length])?.into_f32())
    }

    fn table(&self, name: &str) -> Result<Embedding, CheckpointError> {
        let shape = [self.config.vocab_size, self.config.embedding_size];
        let name = format!("{name}.weight");
        let table = self.kept.table(self.tensors, &self.find(&name, &shape)?)?;
        Ok(Embedding::new(table, self.config.embedding_scale))
    }

    fn parameter<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    fn norm(&self, name: &str) -> Result<Norm, CheckpointError> {
        self.norm_over(name, self.config.hidden_size)
    }

    /// A norm over `width` numbers. BERT's oldest files call weight and bias gamma and beta.
    fn norm_over(&self, name: &str, width: usize) -> Result<Norm, CheckpointError> {
        let read = |part: &str, old: &str| {
            let [name, old] = [part, old].map(|part| format!("{name}.{part}"));
            let found = [&name, &old].into_iter().find(|name| self.has(name));
            let values = self.vector(found.unwrap_or(&name), width)?;
            Ok::<_, CheckpointError>(self.parameter(values, [width]))
        };
        Ok(Norm {
            weight: read("weight", "gamma")?,
            bias: (self.config.norm == NormKind::LayerNorm)
                .then(|| read("bias", "beta"))
                .transpose()?,
            eps: self.config.norm_eps,
            offset: match self.config.norm {
                NormKind::OffsetRmsNorm => 1.0,
                NormKind::LayerNorm | NormKind::RmsNorm => 0.0,
            },
        })
    }

    /// A projection `input → Σ outputs`, stored in `names.len()` pieces or in one.
    fn linear(
        &self,
        names: &[String],
        input: usize,
        outputs: &[usize],
        bias: bool,
    ) -> Result<Linear, CheckpointError> {
        let total = outputs.iter().sum();
        let whole = [total];
        let outputs = if names.len() == 1 { &whole } else { outputs };
        let shape = |output| self.names.layout.shape(input, output);
        for (name, &output) in names.iter().zip(outputs) {
            self.find(&format!("{name}.weight"), &shape(output))?;
        }
        let mut weight = Columns::new(self.kept, [input, total]);
        let mut biases = Vec::new();
        for (name, &output) in names.iter().zip(outputs) {
            let stored = format!("{name}.weight");
            let stored = self.find(&stored, &shape(output))?;
            weight.push(self.tensors, &stored, self.names.layout)?;
            if bias {
                biases.extend(self.vector(&format!("{name}.bias"), output)?);
            }
        }
        Ok(Linear {
            weight: weight.on(self.device),
            bias: bias.then(|| self.parameter(biases, [total])),
        })
    }

    fn block(&self, layer: usize) -> Result<Block, CheckpointError> {
        let (config, names) = (self.config, self.names);
        let (d, f, q, k) = (
            config.hidden_size,
            config.intermediate_size,
            config.query_width(),
            config.key_width(),
        );
        let full = |parts: &[&str]| {
            parts
                .iter()
                .map(|part| names.in_block(layer, part))
                .collect::<Vec<_>>()
        };
        let inputs: &[usize] = if config.gated_mlp { &[f, f] } else { &[f] };
        let mut qkv = self.linear(&full(names.qkv), d, &[q, k, k], config.qkv_bias)?;
        if names.qkv_by_head {
            qkv = qkv.regrouped([config.num_attention_heads, 3]);
        }
        let head_norm = |part: &str| self.norm_over(&names.in_block(layer, part), config.head_dim);
        let branch_norm = |part: &str| self.norm(&names.in_block(layer, part));
        let block = Block {
            attention_norm: self.norm(&names.in_block(layer, names.attention_norm))?,
            attention: Attention {
                qkv,
                output: self.linear(
                    &full(&[names.attention_output]),
                    q,
                    &[d],
                    config.attention_output_bias,
                )?,
                heads: config.num_attention_heads,
                kv_heads: config.num_key_value_heads,
                head_dim: config.head_dim,
                query_key_norms: both(names.query_key_norms, config.query_key_norm, head_norm)?,
                scale: config.score_scale(layer),
                softcap: config.attn_logit_softcapping,
            },
            mlp_norm: self.norm(&names.in_block(layer, names.mlp_norm))?,
            mlp: Mlp {
                input: self.linear(&full(names.mlp_input), d, inputs, config.mlp_bias)?,
                output: self.linear(&full(&[names.mlp_output]), f, &[d], config.mlp_bias)?,
                gated: config.gated_mlp,
                activation: config.hidden_act,
            },
            branch_norms: both(
                names.branch_norms,
                config.norm_placement == NormPlacement::Both,
                branch_norm,
            )?,
            placement: config.norm_placement,
        };
        Ok(renumbered(block, layer))
    }

    /// Learned places from 0 on, with the row of token type 0 added to each: every token is of that type.
    fn positions(&self) -> Result<Option<Tensor<2>>, CheckpointError> {
        let (Some(offset), Some(name)) = (self.config.learned_positions, self.names.positions)
        else {
            return Ok(None);
        };
        let (rows, d) = (self.config.max_position_embeddings, self.config.hidden_size);
        let mut table = self
            .host(&format!("{name}.weight"), &[rows, d])?
            .into_f32()
            .split_off(offset * d);
        if let Some(types) = self.names.token_types {
            let name = format!("{types}.weight");
            let count = self
                .named(&name)
                .and_then(|(_, shape)| shape.first().copied())
                .unwrap_or(1)
                .max(1);
            let types = self.host(&name, &[count, d])?.into_f32();
            for row in table.chunks_exact_mut(d) {
                row.iter_mut()
                    .zip(&types)
                    .for_each(|(value, kind)| *value += kind);
            }
        }
        Ok(Some(Tensor::from_data(
            TensorData::new(table, [rows - offset, d]),
            self.device,
        )))
    }

    /// From the embeddings' width to the blocks' and back.
    fn projections(&self) -> Result<Option<[Linear; 2]>, CheckpointError> {
        let widths = [self.config.embedding_size, self.config.hidden_size];
        let read = |[there, back]: [&str; 2]| {
            let [embedding, hidden] = widths;
            let linear = |name: &str, input, output| {
                self.linear(&[name.to_owned()], input, &[output], false)
            };
            Ok([
                linear(there, embedding, hidden)?,
                linear(back, hidden, embedding)?,
            ])
        };
        let names = self
            .names
            .projections
            .filter(|_| self.config.has_projections());
        names.map(read).transpose()
    }

    fn head(&self, embedding: &Arc<Embedding>) -> Result<Head, CheckpointError> {
        let matrix = match self.config.tie_word_embeddings {
            true => Arc::clone(embedding),
            false => Arc::new(self.table(self.names.head)?),
        };
        let softcap = self.config.final_logit_softcapping;
        let (HeadKind::MaskedLm(activation), Some([dense, norm, bias])) =
            (self.config.head, self.names.masked_lm)
        else {
            return Ok(Head::new(matrix, None, None, softcap, self.kept));
        };
        let d = self.config.hidden_size;
        let transform = MaskedLmTransform {
            dense: self.linear(&[dense.to_owned()], d, &[d], true)?,
            activation,
            norm: self.norm(norm)?,
        };
        let bias = self.vocabulary_bias(bias)?;
        Ok(Head::new(
            matrix,
            Some(transform),
            Some(bias.into()),
            softcap,
            self.kept,
        ))
    }

    /// The bias of a masked-LM head. Beside it, a head that is not the embedding table has one under its own
    /// name, and that is the one which is added.
    fn vocabulary_bias(&self, shared: &str) -> Result<Vec<f32>, CheckpointError> {
        let own = format!("{}.bias", self.names.head);
        let counts = !self.config.tie_word_embeddings && self.has(&own);
        let name = if counts { own.as_str() } else { shared };
        self.vector(name, self.config.vocab_size)
    }

    /// A bias that the configuration doesn't mention would be left out silently, in whichever block it is.
    fn refuse_unknown_biases(&self) -> Result<(), ModelError> {
        let (config, names) = (self.config, self.names);
        let parts = [
            (config.qkv_bias, names.qkv),
            (config.attention_output_bias, &[names.attention_output]),
            (config.mlp_bias, names.mlp_input),
            (config.mlp_bias, &[names.mlp_output]),
        ];
        let unknown = parts.iter().filter(|(known, _)| !known);
        for part in unknown.flat_map(|(_, parts)| parts.iter()) {
            for layer in 0..config.num_hidden_layers() {
                let name = format!("{}.bias", names.in_block(layer, part));
                if let Some((name, _)) = self.named(&name) {
                    return Err(ModelError::unsupported("no bias", format!("tensor {name}")));
                }
            }
        }
        Ok(())
    }
}

/// Two norms, where the model has them.
fn both(
    names: Option<[&str; 2]>,
    wanted: bool,
    read: impl Fn(&str) -> Result<Norm, CheckpointError>,
) -> Result<Option<[Norm; 2]>, CheckpointError> {
    let read = |[first, second]: [&str; 2]| Ok([read(first)?, read(second)?]);
    names.filter(|_| wanted).map(read).transpose()
}

impl Layout {
    /// The shape on disk of a projection `input → output`.
    pub(super) fn shape(self, input: usize, output: usize) -> [usize; 2] {
        match self {
            Self::OutIn => [output, input],
            Self::InOut => [input, output],
        }
    }
}

/// The block with ids that tell its place, the same in every process.
pub(super) fn renumbered(block: Block, place: usize) -> Block {
    struct Number(u64);
    impl ModuleMapper for Number {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let (_, tensor, mapper) = param.consume();
            Param::from_mapped_value(ParamId::from(self.0), tensor, mapper)
        }
    }
    // No block has as many parameters as 1000.
    block.map(&mut Number(1000 * place as u64))
}
