//! Rows that differ in their seeds alone, taken together; and the table of them.

use std::collections::{BTreeMap, BTreeSet};

use post_core::report::{Align, Table, percent};
use post_core::task::Repeated;
use post_core::task::metrics::Accuracy;
use toml::Value;

use super::grid::Coordinates;
use super::methods::Method;
use super::results::{Row, Spent};
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
    /// The most that a run of the group spent; none without DP.
    pub(crate) spent: Option<Spent>,
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
            spent: rows.iter().filter_map(|row| row.spent).reduce(Spent::most),
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
    let (zero, bound) = (
        beside(group, Method::ZeroShot, all)?,
        beside(group, Method::UpperBound, all)?,
    );
    Share::of(&group.accuracy, &zero.accuracy, &bound.accuracy)
}

/// The group of a method that stands where this one stands: of its variant, or else of none. None where several
/// do, as bounds of several variants beside a method that no variant changes.
fn beside<'a>(group: &Group, method: Method, all: &'a [Group]) -> Option<&'a Group> {
    let variant = group.coordinates.get("variant");
    let agrees = |(axis, value): (&String, &Value)| {
        let own = group.coordinates.get(axis);
        own.is_none_or(|own| own == value)
    };
    let fits = |other: &&Group| other.method == method && other.coordinates.iter().all(agrees);
    let distance = |other: &&Group| match other.coordinates.get("variant") {
        theirs if theirs == variant => 0,
        None => 1,
        Some(_) => 2,
    };
    let fitting: Vec<&Group> = all.iter().filter(fits).collect();
    let least = fitting.iter().map(distance).min()?;
    let mut nearest = fitting.into_iter().filter(|other| distance(other) == least);
    let found = nearest.next()?;
    nearest.next().is_none().then_some(found)
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
            spent: None,
            job: String::new(),
            program: BTreeSet::new(),
        }
    }

    /// A row of a variant, or of none.
    fn of_variant(method: Method, variant: Option<&str>, right: u64) -> Row {
        let mut row = row(method, 0, None, right);
        let variant = variant.map(|name| ("variant".to_owned(), name.into()));
        row.coordinates.extend(variant);
        row
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

    #[test]
    fn a_share_of_the_gap_is_below_the_bound_of_its_own_variant() {
        let shares = |rows: &[Row]| {
            let groups = gather(rows).into_iter();
            let shares = groups.filter_map(|group| {
                let variant = cell(group.coordinates.get("variant"));
                Some((group.method, variant, group.recovered?.value))
            });
            shares.collect::<Vec<_>>()
        };
        let zero = || of_variant(Method::ZeroShot, None, 50);
        let bounds = [
            of_variant(Method::UpperBound, Some("long"), 100),
            of_variant(Method::UpperBound, Some("short"), 75),
        ];
        let mut rows = vec![
            zero(),
            of_variant(Method::Post, Some("long"), 75),
            of_variant(Method::Post, Some("short"), 75),
            // No variant changes it: both bounds are as much its own.
            of_variant(Method::StudentZeroShot, None, 75),
        ];
        rows.extend(bounds.clone());
        let long = (Method::Post, "long".to_owned(), 0.5);
        let short = (Method::Post, "short".to_owned(), 1.0);
        assert_eq!(shares(&rows), [long, short]);
        // A variant that leaves the bound as it is, beside one that changes it.
        let rows = [
            zero(),
            of_variant(Method::Post, Some("other"), 75),
            bounds[1].clone(),
            of_variant(Method::UpperBound, None, 100),
        ];
        assert_eq!(shares(&rows), [(Method::Post, "other".to_owned(), 0.5)]);
    }

    #[test]
    fn a_group_spent_what_its_dearest_run_did() {
        let spent = |epsilon| {
            let mut row = row(Method::Post, 0, None, 70);
            row.spent = Some(Spent {
                epsilon,
                delta: 1e-5,
            });
            row
        };
        let [group] = &gather(&[spent(7.9), spent(8.0), spent(7.8)])[..] else {
            panic!("one group")
        };
        assert_eq!(group.spent.unwrap().epsilon, 8.0);
    }
}
