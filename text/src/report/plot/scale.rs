//! From values to places: range, round ticks, labels.

/// Beyond it differences of two values overflow.
const LARGEST: f64 = 1e300;
/// Smallest value of a logarithmic axis.
const SMALLEST: f64 = 1e-300;

/// A linear or logarithmic axis from `low` to `high`, drawn from `pixels.0` to `pixels.1`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Between two ticks, once [`Self::rounded`] has chosen it.
    step: Option<f64>,
    pixels: (f64, f64),
}

impl Scale {
    /// Holds all finite `values`; `0..1` where there are none.
    pub(super) fn around(values: impl Iterator<Item = f64>, log: bool, pixels: (f64, f64)) -> Self {
        let usable = |value: &f64| value.is_finite() && !(log && *value <= 0.0);
        let range =
            values
                .filter(usable)
                .map(|value| clamp(value, log))
                .fold(None, |range, value| {
                    let (low, high): (f64, f64) = range.unwrap_or((value, value));
                    Some((low.min(value), high.max(value)))
                });
        let (low, high) = widened(
            range.unwrap_or(if log { (0.1, 1.0) } else { (0.0, 1.0) }),
            log,
        );
        Self {
            low,
            high,
            log,
            step: None,
            pixels,
        }
    }

    /// Exactly `low` to `high`.
    pub(super) fn fixed(low: f64, high: f64, pixels: (f64, f64)) -> Self {
        let (low, high) = widened((low, high), false);
        Self {
            low,
            high,
            log: false,
            step: None,
            pixels,
        }
    }

    /// Grown to the round numbers around it.
    pub(super) fn rounded(mut self, ticks: usize) -> Self {
        if self.log {
            self.low = 10f64.powf(self.low.log10().floor()).max(SMALLEST);
            self.high = 10f64.powf(self.high.log10().ceil()).min(LARGEST);
        } else {
            let step = step(self.low, self.high, ticks);
            self.low = (self.low / step).floor() * step;
            self.high = (self.high / step).ceil() * step;
            self.step = Some(step);
        }
        self
    }

    /// Where a value stands; values outside stand at the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        let position = |value: f64| {
            if self.log {
                value.max(SMALLEST).log10()
            } else {
                value
            }
        };
        let (low, high) = (position(self.low), position(self.high));
        let share = ((position(clamp(value, self.log)) - low) / (high - low)).clamp(0.0, 1.0);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// Round values within the range, about `count`, with their labels.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.log {
            return self.powers(count);
        }
        let step = self
            .step
            .unwrap_or_else(|| step(self.low, self.high, count));
        let first = (self.low / step - 1e-9).ceil();
        let last = (self.high / step + 1e-9).floor();
        let number = (last - first).clamp(0.0, 4.0 * count as f64) as usize;
        (0..=number)
            .map(|index| (first + index as f64) * step)
            .map(|value| (value, label(value, step)))
            .collect()
    }

    fn powers(&self, count: usize) -> Vec<(f64, String)> {
        let (low, high) = (self.low.log10(), self.high.log10());
        let stride = (((high - low) / count as f64).ceil() as i32).max(1);
        let first = (low - 1e-9).ceil() as i32;
        let last = (high + 1e-9).floor() as i32;
        (first..=last)
            .step_by(stride as usize)
            .map(|power| {
                (
                    10f64.powi(power),
                    label(10f64.powi(power), 10f64.powi(power)),
                )
            })
            .collect()
    }
}

fn clamp(value: f64, log: bool) -> f64 {
    value.clamp(if log { SMALLEST } else { -LARGEST }, LARGEST)
}

/// A range of one value is widened so that it can be drawn.
fn widened((low, high): (f64, f64), log: bool) -> (f64, f64) {
    if log {
        return if high / low > 1.000_001 {
            (low, high)
        } else {
            (low / 10.0, high * 10.0)
        };
    }
    let least = 1e-9 * low.abs().max(high.abs()).max(1e-290);
    if high - low > least {
        return (low, high);
    }
    let half = if low == 0.0 { 0.5 } else { low.abs() / 2.0 };
    (low - half, high + half)
}

/// 1, 2 or 5 times a power of ten, so that about `count` of them fill the range.
fn step(low: f64, high: f64, count: usize) -> f64 {
    let rough = (high - low) / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| rough <= factor * power * 1.001);
    factor.unwrap_or(10.0) * power
}

/// A value with as many digits as the step between two of them needs.
fn label(value: f64, step: f64) -> String {
    if value == 0.0 || value.abs() < step * 1e-6 {
        return "0".into();
    }
    if value.abs() >= 1e6 || step < 1e-4 {
        let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 3.0) as usize;
        return format!("{value:.digits$e}").replace('-', "−");
    }
    let digits = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.digits$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: &Scale, count: usize) -> Vec<String> {
        scale
            .ticks(count)
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        let scale = Scale::around([0.13, 0.92].into_iter(), false, (0.0, 100.0)).rounded(4);
        assert_eq!(labels(&scale, 4), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let negative = Scale::around([-3.0, 1.0].into_iter(), false, (0.0, 100.0)).rounded(4);
        assert_eq!(labels(&negative, 4), ["−3", "−2", "−1", "0", "1"]);
        let large = Scale::around([0.0, 4e6].into_iter(), false, (0.0, 100.0)).rounded(4);
        assert_eq!(labels(&large, 4), ["0", "1e6", "2e6", "3e6", "4e6"]);
    }

    #[test]
    fn a_logarithmic_axis_counts_in_powers_of_ten() {
        let scale =
            Scale::around([0.03, 40.0, -1.0, 0.0].into_iter(), true, (0.0, 100.0)).rounded(5);
        assert_eq!(labels(&scale, 5), ["0.01", "0.1", "1", "10", "100"]);
        assert!((scale.at(1.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn one_value_or_none_still_make_an_axis() {
        assert_eq!(
            labels(&Scale::around([].into_iter(), false, (0.0, 1.0)), 2),
            ["0", "0.5", "1.0"]
        );
        let one = Scale::around([5.0, f64::NAN].into_iter(), false, (0.0, 100.0));
        assert!((one.at(5.0) - 50.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_values_give_finite_places_and_few_ticks(
            values in prop::collection::vec(prop::num::f64::ANY, 0..5), log: bool, count in 1usize..9
        ) {
            for scale in [
                Scale::around(values.iter().copied(), log, (10.0, 90.0)),
                Scale::around(values.iter().copied(), log, (10.0, 90.0)).rounded(count),
            ] {
                for value in values.iter().filter(|value| !value.is_nan()) {
                    prop_assert!((10.0..=90.0).contains(&scale.at(*value)), "{scale:?} {value}");
                }
                prop_assert!(scale.ticks(count).len() <= 4 * count + 2);
            }
        }
    }
}
