//! Public text to distil on.

use sha2::{Digest, Sha256};

use super::DistillError;
use crate::optim::SplitMix64;

/// One text, tokenised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The position that a task reads, if the text ends in a task's template.
    pub answer: Option<usize>,
}

/// How a masked LM's text is masked: 15 % of the tokens are to be guessed, of which 80 % become the
/// mask, 10 % a random token, 10 % stay (Devlin et al., 2019).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masking {
    /// The mask's id.
    pub mask: u32,
    /// Size of the vocabulary.
    pub vocab_size: u32,
    /// Decides which tokens.
    pub seed: u64,
}

/// Texts with what is to be predicted at each token, shortest first so that neighbours pad little.
#[derive(Debug, Clone)]
pub struct Corpus {
    items: Vec<Item>,
    /// Tokens before each item, and all tokens at the end.
    starts: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) ids: Vec<u32>,
    /// What stands at, or comes after, each token; `None` where nothing is to be predicted.
    pub(super) targets: Vec<Option<u32>>,
    pub(super) answer: Option<usize>,
}

impl Corpus {
    /// For a causal LM: the target of a token is the next one.
    ///
    /// # Errors
    /// [`DistillError::NoText`] or [`DistillError::BadSequence`].
    pub fn causal(sequences: Vec<Sequence>) -> Result<Self, DistillError> {
        let next = |sequence: Sequence| Item {
            targets: sequence
                .ids
                .iter()
                .skip(1)
                .map(|&id| Some(id))
                .chain([None])
                .collect(),
            ids: sequence.ids,
            answer: sequence.answer,
        };
        Self::new(sequences, next)
    }

    /// For a masked LM. A text is masked once and for all, not anew in each epoch, so that the
    /// teacher's states can be kept; the answer position is left as it is.
    ///
    /// # Errors
    /// [`DistillError::NoText`] or [`DistillError::BadSequence`].
    pub fn masked(sequences: Vec<Sequence>, masking: Masking) -> Result<Self, DistillError> {
        let mut generator = SplitMix64::new(masking.seed);
        Self::new(sequences, |sequence| {
            masking.apply(sequence, &mut generator)
        })
    }

    fn new(
        sequences: Vec<Sequence>,
        item: impl FnMut(Sequence) -> Item,
    ) -> Result<Self, DistillError> {
        let bad = |sequence: &Sequence| {
            sequence.ids.is_empty() || sequence.answer.is_some_and(|at| at >= sequence.ids.len())
        };
        if let Some(index) = sequences.iter().position(bad) {
            return Err(DistillError::BadSequence(index));
        }
        let mut items: Vec<Item> = sequences.into_iter().map(item).collect();
        if items.is_empty() {
            return Err(DistillError::NoText);
        }
        items.sort_by_key(|item| item.ids.len());
        let mut starts = vec![0];
        starts.extend(items.iter().scan(0, |tokens, item| {
            *tokens += item.ids.len();
            Some(*tokens)
        }));
        Ok(Self { items, starts })
    }

    /// Number of texts.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // `new` refuses to make an empty one.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Number of tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.starts[self.items.len()]
    }

    /// Tokens of the longest text.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.items.last().map_or(0, |item| item.ids.len())
    }

    /// Tokens before text `index`.
    #[must_use]
    pub fn start(&self, index: usize) -> usize {
        self.starts[index]
    }

    /// How many whole texts have their states within the first `tokens` tokens: where an interrupted
    /// cache goes on.
    #[must_use]
    pub fn whole_texts(&self, tokens: usize) -> usize {
        self.starts.partition_point(|&start| start <= tokens) - 1
    }

    /// SHA-256, in hex, of the texts in their order: names a cache of the teacher's states.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for item in &self.items {
            hasher.update((item.ids.len() as u64).to_le_bytes());
            let answer = item.answer.map_or(u64::MAX, |at| at as u64);
            hasher.update(answer.to_le_bytes());
            item.ids
                .iter()
                .for_each(|id| hasher.update(id.to_le_bytes()));
        }
        format!("{:x}", hasher.finalize())
    }

    pub(super) fn item(&self, index: usize) -> &Item {
        &self.items[index]
    }
}

impl Masking {
    fn apply(&self, sequence: Sequence, generator: &mut SplitMix64) -> Item {
        let Sequence { mut ids, answer } = sequence;
        let mut targets = vec![None; ids.len()];
        for (place, id) in ids.iter_mut().enumerate() {
            let (chosen, fate) = (generator.unit() < 0.15, generator.unit());
            if !chosen || answer == Some(place) || *id == self.mask {
                continue;
            }
            targets[place] = Some(*id);
            if fate < 0.8 {
                *id = self.mask;
            } else if fate < 0.9 {
                *id = generator.below(self.vocab_size as usize) as u32;
            }
        }
        Item {
            ids,
            targets,
            answer,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sequence(ids: &[u32]) -> Sequence {
        Sequence {
            ids: ids.to_vec(),
            answer: None,
        }
    }

    #[test]
    fn texts_stand_shortest_first_and_predict_the_next_token() {
        let corpus = Corpus::causal(vec![
            sequence(&[1, 2, 3]),
            sequence(&[4]),
            sequence(&[5, 6]),
        ]);
        let corpus = corpus.unwrap();
        assert_eq!((corpus.len(), corpus.tokens(), corpus.longest()), (3, 6, 3));
        assert_eq!(corpus.item(0).targets, [None]);
        assert_eq!(corpus.item(2).targets, [Some(2), Some(3), None]);
        let starts: Vec<usize> = (0..3).map(|i| corpus.start(i)).collect();
        assert_eq!(starts, [0, 1, 3]);
        let whole: Vec<usize> = [0, 1, 2, 3, 5, 6]
            .map(|tokens| corpus.whole_texts(tokens))
            .into();
        assert_eq!(whole, [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn fingerprints_tell_texts_apart() {
        let print = |texts: &[&[u32]]| {
            let sequences = texts.iter().map(|ids| sequence(ids)).collect();
            Corpus::causal(sequences).unwrap().fingerprint()
        };
        assert_eq!(print(&[&[1, 2], &[3]]), print(&[&[3], &[1, 2]]));
        assert_ne!(print(&[&[1, 2], &[3]]), print(&[&[1], &[2, 3]]));
        assert_ne!(print(&[&[1, 2]]), print(&[&[1, 3]]));
    }

    #[test]
    fn a_seventh_is_masked_as_bert_has_it() {
        let ids: Vec<u32> = (0..20_000).map(|i| 10 + i % 500).collect();
        let answer = Some(7);
        let masking = Masking {
            mask: 4,
            vocab_size: 600,
            seed: 1,
        };
        let corpus = Corpus::masked(
            vec![Sequence {
                ids: ids.clone(),
                answer,
            }],
            masking,
        )
        .unwrap();
        let item = corpus.item(0);
        let chosen: Vec<usize> = (0..ids.len())
            .filter(|&i| item.targets[i].is_some())
            .collect();
        let masked = chosen.iter().filter(|&&i| item.ids[i] == 4).count() as f64;
        let kept = chosen.iter().filter(|&&i| item.ids[i] == ids[i]).count() as f64;
        // Six standard deviations of each share.
        assert!((chosen.len() as f64 / 2e4 - 0.15).abs() < 0.016);
        assert!((masked / chosen.len() as f64 - 0.8).abs() < 0.045);
        assert!((kept / chosen.len() as f64 - 0.1).abs() < 0.034);
        assert_eq!(item.ids[7], ids[7]);
        for (i, id) in ids.iter().enumerate() {
            assert!(item.targets[i].map_or(item.ids[i] == *id, |target| target == *id));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert!(matches!(Corpus::causal(vec![]), Err(DistillError::NoText)));
        let empty = Corpus::causal(vec![sequence(&[1]), sequence(&[])]);
        assert!(matches!(empty, Err(DistillError::BadSequence(1))));
        let outside = Sequence {
            ids: vec![1, 2],
            answer: Some(2),
        };
        assert!(matches!(
            Corpus::causal(vec![outside]),
            Err(DistillError::BadSequence(0))
        ));
    }
}
