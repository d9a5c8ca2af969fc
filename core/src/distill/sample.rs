//! Text of the teacher's own, to distil on where no other text is public, free and of the domain.

use std::collections::HashSet;

use super::DistillError;
use crate::model::{Lm, TokenBatch, Writing};
use crate::optim::{SplitMix64, read};

/// How freely the teacher writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Tokens after which a text ends, whatever it says.
    pub max_new_tokens: usize,
    /// Divides the logits: below 1 it writes what is likely, above 1 what is not.
    pub temperature: f64,
    /// Only so many of the likeliest tokens are drawn from.
    pub top_k: usize,
    /// Decides what is drawn.
    pub seed: u64,
}

/// Continues the tokens `start` in `count` ways, each up to a token of `stop`, which is left out.
///
/// All are written side by side, a token of each at a time, and a text that has ended takes no more
/// part.
///
/// # Errors
/// [`DistillError::Beginning`] where there is nothing to continue, or the model is not causal;
/// [`DistillError::Range`]; a failing device.
pub async fn sample(
    lm: &Lm,
    start: &[u32],
    count: usize,
    stop: &HashSet<u32>,
    sampling: &Sampling,
) -> Result<Vec<Vec<u32>>, DistillError> {
    sampling.check(lm, start)?;
    let mut generator = SplitMix64::new(sampling.seed);
    let (hidden, past) = lm.pass(&lm.embed(&TokenBatch::padded(&[start], 0)));
    let last = hidden.narrow(1, start.len() - 1, 1).squeeze_dim::<2>(1);
    let first = read(lm.logits(last)).await?;
    let drawn: Vec<u32> = (0..count)
        .map(|_| sampling.draw(&first, &mut generator))
        .collect();
    let ended = |text: &[u32]| text.last().is_some_and(|id| stop.contains(id));
    let mut writing = Writing::behind(past.select(&vec![0; count]), count);
    writing.take(&drawn, ended);
    for _ in 1..sampling.max_new_tokens {
        if writing.open() == 0 {
            break;
        }
        let logits = read(writing.logits(lm)).await?;
        let vocabulary = logits.len() / writing.open();
        let drawn: Vec<u32> = logits
            .chunks(vocabulary)
            .map(|logits| sampling.draw(logits, &mut generator))
            .collect();
        writing.take(&drawn, ended);
    }
    let mut texts = writing.into_texts();
    for text in texts.iter_mut().filter(|text| ended(text)) {
        text.pop();
    }
    Ok(texts)
}

impl Sampling {
    fn check(&self, lm: &Lm, start: &[u32]) -> Result<(), DistillError> {
        if start.is_empty() || !lm.config().causal {
            return Err(DistillError::Beginning);
        }
        let length = start.len() + self.max_new_tokens;
        if let Some(room) = lm.room(0).filter(|&room| length > room) {
            return Err(DistillError::TooLong { length, room });
        }
        let range = |field, value: f64, must| DistillError::Range { field, value, must };
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(range("temperature", self.temperature, "above 0"));
        }
        if self.top_k == 0 {
            return Err(range("top_k", 0.0, "at least 1"));
        }
        Ok(())
    }

    /// One token: the softmax over the `top_k` largest of `logits` at this temperature.
    fn draw(&self, logits: &[f32], generator: &mut SplitMix64) -> u32 {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let kept = self.top_k.min(order.len());
        let larger = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]);
        order.select_nth_unstable_by(kept - 1, larger);
        order.truncate(kept);
        order.sort_unstable_by(larger);
        let largest = f64::from(logits[order[0] as usize]);
        let weight =
            |&id: &u32| libm::exp((f64::from(logits[id as usize]) - largest) / self.temperature);
        let mut left = generator.unit() * order.iter().map(weight).sum::<f64>();
        let chosen = order.iter().find(|id| {
            left -= weight(id);
            left < 0.0
        });
        *chosen.unwrap_or(&order[0])
    }
}

/// The text up to its last whole sentence; none if there is no whole one.
#[must_use]
pub fn whole_sentences(text: &str) -> Option<&str> {
    let end = text.rfind(['.', '!', '?'])? + 1;
    let closing = text[end..].chars().next().filter(|c| "\"”)".contains(*c));
    let end = end + closing.map_or(0, char::len_utf8);
    Some(text[..end].trim()).filter(|text| text.len() > 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::testing::{gpt2, llama, random, roberta};

    fn sampling(temperature: f64, top_k: usize) -> Sampling {
        Sampling {
            max_new_tokens: 6,
            temperature,
            top_k,
            seed: 3,
        }
    }

    fn likeliest(logits: &[f32]) -> u32 {
        let best = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]);
        (0..logits.len()).max_by(best).unwrap() as u32
    }

    /// With one candidate it is greedy, and each token is the best behind all those before it.
    #[test]
    fn the_likeliest_token_follows_all_that_stands_before_it() {
        for config in [llama(), gpt2()] {
            let lm = random(&config, 5);
            let (stop, greedy) = (HashSet::new(), sampling(1.0, 1));
            let texts = pollster::block_on(sample(&lm, &[3, 1], 2, &stop, &greedy)).unwrap();
            assert_eq!(texts[0], texts[1]);
            let mut ids = vec![3, 1];
            for &next in &texts[0] {
                let input = lm.embed(&TokenBatch::padded(&[&ids], 0));
                let logits = lm.logits(lm.hidden_at(&input, &[ids.len() - 1]));
                assert_eq!(next, likeliest(&pollster::block_on(read(logits)).unwrap()));
                ids.push(next);
            }
            assert_eq!(ids.len(), 8);
        }
    }

    #[test]
    fn a_text_ends_before_its_stop_and_the_others_go_on() {
        let lm = random(&llama(), 6);
        let run = |stop: &HashSet<u32>| {
            pollster::block_on(sample(&lm, &[2], 40, stop, &sampling(2.0, 23))).unwrap()
        };
        let free = run(&HashSet::new());
        assert!(free.iter().all(|text| text.len() == 6));
        let stop = HashSet::from([free[0][2]]);
        let stopped = run(&stop);
        assert!(stopped.iter().flatten().all(|id| !stop.contains(id)));
        assert!(stopped.iter().any(|text| text.len() == 6));
        assert!(stopped.iter().any(|text| text.len() < 6));
    }

    /// Frequencies of one draw against the softmax, within six standard deviations.
    #[test]
    fn tokens_are_drawn_as_often_as_the_softmax_says() {
        let logits = [0.0_f32, 1.0, -1.0, 2.0];
        let sampling = sampling(0.7, 3);
        let mut generator = SplitMix64::new(9);
        let mut counts = [0.0_f64; 4];
        for _ in 0..40_000 {
            counts[sampling.draw(&logits, &mut generator) as usize] += 1.0;
        }
        let weights = logits.map(|x| {
            if x < 0.0 {
                0.0
            } else {
                (f64::from(x) / 0.7).exp()
            }
        });
        let total: f64 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(weights) {
            let p = weight / total;
            let bound = 6.0 * (40_000.0 * p * (1.0 - p)).sqrt();
            assert!((count - 40_000.0 * p).abs() <= bound, "{counts:?}");
        }
    }

    #[test]
    fn what_cannot_be_continued_is_refused() {
        let refused = |lm: &Lm, start: &[u32], sampling| {
            pollster::block_on(sample(lm, start, 1, &HashSet::new(), &sampling)).unwrap_err()
        };
        let lm = random(&llama(), 7);
        assert!(matches!(
            refused(&lm, &[], sampling(1.0, 1)),
            DistillError::Beginning
        ));
        let zero = refused(&lm, &[1], sampling(0.0, 1));
        assert!(matches!(
            zero,
            DistillError::Range {
                field: "temperature",
                ..
            }
        ));
        let none = refused(&lm, &[1], sampling(1.0, 0));
        assert!(matches!(none, DistillError::Range { field: "top_k", .. }));
        let masked = random(&roberta(), 7);
        assert!(matches!(
            refused(&masked, &[1], sampling(1.0, 1)),
            DistillError::Beginning
        ));
        let short = random(&gpt2(), 7);
        assert!(matches!(
            refused(&short, &[1; 60], sampling(1.0, 1)),
            DistillError::TooLong { .. }
        ));
    }

    #[test]
    fn a_passage_ends_with_its_last_sentence() {
        assert_eq!(whole_sentences(" A fine film. It"), Some("A fine film."));
        assert_eq!(whole_sentences("\"Dull!\" he"), Some("\"Dull!\""));
        assert_eq!(whole_sentences("no end"), None);
        assert_eq!(whole_sentences("."), None);
    }
}
