//! Public text for distillation, from files to token sequences.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use post_core::distill::{Corpus, Masking, Sequence};
use post_core::task::Labels;
use tokenizers::Tokenizer;

use crate::failure::{Hint, Usage};
use crate::models::Loaded;
use crate::term::Terminal;
use crate::{data, files};

/// Which files, and how they are cut.
pub(crate) struct Texts<'a> {
    /// One passage a line.
    pub(crate) plain: &'a [PathBuf],
    /// Tables, read as the task's rows.
    pub(crate) rows: &'a [PathBuf],
    /// The task of the tables.
    pub(crate) task: Option<&'a str>,
    /// Every other row stands behind the task's init sentence, repeated to so many tokens.
    pub(crate) behind_init: usize,
    /// Most tokens in a sequence of plain text.
    pub(crate) max_length: usize,
    /// Decides what a masked model has to guess.
    pub(crate) seed: u64,
}

/// Reads and tokenises everything.
///
/// # Errors
/// When a file can't be read, or tables come without a task.
pub(crate) fn read(texts: &Texts<'_>, model: &Loaded, term: &Terminal) -> Result<Corpus> {
    let mut sequences = Vec::new();
    for path in texts.plain {
        sequences.extend(lines(path, &model.tokenizer, texts.max_length)?);
    }
    if !texts.rows.is_empty() {
        sequences.extend(rows(texts, model, term)?);
    }
    let config = model.lm.config();
    let corpus = match config.causal {
        true => Corpus::causal(sequences)?,
        false => {
            let (vocab_size, seed) = (config.vocab_size as u32, texts.seed);
            let mask = mask(&model.tokenizer)?;
            Corpus::masked(
                sequences,
                Masking {
                    mask,
                    vocab_size,
                    seed,
                },
            )?
        }
    };
    let (texts, tokens, longest) = (corpus.len(), corpus.tokens(), corpus.longest());
    term.note(format!(
        "corpus: {texts} texts, {tokens} tokens, the longest {longest}"
    ));
    Ok(corpus)
}

fn lines(path: &Path, tokenizer: &Tokenizer, max_length: usize) -> Result<Vec<Sequence>> {
    let text = files::read_text(path)?;
    let mut sequences = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let encoding = tokenizer
            .encode(line, true)
            .map_err(|error| anyhow!("{}:{}: {error}", path.display(), number + 1))?;
        let pieces = encoding.get_ids().chunks(max_length.max(1));
        sequences.extend(pieces.map(|ids| Sequence {
            ids: ids.to_vec(),
            answer: None,
        }));
    }
    Ok(sequences)
}

fn rows(texts: &Texts<'_>, model: &Loaded, term: &Terminal) -> Result<Vec<Sequence>> {
    let task = texts
        .task
        .ok_or_else(|| Usage("--data needs the task that its rows are of".into()))
        .hint("give --task FILE|NAME")?;
    let task = data::task(task)?;
    let encoder = model.encoder(&task, texts.behind_init)?;
    let init = encoder.init_ids()?;
    let init: Vec<u32> = init.into_iter().cycle().take(texts.behind_init).collect();
    let mut sequences = Vec::new();
    for path in texts.rows {
        let rows = data::dataset(path, &task, Labels::Unused, term)?.rows;
        let examples = encoder
            .encode_all(&rows)
            .with_context(|| path.display().to_string())?;
        for (index, example) in examples.into_iter().enumerate() {
            let before: &[u32] = if index % 2 == 1 { &init } else { &[] };
            sequences.push(Sequence {
                ids: [before, &example.ids].concat(),
                answer: Some(before.len() + example.answer),
            });
        }
    }
    Ok(sequences)
}

fn mask(tokenizer: &Tokenizer) -> Result<u32> {
    let known = ["<mask>", "[MASK]"];
    let found = known
        .into_iter()
        .find_map(|token| tokenizer.token_to_id(token));
    found.context("the teacher is a masked model, but its tokenizer has no mask")
}
