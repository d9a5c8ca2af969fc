//! What an experiment's file may say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::methods::Method;
use super::probes::Probe;
use crate::failure::{Hint, Usage};
use crate::files;
use crate::source::ModelSource;

/// An experiment as its file has it. Paths are relative to the working directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What the report calls it.
    pub(crate) title: String,
    /// What is measured in each cell.
    #[serde(default)]
    pub(crate) methods: Vec<Method>,
    /// The axes.
    #[serde(default)]
    pub(crate) grid: Grid,
    pub(crate) teachers: BTreeMap<String, Teacher>,
    #[serde(default)]
    pub(crate) students: BTreeMap<String, Student>,
    pub(crate) tasks: BTreeMap<String, Task>,
    #[serde(default)]
    pub(crate) publics: BTreeMap<String, Public>,
    /// Settings that are tried together, one variant at a time.
    #[serde(default)]
    pub(crate) variants: BTreeMap<String, Variant>,
    /// Settings of `post-native tune`.
    #[serde(default)]
    pub(crate) tune: Tune,
    /// Settings of `post-native transfer`.
    #[serde(default)]
    pub(crate) transfer: Table,
    /// Settings of `post-native eval`.
    #[serde(default)]
    pub(crate) eval: Table,
    /// Which attacks are made, and their settings.
    #[serde(default)]
    pub(crate) audits: Audits,
    /// Settings of `post-native score`, which then says how well each public set suits each prompt.
    pub(crate) score: Option<Table>,
    /// Settings of `post-native bench`, which then measures each pair of models.
    pub(crate) bench: Option<Table>,
}

/// Settings of `post-native audit`: `lira` and `canaries` have them over those of `tune`, and attack each run on a
/// student; `min-k` attacks each student.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Audits {
    pub(crate) lira: Option<Table>,
    pub(crate) canaries: Option<Table>,
    pub(crate) min_k: Option<Table>,
}

/// The axes of the grid; an axis that is left out has everything that is named, or one value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grid {
    pub(crate) teacher: Option<Vec<String>>,
    pub(crate) student: Option<Vec<String>>,
    pub(crate) task: Option<Vec<String>>,
    pub(crate) public: Option<Vec<String>>,
    pub(crate) epsilon: Option<Vec<Epsilon>>,
    pub(crate) alpha: Option<Vec<f64>>,
    pub(crate) seed: Option<Vec<u32>>,
    pub(crate) variant: Option<Vec<String>>,
    /// Any setting of the command, and its values.
    #[serde(default)]
    pub(crate) distill: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    pub(crate) tune: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    pub(crate) transfer: BTreeMap<String, Vec<Value>>,
}

/// A large model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Teacher {
    pub(crate) model: ModelSource,
}

/// A small model: one that is there, or settings of `post-native distill` that make one of a teacher.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Student {
    pub(crate) model: Option<ModelSource>,
    pub(crate) distill: Option<Table>,
    /// Which other students its prompts are tuned on as well.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    /// Of which teachers it is a student; of all, if left out.
    pub(crate) teachers: Option<Vec<String>>,
}

/// A task, and what plays its private rows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) task: String,
    pub(crate) train: Vec<PathBuf>,
    pub(crate) test: Vec<PathBuf>,
    /// Settings for this task alone.
    #[serde(default)]
    pub(crate) tune: Table,
    #[serde(default)]
    pub(crate) transfer: Table,
}

/// A public set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Public {
    pub(crate) data: Vec<PathBuf>,
    /// Headers of fields that its tasks' own rows have under others; an empty one leaves the field empty.
    #[serde(default)]
    pub(crate) columns: BTreeMap<String, String>,
    /// For which tasks; for all, if left out.
    pub(crate) tasks: Option<Vec<String>>,
}

/// Settings over those of all runs; none at all is a variant too.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    #[serde(default)]
    pub(crate) distill: Table,
    #[serde(default)]
    pub(crate) tune: Table,
    #[serde(default)]
    pub(crate) transfer: Table,
}

/// Settings of `post-native tune`: for all runs, and on top of them for some.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Tune {
    /// With DP.
    #[serde(default)]
    pub(crate) private: Table,
    /// Without.
    #[serde(default)]
    pub(crate) plain: Table,
    /// On the teacher.
    #[serde(default)]
    pub(crate) teacher: Table,
    #[serde(flatten)]
    pub(crate) all: Table,
}

/// A privacy budget: a number, or "inf" for none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Epsilon(pub(crate) Option<f64>);

impl<'de> Deserialize<'de> for Epsilon {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Integer(epsilon) if epsilon > 0 => Ok(Self(Some(epsilon as f64))),
            Value::Float(epsilon) if epsilon > 0.0 && epsilon.is_finite() => {
                Ok(Self(Some(epsilon)))
            }
            Value::Float(epsilon) if epsilon == f64::INFINITY => Ok(Self(None)),
            Value::String(word) if word == "inf" => Ok(Self(None)),
            other => Err(serde::de::Error::custom(format!(
                "epsilon is a number above 0, or \"inf\" for no privacy, not {other}"
            ))),
        }
    }
}

impl Epsilon {
    /// On its axis.
    pub(super) fn coordinate(self) -> Value {
        self.0.map_or_else(|| "inf".into(), Value::Float)
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it can't be read, isn't TOML, or says something that makes no experiment.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::parse(&files::read_text(path)?).with_context(|| path.display().to_string())
    }

    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| Usage(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// What is measured beside accuracies, with its settings.
    pub(super) fn probes(&self) -> impl Iterator<Item = (Probe, &Table)> {
        let Audits {
            lira,
            canaries,
            min_k,
        } = &self.audits;
        let all = [
            (Probe::Lira, lira),
            (Probe::Canaries, canaries),
            (Probe::MinK, min_k),
            (Probe::Score, &self.score),
            (Probe::Bench, &self.bench),
        ];
        all.into_iter()
            .filter_map(|(probe, settings)| Some((probe, settings.as_ref()?)))
    }

    fn check(&self) -> Result<()> {
        let some = |what: &str, there| match there {
            true => Ok(()),
            false => Err(Usage(format!("an experiment needs {what}"))),
        };
        let probes = self.probes().next().is_some();
        some(
            "a method, [audits.…], [score] or [bench]",
            probes || !self.methods.is_empty(),
        )?;
        some("a [teachers.NAME]", !self.teachers.is_empty())?;
        some("a [tasks.NAME]", !self.tasks.is_empty())?;
        let needs = |need: fn(Method) -> bool| self.methods.iter().any(|&method| need(method));
        let students = probes || needs(Method::needs_student);
        let students = !students || !self.students.is_empty();
        some(
            "a [students.NAME] for its methods, audits, score or bench",
            students,
        )?;
        let publics = needs(Method::needs_public) || self.score.is_some();
        let publics = !publics || !self.publics.is_empty();
        some("a [publics.NAME] for its methods or score", publics)?;
        for (name, student) in &self.students {
            if student.model.is_some() == student.distill.is_some() {
                let error = Usage(format!("[students.{name}] needs `model` or `distill`"));
                return Err(error).hint("name a model that is there, or say how to distil one");
            }
            known("teacher", student.teachers.as_deref(), &self.teachers)?;
            known("student", Some(&student.also), &self.students)?;
            self.check_also(name, student)?;
        }
        for public in self.publics.values() {
            known("task", public.tasks.as_deref(), &self.tasks)?;
        }
        let grid = &self.grid;
        known("teacher", grid.teacher.as_deref(), &self.teachers)?;
        known("student", grid.student.as_deref(), &self.students)?;
        known("task", grid.task.as_deref(), &self.tasks)?;
        known("public set", grid.public.as_deref(), &self.publics)?;
        known("variant", grid.variant.as_deref(), &self.variants)
    }

    /// Whether a student goes with those that its prompts are tuned on as well.
    fn check_also(&self, name: &str, student: &Student) -> Result<()> {
        let also = &student.also;
        let says = |what: &str| Err(Usage(format!("[students.{name}] `also` {what}")));
        if self.audits.canaries.is_some() && !also.is_empty() {
            return says("names others, and canaries are scored on one student")
                .hint("leave [audits.canaries] or `also` out");
        }
        let mut names: BTreeSet<&str> = also.iter().map(String::as_str).collect();
        if names.len() < also.len() || !names.insert(name) {
            return says("names a student twice").hint("a student counts once");
        }
        for other in also.iter().map(|other| &self.students[other]) {
            if !other.also.is_empty() || other.teachers != student.teachers {
                return says("names one with `also` or other `teachers` of its own")
                    .hint("name students of the same teachers, and all of them in one place");
            }
        }
        Ok(())
    }
}

fn known<T>(what: &str, names: Option<&[String]>, among: &BTreeMap<String, T>) -> Result<()> {
    let mut names = names.unwrap_or_default().iter();
    match names.find(|name| !among.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let there: Vec<&str> = among.keys().map(String::as_str).collect();
            Err(Usage(format!("there is no {what} `{name}`")))
                .hint(format!("those named are: {}", there.join(", ")))
        }
    }
}

/// Settings with those of the file under `config`, if there is one, below them.
///
/// # Errors
/// When that file can't be read or isn't TOML.
pub(super) fn with_file(settings: &Table) -> Result<Table> {
    let Some(path) = settings.get("config") else {
        return Ok(settings.clone());
    };
    let path = path
        .as_str()
        .ok_or_else(|| Usage(format!("`config` names a file, it is not {path}")))?;
    let mut table: Table = files::read_text(Path::new(path))?
        .parse()
        .map_err(|error| Usage(format!("{path} is not TOML: {error}")))?;
    overlay(&mut table, settings);
    table.remove("config");
    Ok(table)
}

/// Puts the settings of `upper` over those of `lower`.
pub(super) fn overlay(lower: &mut Table, upper: &Table) {
    lower.extend(
        upper
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
}
