//! The language model: embeddings, blocks, norm, head.

use std::ops::Range;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::attention::Places;
use super::config::Layer;
use super::{
    Block, Config, Embedding, Head, HeadRows, Input, Linear, ModelError, Norm, Past, PromptPlace,
    TokenBatch,
};

/// A transformer with frozen weights.
///
/// It lives on a plain device: only a prompt in the [`Input`], or blocks handed back through
/// [`Lm::with_blocks`] after `train()`, are ever tracked by autodiff. Cloning shares all weights.
#[derive(Clone, Debug)]
pub struct Lm {
    pub(super) config: Config,
    pub(super) device: Device,
    pub(super) embedding: Arc<Embedding>,
    /// `[places, d]`; the row of place 0 first.
    pub(super) positions: Option<Tensor<2>>,
    pub(super) embedding_norm: Option<Norm>,
    /// From the embeddings to the blocks, and back.
    pub(super) projections: Option<[Linear; 2]>,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Option<Norm>,
    pub(super) head: Head,
}

impl Lm {
    /// What the model is made of.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it lives.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The embedding table.
    #[must_use]
    pub fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// The blocks, first to last.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The same model with other blocks in the old ones' places: a student whose blocks are being trained.
    ///
    /// # Panics
    /// If there are more or fewer blocks than before.
    #[must_use]
    pub fn with_blocks(&self, blocks: Vec<Block>) -> Self {
        assert_eq!(blocks.len(), self.blocks.len(), "as many blocks as before");
        Self {
            blocks,
            ..self.clone()
        }
    }

    /// A student: this model's embeddings, norms and head around the named blocks, in the given order.
    ///
    /// Each parameter's id says its place, so an optimiser's saved state finds it again.
    ///
    /// # Errors
    /// [`ModelError::NoSuchBlock`], or [`ModelError::Missing`] when none is named.
    pub fn select_blocks(&self, chosen: &[usize]) -> Result<Self, ModelError> {
        check_blocks(chosen, self.blocks.len())?;
        let blocks = chosen.iter().map(|&block| self.blocks[block].clone());
        let picked = Self {
            blocks: blocks.collect(),
            ..self.clone()
        };
        Ok(picked.renumbered(chosen))
    }

    /// The model whose blocks are those that were `chosen` of another's.
    pub(super) fn renumbered(mut self, chosen: &[usize]) -> Self {
        let place = |(place, block): (usize, Block)| {
            let mut block = super::load::renumbered(block, place);
            block.attention.scale = self.config.score_scale(place);
            block
        };
        self.blocks = self.blocks.into_iter().enumerate().map(place).collect();
        self.config = self.config.with_blocks(chosen);
        self
    }

    /// Looks tokens up on the host and uploads them.
    ///
    /// # Panics
    /// If an id is not in the vocabulary, or a length exceeds the width.
    #[must_use]
    pub fn embed(&self, tokens: &TokenBatch) -> Input {
        let embeddings = self.embedding.lookup(tokens, &self.device);
        Input {
            embeddings,
            lengths: tokens.lengths.clone(),
            prompt: 0,
            place: PromptPlace::default(),
            past: None,
        }
    }

    /// The last hidden state, after the final norm, at one place in each row: `[batch, d]`.
    ///
    /// `positions` count from the first token of the *text*: the same position is meant with and
    /// without a prompt.
    ///
    /// # Panics
    /// If a position lies outside the input or was passed before, or the input is longer than the model's
    /// table of places.
    #[must_use]
    pub fn hidden_at(&self, input: &Input, positions: &[usize]) -> Tensor<2> {
        let single: Vec<Range<usize>> = positions.iter().map(|&at| at..at + 1).collect();
        self.hidden_within(input, &single)
    }

    /// [`hidden_at`](Self::hidden_at) for a few places in each row, at least one: `[places, d]`, row
    /// after row.
    ///
    /// # Panics
    /// As [`hidden_at`](Self::hidden_at), or if a row has no position.
    #[must_use]
    pub fn hidden_within(&self, input: &Input, positions: &[Range<usize>]) -> Tensor<2> {
        let [batch, width, _] = input.embeddings.dims();
        assert_eq!(positions.len(), batch, "positions for each row");
        let passed = input.passed();
        let keys = passed + width;
        let queries = positions.iter().map(Range::len).max().unwrap_or(0);
        // A row with fewer places asks for its last one again; what comes of that is left out below.
        let padded = positions.iter().flat_map(|row| {
            let repeated = std::iter::repeat_n(row.end - 1, queries - row.len());
            row.clone().chain(repeated)
        });
        let places: Vec<usize> = padded.map(|position| input.place_of(position)).collect();
        assert!(
            positions.iter().all(|row| !row.is_empty())
                && places.iter().all(|at| (passed..keys).contains(at)),
            "a position lies outside the input"
        );
        let (along, x) = self.before_blocks(input);
        let (last, earlier) = self
            .blocks
            .split_last()
            .expect("a model has at least one block");
        let x = earlier.iter().enumerate().fold(x, |x, (index, block)| {
            let (past, along) = (input.past_of(index), along.of(index));
            block.forward(x, batch, along, past).0
        });
        let layer = &self.config.layers[earlier.len()];
        let along = along.of(earlier.len());
        let at = along.at(
            &self.config,
            layer,
            &input.lengths,
            &places,
            keys,
            &self.device,
        );
        let rows = places
            .iter()
            .enumerate()
            .map(|(query, place)| query / queries * width + place - passed);
        let past = input.past_of(earlier.len());
        let all = self.after_blocks(last.forward_at(x, self.index(rows), batch, &at, past));
        if positions.iter().all(|row| row.len() == queries) {
            return all;
        }
        let asked = positions.iter().enumerate();
        let asked = asked.flat_map(|(row, places)| row * queries..row * queries + places.len());
        all.select(0, self.index(asked))
    }

    /// Numbers of rows, on the device.
    fn index(&self, rows: impl Iterator<Item = usize>) -> Tensor<1, Int> {
        let rows: Vec<i32> = rows.map(|row| row as i32).collect();
        let len = rows.len();
        Tensor::from_data(TensorData::new(rows, [len]), &self.device)
    }

    /// The last hidden state everywhere, prompt included, but for what was passed before:
    /// `[batch, n + width, d]`.
    ///
    /// # Panics
    /// If the input is longer than the model's table of places.
    #[must_use]
    pub fn hidden_all(&self, input: &Input) -> Tensor<3> {
        self.through(input, |_, _, _| ())
    }

    /// [`hidden_all`](Self::hidden_all), and what the input leaves behind for an input that follows it
    /// ([`Input::behind`]). Autodiff follows a prompt through it: the gradient of one prompt that
    /// stands before many rows is the sum of theirs.
    ///
    /// # Panics
    /// As [`hidden_all`](Self::hidden_all).
    #[must_use]
    pub fn pass(&self, input: &Input) -> (Tensor<3>, Past) {
        let batch = input.embeddings.dims()[0];
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let hidden = self.through(input, |index, qkv, along| {
            let (attention, past) = (&self.blocks[index].attention, input.past_of(index));
            blocks.push(attention.seen(qkv, batch, along, past));
        });
        (hidden, Past { blocks })
    }

    /// The last hidden state everywhere; `hear` is told of each block's number and projections, and of
    /// the places.
    fn through(&self, input: &Input, mut hear: impl FnMut(usize, Tensor<2>, &Places)) -> Tensor<3> {
        let [batch, width, d] = input.embeddings.dims();
        let (along, mut x) = self.before_blocks(input);
        for (index, block) in self.blocks.iter().enumerate() {
            let (past, along) = (input.past_of(index), along.of(index));
            let (next, qkv) = block.forward(x, batch, along, past);
            x = next;
            hear(index, qkv, along);
        }
        self.after_blocks(x).reshape([batch, width, d])
    }

    /// Looks tokens up and puts a prompt at its place in each text: one row for each, `[batch, n, d]`, so that
    /// its gradient comes back example by example.
    ///
    /// # Panics
    /// As [`embed`](Self::embed) and [`Input::with_prompt`], or if a text has no token that its prompt could
    /// stand behind.
    #[must_use]
    pub fn embed_with_prompts(
        &self,
        prompts: Tensor<3>,
        place: PromptPlace,
        tokens: &TokenBatch,
    ) -> Input {
        let n = prompts.dims()[1];
        let (start, rest) = self.begun(prompts, place, tokens);
        let mut input = rest.with_prompt(start);
        (input.prompt, input.place) = (n, place);
        input
    }

    /// Looks tokens up and puts one prompt `[n, d]` at its place in every text. A causal model passes what
    /// all begin with, prompt included, once. The others look ahead, so each text gets a copy of its own;
    /// and so it does where the prompt stands behind first tokens that are not alike.
    ///
    /// # Panics
    /// As [`embed_with_prompts`](Self::embed_with_prompts).
    #[must_use]
    pub fn embed_with_prompt(
        &self,
        prompt: Tensor<2>,
        place: PromptPlace,
        tokens: &TokenBatch,
    ) -> Input {
        let [n, d] = prompt.dims();
        let prompt = prompt.unsqueeze::<3>();
        let alike = place.is_before_bos() || tokens.begin_alike();
        if !(self.config.causal && alike) {
            let copies = prompt.expand([tokens.batch(), n, d]);
            return self.embed_with_prompts(copies, place, tokens);
        }
        let (start, rest) = self.begun(prompt, place, tokens);
        let start = Input {
            lengths: vec![start.dims()[1]],
            embeddings: start,
            prompt: 0,
            place: PromptPlace::BeforeBos,
            past: None,
        };
        let mut input = rest.behind(self.pass(&start).1);
        (input.prompt, input.place) = (n, place);
        input
    }

    /// What comes before the rest of the texts, and that rest: prompts `[b, n, d]`, or the first tokens of b
    /// texts and the prompts behind them. Callers say of the rest where prompts stand, so that positions
    /// count from a text's first token.
    fn begun(
        &self,
        prompts: Tensor<3>,
        place: PromptPlace,
        tokens: &TokenBatch,
    ) -> (Tensor<3>, Input) {
        match place {
            PromptPlace::BeforeBos => (prompts, self.embed(tokens)),
            PromptPlace::AfterBos => {
                let (first, rest) = tokens.split_first(prompts.dims()[0]);
                let first = self.embed(&first).embeddings;
                (Tensor::cat(vec![first, prompts], 1), self.embed(&rest))
            }
        }
    }

    /// Logits over the whole vocabulary: `[rows, d]` → `[rows, V]`.
    #[must_use]
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.head.full(&self.device).logits(hidden)
    }

    /// The head for the whole vocabulary; on the device from the first call on.
    #[must_use]
    pub fn whole_head(&self) -> HeadRows {
        self.head.full(&self.device).clone()
    }

    /// The head for a few words only.
    ///
    /// # Panics
    /// If an id is not in the vocabulary.
    #[must_use]
    pub fn head_rows(&self, ids: &[u32]) -> HeadRows {
        self.head.rows(ids, &self.device)
    }

    /// The head for classes of words, at least one in each: the mean of each class's logits.
    ///
    /// # Panics
    /// If an id is not in the vocabulary.
    #[must_use]
    pub fn head_of_classes(&self, classes: &[&[u32]]) -> HeadRows {
        self.head.classes(classes, &self.device)
    }

    /// The embeddings in the blocks' width, with places added: `[batch·width, d]`.
    fn before_blocks(&self, input: &Input) -> (Alike, Tensor<2>) {
        let [batch, width, e] = input.embeddings.dims();
        let passed = input.passed();
        assert!(
            passed == 0 || self.config.causal,
            "a model that looks ahead has no past"
        );
        let needed = passed + width;
        assert!(
            self.room(0).is_none_or(|room| needed <= room),
            "{needed} places are more than the model knows"
        );
        let mut x = input.embeddings.clone().reshape([batch * width, e]);
        if let Some([there, _]) = &self.projections {
            x = there.forward(x);
        }
        if let Some(table) = &self.positions {
            let (d, places) = (
                self.config.hidden_size,
                table.clone().narrow(0, passed, width),
            );
            x = (x.reshape([batch, width, d]) + places.unsqueeze()).reshape([batch * width, d]);
        }
        let x = match &self.embedding_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let along = Alike::new(&self.config.layers, |layer| {
            let places = [passed, width];
            Places::along(&self.config, layer, &input.lengths, places, &self.device)
        });
        (along, x)
    }

    fn after_blocks(&self, x: Tensor<2>) -> Tensor<2> {
        let x = match &self.final_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        match &self.projections {
            Some([_, back]) => back.forward(x),
            None => x,
        }
    }

    /// How many more places fit behind a prompt of `n` virtual tokens; `None` when nothing limits it.
    #[must_use]
    pub fn room(&self, n: usize) -> Option<usize> {
        let known = match self.config.learned_positions {
            Some(first) => self.config.max_position_embeddings - first,
            None if self.config.is_stretched_by_length() => self.config.max_position_embeddings,
            None => return None,
        };
        Some(known.saturating_sub(n))
    }

    /// How many tokens a text may have behind a prompt of `n` virtual tokens: what the model was
    /// trained for, or what its table of places still holds where that is less.
    #[must_use]
    pub fn text_room(&self, n: usize) -> usize {
        let trained = self.config.max_position_embeddings.saturating_sub(n);
        self.room(n).map_or(trained, |room| room.min(trained))
    }

    /// Number of trainable values in the blocks.
    #[must_use]
    pub fn block_parameters(&self) -> usize {
        self.blocks.iter().map(Module::num_params).sum()
    }
}

/// Whether a model of `count` blocks has those.
pub(super) fn check_blocks(chosen: &[usize], count: usize) -> Result<(), ModelError> {
    let last = count - 1;
    if chosen.is_empty() {
        return Err(ModelError::missing("blocks", "at least one block"));
    }
    match chosen.iter().find(|&&block| block > last) {
        Some(&block) => Err(ModelError::NoSuchBlock { block, last }),
        None => Ok(()),
    }
}

/// The places of one forward pass: blocks that are alike share them.
struct Alike {
    places: Vec<Places>,
    /// Which of them each block has.
    of: Vec<usize>,
}

impl Alike {
    fn new(layers: &[Layer], places: impl Fn(&Layer) -> Places) -> Self {
        let mut kinds: Vec<&Layer> = Vec::new();
        let of = layers.iter().map(|layer| {
            let found = kinds.iter().position(|kind| *kind == layer);
            found.unwrap_or_else(|| {
                kinds.push(layer);
                kinds.len() - 1
            })
        });
        Self {
            of: of.collect(),
            places: kinds.into_iter().map(places).collect(),
        }
    }

    /// Those of a block.
    fn of(&self, block: usize) -> &Places {
        &self.places[self.of[block]]
    }
}
