//! Rows that differ in their seeds alone, taken together; and the table of them.

use std::collections::{BTreeMap, BTreeSet};

use post_core::report::{Align, Table, percent};
use post_core::task::Repeated;
use post_core::task::metrics::Accuracy;
use toml::Value;

use super::grid::Coordinates;
use super::methods::Method;
use super::results::Row;
use super::share::Share;

/// A method in a cell, over all seeds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) method: Method,
    /// All but the seed.
    pub(crate) coordinates: Coordinates,
    pub(crate) accuracy: Repeated,
    /// Mean of what training took.
    pub(crate) seconds: f64,
    /// Of what lies between zero-shot and upper bound, where both were measured.
    pub(crate) recovered: Option<Share>,
}

/// The groups, in the order of methods and coordinates.
pub(crate) fn gather(rows: &[Row]) -> Vec<Group> {
    let mut found: Vec<(Method, Coordinates, Vec<&Row>)> = Vec::new();
    for row in rows {
        let mut coordinates = row.coordinates.clone();
        coordinates.remove("seed");
        let same = found
            .iter_mut()
            .find(|(method, others, _)| *method == row.method && *others == coordinates);
        match same {
            Some((.., rows)) => rows.push(row),
            None => found.push((row.method, coordinates, vec![row])),
        }
    }
    let group = |(method, coordinates, rows): (Method, Coordinates, Vec<&Row>)| {
        let accuracies: Vec<Accuracy> = rows.iter().map(|row| row.accuracy).collect();
        let seconds = rows.iter().map(|row| row.training_seconds).sum::<f64>();
        Some(Group {
            method,
            coordinates,
            accuracy: Repeated::of(&accuracies)?,
            seconds: seconds / rows.len() as f64,
            recovered: None,
        })
    };
    let mut groups: Vec<Group> = found.into_iter().filter_map(group).collect();
    groups.sort_by_key(|group| (group.method, place(&group.coordinates)));
    let shares: Vec<Option<Share>> = groups
        .iter()
        .map(|group| recovered(group, &groups))
        .collect();
    for (group, share) in groups.iter_mut().zip(shares) {
        group.recovered = share;
    }
    groups
}

/// Numbers by size, ∞ and words behind them.
pub(super) fn place(coordinates: &Coordinates) -> Vec<(u64, String)> {
    let key = |value: &Value| match number(value) {
        Some(number) => ((number.max(0.0) * 1e9) as u64, String::new()),
        None => (u64::MAX, value.to_string()),
    };
    coordinates.values().map(key).collect()
}

/// Which share of what lies between zero-shot and upper bound a method makes up for.
fn recovered(group: &Group, all: &[Group]) -> Option<Share> {
    if matches!(group.method, Method::ZeroShot | Method::UpperBound) {
        return None;
    }
    let of = |method: Method| {
        let fits = |other: &&Group| {
            let shared = other.coordinates.iter();
            let mut shared = shared.filter(|(axis, _)| method.depends_on(axis));
            other.method == method
                && shared
                    .all(|(axis, value)| group.coordinates.get(axis).is_none_or(|own| own == value))
        };
        all.iter().find(fits).map(|found| &found.accuracy)
    };
    let (zero, bound) = (of(Method::ZeroShot)?, of(Method::UpperBound)?);
    Share::of(&group.accuracy, zero, bound)
}

/// The axes along which groups differ.
pub(crate) fn axes(groups: &[Group]) -> Vec<String> {
    varying(groups.iter().map(|group| &group.coordinates))
}

/// The axes along which coordinates differ.
pub(super) fn varying<'a>(all: impl Iterator<Item = &'a Coordinates>) -> Vec<String> {
    let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (axis, value) in all.flatten() {
        values.entry(axis).or_default().insert(value.to_string());
    }
    let varying = values.into_iter().filter(|(_, values)| values.len() > 1);
    varying.map(|(axis, _)| axis.to_owned()).collect()
}

/// The table: a line for each group.
pub(crate) fn table(groups: &[Group]) -> Table {
    let axes = axes(groups);
    let right = |title: &str| (title.to_owned(), Align::Right);
    let mut columns = vec![("method".to_owned(), Align::Left)];
    columns.extend(axes.iter().map(|axis| right(axis)));
    columns.extend(["accuracy", "95 % from", "to", "runs", "of the gap"].map(right));
    let mut table = Table::new(columns);
    for group in groups {
        let Repeated {
            accuracy,
            low,
            high,
            runs,
            ..
        } = group.accuracy;
        let mut cells = vec![group.method.label().to_owned()];
        cells.extend(axes.iter().map(|axis| cell(group.coordinates.get(axis))));
        cells.extend([
            percent(accuracy),
            percent(low),
            percent(high),
            runs.to_string(),
        ]);
        let share = group.recovered.map(|share| share.to_string());
        cells.push(share.unwrap_or_default());
        table.push(cells);
    }
    table
}

/// A coordinate as people read it.
pub(crate) fn cell(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::String(text)) if text == "inf" => "∞".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Float(number)) => number.to_string(),
        Some(other) => other.to_string(),
    }
}

/// A coordinate as a number on an axis.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(method: Method, seed: i64, epsilon: Option<Value>, right: u64) -> Row {
        let mut coordinates = Coordinates::from([("seed".to_owned(), Value::Integer(seed))]);
        coordinates.extend(epsilon.map(|epsilon| ("epsilon".to_owned(), epsilon)));
        Row {
            method,
            shows_private_rows: method.leaks(),
            coordinates,
            accuracy: Accuracy::of(right, 100).unwrap(),
            training_seconds: 10.0 * seed as f64,
            eval_seconds: 1.0,
            job: String::new(),
        }
    }

    #[test]
    fn seeds_are_taken_together_and_the_share_of_the_gap_is_theirs() {
        let eight = || Some(Value::Float(8.0));
        let rows = [
            row(Method::Post, 0, eight(), 68),
            row(Method::Post, 0, Some("inf".into()), 80),
            row(Method::Post, 1, eight(), 72),
            row(Method::ZeroShot, 0, None, 50),
            row(Method::UpperBound, 0, None, 90),
        ];
        let groups = gather(&rows);
        let [zero, eight, none, upper] = groups.as_slice() else {
            panic!("{groups:?}")
        };
        assert_eq!(
            [zero, eight, none, upper].map(|group| group.method),
            [
                Method::ZeroShot,
                Method::Post,
                Method::Post,
                Method::UpperBound
            ]
        );
        assert_eq!((eight.accuracy.runs, eight.seconds), (2, 5.0));
        let share = |group: &Group| group.recovered.unwrap().value;
        assert!((share(eight) - 0.5).abs() < 1e-12, "{eight:?}");
        assert!((share(none) - 0.75).abs() < 1e-12, "{none:?}");
        assert_eq!((zero.recovered, upper.recovered), (None, None));
        let text = table(&groups).to_text();
        assert!(
            text.contains("epsilon") && text.contains('∞') && !text.contains("seed"),
            "{text}"
        );
    }
}
