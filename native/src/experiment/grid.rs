//! The cells of the grid: every combination of the axes' values that goes together.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::config::{Config, Epsilon};
use super::methods::Method;

/// A point of the grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) teacher: String,
    /// None where no method needs one.
    pub(crate) student: Option<String>,
    pub(crate) task: String,
    pub(crate) public: Option<String>,
    pub(crate) epsilon: Epsilon,
    pub(crate) alpha: Option<f64>,
    pub(crate) seed: u32,
    /// Settings by command and name: `tune.expected_batch`.
    pub(crate) more: BTreeMap<String, Value>,
}

/// The values of a cell by the names of their axes.
pub(crate) type Coordinates = BTreeMap<String, Value>;

impl Cell {
    /// What tells the cell from others, as far as it changes what `method` gives.
    pub(crate) fn coordinates(&self, method: Method) -> Coordinates {
        let text = |value: &str| Value::String(value.to_owned());
        let mut all: Coordinates = self.more.clone();
        all.insert("teacher".into(), text(&self.teacher));
        all.insert("task".into(), text(&self.task));
        all.insert("seed".into(), Value::Integer(self.seed.into()));
        all.insert(
            "epsilon".into(),
            self.epsilon.0.map_or(text("inf"), Value::Float),
        );
        all.extend(
            self.student
                .iter()
                .map(|name| ("student".into(), text(name))),
        );
        all.extend(self.public.iter().map(|name| ("public".into(), text(name))));
        all.extend(
            self.alpha
                .map(|alpha| ("alpha".into(), Value::Float(alpha))),
        );
        all.retain(|axis, _| method.depends_on(axis));
        all
    }

    /// The cell's settings for a command.
    pub(crate) fn settings(&self, command: &str) -> Table {
        let own = |(name, value): (&String, &Value)| {
            let (of, setting) = name.split_once('.')?;
            (of == command).then(|| (setting.to_owned(), value.clone()))
        };
        self.more.iter().filter_map(own).collect()
    }
}

/// All cells, seeds varying slowest, so that a grid that is stopped half-way has whole tables.
pub(crate) fn cells(config: &Config) -> Vec<Cell> {
    let grid = &config.grid;
    let named = |axis: &Option<Vec<String>>, all: Vec<&String>| -> Vec<String> {
        axis.clone()
            .unwrap_or_else(|| all.into_iter().cloned().collect())
    };
    let optional = |names: Vec<String>| match names.is_empty() {
        true => vec![None],
        false => names.into_iter().map(Some).collect(),
    };
    let students = optional(named(&grid.student, config.students.keys().collect()));
    let publics = optional(named(&grid.public, config.publics.keys().collect()));
    let alphas = grid.alpha.as_ref().map_or(vec![None], |values| {
        values.iter().copied().map(Some).collect()
    });
    let epsilons = grid.epsilon.clone().unwrap_or(vec![Epsilon(None)]);
    let more = settings(config);
    let mut cells = Vec::new();
    for &seed in grid.seed.as_deref().unwrap_or(&[0]) {
        for teacher in named(&grid.teacher, config.teachers.keys().collect()) {
            for task in named(&grid.task, config.tasks.keys().collect()) {
                for student in &students {
                    for public in &publics {
                        if !goes(config, &teacher, &task, student, public) {
                            continue;
                        }
                        for &epsilon in &epsilons {
                            for &alpha in &alphas {
                                cells.extend(more.iter().map(|more| Cell {
                                    teacher: teacher.clone(),
                                    student: student.clone(),
                                    task: task.clone(),
                                    public: public.clone(),
                                    epsilon,
                                    alpha,
                                    seed,
                                    more: more.clone(),
                                }));
                            }
                        }
                    }
                }
            }
        }
    }
    cells
}

/// Whether the student is one of the teacher's, and the public set one of the task's.
fn goes(
    config: &Config,
    teacher: &String,
    task: &String,
    student: &Option<String>,
    public: &Option<String>,
) -> bool {
    let among = |names: Option<&Vec<String>>, name| names.is_none_or(|names| names.contains(name));
    let student = student.as_ref().and_then(|name| config.students.get(name));
    let public = public.as_ref().and_then(|name| config.publics.get(name));
    student.is_none_or(|student| among(student.teachers.as_ref(), teacher))
        && public.is_none_or(|public| among(public.tasks.as_ref(), task))
}

/// Every combination of the commands' settings.
fn settings(config: &Config) -> Vec<BTreeMap<String, Value>> {
    let grid = &config.grid;
    let commands = [
        ("distill", &grid.distill),
        ("tune", &grid.tune),
        ("transfer", &grid.transfer),
    ];
    let mut all = vec![BTreeMap::new()];
    for (command, axes) in commands {
        for (name, values) in axes {
            let with = |base: &BTreeMap<String, Value>, value: &Value| {
                let mut more = base.clone();
                more.insert(format!("{command}.{name}"), value.clone());
                more
            };
            all = all
                .iter()
                .flat_map(|base| values.iter().map(move |value| with(base, value)))
                .collect();
        }
    }
    all
}
