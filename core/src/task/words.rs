//! Label words as rows of the vocabulary, and class logits out of theirs.

use std::borrow::Cow;
use std::collections::HashMap;

use tokenizers::Tokenizer;

use super::answers::NoClasses;
use super::file::Task;

/// What stands before a label word when its tokens are looked up: tokenizers spell a word within a
/// sentence (` good`, `▁good`) unlike one at its start.
pub(super) const CONTEXT: &str = "It was";

/// Why label words do not fit a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A task without label words.
    #[error(transparent)]
    NoClasses(#[from] NoClasses),
    /// A word of several tokens, where the task asks for whole words.
    #[error(
        "class `{class}`: the label word `{word}` becomes {count} tokens ({pieces}); choose a commoner word, or set `first_token = true` in the task to score it by its first"
    )]
    SeveralTokens {
        /// The class.
        class: String,
        /// The word.
        word: String,
        /// How many tokens.
        count: usize,
        /// Which.
        pieces: String,
    },
    /// A word that the tokenizer cannot spell.
    #[error("class `{class}`: the tokenizer does not know the label word `{word}`; choose another")]
    UnknownWord {
        /// The class.
        class: String,
        /// The word.
        word: String,
    },
    /// Two classes with one token between them.
    #[error(
        "the label words `{first_word}` ({first}) and `{second_word}` ({second}) begin with the same token `{token}`; replace one of them"
    )]
    Collision {
        /// The shared token.
        token: String,
        /// Class of the first word.
        first: String,
        /// The first word.
        first_word: String,
        /// Class of the second word.
        second: String,
        /// The second word.
        second_word: String,
    },
    /// The tokenizer refuses the text.
    #[error("the tokenizer fails on `{text}`: {reason}")]
    Tokenizer {
        /// What it was given.
        text: String,
        /// What it says.
        reason: String,
    },
}

/// Class → vocabulary rows. Class logit = mean of the raw logits of its words (`method.md` §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelWords {
    /// Distinct token ids of all classes, class after class.
    ids: Vec<u32>,
    /// Each class's range in `ids`.
    classes: Vec<std::ops::Range<usize>>,
    /// The token of every word in the task's order, repeated where words begin alike.
    tokens: Vec<u32>,
}

impl LabelWords {
    /// Looks the task's words up, each as it is spelled after a space.
    ///
    /// # Errors
    /// [`WordsError`]: no classes, several tokens (unless the task says `first_token`), or two classes sharing
    /// a token. Words of *one* class that share their first token count once.
    pub fn new(task: &Task, tokenizer: &Tokenizer) -> Result<Self, WordsError> {
        let tokenizer = &*whole_texts(tokenizer);
        let mut owner: HashMap<u32, (&str, &str)> = HashMap::new();
        let mut words = Self {
            ids: Vec::new(),
            classes: Vec::new(),
            tokens: Vec::new(),
        };
        for class in task.classes()? {
            let start = words.ids.len();
            for word in &class.words {
                let id = look_up(tokenizer, &class.name, word, task.first_token())?;
                words.tokens.push(id);
                match owner.insert(id, (&class.name, word)) {
                    None => words.ids.push(id),
                    Some((first, _)) if first == class.name => {}
                    Some((first, first_word)) => {
                        return Err(WordsError::Collision {
                            token: tokenizer.id_to_token(id).unwrap_or_default(),
                            first: first.to_owned(),
                            first_word: first_word.to_owned(),
                            second: class.name.clone(),
                            second_word: word.clone(),
                        });
                    }
                }
            }
            words.classes.push(start..words.ids.len());
        }
        Ok(words)
    }

    /// The vocabulary rows that the head must compute, all classes after one another.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The (first) token of each label word, word after word as the task lists them: the same words of
    /// another tokenizer stand in the same places.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Token ids of one class.
    pub fn class(&self, index: usize) -> &[u32] {
        &self.ids[self.classes[index].clone()]
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Class logits `[classes]` from the logits `[ids.len()]` of one row, in the order of
    /// [`Self::ids`].
    pub fn class_logits(&self, logits: &[f32]) -> Vec<f32> {
        let mean = |range: &std::ops::Range<usize>| {
            logits[range.clone()].iter().sum::<f32>() / range.len() as f32
        };
        self.classes.iter().map(mean).collect()
    }

    /// Token ids of each class.
    pub fn by_class(&self) -> Vec<&[u32]> {
        (0..self.classes()).map(|class| self.class(class)).collect()
    }
}

/// Index of the largest logit; the first of equal ones.
pub fn argmax(logits: &[f32]) -> usize {
    let better = |best: usize, (index, value): (usize, &f32)| {
        if *value > logits[best] { index } else { best }
    };
    logits.iter().enumerate().fold(0, better)
}

/// Probabilities of the classes: softmax of their logits.
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|logit| libm::exp(f64::from(logit - largest)))
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The tokenizer without truncation and padding of its own, which a `tokenizer.json` may carry.
pub(super) fn whole_texts(tokenizer: &Tokenizer) -> Cow<'_, Tokenizer> {
    if tokenizer.get_truncation().is_none() && tokenizer.get_padding().is_none() {
        return Cow::Borrowed(tokenizer);
    }
    let mut own = tokenizer.clone();
    own.with_padding(None);
    // Only a stride that exceeds the length is refused, and there is none.
    let _ = own.with_truncation(None);
    Cow::Owned(own)
}

/// The (first) token of `word` within a sentence.
fn look_up(
    tokenizer: &Tokenizer,
    class: &str,
    word: &str,
    first_token: bool,
) -> Result<u32, WordsError> {
    let unknown = || WordsError::UnknownWord {
        class: class.to_owned(),
        word: word.to_owned(),
    };
    let tokens = behind_words(tokenizer, &format!(" {word}"))?.ok_or_else(unknown)?;
    let first = *tokens.first().ok_or_else(unknown)?;
    if unknown_tokens(tokenizer).contains(&first) {
        return Err(unknown());
    }
    if tokens.len() > 1 && !first_token {
        let pieces: Vec<_> = tokens
            .iter()
            .filter_map(|&id| tokenizer.id_to_token(id))
            .collect();
        return Err(WordsError::SeveralTokens {
            class: class.to_owned(),
            word: word.to_owned(),
            count: tokens.len(),
            pieces: pieces.join(" "),
        });
    }
    Ok(first)
}

/// The tokens of `text` where it stands behind a few words; `None` where they are no tokens of its own.
pub(super) fn behind_words(
    tokenizer: &Tokenizer,
    text: &str,
) -> Result<Option<Vec<u32>>, WordsError> {
    let before = ids(tokenizer, CONTEXT)?;
    let after = ids(tokenizer, &format!("{CONTEXT}{text}"))?;
    let own = after.strip_prefix(before.as_slice()).map(<[u32]>::to_vec);
    Ok(own.filter(|tokens| !tokens.is_empty()))
}

/// What a tokenizer puts for what it doesn't know.
pub(super) fn unknown_tokens(tokenizer: &Tokenizer) -> Vec<u32> {
    let names = ["<unk>", "[UNK]"].iter();
    names
        .filter_map(|name| tokenizer.token_to_id(name))
        .collect()
}

pub(super) fn ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, WordsError> {
    let encoding = tokenizer
        .encode(text, false)
        .map_err(|error| WordsError::Tokenizer {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
    Ok(encoding.get_ids().to_vec())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::encode::tests::tokenizer;
    use super::super::file::tests::SMALL;
    use super::*;

    fn words(negative: &str, rest: &str) -> Result<LabelWords, WordsError> {
        let source = SMALL.replace("\"bad\", \"awful\"", negative);
        let task = Task::from_toml(&format!("{rest}{source}")).unwrap();
        LabelWords::new(&task, &tokenizer())
    }

    #[test]
    fn words_are_spelled_with_their_leading_space() {
        let words = words("\"bad\", \"awful\"", "").unwrap();
        let tokenizer = tokenizer();
        let spelled = |class| {
            let ids: &[u32] = words.class(class);
            ids.iter()
                .map(|&id| tokenizer.id_to_token(id).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(spelled(0), ["Ġbad", "Ġawful"]);
        assert_eq!(spelled(1), ["Ġgood"]);
        assert_eq!((words.ids().len(), words.classes()), (3, 2));
    }

    #[test]
    fn class_logits_are_means_over_the_classes_words() {
        let words = words("\"bad\", \"awful\"", "").unwrap();
        let logits = words.class_logits(&[1.0, 4.0, -2.0]);
        assert_eq!(logits, [2.5, -2.0]);
        assert_eq!(words.by_class(), [&words.ids()[..2], &words.ids()[2..]]);
        assert_eq!(argmax(&logits), 0);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn several_tokens_are_an_error_unless_the_task_allows_the_first() {
        let error = words("\"badly\"", "").unwrap_err();
        assert!(
            matches!(&error, WordsError::SeveralTokens { word, count: 3, .. } if word == "badly")
        );
        assert!(error.to_string().contains("first_token = true"));
        let first = words("\"badly\"", "first_token = true").unwrap();
        assert_eq!(first.ids()[0], tokenizer().token_to_id("Ġbad").unwrap());
    }

    #[test]
    fn collisions_between_classes_are_errors_and_within_a_class_count_once() {
        let error = words("\"goodly\"", "first_token = true").unwrap_err();
        assert!(
            matches!(error, WordsError::Collision { first_word, .. } if first_word == "goodly")
        );
        let once = words("\"bad\", \"badly\", \"awful\"", "first_token = true").unwrap();
        assert_eq!(once.class(0).len(), 2);
    }
}
