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
    /// Settings tried together and their name, where the experiment has such; their own are by command
    /// and name, too.
    pub(crate) variant: Option<(String, BTreeMap<String, Value>)>,
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
        all.insert("epsilon".into(), self.epsilon.coordinate());
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
        if let Some((name, settings)) = &self.variant
            && settings.keys().any(|setting| method.depends_on(setting))
        {
            all.insert("variant".into(), text(name));
        }
        all
    }

    /// The cell's settings for a command.
    pub(crate) fn settings(&self, command: &str) -> Table {
        let own = |(name, value): (&String, &Value)| {
            let (of, setting) = name.split_once('.')?;
            (of == command).then(|| (setting.to_owned(), value.clone()))
        };
        let variant = self.variant.iter().flat_map(|(_, settings)| settings);
        variant.chain(&self.more).filter_map(own).collect()
    }
}

/// All cells, seeds varying slowest, so that a grid that is stopped half-way has whole tables.
pub(crate) fn cells(config: &Config) -> Vec<Cell> {
    let grid = &config.grid;
    let some = |names: Vec<String>| match names.is_empty() {
        true => vec![None],
        false => names.into_iter().map(Some).collect(),
    };
    let teachers = named(grid.teacher.as_ref(), &config.teachers);
    let tasks = named(grid.task.as_ref(), &config.tasks);
    let students = some(named(grid.student.as_ref(), &config.students));
    let publics = some(named(grid.public.as_ref(), &config.publics));
    let alphas = grid.alpha.iter().flatten().copied();
    let start = Cell {
        teacher: String::new(),
        student: None,
        task: String::new(),
        public: None,
        epsilon: Epsilon(None),
        alpha: None,
        seed: 0,
        variant: None,
        more: BTreeMap::new(),
    };
    let mut cells = vec![start];
    vary(&mut cells, grid.seed.iter().flatten(), |cell, &seed| {
        cell.seed = seed;
    });
    vary(&mut cells, teachers, |cell, name| cell.teacher = name);
    vary(&mut cells, tasks, |cell, name| cell.task = name);
    vary(&mut cells, students, |cell, name| cell.student = name);
    vary(&mut cells, publics, |cell, name| cell.public = name);
    cells.retain(|cell| goes(config, cell));
    vary(
        &mut cells,
        grid.epsilon.iter().flatten(),
        |cell, &epsilon| {
            cell.epsilon = epsilon;
        },
    );
    vary(&mut cells, alphas, |cell, alpha| cell.alpha = Some(alpha));
    vary(&mut cells, variants(config), |cell, variant| {
        cell.variant = Some(variant);
    });
    let commands = [
        ("distill", &grid.distill),
        ("tune", &grid.tune),
        ("transfer", &grid.transfer),
    ];
    for (command, axes) in commands {
        for (name, values) in axes {
            vary(&mut cells, values, |cell, value| {
                cell.more.insert(format!("{command}.{name}"), value.clone());
            });
        }
    }
    cells
}

/// Names and settings.
fn variants(config: &Config) -> Vec<(String, BTreeMap<String, Value>)> {
    let settings = |name: String| {
        let variant = &config.variants[&name];
        let commands = [
            ("distill", &variant.distill),
            ("tune", &variant.tune),
            ("transfer", &variant.transfer),
        ];
        let settings = commands.into_iter().flat_map(|(command, table)| {
            let pairs = table.iter();
            pairs.map(move |(name, value)| (format!("{command}.{name}"), value.clone()))
        });
        let settings = settings.collect();
        (name, settings)
    };
    let names = named(config.grid.variant.as_ref(), &config.variants);
    names.into_iter().map(settings).collect()
}

/// Each cell with each value of an axis; an axis without values changes nothing.
fn vary<T: Clone>(
    cells: &mut Vec<Cell>,
    values: impl IntoIterator<Item = T>,
    set: impl Fn(&mut Cell, T),
) {
    let values: Vec<T> = values.into_iter().collect();
    if values.is_empty() {
        return;
    }
    let with = |cell: &Cell, value: &T| {
        let mut cell = cell.clone();
        set(&mut cell, value.clone());
        cell
    };
    *cells = cells
        .iter()
        .flat_map(|cell| {
            values
                .iter()
                .map(|value| with(cell, value))
                .collect::<Vec<_>>()
        })
        .collect();
}

/// The axis's names, or all that there are.
fn named<T>(axis: Option<&Vec<String>>, all: &BTreeMap<String, T>) -> Vec<String> {
    axis.cloned()
        .unwrap_or_else(|| all.keys().cloned().collect())
}

/// Whether the student is one of the teacher's, and the public set one of the task's.
fn goes(config: &Config, cell: &Cell) -> bool {
    let among = |names: Option<&Vec<String>>, name| names.is_none_or(|names| names.contains(name));
    let student = cell.student.as_ref();
    let student = student.and_then(|name| config.students.get(name));
    let public = cell.public.as_ref();
    let public = public.and_then(|name| config.publics.get(name));
    student.is_none_or(|student| among(student.teachers.as_ref(), &cell.teacher))
        && public.is_none_or(|public| among(public.tasks.as_ref(), &cell.task))
}
