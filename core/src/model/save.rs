//! A model on a device → host tensors under Hugging Face's names.

use burn::tensor::Tensor;

use super::family::Layout;
use super::{Linear, Lm, ModelError, Norm};
use crate::checkpoint::HostTensor;

/// Tensors under Hugging Face's names.
pub type NamedTensors = Vec<(String, HostTensor)>;

impl Lm {
    /// All tensors as Hugging Face names and lays them out; a tied head is left out, as there.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the device doesn't answer.
    pub async fn named_tensors(&self) -> Result<NamedTensors, ModelError> {
        let names = self.config.family.names();
        let mut out = vec![(
            format!("{}.weight", names.embedding),
            self.embedding.table(),
        )];
        if !self.config.tie_word_embeddings {
            out.push((format!("{}.weight", names.head), self.head.matrix.table()));
        }
        self.put_positions(&mut out).await?;
        for (name, norm) in [
            (names.embedding_norm, &self.embedding_norm),
            (names.final_norm, &self.final_norm),
        ] {
            if let (Some(name), Some(norm)) = (name, norm) {
                put_norm(&mut out, name, norm).await?;
            }
        }
        if let (Some(names), Some(linears)) = (names.projections, &self.projections) {
            for (name, linear) in names.into_iter().zip(linears) {
                put_linear(&mut out, &[name.to_owned()], &[], Layout::OutIn, linear).await?;
            }
        }
        if let (Some([dense, norm, bias]), Some(transform)) =
            (names.masked_lm, &self.head.transform)
        {
            put_linear(
                &mut out,
                &[dense.to_owned()],
                &[],
                names.layout,
                &transform.dense,
            )
            .await?;
            put_norm(&mut out, norm, &transform.norm).await?;
            let values = self.head.bias.as_deref().unwrap_or_default().to_vec();
            let values = HostTensor::f32([values.len()], values);
            // transformers adds the one under the head's name, and misses either that isn't there.
            let own = (!self.config.tie_word_embeddings).then(|| format!("{}.bias", names.head));
            out.extend(own.map(|own| (own, values.clone())));
            out.push((bias.to_owned(), values));
        }
        out.extend(self.named_block_tensors().await?);
        Ok(out)
    }

    /// The tensors of the blocks alone: what distinguishes a student from its teacher.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the device doesn't answer.
    pub async fn named_block_tensors(&self) -> Result<NamedTensors, ModelError> {
        let (config, names) = (&self.config, self.config.family.names());
        let (f, q, k) = (
            config.intermediate_size,
            config.query_width(),
            config.key_width(),
        );
        let mut out = Vec::new();
        for (layer, block) in self.blocks.iter().enumerate() {
            let full = |part: &str| names.in_block(layer, part);
            let all = |parts: &[&str]| parts.iter().map(|part| full(part)).collect::<Vec<_>>();
            let (attention, mlp) = (&block.attention, &block.mlp);
            let pairs = [
                (names.query_key_norms, &attention.query_key_norms),
                (names.branch_norms, &block.branch_norms),
            ];
            for (parts, norms) in pairs {
                if let (Some(parts), Some(norms)) = (parts, norms) {
                    for (part, norm) in parts.iter().zip(norms) {
                        put_norm(&mut out, &full(part), norm).await?;
                    }
                }
            }
            let qkv = match names.qkv_by_head {
                true => &attention.qkv.regrouped([3, config.num_attention_heads]),
                false => &attention.qkv,
            };
            put_norm(&mut out, &full(names.attention_norm), &block.attention_norm).await?;
            put_linear(&mut out, &all(names.qkv), &[q, k, k], names.layout, qkv).await?;
            put_linear(
                &mut out,
                &[full(names.attention_output)],
                &[],
                names.layout,
                &attention.output,
            )
            .await?;
            put_norm(&mut out, &full(names.mlp_norm), &block.mlp_norm).await?;
            put_linear(
                &mut out,
                &all(names.mlp_input),
                &[f, f],
                names.layout,
                &mlp.input,
            )
            .await?;
            put_linear(
                &mut out,
                &[full(names.mlp_output)],
                &[],
                names.layout,
                &mlp.output,
            )
            .await?;
        }
        Ok(out)
    }

    /// The table of places with its unused first rows, and token types that add nothing: loading has
    /// added them to the places.
    async fn put_positions(&self, out: &mut NamedTensors) -> Result<(), ModelError> {
        let names = self.config.family.names();
        let (Some(offset), Some(name), Some(table)) = (
            self.config.learned_positions,
            names.positions,
            &self.positions,
        ) else {
            return Ok(());
        };
        let d = self.config.hidden_size;
        let mut values = vec![0.0; offset * d];
        values.extend(read(table.clone()).await?);
        out.push((
            format!("{name}.weight"),
            HostTensor::f32([values.len() / d, d], values),
        ));
        if let Some(types) = names.token_types {
            out.push((
                format!("{types}.weight"),
                HostTensor::f32([1, d], vec![0.0; d]),
            ));
        }
        Ok(())
    }
}

async fn put_norm(out: &mut NamedTensors, name: &str, norm: &Norm) -> Result<(), ModelError> {
    let d = norm.weight.dims()[0];
    out.push((
        format!("{name}.weight"),
        HostTensor::f32([d], read(norm.weight.val()).await?),
    ));
    if let Some(bias) = &norm.bias {
        out.push((
            format!("{name}.bias"),
            HostTensor::f32([d], read(bias.val()).await?),
        ));
    }
    Ok(())
}

/// Cuts a projection back into the pieces it is stored in.
async fn put_linear(
    out: &mut NamedTensors,
    names: &[String],
    outputs: &[usize],
    layout: Layout,
    linear: &Linear,
) -> Result<(), ModelError> {
    let [input, total] = linear.weight.dims();
    let whole = [total];
    let outputs = if names.len() == 1 { &whole } else { outputs };
    let weight = read(linear.weight.val()).await?;
    let bias = match &linear.bias {
        Some(bias) => Some(read(bias.val()).await?),
        None => None,
    };
    let mut column = 0;
    for (name, &output) in names.iter().zip(outputs) {
        let piece = take_columns(&weight, [input, total], column, output, layout);
        out.push((
            format!("{name}.weight"),
            HostTensor::f32(layout.shape(input, output), piece),
        ));
        if let Some(bias) = &bias {
            let values = bias[column..column + output].to_vec();
            out.push((format!("{name}.bias"), HostTensor::f32([output], values)));
        }
        column += output;
    }
    Ok(())
}

/// The inverse of loading: columns of an `[in, total]` matrix as they lie on disk.
fn take_columns(
    weight: &[f32],
    [input, total]: [usize; 2],
    column: usize,
    output: usize,
    layout: Layout,
) -> Vec<f32> {
    let at = |i: usize, o: usize| weight[i * total + column + o];
    match layout {
        Layout::InOut => (0..input)
            .flat_map(|i| (0..output).map(move |o| at(i, o)))
            .collect(),
        Layout::OutIn => (0..output)
            .flat_map(|o| (0..input).map(move |i| at(i, o)))
            .collect(),
    }
}

/// The values of a parameter; frozen or trained, what is read has left the autodiff graph.
async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let data = tensor
        .detach()
        .into_data_async()
        .await
        .map_err(|error| ModelError::Device(error.to_string()))?;
    data.convert::<f32>()
        .try_into_vec()
        .map_err(|error| ModelError::Device(error.to_string()))
}
