//! Public text for distillation, from files of any size to the token sequences that a run looks at.
//!
//! A run of T steps of B texts looks at T·B texts at most. So many are drawn while the files are read
//! once, by a seeded shuffle of which only the beginning is kept ([`Draw`]): memory is bounded by the
//! run, not by the files, and the run sees what it would have seen of the whole, shuffled. Where the
//! files hold no more than that, all of it is taken.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use post_core::distill::{Corpus, Masking, Sequence};
use post_core::model::PromptPlace;
use post_core::task::{BadRow, Encoder, Example, Labels, Row, Task};
use post_data::{Draw, Passage};
use tokenizers::Tokenizer;

use crate::data;
use crate::failure::{Hint, Usage};
use crate::models::Loaded;
use crate::term::Terminal;

/// Which files, and how they are cut.
pub(crate) struct Texts<'a> {
    /// Plain text, one passage a line, or tables with a column of text.
    pub(crate) plain: &'a [PathBuf],
    /// That column.
    pub(crate) column: &'a str,
    /// Tables, read as the task's rows.
    pub(crate) rows: &'a [PathBuf],
    /// The task of the tables.
    pub(crate) task: Option<&'a str>,
    /// Every other row has the task's init sentence, repeated to so many tokens, where a prompt will stand.
    pub(crate) behind_init: usize,
    /// Where that is.
    pub(crate) place: PromptPlace,
    /// Most tokens in a sequence of plain text.
    pub(crate) max_length: usize,
    /// Sequences that the run looks at.
    pub(crate) most: usize,
    /// Decides which texts are drawn, and what a masked model has to guess.
    pub(crate) seed: u64,
}

/// A text that may be drawn.
enum Text {
    Passage(Passage),
    /// A row of the task, and whether it has the init sentence.
    Row(Row, bool),
}

/// Keeps the draw apart from whatever else the seed decides.
const DRAW: u64 = 0x6472_6177;

/// Reads everything, and tokenises what is drawn.
///
/// # Errors
/// When a file can't be read, or tables come without a task.
pub(crate) fn read(texts: &Texts<'_>, model: &Loaded, term: &Terminal) -> Result<Corpus> {
    let mut draw = Draw::new(texts.seed ^ DRAW, texts.most);
    let mut files = post_data::files::expand(texts.plain)?;
    for (file, path) in files.iter().enumerate() {
        plain(file, path, texts.column, &mut draw, term)?;
    }
    let task = task(texts)?;
    let encoder = task
        .as_ref()
        .map(|task| model.encoder(task, texts.behind_init))
        .transpose()?;
    if let Some(task) = &task {
        for path in post_data::files::expand(texts.rows)? {
            let rows = data::rows(std::slice::from_ref(&path), task, Labels::Unused, term)?;
            for (index, row) in rows.rows.into_iter().enumerate() {
                draw.offer((files.len(), Text::Row(row, index % 2 == 1)));
            }
            files.push(path);
        }
    }
    let met = draw.met();
    let sequences = tokenise(draw, &files, encoder.as_ref(), texts, &model.tokenizer)?;
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
    let (sequences, tokens, longest) = (corpus.len(), corpus.tokens(), corpus.longest());
    term.note(format!(
        "corpus: {sequences} sequences of {met} texts, {tokens} tokens, the longest {longest}"
    ));
    Ok(corpus)
}

/// The task of the tables; none where there are no tables.
fn task(texts: &Texts<'_>) -> Result<Option<Task>> {
    if texts.rows.is_empty() {
        return Ok(None);
    }
    let name = texts
        .task
        .ok_or_else(|| Usage("--data needs the task that its rows are of".into()))
        .hint("give --task FILE|NAME")?;
    data::task(name).map(Some)
}

/// Offers a file's passages. Its rows that hold none are named.
fn plain(
    file: usize,
    path: &Path,
    column: &str,
    draw: &mut Draw<(usize, Text)>,
    term: &Terminal,
) -> Result<()> {
    let mut bad = 0;
    for passage in post_data::passages(path, column)? {
        match passage? {
            Ok(passage) => draw.offer((file, Text::Passage(passage))),
            Err(BadRow { line, reason }) => {
                bad += 1;
                if bad <= data::NAMED {
                    term.warn(format!("{}:{line}: left out: {reason}", path.display()));
                }
            }
        }
    }
    if bad > data::NAMED {
        let more = bad - data::NAMED;
        term.warn(format!("{}: {more} more rows left out", path.display()));
    }
    Ok(())
}

/// The drawn texts as sequences, in the order of the shuffle until there are enough; then in the
/// files' order.
fn tokenise(
    draw: Draw<(usize, Text)>,
    files: &[PathBuf],
    encoder: Option<&Encoder<'_>>,
    texts: &Texts<'_>,
    tokenizer: &Tokenizer,
) -> Result<Vec<Sequence>> {
    let init = encoder.map_or(Ok(Vec::new()), Encoder::init_ids)?;
    let init: Vec<u32> = init.into_iter().cycle().take(texts.behind_init).collect();
    let (most, mut chosen, mut count) = (draw.limit(), Vec::new(), 0);
    for (place, (file, text)) in draw.shuffled() {
        if count >= most {
            break;
        }
        let path = files[file].display();
        let sequences = match (&text, encoder) {
            (Text::Passage(passage), _) => pieces(passage, tokenizer, texts.max_length)
                .map_err(|error| anyhow!("{path}:{}: {error}", passage.line))?,
            (Text::Row(row, behind), Some(encoder)) => {
                let init: &[u32] = if *behind { &init } else { &[] };
                let example = encoder.encode(row).with_context(|| path.to_string())?;
                vec![with_init(&example, init, texts.place)]
            }
            (Text::Row(..), None) => Vec::new(),
        };
        count += sequences.len();
        chosen.push((place, sequences));
    }
    chosen.sort_by_key(|(place, _)| *place);
    Ok(chosen
        .into_iter()
        .flat_map(|(_, sequences)| sequences)
        .collect())
}

/// A row with the init sentence where a prompt will stand. No row is answered at its BOS.
fn with_init(row: &Example, init: &[u32], place: PromptPlace) -> Sequence {
    let (start, rest) = row.ids.split_at(place.tokens_before());
    Sequence {
        ids: [start, init, rest].concat(),
        answer: Some(init.len() + row.answer),
    }
}

/// A passage, cut where it is too long.
fn pieces(
    passage: &Passage,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> tokenizers::Result<Vec<Sequence>> {
    let encoding = tokenizer.encode(passage.text.as_str(), true)?;
    let pieces = encoding.get_ids().chunks(max_length.max(1));
    let sequence = |ids: &[u32]| Sequence {
        ids: ids.to_vec(),
        answer: None,
    };
    Ok(pieces.map(sequence).collect())
}

fn mask(tokenizer: &Tokenizer) -> Result<u32> {
    let known = ["<mask>", "[MASK]"];
    let found = known
        .into_iter()
        .find_map(|token| tokenizer.token_to_id(token));
    found.context("the teacher is a masked model, but its tokenizer has no mask")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A number is one token, itself.
    fn tokenizer() -> Tokenizer {
        let vocab: serde_json::Map<_, _> = (0..500).map(|i| (i.to_string(), json!(i))).collect();
        let description = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "none"}
        });
        Tokenizer::from_bytes(description.to_string()).unwrap()
    }

    /// The sequences of `lines` as a run of `most` sees them, cut after three tokens.
    fn sequences(lines: &[String], most: usize, seed: u64) -> Vec<Vec<u32>> {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = lines.split_at(lines.len() / 3);
        let files = ["a.txt", "b.txt"].map(|name| folder.path().join(name));
        for (file, lines) in files.iter().zip([first, second]) {
            std::fs::write(file, lines.join("\n")).unwrap();
        }
        let texts = Texts {
            plain: &files,
            column: "text",
            rows: &[],
            task: None,
            behind_init: 0,
            place: PromptPlace::BeforeBos,
            max_length: 3,
            most,
            seed,
        };
        let mut draw = Draw::new(seed, most);
        for (file, path) in files.iter().enumerate() {
            plain(file, path, "text", &mut draw, &Terminal::new(true)).unwrap();
        }
        let sequences = tokenise(draw, &files, None, &texts, &tokenizer()).unwrap();
        sequences.into_iter().map(|sequence| sequence.ids).collect()
    }

    #[test]
    fn text_that_a_run_looks_at_wholly_is_taken_in_its_order() {
        let lines: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let ids: Vec<Vec<u32>> = (0..100).map(|i| vec![i]).collect();
        assert_eq!(sequences(&lines, 100, 1), ids);
        assert_eq!(sequences(&lines, 5000, 2), ids);
    }

    #[test]
    fn more_text_is_drawn_by_the_seed_and_no_more_than_the_run_looks_at() {
        let lines: Vec<String> = (0..400).map(|i| i.to_string()).collect();
        let drawn = sequences(&lines, 40, 1);
        assert_eq!(drawn.len(), 40);
        assert!(drawn.is_sorted());
        assert!(drawn[0][0] < 100 && drawn[39][0] > 300, "{drawn:?}");
        assert_eq!(sequences(&lines, 40, 1), drawn);
        assert_ne!(sequences(&lines, 40, 2), drawn);
    }

    #[test]
    fn the_init_sentence_stands_where_a_prompt_will() {
        let row = Example {
            ids: vec![1, 8, 9],
            answer: 2,
            label: None,
            removed: 0,
        };
        for (place, ids) in [
            (PromptPlace::BeforeBos, [5, 6, 1, 8, 9]),
            (PromptPlace::AfterBos, [1, 5, 6, 8, 9]),
        ] {
            let found = with_init(&row, &[5, 6], place);
            assert_eq!((found.ids, found.answer), (ids.to_vec(), Some(4)));
            assert_eq!(with_init(&row, &[], place).ids, row.ids);
        }
    }

    #[test]
    fn long_passages_count_by_their_pieces() {
        let lines: Vec<String> = (0..50).map(|i| format!("{i} ").repeat(9)).collect();
        let drawn = sequences(&lines, 20, 1);
        assert_eq!(drawn.len(), 21, "three pieces of each of seven passages");
        assert!(drawn.iter().all(|ids| ids.len() == 3));
    }
}
