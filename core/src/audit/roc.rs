//! How well scores tell members from others, with intervals.

use serde::{Deserialize, Serialize};

use crate::optim::SplitMix64;

/// Resamples of an interval.
const RESAMPLES: usize = 1000;

/// A score, and what it was about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The higher, the more it speaks for membership.
    pub score: f64,
    /// Whether it was a member.
    pub member: bool,
    /// Which row or text it belongs to.
    pub row: usize,
    /// Which independent piece of training it comes from.
    pub run: usize,
}

/// A figure with the ends of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// From all scores.
    pub value: f64,
    /// 2.5th percentile over the resamples.
    pub low: f64,
    /// 97.5th.
    pub high: f64,
}

/// What an attack reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Probability that a member scores above another, ties counting half: 0.5 is guessing.
    pub auc: Estimate,
    /// Share of the members found while at most 1 % of the others are taken for members.
    pub tpr_at_1_percent: Estimate,
    /// The same for 0.1 %.
    pub tpr_at_01_percent: Estimate,
}

/// The figures of `scores`, with intervals by the pigeonhole bootstrap (Owen 2007): rows and runs are
/// drawn with replacement, independently of each other, and a score counts as often as its row was
/// drawn times its run. So the intervals cover other rows of the same kind and other runs, while the
/// scores themselves stay as they are. Where all scores are of one run, rows alone are drawn.
///
/// `None` unless there are members and others, all with scores that are numbers.
#[must_use]
pub fn reached(scores: &[Scored], seed: u64) -> Option<Reached> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let members = sorted.iter().filter(|scored| scored.member).count();
    let numbers = sorted.iter().all(|scored| !scored.score.is_nan());
    if members == 0 || members == sorted.len() || !numbers {
        return None;
    }
    let value = figures(&sorted, |_| 1.0);
    let count = |of: fn(&Scored) -> usize| sorted.iter().map(of).max().map_or(0, |most| most + 1);
    let (rows, runs) = (count(|scored| scored.row), count(|scored| scored.run));
    let mut generator = SplitMix64::new(seed);
    let resampled: Vec<[f64; 3]> = (0..RESAMPLES)
        .map(|_| {
            let (rows, runs) = (drawn(rows, &mut generator), drawn(runs, &mut generator));
            figures(&sorted, |scored| rows[scored.row] * runs[scored.run])
        })
        // A draw may hold no member, or nothing else; then it says nothing.
        .filter(|figures| figures[0].is_finite())
        .collect();
    let estimate = |at: usize| {
        let mut values: Vec<f64> = resampled.iter().map(|figures| figures[at]).collect();
        values.sort_by(f64::total_cmp);
        let end = |share: f64| {
            let index = (share * values.len().saturating_sub(1) as f64).round() as usize;
            values.get(index).copied().unwrap_or(value[at])
        };
        Estimate {
            value: value[at],
            low: end(0.025),
            high: end(0.975),
        }
    };
    Some(Reached {
        auc: estimate(0),
        tpr_at_1_percent: estimate(1),
        tpr_at_01_percent: estimate(2),
    })
}

/// How often each of `count` things is drawn in `count` draws.
fn drawn(count: usize, generator: &mut SplitMix64) -> Vec<f64> {
    let mut times = vec![0.0; count];
    (0..count).for_each(|_| times[generator.below(count)] += 1.0);
    times
}

/// AUC, and the share of the members found at 1 % and 0.1 % of the others, from scores in falling
/// order; NaN where either side weighs nothing.
fn figures(falling: &[Scored], weight: impl Fn(&Scored) -> f64) -> [f64; 3] {
    let mut total = [0.0; 2];
    for scored in falling {
        total[usize::from(scored.member)] += weight(scored);
    }
    let [others, members] = total;
    let (mut found, mut taken, mut pairs) = (0.0, 0.0, 0.0);
    let mut at = [0.0; 2];
    for tied in falling.chunk_by(|a, b| a.score == b.score) {
        let mut here = [0.0; 2];
        for scored in tied {
            here[usize::from(scored.member)] += weight(scored);
        }
        // Others of this score lie below the members found before, and beside those of this score.
        pairs += here[0] * (found + 0.5 * here[1]);
        taken += here[0];
        found += here[1];
        for (at, share) in at.iter_mut().zip([1e-2, 1e-3]) {
            // The last bits of a sum of weights must not decide.
            if taken <= share * others * (1.0 + 1e-12) {
                *at = found / members;
            }
        }
    }
    let auc = pairs / (members * others);
    [auc, at[0], at[1]]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    fn scored(scores: &[(f64, bool)]) -> Vec<Scored> {
        let each = scores.iter().enumerate();
        each.map(|(row, &(score, member))| Scored {
            score,
            member,
            row,
            run: 0,
        })
        .collect()
    }

    #[test]
    fn figures_by_hand() {
        // Pairs: 3 above all three; 2 ties with one and is above 1; 0 is above none: (3 + 1.5) / 9.
        let scores = scored(&[
            (3.0, true),
            (2.0, true),
            (0.0, true),
            (2.5, false),
            (2.0, false),
            (1.0, false),
        ]);
        let reached = reached(&scores, 1).unwrap();
        assert!((reached.auc.value - 4.5 / 9.0).abs() < 1e-12);
        // One of three members is above every other row.
        assert!((reached.tpr_at_1_percent.value - 1.0 / 3.0).abs() < 1e-12);
        assert!(reached.auc.low < reached.auc.value && reached.auc.value < reached.auc.high);
    }

    #[test]
    fn shares_of_others_are_counted_exactly() {
        // 1000 others at 0, 1, …, 999 and a member above each tenth.
        let mut scores: Vec<(f64, bool)> = (0..1000).map(|i| (f64::from(i), false)).collect();
        scores.extend((0..100).map(|i| (f64::from(10 * i) + 9.5, true)));
        let reached = reached(&scored(&scores), 1).unwrap();
        // 1 %: ten others, 990 to 999; members above 989 are 999.5 alone, and 989.5 lies below 990.
        assert!((reached.tpr_at_1_percent.value - 0.02).abs() < 1e-12);
        assert!((reached.tpr_at_01_percent.value - 0.01).abs() < 1e-12);
        assert!((reached.auc.value - 0.50495).abs() < 0.01);
    }

    #[test]
    fn one_side_alone_and_nan_say_nothing() {
        assert!(reached(&scored(&[(1.0, true), (2.0, true)]), 1).is_none());
        assert!(reached(&scored(&[(1.0, true), (f64::NAN, false)]), 1).is_none());
        assert!(reached(&[], 1).is_none());
    }

    pub(in super::super) fn gaussian(generator: &mut SplitMix64) -> f64 {
        let u = 1.0 - generator.unit();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * generator.unit()).cos()
    }

    /// Members one deviation above others have an AUC of Φ(1/√2) = 0.76025; the interval is as wide as
    /// DeLong's, and holds the truth about as often as it says.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut generator = SplitMix64::new(5);
        let (mut held, mut width) = (0, 0.0);
        for round in 0..60 {
            let scores: Vec<(f64, bool)> = (0..200)
                .map(|i| (gaussian(&mut generator) + f64::from(i % 2), i % 2 == 1))
                .collect();
            let auc = reached(&scored(&scores), round).unwrap().auc;
            held += usize::from((auc.low..auc.high).contains(&0.760_25));
            width += (auc.high - auc.low) / 60.0;
        }
        // 57 expected; 50 or fewer has a probability of 0.003.
        assert!(held > 50, "{held}");
        // DeLong for 100 + 100: standard error about 0.034.
        assert!((0.11..0.16).contains(&width), "{width}");
    }

    /// Scores of 100 rows in each run, whose members score higher or lower together, by chance alone: the truth is an AUC of 0.5.
    fn shifted(runs: usize, by: f64, generator: &mut SplitMix64) -> Vec<Scored> {
        let mut scores = Vec::new();
        for run in 0..runs {
            let shift = by * gaussian(generator);
            for row in 0..100 {
                let member = (row + run) % 2 == 0;
                let score = shift * f64::from(u8::from(member)) + gaussian(generator);
                scores.push(Scored {
                    score,
                    member,
                    row,
                    run,
                });
            }
        }
        scores
    }

    /// A run whose scores are all shifted together makes the interval wider than rows alone would.
    #[test]
    fn scores_of_one_run_are_drawn_together() {
        let mut scores = shifted(8, 1.0, &mut SplitMix64::new(9));
        let width = |scores: &[Scored]| {
            let auc = reached(scores, 1).unwrap().auc;
            auc.high - auc.low
        };
        let together = width(&scores);
        scores.iter_mut().for_each(|scored| scored.run = 0);
        assert!(together > 2.0 * width(&scores), "{together}");
    }

    /// Drawing rows and runs apart counts the noise of single scores more than once: where runs are alike the intervals are too
    /// wide. Where they differ by more than that, few of them make the intervals too narrow.
    #[test]
    fn intervals_of_few_runs_that_differ_are_too_narrow() {
        let held = |runs, by| {
            let mut generator = SplitMix64::new(11);
            let rounds = (0..100).filter(|&round| {
                let auc = reached(&shifted(runs, by, &mut generator), round)
                    .unwrap()
                    .auc;
                (auc.low..=auc.high).contains(&0.5)
            });
            rounds.count()
        };
        let alike = held(4, 0.0);
        assert!(alike >= 95, "{alike}");
        let [few, more] = [4, 16].map(|runs| held(runs, 1.0));
        assert!((65..90).contains(&few), "{few}");
        assert!(more >= 85, "{more}");
    }
}
