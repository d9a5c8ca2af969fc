//! Lines over a common axis, with bands: losses over steps, ε over δ.

use super::scale::Scale;
use super::{WIDTH, segment, style, svg, text, width_of};

const HEIGHT: f64 = 320.0;
/// Free space at the left, top, right and bottom of the drawing.
const MARGIN: [f64; 4] = [64.0, 12.0, 16.0, 48.0];
/// Height of a line of the legend.
const LEGEND: f64 = 20.0;
/// A line is thinned to twice as many points; more than the pixels there are show nothing new.
const BUCKETS: usize = 300;
/// Up to so many points, each gets a dot of its own.
const DOTTED: usize = 12;

/// One axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Powers of ten instead of equal steps; values ≤ 0 are then left out.
    pub log: bool,
    /// Where ticks stand, and what they say; round values, if empty.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    fn ticks(&self, scale: &Scale, count: usize) -> Vec<(f64, String)> {
        match self.ticks.is_empty() {
            true => scale.ticks(count),
            false => self.ticks.clone(),
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// (x, y) in the order of x. A value that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
    /// (x, low, high) of a band around it; empty for none.
    pub band: Vec<(f64, f64, f64)>,
}

/// Lines over a common axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineChart {
    /// Unique within its page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
}

impl LineChart {
    /// The plot as an SVG element.
    pub fn to_svg(&self) -> String {
        let (legend, rows) = self.legend();
        let top = MARGIN[1] + LEGEND * rows as f64;
        let bottom = HEIGHT - MARGIN[3];
        let (x, y) = self.scales(top, bottom);
        let mut content = legend + &self.frame(&x, &y, (top, bottom));
        for (index, series) in self.series.iter().enumerate() {
            content += &draw(series, style(index), &x, &y, [self.x.log, self.y.log]);
        }
        svg(&self.id, HEIGHT, &self.title, &self.description(), &content)
    }

    fn scales(&self, top: f64, bottom: f64) -> (Scale, Scale) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let band = || self.series.iter().flat_map(|series| &series.band);
        let xs = points()
            .map(|point| point.0)
            .chain(band().map(|point| point.0));
        let ys = points()
            .map(|point| point.1)
            .chain(band().flat_map(|&(_, low, high)| [low, high]));
        let x = Scale::around(xs, self.x.log, (MARGIN[0], WIDTH - MARGIN[2]));
        (x, Scale::around(ys, self.y.log, (bottom, top)).rounded(5))
    }

    /// Grid, ticks, labels of the axes.
    fn frame(&self, x: &Scale, y: &Scale, (top, bottom): (f64, f64)) -> String {
        let (left, right) = (MARGIN[0], WIDTH - MARGIN[2]);
        let mut out = String::new();
        for (value, label) in self.y.ticks(y, 5) {
            let at = y.at(value);
            out += &segment("grid", (left, at), (right, at));
            out += &text(left - 8.0, at + 4.0, "soft end", &label);
        }
        for (value, label) in self.x.ticks(x, 6) {
            let at = x.at(value);
            out += &segment("axis", (at, bottom), (at, bottom + 5.0));
            out += &text(at, bottom + 18.0, "soft middle", &label);
        }
        out += &segment("axis", (left, bottom), (right, bottom));
        out += &text((left + right) / 2.0, HEIGHT - 8.0, "middle", &self.x.label);
        let middle = (top + bottom) / 2.0;
        let label = super::escape(&self.y.label);
        out + &format!(
            "<text class=\"middle\" transform=\"translate(14 {middle:.1}) rotate(-90)\">{label}</text>\n"
        )
    }

    /// Names and samples of the lines, and how many rows they take. One line needs none.
    fn legend(&self) -> (String, usize) {
        if self.series.len() < 2 {
            return (String::new(), 0);
        }
        let (mut out, mut at, mut row) = (String::new(), MARGIN[0], 1);
        for (index, series) in self.series.iter().enumerate() {
            let width = 32.0 + width_of(&series.name) + 20.0;
            if at + width > WIDTH && at > MARGIN[0] {
                (at, row) = (MARGIN[0], row + 1);
            }
            let y = MARGIN[1] + LEGEND * row as f64 - 12.0;
            let style = style(index);
            out += &segment(
                &format!("line stroke-{style} dash-{style}"),
                (at, y),
                (at + 26.0, y),
            );
            out += &text(at + 32.0, y + 4.0, "", &series.name);
            at += width;
        }
        (out, row)
    }

    /// In words: where each line starts and ends, and its extremes.
    fn description(&self) -> String {
        let mut out = format!("{} over {}.", self.y.label, self.x.label);
        for series in &self.series {
            let finite: Vec<_> = series.points.iter().filter(|p| p.1.is_finite()).collect();
            let (Some(first), Some(last)) = (finite.first(), finite.last()) else {
                out += &format!(" {}: no values.", series.name);
                continue;
            };
            let low = finite
                .iter()
                .map(|point| point.1)
                .fold(f64::INFINITY, f64::min);
            let high = finite
                .iter()
                .map(|point| point.1)
                .fold(f64::NEG_INFINITY, f64::max);
            out += &format!(
                " {}: from {} at {} to {} at {}, between {} and {}.",
                series.name,
                short(first.1),
                short(first.0),
                short(last.1),
                short(last.0),
                short(low),
                short(high)
            );
        }
        out
    }
}

/// Three significant digits, without an exponent where people would write none.
fn short(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        let digits = 2 - value.abs().max(1e-3).log10().floor().min(2.0) as i32;
        return format!(
            "{value:.*}",
            if value.fract() == 0.0 {
                0
            } else {
                digits as usize
            }
        );
    }
    format!("{value:.2e}")
}

fn draw(series: &Series, style: usize, x: &Scale, y: &Scale, log: [bool; 2]) -> String {
    let drawable = |px: f64, py: f64| {
        px.is_finite() && py.is_finite() && !(log[0] && px <= 0.0) && !(log[1] && py <= 0.0)
    };
    let mut out = band(series, style, x, y, drawable);
    let runs = series
        .points
        .split(|&(px, py)| !drawable(px, py))
        .filter(|run| !run.is_empty());
    for run in runs {
        let places: Vec<_> = run.iter().map(|&(px, py)| (x.at(px), y.at(py))).collect();
        let points = pairs(&thinned(&places));
        out += &format!(
            "<polyline class=\"line stroke-{style} dash-{style}\" points=\"{points}\"/>\n"
        );
        if series.points.len() <= DOTTED || run.len() == 1 {
            for (px, py) in places {
                out += &format!(
                    "<circle class=\"fill-{style}\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3.5\"/>\n"
                );
            }
        }
    }
    out
}

fn band(
    series: &Series,
    style: usize,
    x: &Scale,
    y: &Scale,
    drawable: impl Fn(f64, f64) -> bool,
) -> String {
    let kept = series
        .band
        .iter()
        .filter(|&&(px, low, high)| drawable(px, low) && drawable(px, high));
    let (mut lower, upper): (Vec<_>, Vec<_>) = kept
        .map(|&(px, low, high)| ((x.at(px), y.at(low)), (x.at(px), y.at(high))))
        .unzip();
    if lower.is_empty() {
        return String::new();
    }
    lower.reverse();
    let outline = pairs(&[upper, lower].concat());
    format!("<polygon class=\"band fill-{style}\" points=\"{outline}\"/>\n")
}

/// The lowest and highest point of each bucket, so that no spike is lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= 2 * BUCKETS {
        return points.to_vec();
    }
    let size = points.len().div_ceil(BUCKETS);
    points.chunks(size).flat_map(extremes).collect()
}

fn extremes(chunk: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..chunk.len()).collect();
    order.sort_by(|&a, &b| chunk[a].1.total_cmp(&chunk[b].1));
    let (low, high) = (order[0], order[order.len() - 1]);
    let ends = if low == high {
        vec![low]
    } else {
        vec![low.min(high), low.max(high)]
    };
    ends.into_iter().map(|index| chunk[index]).collect()
}

fn pairs(points: &[(f64, f64)]) -> String {
    points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chart(points: Vec<(f64, f64)>) -> LineChart {
        LineChart {
            id: "loss curve".into(),
            title: "Loss".into(),
            x: Axis {
                label: "step".into(),
                log: false,
                ..Axis::default()
            },
            y: Axis {
                label: "loss".into(),
                log: false,
                ..Axis::default()
            },
            series: vec![Series {
                name: "a<b".into(),
                points,
                band: vec![(0.0, 0.0, 1.0), (1.0, 0.5, 2.0)],
            }],
        }
    }

    #[test]
    fn a_line_is_drawn_and_described() {
        let svg = chart(vec![(0.0, 2.0), (1.0, 0.5)]).to_svg();
        assert!(
            svg.contains("<title id=\"loss-curve-title\">Loss</title>"),
            "{svg}"
        );
        assert!(
            svg.contains("loss over step. a&lt;b: from 2 at 0 to 0.500 at 1"),
            "{svg}"
        );
        assert!(svg.contains("points=\"64.0,12.0 624.0,"), "{svg}");
        assert!(svg.contains("class=\"band fill-1\""), "{svg}");
        assert!(
            !svg.contains("dash-1\" x1"),
            "one line needs no legend: {svg}"
        );
    }

    #[test]
    fn gaps_break_the_line_and_long_ones_are_thinned_without_losing_spikes() {
        let svg = chart(vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, 2.0)]).to_svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
        points[77_777].1 = 9.0;
        let svg = chart(points.clone()).to_svg();
        assert!(svg.len() < 20_000, "{}", svg.len());
        let thin = thinned(&points);
        assert!(thin.len() <= 2 * BUCKETS && thin.contains(&(77_777.0, 9.0)));
    }

    #[test]
    fn legends_wrap() {
        let mut chart = chart(vec![(0.0, 1.0)]);
        let name = "a rather long name of a line".to_owned();
        chart.series = vec![
            Series {
                name,
                points: vec![(0.0, 1.0)],
                band: vec![]
            };
            7
        ];
        let (legend, rows) = chart.legend();
        assert_eq!((legend.matches("<text").count(), rows), (7, 4));
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_plot_of_finite_places(
            points in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..9),
            x_log: bool, y_log: bool,
        ) {
            let mut chart = chart(points);
            (chart.x.log, chart.y.log) = (x_log, y_log);
            let svg = chart.to_svg();
            let drawn = svg.split("</desc>").nth(1).unwrap_or_default();
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{}", svg);
        }
    }
}
