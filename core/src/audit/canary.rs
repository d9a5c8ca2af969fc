//! Examples made to be remembered.

use crate::optim::SplitMix64;
use crate::task::{Example, Label};

/// `count` sequences of `length` random tokens with random labels. Nothing else in the data speaks
/// for their labels, so a prompt that knows them has learnt them by heart.
#[must_use]
pub fn random_sequences(
    count: usize,
    length: usize,
    vocab_size: usize,
    classes: usize,
    seed: u64,
) -> Vec<Example> {
    let mut generator = SplitMix64::new(seed);
    let mut sequence = || Example {
        ids: (0..length.max(1))
            .map(|_| generator.below(vocab_size) as u32)
            .collect(),
        answer: length.max(1) - 1,
        label: Some(Label::Class(generator.below(classes))),
        removed: 0,
    };
    (0..count).map(|_| sequence()).collect()
}

/// Takes at most `count` random rows out of `rows` and gives each another class than its own:
/// (canaries, the other rows). Unlike random tokens they pass for real ones.
#[must_use]
pub fn flipped(
    mut rows: Vec<Example>,
    count: usize,
    classes: usize,
    seed: u64,
) -> (Vec<Example>, Vec<Example>) {
    let mut generator = SplitMix64::new(seed);
    generator.shuffle(&mut rows);
    let rest = rows.split_off(count.min(rows.len()));
    for row in &mut rows {
        let other = 1 + generator.below(classes.max(2) - 1);
        let class = row.label.as_ref().and_then(Label::class);
        row.label = class.map(|class| Label::Class((class + other) % classes));
    }
    (rows, rest)
}
