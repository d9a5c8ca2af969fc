//! Rows → token ids, with the position that the model answers at.

use std::borrow::Cow;
use std::ops::Range;

use tokenizers::{Encoding, Tokenizer};

use super::answer_tokens::AnswerTokens;
use super::answers::{Answers, Label, NoClasses};
use super::dataset::Row;
use super::file::Task;
use super::words::{LabelWords, WordsError, whole_texts};
use super::{Rendered, TemplateError};

/// How tokenizers call their mask: RoBERTa's way and BERT's.
const MASKS: [&str; 2] = ["<mask>", "[MASK]"];

/// Which kind of head answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// A causal LM: the token after the last one.
    Causal,
    /// A masked LM: the token at the mask.
    Masked,
}

/// Why a task and a tokenizer do not go together, or a row cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The template needs a mask or a place that the head does not have.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The label words do not fit the vocabulary.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// A masked model whose tokenizer has no mask token.
    #[error(
        "the model is a masked one, but its tokenizer has neither `<mask>` nor `[MASK]`; does the tokenizer belong to the model?"
    )]
    NoMask,
    /// A masked model that should write.
    #[error(
        "the task `{task}` is answered with text of its own ([answer]), and a masked model fills in one token; take a causal model, or a task with [[classes]]"
    )]
    Masked {
        /// The task's name.
        task: String,
    },
    /// An answer's end that the tokenizer cannot spell.
    #[error(
        "the tokenizer makes no token of {end:?}, which ends an answer; give the task another `end` under [answer]"
    )]
    NoEnd {
        /// The text that should end an answer.
        end: String,
    },
    /// An answer that the tokenizer cannot spell.
    #[error("line {line}: the tokenizer cannot spell the answer; remove the row")]
    Unspelled {
        /// Line of the file.
        line: usize,
    },
    /// An answer that is not allowed to be as long as it is.
    #[error(
        "line {line}: the answer takes {tokens} tokens, and the task allows {most}; raise `max_tokens` under [answer], or shorten the answer"
    )]
    AnswerTooLong {
        /// Line of the file.
        line: usize,
        /// Tokens of the answer.
        tokens: usize,
        /// Tokens allowed.
        most: usize,
    },
    /// A row with a label of another kind than the task's.
    #[error("line {line}: the row was read by another task; read the table again by this one")]
    OtherTask {
        /// Line of the file.
        line: usize,
    },
    /// The tokenizer cannot turn tokens back into text.
    #[error("what the model wrote can't be decoded: {reason}")]
    Decode {
        /// What the tokenizer says.
        reason: String,
    },
    /// Nothing of the text would be left.
    #[error(
        "the template alone takes {template} tokens of the {limit} there are; shorten it or raise `max_length`"
    )]
    TemplateTooLong {
        /// Tokens of the template with empty fields.
        template: usize,
        /// Tokens allowed.
        limit: usize,
    },
    /// The tokenizer made nothing of a text.
    #[error("line {line}: the tokenizer makes no token of this row; remove it")]
    NoTokens {
        /// Line of the file.
        line: usize,
    },
    /// The tokenizer refuses a text.
    #[error("line {line}: the tokenizer fails: {reason}")]
    Tokenizer {
        /// Line of the file.
        line: usize,
        /// What it says.
        reason: String,
    },
}

/// One row as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Token ids of the text, special tokens included, unpadded.
    pub ids: Vec<u32>,
    /// Index in `ids` of the position whose output is the answer, or its first token.
    pub answer: usize,
    /// The answer, where known; one of text stands behind `ids` and ends with its end's tokens.
    pub label: Option<Label<Vec<u32>>>,
    /// Tokens that truncation took from the text.
    pub removed: usize,
}

impl Example {
    /// What a model reads of text and answer: all tokens but an answer's last one, behind which nothing
    /// is asked.
    pub fn read(&self) -> Vec<u32> {
        match &self.label {
            Some(Label::Text(tokens)) => {
                let before_last = tokens.len().saturating_sub(1);
                [self.ids.as_slice(), &tokens[..before_last]].concat()
            }
            _ => self.ids.clone(),
        }
    }

    /// How many tokens a model [reads](Self::read).
    #[allow(clippy::len_without_is_empty)] // A text without tokens is not encoded.
    pub fn len(&self) -> usize {
        self.ids.len() + self.places().len().saturating_sub(1)
    }

    /// The places of [`read`](Self::read) whose outputs are the answer, one for each of its tokens;
    /// the first one alone where the answer is not known or is no text.
    pub fn places(&self) -> Range<usize> {
        let count = match &self.label {
            Some(Label::Text(tokens)) => tokens.len(),
            _ => 1,
        };
        self.answer..self.answer + count
    }
}

/// A task's answers as a tokenizer spells them.
pub enum Spelled<'a> {
    /// The label words of its classes.
    Classes(LabelWords),
    /// Text of its own.
    Open(Box<AnswerTokens<'a>>),
}

impl Spelled<'_> {
    /// The answer of the row at a line, as the model reads it.
    fn label(&self, label: &Label<String>, line: usize) -> Result<Label<Vec<u32>>, EncodeError> {
        match (self, label) {
            (Self::Classes(_), Label::Class(class)) => Ok(Label::Class(*class)),
            (Self::Open(answers), Label::Text(text)) => answers.spell(text, line).map(Label::Text),
            _ => Err(EncodeError::OtherTask { line }),
        }
    }
}

/// A task on one tokenizer.
pub struct Encoder<'a> {
    task: &'a Task,
    tokenizer: Cow<'a, Tokenizer>,
    limit: usize,
    mask: Option<(String, u32)>,
    spelled: Spelled<'a>,
}

impl<'a> Encoder<'a> {
    /// `max_tokens` is what the model has left beside the prompt, of which the longest answer of text
    /// gets its share; the task's own `max_length` applies too.
    ///
    /// # Errors
    /// [`EncodeError`] where template, answers or mask do not fit the tokenizer or the length, or the
    /// head cannot write what the task asks for.
    pub fn new(
        task: &'a Task,
        tokenizer: &'a Tokenizer,
        max_tokens: usize,
        head: Head,
    ) -> Result<Self, EncodeError> {
        let spelled = match (task.answers(), head) {
            (Answers::Classes(_), _) => Spelled::Classes(LabelWords::new(task, tokenizer)?),
            (Answers::Open(open), Head::Causal) => {
                Spelled::Open(Box::new(AnswerTokens::new(open, tokenizer)?))
            }
            (Answers::Open(_), Head::Masked) => {
                let task = task.name().to_owned();
                return Err(EncodeError::Masked { task });
            }
        };
        let behind = match &spelled {
            Spelled::Classes(_) => 0,
            Spelled::Open(answers) => answers.most_tokens(),
        };
        let encoder = Self {
            task,
            tokenizer: whole_texts(tokenizer),
            limit: max_tokens.saturating_sub(behind).min(task.max_length()),
            mask: match head {
                Head::Causal => None,
                Head::Masked => Some(mask_token(tokenizer).ok_or(EncodeError::NoMask)?),
            },
            spelled,
        };
        let blank = vec![""; task.template().fields().len()];
        let template = encoder.tokens(&encoder.render(&blank)?, 0)?.len();
        if template >= encoder.limit {
            return Err(EncodeError::TemplateTooLong {
                template,
                limit: encoder.limit,
            });
        }
        Ok(encoder)
    }

    /// The task's answers in tokens.
    pub fn spelled(&self) -> &Spelled<'a> {
        &self.spelled
    }

    /// The vocabulary rows of the classes.
    ///
    /// # Errors
    /// [`NoClasses`] where the task's answers are text.
    pub fn words(&self) -> Result<&LabelWords, NoClasses> {
        match &self.spelled {
            Spelled::Classes(words) => Ok(words),
            Spelled::Open(_) => Err(NoClasses::of(self.task)),
        }
    }

    /// Ids of the task's init sentence, without special tokens: what the prompt starts from.
    ///
    /// # Errors
    /// [`EncodeError::Tokenizer`], or [`EncodeError::NoTokens`] (line 0: it is no row).
    pub fn init_ids(&self) -> Result<Vec<u32>, EncodeError> {
        let encoding = self.tokenizer.encode(self.task.init_text(), false);
        let ids = encoding
            .map_err(|error| refused(0, &*error))?
            .get_ids()
            .to_vec();
        if ids.is_empty() {
            return Err(EncodeError::NoTokens { line: 0 });
        }
        Ok(ids)
    }

    /// Encodes one row: template → tokens → the start of the text cut off where it is too long; of an
    /// answer nothing is cut.
    ///
    /// # Errors
    /// [`EncodeError`] with the row's line: no token, an answer too long, a tokenizer that fails.
    pub fn encode(&self, row: &Row) -> Result<Example, EncodeError> {
        let rendered = self.render(&row.texts)?;
        let mut tokens = self.tokens(&rendered, row.line)?;
        let removed = truncate(&mut tokens, &rendered.fields, self.limit)?;
        let no_tokens = EncodeError::NoTokens { line: row.line };
        let answer = match (&self.mask, rendered.mask) {
            (Some((_, id)), Some(place)) => tokens
                .iter()
                .position(|token| token.id == *id && token.place.end == place.end && !token.special)
                .ok_or(no_tokens)?,
            _ => tokens.len().checked_sub(1).ok_or(no_tokens)?,
        };
        let label = row.label.as_ref();
        let label = label.map(|label| self.spelled.label(label, row.line));
        Ok(Example {
            ids: tokens.into_iter().map(|token| token.id).collect(),
            answer,
            label: label.transpose()?,
            removed,
        })
    }

    /// Encodes many rows.
    ///
    /// # Errors
    /// The first row's that cannot be encoded.
    pub fn encode_all(&self, rows: &[Row]) -> Result<Vec<Example>, EncodeError> {
        rows.iter().map(|row| self.encode(row)).collect()
    }

    fn render<S: AsRef<str>>(&self, values: &[S]) -> Result<Rendered, TemplateError> {
        let template = self.task.template();
        match &self.mask {
            Some((mask, _)) => Ok(template.masked(values, mask)),
            None => template.causal(values),
        }
    }

    /// The tokens of a rendered row. A causal model answers after the last token of the text, so
    /// special tokens that a tokenizer appends (`</s>`) are left off.
    fn tokens(&self, rendered: &Rendered, line: usize) -> Result<Vec<Token>, EncodeError> {
        let encoding = self.tokenizer.encode(rendered.text.as_str(), true);
        let mut tokens = Token::all(&encoding.map_err(|error| refused(line, &*error))?);
        if self.mask.is_none() {
            let end = tokens
                .iter()
                .rposition(|token| !token.special)
                .map_or(0, |last| last + 1);
            tokens.truncate(end);
        }
        Ok(tokens)
    }
}

/// Indices of `lengths` in groups of at most `rows`, equal lengths together, so that little is
/// padded. Longest first: a batch that does not fit in memory fails at once.
pub fn group_by_length(lengths: &[usize], rows: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    order.chunks(rows.max(1)).map(<[usize]>::to_vec).collect()
}

struct Token {
    id: u32,
    /// Bytes of the rendered text it spells.
    place: Range<usize>,
    /// Added by the tokenizer's post-processor.
    special: bool,
}

impl Token {
    fn all(encoding: &Encoding) -> Vec<Self> {
        let places = encoding.get_offsets().iter();
        let special = encoding.get_special_tokens_mask().iter();
        let tokens = encoding.get_ids().iter().zip(places.zip(special));
        tokens
            .map(|(&id, (&(start, end), &special))| Self {
                id,
                place: start..end,
                special: special == 1,
            })
            .collect()
    }

    fn within(&self, field: &Range<usize>) -> bool {
        !self.special && field.start <= self.place.start && self.place.end <= field.end
    }
}

/// Removes tokens of the fields, first ones first, until `limit` are left; says how many.
fn truncate(
    tokens: &mut Vec<Token>,
    fields: &[Range<usize>],
    limit: usize,
) -> Result<usize, EncodeError> {
    let excess = tokens.len().saturating_sub(limit);
    let mut removed = 0;
    tokens.retain(|token| {
        let remove = removed < excess && fields.iter().any(|field| token.within(field));
        removed += usize::from(remove);
        !remove
    });
    if removed < excess {
        return Err(EncodeError::TemplateTooLong {
            template: tokens.len(),
            limit,
        });
    }
    Ok(removed)
}

fn mask_token(tokenizer: &Tokenizer) -> Option<(String, u32)> {
    MASKS
        .iter()
        .find_map(|&mask| Some((mask.to_owned(), tokenizer.token_to_id(mask)?)))
}

pub(super) fn refused(line: usize, error: &dyn std::error::Error) -> EncodeError {
    EncodeError::Tokenizer {
        line,
        reason: error.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::super::file::tests::SMALL;
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    /// Words that are one token each when they follow a space.
    const WORDS: [&str; 5] = ["bad", "awful", "good", "was", "film"];

    /// A byte-level BPE tokenizer with single ASCII characters and [`WORDS`].
    fn description() -> serde_json::Value {
        let mut vocab = BTreeMap::new();
        let mut add = |token: String| {
            let next = vocab.len();
            vocab.entry(token).or_insert(next);
        };
        for special in ["<s>", "</s>", "<mask>"] {
            add(special.into());
        }
        for byte in b'!'..=b'~' {
            add(char::from(byte).to_string());
        }
        add("Ġ".into());
        let mut merges = Vec::new();
        for word in WORDS {
            let mut left = String::from("Ġ");
            for letter in word.chars() {
                merges.push(json!([left, letter.to_string()]));
                left.push(letter);
                add(left.clone());
            }
        }
        let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "added_tokens": [{"id": 2, "content": "<mask>", "single_word": false, "lstrip": true,
                "rstrip": false, "normalized": false, "special": true}],
            "pre_tokenizer": level, "post_processor": level, "decoder": level,
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": vocab, "merges": merges}
        })
    }

    fn load(description: &serde_json::Value) -> Tokenizer {
        Tokenizer::from_bytes(description.to_string()).unwrap()
    }

    pub(crate) fn tokenizer() -> Tokenizer {
        load(&description())
    }

    /// With `<s> … </s>` around every text, as RoBERTa has it.
    fn wrapping_tokenizer() -> Tokenizer {
        let mut description = description();
        description["post_processor"] = json!({"type": "RobertaProcessing", "sep": ["</s>", 1],
            "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false});
        load(&description)
    }

    fn row(texts: &[&str]) -> Row {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        Row {
            line: 7,
            texts,
            label: Some(Label::Class(1)),
            group: None,
        }
    }

    pub(crate) fn spell(tokenizer: &Tokenizer, ids: &[u32]) -> String {
        let tokens = ids.iter().map(|&id| tokenizer.id_to_token(id).unwrap());
        tokens.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_causal_model_answers_after_the_last_word() {
        let (task, tokenizer) = (Task::from_toml(SMALL).unwrap(), tokenizer());
        let encoder = Encoder::new(&task, &tokenizer, 100, Head::Causal).unwrap();
        let example = encoder.encode(&row(&["a film."])).unwrap();
        assert_eq!(spell(&tokenizer, &example.ids), "a|Ġfilm|.|I|t|Ġwas");
        assert_eq!(
            (example.answer, example.label, example.removed),
            (5, Some(Label::Class(1)), 0)
        );
    }

    #[test]
    fn truncation_takes_the_start_of_the_text() {
        let (task, tokenizer) = (Task::from_toml(SMALL).unwrap(), tokenizer());
        let encoder = Encoder::new(&task, &tokenizer, 6, Head::Causal).unwrap();
        let example = encoder.encode(&row(&["xyz film!?"])).unwrap();
        assert_eq!(spell(&tokenizer, &example.ids), "Ġfilm|!|?|I|t|Ġwas");
        assert_eq!((example.answer, example.removed), (5, 3));
        let by_task = Encoder::new(&task, &tokenizer, 100, Head::Causal).unwrap();
        assert_eq!(
            by_task
                .encode(&row(&["x".repeat(50).as_str()]))
                .unwrap()
                .ids
                .len(),
            12
        );
    }

    #[test]
    fn two_field_templates_keep_their_own_words() {
        let source = SMALL.replace("{text}It was", "T:{text}E:{more}It was");
        let task =
            Task::from_toml(&source.replace("[columns]", "[columns]\nmore = \"m\"")).unwrap();
        let tokenizer = tokenizer();
        let encoder = Encoder::new(&task, &tokenizer, 9, Head::Causal).unwrap();
        let example = encoder.encode(&row(&["abc", "xyz"])).unwrap();
        assert_eq!(spell(&tokenizer, &example.ids), "T|:|E|:|y|z|I|t|Ġwas");
    }

    #[test]
    fn a_masked_model_answers_at_the_templates_mask() {
        let (task, tokenizer) = (Task::from_toml(SMALL).unwrap(), wrapping_tokenizer());
        let encoder = Encoder::new(&task, &tokenizer, 9, Head::Masked).unwrap();
        let example = encoder.encode(&row(&["ab<mask>c"])).unwrap();
        assert_eq!(
            spell(&tokenizer, &example.ids),
            "<s>|<mask>|c|I|t|Ġwas|<mask>|.|</s>"
        );
        assert_eq!((example.answer, example.removed), (6, 2));
    }

    #[test]
    fn a_causal_model_never_answers_after_an_appended_special_token() {
        let (task, tokenizer) = (Task::from_toml(SMALL).unwrap(), wrapping_tokenizer());
        let encoder = Encoder::new(&task, &tokenizer, 9, Head::Causal).unwrap();
        let example = encoder.encode(&row(&["a"])).unwrap();
        assert_eq!(spell(&tokenizer, &example.ids), "<s>|a|I|t|Ġwas");
        assert_eq!(example.answer, 4);
    }

    #[test]
    fn padding_and_truncation_of_the_tokenizer_itself_are_undone() {
        let task = Task::from_toml(SMALL).unwrap();
        let mut description = description();
        description["truncation"] =
            json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
        description["padding"] = json!({"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 1, "pad_type_id": 0, "pad_token": "</s>"});
        let tokenizer = load(&description);
        let encoder = Encoder::new(&task, &tokenizer, 100, Head::Causal).unwrap();
        let example = encoder.encode(&row(&["a film."])).unwrap();
        assert_eq!(spell(&tokenizer, &example.ids), "a|Ġfilm|.|I|t|Ġwas");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (task, tokenizer) = (Task::from_toml(SMALL).unwrap(), tokenizer());
        let short = Encoder::new(&task, &tokenizer, 3, Head::Causal).err();
        assert_eq!(
            short,
            Some(EncodeError::TemplateTooLong {
                template: 3,
                limit: 3
            })
        );
        let mut description = description();
        description["added_tokens"] = json!([]);
        description["model"]["vocab"]
            .as_object_mut()
            .unwrap()
            .remove("<mask>");
        let no_mask = load(&description);
        assert_eq!(
            Encoder::new(&task, &no_mask, 9, Head::Masked).err(),
            Some(EncodeError::NoMask)
        );
    }

    #[test]
    fn the_init_sentence_comes_without_special_tokens() {
        let (task, tokenizer) = (Task::from_toml(SMALL).unwrap(), wrapping_tokenizer());
        let encoder = Encoder::new(&task, &tokenizer, 9, Head::Causal).unwrap();
        let ids = encoder.init_ids().unwrap();
        assert_eq!(ids.len(), "Good".len() + " or".len() + 1);
        assert_eq!(
            tokenizer.id_to_token(ids[ids.len() - 1]).as_deref(),
            Some("Ġbad")
        );
    }

    #[test]
    fn groups_hold_every_index_once_and_pad_little() {
        let lengths = [3, 9, 1, 8, 2];
        assert_eq!(
            group_by_length(&lengths, 2),
            [vec![1, 3], vec![0, 4], vec![2]]
        );
        assert!(group_by_length(&[], 4).is_empty());
    }
}
