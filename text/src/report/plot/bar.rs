//! Horizontal bars with intervals: accuracies beside each other.

use super::super::percent;
use super::scale::Scale;
use super::{WIDTH, segment, style, svg, text};

/// A row: the name above its bar, so that no name is too long for its column.
const ROW: f64 = 42.0;
const TOP: f64 = 8.0;
const AXIS: f64 = 44.0;
const LEFT: f64 = 14.0;
/// Room for `100.0 % ± 10.0` at the right.
const VALUES: f64 = 104.0;

/// One bar.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Its length, a share from 0 to 1.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// Bars of one group share a colour.
    pub group: usize,
}

impl Bar {
    /// Counted, not estimated: its interval is the value itself, so there is none to draw.
    fn is_exact(&self) -> bool {
        self.low == self.value && self.high == self.value
    }
}

/// Bars with intervals on an axis from 0 to 100 %.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// Unique within its page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What the axis measures.
    pub label: String,
    /// The bars, from top to bottom.
    pub bars: Vec<Bar>,
    /// A dotted line to compare with, such as chance: its share and its name.
    pub mark: Option<(f64, String)>,
}

impl BarChart {
    /// The plot as an SVG element.
    pub fn to_svg(&self) -> String {
        let scale = Scale::fixed(0.0, 1.0, (LEFT, WIDTH - VALUES));
        let bottom =
            TOP + ROW * self.bars.len() as f64 + if self.mark.is_some() { 18.0 } else { 0.0 };
        let top = bottom - ROW * self.bars.len() as f64;
        let mut content = self.axis(&scale, (top, bottom));
        if let Some((share, name)) = &self.mark {
            let at = scale.at(*share);
            content += &segment("mark", (at, top - 4.0), (at, bottom));
            content += &text(at, top - 8.0, "soft middle", name);
        }
        for (index, bar) in self.bars.iter().enumerate() {
            content += &draw(bar, &scale, top + ROW * (index as f64 + 0.7));
        }
        svg(
            &self.id,
            bottom + AXIS,
            &self.title,
            &self.description(),
            &content,
        )
    }

    fn axis(&self, scale: &Scale, (top, bottom): (f64, f64)) -> String {
        let mut out = String::new();
        for quarter in 0..=4 {
            let share = f64::from(quarter) / 4.0;
            let at = scale.at(share);
            out += &segment("grid", (at, top), (at, bottom));
            out += &text(
                at,
                bottom + 16.0,
                "soft middle",
                &format!("{:.0} %", 100.0 * share),
            );
        }
        out + &text(
            (scale.at(0.0) + scale.at(1.0)) / 2.0,
            bottom + 36.0,
            "middle",
            &self.label,
        )
    }

    /// In words: every bar with its interval.
    fn description(&self) -> String {
        let bar = |bar: &Bar| {
            let value = percent(bar.value);
            if bar.is_exact() {
                return format!("{}: {value}.", bar.label);
            }
            let (low, high) = (percent(bar.low), percent(bar.high));
            format!("{}: {value}, between {low} and {high}.", bar.label)
        };
        let mut words: Vec<_> = self.bars.iter().map(bar).collect();
        words.extend(
            self.mark
                .iter()
                .map(|(share, name)| format!("{name}: {}.", percent(*share))),
        );
        words.join(" ")
    }
}

fn draw(bar: &Bar, scale: &Scale, middle: f64) -> String {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let [zero, value, low, high] = [0.0, bar.value, bar.low, bar.high].map(|v| scale.at(finite(v)));
    let (style, width, y) = (style(bar.group), (value - zero).max(0.0), middle - 6.0);
    let half = 50.0 * (finite(bar.high) - finite(bar.low));
    let room = ((WIDTH - LEFT) / super::CHARACTER) as usize;
    let mut out = text(LEFT, middle - 14.0, "", &shortened(&bar.label, room));
    out += &format!(
        "<rect class=\"bar fill-{style}\" x=\"{zero:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"12\"/>\n"
    );
    let mut figure = percent(finite(bar.value));
    if !bar.is_exact() {
        out += &format!(
            "<path class=\"whisker\" d=\"M{low:.1} {:.1}v14m0 -7H{high:.1}m0 -7v14\"/>\n",
            middle - 7.0
        );
        figure += &format!(" ± {half:.1}");
    }
    out + &text(WIDTH - VALUES + 8.0, middle + 4.0, "", &figure)
}

/// At most `room` characters, the last an ellipsis where some had to go.
fn shortened(label: &str, room: usize) -> String {
    if label.chars().count() <= room {
        return label.to_owned();
    }
    label
        .chars()
        .take(room.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(label: &str, value: f64) -> BarChart {
        let bar = Bar {
            label: label.into(),
            value,
            low: value - 0.05,
            high: value + 0.05,
            group: 1,
        };
        BarChart {
            id: "a".into(),
            title: "Accuracy".into(),
            label: "accuracy".into(),
            bars: vec![bar],
            mark: Some((0.5, "chance".into())),
        }
    }

    #[test]
    fn bars_have_lengths_intervals_and_words() {
        let svg = chart("zero-shot", 0.25).to_svg();
        // The axis runs from 14 to 536.
        assert!(
            svg.contains("x=\"14.0\" y=\"49.4\" width=\"130.5\""),
            "{svg}"
        );
        assert!(svg.contains("25.0 % ± 5.0"), "{svg}");
        assert!(
            svg.contains("zero-shot: 25.0 %, between 20.0 % and 30.0 %. chance: 50.0 %."),
            "{svg}"
        );
    }

    #[test]
    fn what_is_known_exactly_has_no_interval() {
        let mut chart = chart("counted", 0.25);
        (chart.bars[0].low, chart.bars[0].high) = (0.25, 0.25);
        let svg = chart.to_svg();
        assert!(!svg.contains("whisker") && !svg.contains('±'), "{svg}");
        assert!(svg.contains("counted: 25.0 %. chance"), "{svg}");
    }

    #[test]
    fn long_names_are_shortened_and_odd_numbers_drawn_as_nothing() {
        let svg = chart(&"n".repeat(200), f64::NAN).to_svg();
        assert!(svg.contains("n…</text>"), "{svg}");
        let drawn = svg.split("</desc>").nth(1).unwrap_or_default();
        assert!(!drawn.contains("NaN"), "{svg}");
    }
}
