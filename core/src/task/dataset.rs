//! From a table's cells to the rows of a task: text, class, group.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::answers::{Answers, Label};
use super::file::Task;
use super::table::{BadReason, BadRow, Table, TableRow};

/// How much of a strange label a message quotes.
const QUOTED: usize = 40;

/// Whether rows must carry a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Rows without a known label are bad rows (private data, test data).
    Required,
    /// An answer of text is read where the table has it, and a row may lack it; of classes nothing is
    /// looked at (public text that two models are compared along).
    IfThere,
    /// The label column is not looked at and may be missing (public text for the transfer).
    Unused,
}

/// One row that can be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line of the file, from 1.
    pub line: usize,
    /// Text of each of the template's fields, in their order.
    pub texts: Vec<String>,
    /// Its answer; none where labels are unused.
    pub label: Option<Label<String>>,
    /// Value of the task's group column.
    pub group: Option<String>,
}

/// A later row with the same text as an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Line of the later row.
    pub line: usize,
    /// Line of the first.
    pub first: usize,
    /// Whether both carry the same label.
    pub same_label: bool,
}

/// The rows of a task. Every row of the file is in exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dataset {
    /// What can be encoded.
    pub rows: Vec<Row>,
    /// What cannot, in the order of the lines.
    pub bad: Vec<BadRow>,
    /// Lines that the task's `ignored_labels` leave out.
    pub ignored: Vec<usize>,
}

/// Why a table does not fit the task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// A column that the task reads is not there.
    #[error(
        "the table has no column `{column}`, which the task `{task}` reads; its columns are {columns}; map another one in the task's [columns]"
    )]
    MissingColumn {
        /// The missing header.
        column: String,
        /// The task's name.
        task: String,
        /// The headers there are.
        columns: String,
    },
    /// Not one row is usable.
    #[error("none of the table's {count} rows can be used; the first: {first}")]
    NoRows {
        /// Rows left out.
        count: usize,
        /// The first one's reason.
        first: String,
    },
}

impl Task {
    /// The table's rows as this task reads them.
    ///
    /// # Errors
    /// [`DatasetError`] where a column is missing or no row is left.
    pub fn dataset(&self, table: &Table, labels: Labels) -> Result<Dataset, DatasetError> {
        let columns = Columns::find(self, table, labels)?;
        let mut dataset = Dataset {
            bad: table.bad.clone(),
            ..Dataset::default()
        };
        for row in &table.rows {
            match columns.read(self, row) {
                Ok(Some(row)) => dataset.rows.push(row),
                Ok(None) => dataset.ignored.push(row.line),
                Err(reason) => dataset.bad.push(BadRow {
                    line: row.line,
                    reason,
                }),
            }
        }
        dataset.bad.sort_by_key(|bad| bad.line);
        if dataset.rows.is_empty() {
            let first = dataset
                .bad
                .first()
                .map_or_else(String::new, ToString::to_string);
            let count = dataset.bad.len() + dataset.ignored.len();
            return Err(DatasetError::NoRows { count, first });
        }
        Ok(dataset)
    }
}

impl Dataset {
    /// Later rows whose text equals an earlier row's, case and white space aside.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let mut first: HashMap<Vec<String>, &Row> = HashMap::new();
        let mut duplicates = Vec::new();
        for row in &self.rows {
            let earlier = *first.entry(key(row)).or_insert(row);
            if earlier.line != row.line {
                duplicates.push(Duplicate {
                    line: row.line,
                    first: earlier.line,
                    same_label: earlier.label == row.label,
                });
            }
        }
        duplicates
    }

    /// Removes rows that repeat an earlier row's texts and label to the last byte, and says which.
    ///
    /// Rows that are merely alike stay. A guarantee for adding or removing one row needs that a row
    /// more or less in the file is at most a row more or less in what is left: were the second of two
    /// *unlike* rows dropped because of the first, removing the first would put the second in its place.
    pub fn remove_copies(&mut self) -> Vec<Duplicate> {
        let mut first = HashMap::new();
        let mut copies = Vec::new();
        self.rows.retain(|row| {
            let earlier = *first
                .entry((row.texts.clone(), row.label.clone()))
                .or_insert(row.line);
            if earlier != row.line {
                copies.push(Duplicate {
                    line: row.line,
                    first: earlier,
                    same_label: true,
                });
            }
            earlier == row.line
        });
        copies
    }
}

/// What earlier files held, where one data set is spread over several.
///
/// A row of a second file that repeats one of the first is a copy like any other: the guarantee is
/// about the rows of all files together.
#[derive(Debug, Default)]
pub struct Seen {
    rows: HashSet<(Vec<String>, Option<Label<String>>)>,
    keys: HashSet<Vec<String>>,
}

impl Seen {
    /// As [`Dataset::remove_copies`], of rows in earlier files too; how many were removed.
    pub fn remove_copies(&mut self, dataset: &mut Dataset) -> usize {
        let before = dataset.rows.len();
        let new = |row: &Row| self.rows.insert((row.texts.clone(), row.label.clone()));
        dataset.rows.retain(new);
        before - dataset.rows.len()
    }

    /// How many rows are alike an earlier one but for case, white space or label: what
    /// [`Dataset::duplicates`] names, of rows in earlier files too.
    pub fn count_alike(&mut self, dataset: &Dataset) -> usize {
        let alike = |row: &&Row| !self.keys.insert(key(row));
        dataset.rows.iter().filter(alike).count()
    }
}

/// Splits rows into (train, test), about `test_share` of the groups in the second.
///
/// A row's side depends on its group (else its text) and the salt alone, so rows of one group never
/// part, equal texts never end up on both sides, and a grown file keeps its old split.
pub fn holdout(rows: Vec<Row>, test_share: f64, salt: &str) -> (Vec<Row>, Vec<Row>) {
    rows.into_iter()
        .partition(|row| unit_hash(salt, row) >= test_share)
}

/// A number in `[0, 1)` from the row's group or text.
fn unit_hash(salt: &str, row: &Row) -> f64 {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    let parts = row
        .group
        .as_deref()
        .map_or_else(|| key(row), |group| vec![group.to_owned()]);
    for part in parts {
        hasher.update([0]);
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let head = digest
        .iter()
        .take(4)
        .fold(0u32, |acc, &byte| (acc << 8) | u32::from(byte));
    f64::from(head) / 4_294_967_296.0
}

/// What two duplicates have in common: the words, whatever their case and the space between them.
fn key(row: &Row) -> Vec<String> {
    let words = |text: &String| {
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
    };
    row.texts.iter().map(words).collect()
}

/// Where the task's columns stand in a table.
struct Columns {
    /// Of the template's fields; `None` where one is left empty.
    texts: Vec<Option<usize>>,
    label: Option<usize>,
    /// Whether a row without a label is a bad one.
    required: bool,
    group: Option<usize>,
}

impl Columns {
    fn find(task: &Task, table: &Table, labels: Labels) -> Result<Self, DatasetError> {
        let find = |column: &str| {
            table
                .column(column)
                .ok_or_else(|| DatasetError::MissingColumn {
                    column: column.to_owned(),
                    task: task.name().to_owned(),
                    columns: table.columns.join(", "),
                })
        };
        let labelled = labels == Labels::Required;
        let label = match (labels, task.answers()) {
            (Labels::Required, _) => Some(find(task.label_column())?),
            (Labels::IfThere, Answers::Open(_)) => table.column(task.label_column()),
            (Labels::IfThere, Answers::Classes(_)) | (Labels::Unused, _) => None,
        };
        Ok(Self {
            texts: task
                .text_columns()
                .map(|column| (!column.is_empty()).then(|| find(column)).transpose())
                .collect::<Result<_, _>>()?,
            label,
            required: labelled,
            // Only splits need it, and those are made from labelled data.
            group: task
                .group_column()
                .filter(|_| labelled)
                .map(find)
                .transpose()?,
        })
    }

    /// The row; `None` where its label is one to ignore.
    fn read(&self, task: &Task, row: &TableRow) -> Result<Option<Row>, BadReason> {
        let label = self
            .label
            .map(|column| row.cells[column].trim())
            .filter(|label| self.required || !label.is_empty());
        if label.is_some_and(|label| task.ignored_labels().iter().any(|i| i.trim() == label)) {
            return Ok(None);
        }
        let texts: Vec<_> = self
            .texts
            .iter()
            .map(|column| column.map_or_else(String::new, |at| row.cells[at].clone()))
            .collect();
        if texts.iter().all(|text| text.trim().is_empty()) {
            let columns = task.text_columns().filter(|column| !column.is_empty());
            let columns: Vec<_> = columns.map(|column| format!("`{column}`")).collect();
            return Err(BadReason::NoText {
                columns: columns.join(" or "),
            });
        }
        Ok(Some(Row {
            line: row.line,
            texts,
            label: label.map(|label| answer(task, label)).transpose()?,
            group: self.group.map(|column| row.cells[column].clone()),
        }))
    }
}

/// What a value of the label column answers.
fn answer(task: &Task, value: &str) -> Result<Label<String>, BadReason> {
    let column = || task.label_column().to_owned();
    if value.is_empty() {
        return Err(BadReason::NoLabel { column: column() });
    }
    match task.answers() {
        Answers::Open(open) if value.contains(&open.end) => Err(BadReason::EndWithin {
            column: column(),
            end: open.end.clone(),
        }),
        Answers::Open(_) => Ok(Label::Text(value.to_owned())),
        Answers::Classes(classes) => task.class_of(value).map(Label::Class).ok_or_else(|| {
            let known = classes.iter().flat_map(|class| &class.values);
            BadReason::UnknownLabel {
                value: value.chars().take(QUOTED).collect(),
                known: known.map(String::as_str).collect::<Vec<_>>().join(", "),
            }
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::answers::tests::open;
    use super::super::file::tests::SMALL;
    use super::super::table::{self, Format};
    use super::*;

    fn table(text: &str) -> Table {
        table::read(text.as_bytes(), Format::Csv).unwrap()
    }

    fn task() -> Task {
        Task::from_toml(&SMALL.replace("[columns]", "ignored_labels = [\"plot\"]\n[columns]"))
            .unwrap()
    }

    #[test]
    fn every_row_lands_in_one_of_three() {
        let table =
            table("stars,review\n0,bad\n positive ,good\nplot,long\n,x\n7,y\n1,  \nragged\n");
        let dataset = task().dataset(&table, Labels::Required).unwrap();
        let rows = dataset.rows.iter();
        let rows: Vec<_> = rows.map(|r| (r.line, r.label.clone())).collect();
        let class = |class| Some(Label::Class(class));
        assert_eq!(rows, [(2, class(0)), (3, class(1))]);
        assert_eq!(dataset.ignored, [4]);
        let bad: Vec<_> = dataset.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(bad, [5, 6, 7, 8]);
        assert!(dataset.bad[1].to_string().contains("`7`"));
        assert!(dataset.bad[1].to_string().contains("0, 1, positive"));
        assert!(matches!(dataset.bad[2].reason, BadReason::NoText { .. }));
    }

    #[test]
    fn public_text_needs_no_labels() {
        let dataset = task()
            .dataset(&table("review\na\nb\n"), Labels::Unused)
            .unwrap();
        assert!(dataset.rows.iter().all(|row| row.label.is_none()));
        let missing = task()
            .dataset(&table("review\na\n"), Labels::Required)
            .unwrap_err();
        assert!(
            matches!(&missing, DatasetError::MissingColumn { column, .. } if column == "stars")
        );
        assert!(missing.to_string().contains("review"));
    }

    #[test]
    fn answers_of_text_are_read_where_they_are_there() {
        let small = task();
        let task = Task::from_toml(&open("max_tokens = 3\nend = \".\"")).unwrap();
        let texts = |text: &str, labels| {
            let dataset = task.dataset(&table(text), labels).unwrap();
            let bad: Vec<_> = dataset.bad.iter().map(|bad| bad.line).collect();
            let rows = dataset.rows.into_iter();
            (rows.map(|row| row.label).collect::<Vec<_>>(), bad)
        };
        let said = |text: &str| Some(Label::Text(text.to_owned()));
        let file = "stars,review\n Alan Smithee ,a\n,b\none. two,c\n";
        let required = texts(file, Labels::Required);
        assert_eq!(required, (vec![said("Alan Smithee")], vec![3, 4]));
        let there = texts(file, Labels::IfThere);
        assert_eq!(there, (vec![said("Alan Smithee"), None], vec![4]));
        assert_eq!(texts(file, Labels::Unused), (vec![None; 3], vec![]));
        assert_eq!(texts("review\na\n", Labels::IfThere).0, [None]);
        // Classes are not looked at where no label is needed.
        let classes = small.dataset(&table(file), Labels::IfThere);
        assert!(classes.unwrap().rows.iter().all(|row| row.label.is_none()));
    }

    #[test]
    fn an_empty_header_leaves_its_field_empty() {
        let two = SMALL
            .replace("{text}It was", "T:{title}E:{text}It was")
            .replace("[columns]", "[columns]\ntitle = \"t\"");
        let task = Task::from_toml(&two).unwrap().with_column("title", "");
        let dataset = task
            .unwrap()
            .dataset(&table("review\na\n \n"), Labels::Unused);
        let Dataset { rows, bad, .. } = dataset.unwrap();
        assert_eq!(rows[0].texts, ["", "a"]);
        let blank = BadReason::NoText {
            columns: "`review`".to_owned(),
        };
        assert_eq!((bad[0].line, &bad[0].reason), (3, &blank));
    }

    #[test]
    fn a_table_without_usable_rows_is_an_error() {
        let error = task()
            .dataset(&table("stars,review\n9,a\n"), Labels::Required)
            .unwrap_err();
        assert!(
            matches!(&error, DatasetError::NoRows { count: 1, first } if first.contains("line 2"))
        );
    }

    #[test]
    fn duplicates_are_named() {
        let table = table("stars,review\n0,a\n0,b\npositive,A \n0,b\n");
        let dataset = task().dataset(&table, Labels::Required).unwrap();
        let duplicate = |line, first, same_label| Duplicate {
            line,
            first,
            same_label,
        };
        assert_eq!(
            dataset.duplicates(),
            [duplicate(4, 2, false), duplicate(5, 3, true)]
        );
    }

    /// What is left of neighbouring files must be neighbours too.
    #[test]
    fn a_row_less_in_the_file_is_at_most_a_row_less_in_what_is_left() {
        let text = "stars,review\n0,a\n0,b\npositive,a\n0,A \n0,b\n";
        let left = |skipped: Option<usize>| {
            let lines = text.lines().enumerate();
            let kept: String = lines
                .filter(|&(number, _)| Some(number) != skipped)
                .flat_map(|(_, line)| [line, "\n"])
                .collect();
            let mut dataset = task().dataset(&table(&kept), Labels::Required).unwrap();
            let copies = dataset.remove_copies().len();
            let mut rows: Vec<_> = dataset
                .rows
                .into_iter()
                .map(|row| (row.texts, row.label))
                .collect();
            rows.sort();
            (rows, copies)
        };
        let (all, copies) = left(None);
        assert_eq!((all.len(), copies), (4, 1));
        for skipped in 1..6 {
            let (rows, _) = left(Some(skipped));
            let lost = all.iter().filter(|row| !rows.contains(row)).count();
            assert!(rows.iter().all(|row| all.contains(row)));
            assert_eq!(all.len() - rows.len(), lost);
            assert!(lost <= 1, "without line {skipped}");
        }
    }

    #[test]
    fn copies_are_found_across_files_wherever_they_stand() {
        // The copies stand on the same line of their files, on another one, and twice in one file.
        let files = [
            "stars,review\n0,a\n0,b\n0,A\n",
            "stars,review\n0,a\npositive,b\n0,c\n0,c\n",
            "review,stars\nb,0\nd,0\n",
        ];
        let (mut seen, mut left, mut alike) = (Seen::default(), Vec::new(), Vec::new());
        for text in files {
            let mut dataset = task().dataset(&table(text), Labels::Required).unwrap();
            let rows = dataset.rows.len();
            let copies = seen.remove_copies(&mut dataset);
            assert_eq!(copies, rows - dataset.rows.len());
            alike.push(seen.count_alike(&dataset));
            left.extend(dataset.rows.into_iter().map(|row| (row.texts, row.label)));
        }
        // One file with all their rows leaves the same.
        let all = "stars,review\n0,a\n0,b\n0,A\n0,a\npositive,b\n0,c\n0,c\n0,b\n0,d\n";
        let mut one = task().dataset(&table(all), Labels::Required).unwrap();
        assert_eq!(one.remove_copies().len(), 3);
        assert_eq!(one.duplicates().len(), alike.iter().sum::<usize>());
        let one: Vec<_> = one.rows.into_iter().map(|r| (r.texts, r.label)).collect();
        assert_eq!(left, one);
        assert_eq!(alike, [1, 1, 0]);
    }

    #[test]
    fn a_split_keeps_groups_together_and_meets_its_share() {
        let rows: Vec<_> = (0..20_000)
            .map(|i| Row {
                line: i,
                texts: vec![format!("text {i}")],
                label: None,
                group: Some(format!("group {}", i / 4)),
            })
            .collect();
        let (train, test) = holdout(rows.clone(), 0.2, "salt");
        let of = |rows: &[Row]| {
            rows.iter()
                .map(|r| r.group.clone())
                .collect::<std::collections::HashSet<_>>()
        };
        assert!(of(&train).is_disjoint(&of(&test)));
        // 5 000 groups at 0.2: one standard deviation is 0.0057.
        let share = of(&test).len() as f64 / 5_000.0;
        assert!((share - 0.2).abs() < 0.034, "{share}");
        assert_ne!(holdout(rows.clone(), 0.2, "other").1, test);
        assert_eq!(holdout(rows, 0.2, "salt").1, test);
    }
}
