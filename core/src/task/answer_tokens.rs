//! Answers of text as tokens, and back.

use std::borrow::Cow;

use tokenizers::Tokenizer;

use super::answers::OpenAnswer;
use super::encode::EncodeError;
use super::words::{behind_words, unknown_tokens, whole_texts};

/// A task's answers of text on one tokenizer.
///
/// Text and answer are encoded apart, the answer behind a space as label words are, and its end behind
/// both: what is to be predicted begins and ends with tokens of its own, whatever stands before it.
pub struct AnswerTokens<'a> {
    tokenizer: Cow<'a, Tokenizer>,
    open: &'a OpenAnswer,
    /// Of the text that ends an answer.
    end: Vec<u32>,
}

impl<'a> AnswerTokens<'a> {
    /// Looks the answers' end up.
    pub(super) fn new(open: &'a OpenAnswer, tokenizer: &'a Tokenizer) -> Result<Self, EncodeError> {
        let tokenizer = whole_texts(tokenizer);
        let end = spelled(&tokenizer, &open.end)?.ok_or_else(|| EncodeError::NoEnd {
            end: open.end.clone(),
        })?;
        Ok(Self {
            tokenizer,
            open,
            end,
        })
    }

    /// Most tokens that an answer takes together with its end.
    pub fn most_tokens(&self) -> usize {
        self.open.max_tokens + self.end.len()
    }

    /// The answer's tokens and those of its end.
    pub(super) fn spell(&self, answer: &str, line: usize) -> Result<Vec<u32>, EncodeError> {
        let tokens = spelled(&self.tokenizer, &format!(" {answer}"))?;
        let mut tokens = tokens.ok_or(EncodeError::Unspelled { line })?;
        let most = self.open.max_tokens;
        if tokens.len() > most {
            let tokens = tokens.len();
            return Err(EncodeError::AnswerTooLong { line, tokens, most });
        }
        tokens.extend(&self.end);
        Ok(tokens)
    }

    /// Whether nothing that follows these tokens belongs to the answer: its end is written, or a special
    /// token is, such as the one that ends a text.
    pub fn ended(&self, written: &[u32]) -> bool {
        let special = |&id: &u32| {
            let token = self.tokenizer.id_to_token(id);
            let added = self.tokenizer.get_added_vocabulary();
            token.is_none_or(|token| added.is_special_token(&token))
        };
        written.last().is_some_and(special)
            || self
                .decoded(written)
                .is_ok_and(|text| text.contains(&self.open.end))
    }

    /// The answer in these tokens: what stands before its end, without space around it.
    ///
    /// # Errors
    /// [`EncodeError::Decode`].
    pub fn text(&self, written: &[u32]) -> Result<String, EncodeError> {
        let text = self.decoded(written)?;
        let answer = text.split(&self.open.end).next().unwrap_or_default();
        Ok(answer.trim().to_owned())
    }

    fn decoded(&self, tokens: &[u32]) -> Result<String, EncodeError> {
        let text = self.tokenizer.decode(tokens, true);
        text.map_err(|error| EncodeError::Decode {
            reason: error.to_string(),
        })
    }
}

/// The tokens of a text within a sentence; `None` where not all of it is known.
fn spelled(tokenizer: &Tokenizer, text: &str) -> Result<Option<Vec<u32>>, EncodeError> {
    let unknown = unknown_tokens(tokenizer);
    let tokens = behind_words(tokenizer, text)?;
    Ok(tokens.filter(|tokens| tokens.iter().all(|id| !unknown.contains(id))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::answers::tests::open;
    use super::super::encode::tests::{spell, tokenizer};
    use super::super::file::tests::SMALL;
    use super::super::{Encoder, Example, Head, Label, Row, Spelled, Task};
    use super::*;

    fn task(max_tokens: usize) -> Task {
        let answer = format!("max_tokens = {max_tokens}\nend = \".\"");
        Task::from_toml(&open(&answer)).unwrap()
    }

    fn row(text: &str, answer: &str) -> Row {
        Row {
            line: 7,
            texts: vec![text.to_owned()],
            label: Some(Label::Text(answer.to_owned())),
            group: None,
        }
    }

    fn encode(task: &Task, limit: usize, row: &Row) -> Result<Example, EncodeError> {
        let tokenizer = tokenizer();
        let encoder = Encoder::new(task, &tokenizer, limit, Head::Causal)?;
        encoder.encode(row)
    }

    #[test]
    fn an_answer_follows_the_text_and_ends_with_its_end() {
        let example = encode(&task(3), 100, &row("a film", "good bad")).unwrap();
        let tokenizer = tokenizer();
        assert_eq!(spell(&tokenizer, &example.ids), "a|Ġfilm|I|t|Ġwas");
        let Some(Label::Text(answer)) = &example.label else {
            panic!("it has an answer")
        };
        assert_eq!(spell(&tokenizer, answer), "Ġgood|Ġbad|.");
        assert_eq!(
            spell(&tokenizer, &example.read()),
            "a|Ġfilm|I|t|Ġwas|Ġgood|Ġbad"
        );
        assert_eq!(example.len(), example.read().len());
        // Each of its three tokens is predicted by the place before it.
        assert_eq!(example.places(), 4..7);
    }

    #[test]
    fn without_an_answer_there_is_one_place() {
        let bare = Row {
            label: None,
            ..row("a film", "")
        };
        let example = encode(&task(3), 100, &bare).unwrap();
        assert_eq!((example.len(), example.places()), (5, 4..5));
        assert_eq!(example.read(), example.ids);
    }

    #[test]
    fn truncation_leaves_template_and_answer_whole() {
        // Nine tokens, four of them for the longest answer and its end.
        let example = encode(&task(3), 9, &row("xyz film", "bad")).unwrap();
        assert_eq!(spell(&tokenizer(), &example.ids), "z|Ġfilm|I|t|Ġwas");
        assert_eq!((example.removed, example.answer), (2, 4));
        assert_eq!(example.places().len(), 2);
    }

    #[test]
    fn a_long_answer_is_an_error_with_its_line() {
        let error = encode(&task(2), 100, &row("a", "good bad film")).unwrap_err();
        assert_eq!(
            error,
            EncodeError::AnswerTooLong {
                line: 7,
                tokens: 3,
                most: 2
            }
        );
        let message = error.to_string();
        assert!(
            message.contains("line 7") && message.contains("`max_tokens`"),
            "{message}"
        );
        assert!(encode(&task(2), 100, &row("a", "good bad")).is_ok());
    }

    #[test]
    fn what_the_tokenizer_cannot_spell_is_an_error() {
        // The vocabulary has no new line.
        let endless = Task::from_toml(&open("max_tokens = 3")).unwrap();
        let error = encode(&endless, 100, &row("a", "bad")).unwrap_err();
        assert!(matches!(&error, EncodeError::NoEnd { end } if end == "\n"));
    }

    #[test]
    fn a_row_of_another_task_is_refused_and_so_is_a_masked_model() {
        let classes = Task::from_toml(SMALL).unwrap();
        let error = encode(&classes, 100, &row("a", "bad")).unwrap_err();
        assert_eq!(error, EncodeError::OtherTask { line: 7 });
        let (task, tokenizer) = (task(3), tokenizer());
        let masked = Encoder::new(&task, &tokenizer, 100, Head::Masked);
        let error = masked.err().unwrap();
        assert!(matches!(error, EncodeError::Masked { .. }));
        assert!(error.to_string().contains("causal"), "{error}");
        let open = Encoder::new(&task, &tokenizer, 100, Head::Causal).unwrap();
        assert!(open.words().is_err());
    }

    #[test]
    fn what_is_written_is_read_up_to_its_end() {
        let (task, tokenizer) = (task(3), tokenizer());
        let encoder = Encoder::new(&task, &tokenizer, 100, Head::Causal).unwrap();
        let Spelled::Open(answers) = encoder.spelled() else {
            panic!("it has no classes")
        };
        assert_eq!(answers.most_tokens(), 4);
        let ids = |tokens: &[&str]| -> Vec<u32> {
            let ids = tokens.iter().map(|token| tokenizer.token_to_id(token));
            ids.collect::<Option<_>>().unwrap()
        };
        let open = ids(&["Ġgood", "Ġfilm"]);
        let ended = ids(&["Ġgood", "Ġfilm", ".", "Ġbad"]);
        assert_eq!(answers.text(&open).unwrap(), "good film");
        assert_eq!(answers.text(&ended).unwrap(), "good film");
        assert!(!answers.ended(&open) && answers.ended(&ended[..3]));
        // A special token ends an answer, too, and is no part of it.
        let special = ids(&["Ġgood", "<mask>"]);
        assert!(answers.ended(&special));
        assert_eq!(answers.text(&special).unwrap(), "good");
        assert!(!answers.ended(&[]));
    }
}
