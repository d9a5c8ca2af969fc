//! The share of a gap: what a method makes up of what lies between zero-shot and upper bound.

use std::fmt;

use post_core::task::Repeated;

/// (accuracy − zero-shot)/(upper bound − zero-shot), with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Share {
    /// What `own` makes up of what lies between `zero` and `bound`; none where their intervals touch.
    ///
    /// The interval is the quotient's to first order: half-widths of the three accuracies' intervals, each times
    /// the share's slope by that accuracy, add in squares. The three are taken for independent; methods that err
    /// on the same test rows are not, which usually makes the true interval narrower.
    pub(crate) fn of(own: &Repeated, zero: &Repeated, bound: &Repeated) -> Option<Self> {
        let gap = bound.accuracy - zero.accuracy;
        if bound.low <= zero.high {
            return None;
        }
        let value = (own.accuracy - zero.accuracy) / gap;
        let below = |of: &Repeated| of.accuracy - of.low;
        let above = |of: &Repeated| of.high - of.accuracy;
        let half = |own: f64, zero: f64, bound: f64| {
            own.hypot((1.0 - value) * zero).hypot(value * bound) / gap
        };
        // What lowers the share is less of the method's own; more of the bound, unless the share is below 0; and
        // more of zero-shot, unless it is above 1.
        let sides = |of: &Repeated, turned: bool| match turned {
            false => (above(of), below(of)),
            true => (below(of), above(of)),
        };
        let (zero, bound) = (sides(zero, value > 1.0), sides(bound, value < 0.0));
        Some(Self {
            value,
            low: value - half(below(own), zero.0, bound.0),
            high: value + half(above(own), zero.1, bound.1),
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, low, high } = self;
        write!(to, "{value:.2} ({low:.2} – {high:.2})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use post_core::task::metrics::Accuracy;

    fn one(right: u64) -> Repeated {
        Repeated::of(&[Accuracy::of(right, 1000).unwrap()]).unwrap()
    }

    /// By 400 000 draws of three binomials (NumPy): 95 % of the shares lie between 0.4029 and 0.5923.
    #[test]
    fn the_interval_is_that_of_independent_accuracies() {
        let share = Share::of(&one(700), &one(520), &one(880)).unwrap();
        assert!((share.value - 0.5).abs() < 1e-12);
        let off = [share.low - 0.4029, share.high - 0.5923];
        assert!(off.iter().all(|off| off.abs() < 0.003), "{share:?}");
        assert_eq!(share.to_string(), "0.50 (0.40 – 0.59)");
    }

    #[test]
    fn where_the_bound_is_not_above_there_is_no_share() {
        assert_eq!(Share::of(&one(700), &one(880), &one(880)), None);
        assert_eq!(Share::of(&one(700), &one(860), &one(880)), None);
        let worse = Share::of(&one(500), &one(520), &one(880)).unwrap();
        assert!(worse.low < worse.value && worse.value < 0.0 && worse.high > 0.0);
    }
}
