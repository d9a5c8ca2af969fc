//! The jobs that an experiment needs, each once.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use post_core::dp::receipt::sha256;
use toml::{Table, Value};

use super::config::{Config, Epsilon, overlay, with_file};
use super::grid::{Cell, Coordinates, cells};
use super::methods::Method;
use super::probes::{Probe, Probed};
use super::table::cell;
use crate::failure::Usage;
use crate::source::ModelSource;
use crate::{files, models, prompts};

/// Digits of a job's name: enough for millions of jobs.
const DIGITS: usize = 12;

/// One call of this program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// `tune-3f2a…`, also its folder's name.
    pub(crate) name: String,
    pub(crate) command: &'static str,
    /// All but what other jobs make.
    pub(crate) settings: Table,
    pub(crate) needs: Vec<Need>,
    /// The cell's values that it was made for first.
    pub(crate) what: String,
}

/// A setting that is a file which another job makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) setting: &'static str,
    pub(crate) job: String,
    /// In that job's folder.
    pub(crate) file: &'static str,
}

/// A number that will stand in the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) method: Method,
    pub(crate) coordinates: Coordinates,
    /// The job that measures it.
    pub(crate) eval: String,
    /// The jobs that train for it: what it costs.
    pub(crate) training: Vec<String>,
}

/// All jobs, those first that others need, all rows of the table, and what is measured beside them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) jobs: Vec<Job>,
    pub(crate) rows: Vec<Planned>,
    pub(crate) probes: Vec<Probed>,
}

/// Hashes of the files that jobs read, so that a changed file makes new jobs.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    known: HashMap<String, String>,
    /// Nothing is read; names of jobs then say nothing of what files hold.
    unread: bool,
}

/// The setting for students beside the first.
pub(super) const ALSO: &str = "also_student";

/// Where a student comes from.
enum Made {
    /// A model that is there.
    There(String),
    /// The job that distils it.
    By(String),
}

/// On which model a prompt is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Student,
    Teacher,
}

impl Plan {
    /// # Errors
    /// When a file that the experiment names is missing or can't be read.
    pub(crate) fn new(config: &Config, inputs: &mut Inputs) -> Result<Self> {
        let mut planner = Planner {
            config,
            inputs,
            plan: Self::default(),
        };
        for cell in cells(config) {
            for &method in &config.methods {
                planner.row(&cell, method)?;
            }
        }
        for cell in cells(config) {
            for (probe, own) in config.probes() {
                planner.probe(&cell, probe, own)?;
            }
        }
        Ok(planner.plan)
    }

    pub(crate) fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == name)
    }

    /// Names of the jobs that a job needs, and of those that these need.
    pub(crate) fn behind(&self, name: &str) -> Vec<String> {
        let needs = |name: &str| {
            let needs = self.job(name).map_or(&[][..], |job| &job.needs);
            needs.iter().map(|need| need.job.as_str())
        };
        let mut all = BTreeSet::new();
        let mut open: Vec<&str> = needs(name).collect();
        while let Some(name) = open.pop() {
            if all.insert(name.to_owned()) {
                open.extend(needs(name));
            }
        }
        all.into_iter().collect()
    }

    /// Whether the job's end brings a number or a finding.
    pub(crate) fn measures(&self, job: &Job) -> bool {
        self.rows.iter().any(|row| row.eval == job.name)
            || self.probes.iter().any(|probed| probed.job == job.name)
    }
}

struct Planner<'a> {
    config: &'a Config,
    inputs: &'a mut Inputs,
    plan: Plan,
}

impl Planner<'_> {
    fn row(&mut self, cell: &Cell, method: Method) -> Result<()> {
        let coordinates = cell.coordinates(method);
        let same = |row: &Planned| row.method == method && row.coordinates == coordinates;
        if self.plan.rows.iter().any(same) {
            return Ok(());
        }
        let mut eval = Table::new();
        let mut needs = Vec::new();
        match method {
            Method::ZeroShot | Method::Calibrated => self.teacher(cell, &mut eval, "model")?,
            Method::Sentence | Method::SentenceCalibrated => {
                self.teacher(cell, &mut eval, "model")?;
                let mut tuning = self.tuning_settings(cell, On::Student, cell.epsilon)?;
                let tokens = tuning.remove("num_virtual_tokens");
                let tokens = tokens.unwrap_or_else(|| (prompts::VIRTUAL_TOKENS as i64).into());
                eval.insert("sentence".into(), tokens);
                eval.extend(tuning.remove_entry("prompt_place"));
            }
            Method::StudentZeroShot => self.student(cell, &mut eval, &mut needs, "model")?,
            Method::Student => {
                self.student(cell, &mut eval, &mut needs, "model")?;
                needs.push(prompt(self.tune(cell, On::Student, cell.epsilon)?));
            }
            Method::Direct | Method::LogitArithmetic | Method::SentenceLogitArithmetic => {
                self.teacher(cell, &mut eval, "model")?;
                needs.push(prompt(self.tune(cell, On::Student, cell.epsilon)?));
                if method != Method::Direct {
                    self.student(cell, &mut eval, &mut needs, "student")?;
                }
                if method == Method::SentenceLogitArithmetic {
                    eval.insert("change_since".into(), "sentence".into());
                }
            }
            Method::Relative | Method::Post | Method::PostCalibrated => {
                self.teacher(cell, &mut eval, "model")?;
                needs.push(prompt(self.transfer(cell, method)?));
            }
            Method::TeacherTuned | Method::UpperBound => {
                self.teacher(cell, &mut eval, "model")?;
                let epsilon = match method {
                    Method::UpperBound => Epsilon(None),
                    _ => cell.epsilon,
                };
                needs.push(prompt(self.tune(cell, On::Teacher, epsilon)?));
            }
        }
        if method.calibrates() {
            self.public(cell, &mut eval, "calibrate")?;
        }
        let eval = self.eval(cell, method, eval, needs)?;
        let training = self.plan.behind(&eval);
        self.plan.rows.push(Planned {
            method,
            coordinates,
            eval,
            training,
        });
        Ok(())
    }

    fn eval(
        &mut self,
        cell: &Cell,
        method: Method,
        own: Table,
        needs: Vec<Need>,
    ) -> Result<String> {
        let mut settings = with_file(&self.config.eval)?;
        overlay(&mut settings, &own);
        let task = &self.config.tasks[&cell.task];
        settings.insert("task".into(), task.task.as_str().into());
        settings.insert("data".into(), paths(&task.test));
        let what = format!("{}: {}", method.label(), told(&cell.coordinates(method)));
        self.job("eval", settings, needs, what)
    }

    fn probe(&mut self, cell: &Cell, probe: Probe, own: &Table) -> Result<()> {
        let coordinates = probe.coordinates(cell);
        let same = |other: &Probed| other.probe == probe && other.coordinates == coordinates;
        if self.plan.probes.iter().any(same) {
            return Ok(());
        }
        let (mut settings, mut needs) = (Table::new(), Vec::new());
        match probe {
            Probe::Lira | Probe::Canaries => {
                (settings, needs) = self.tuning(cell, On::Student, cell.epsilon)?;
            }
            Probe::MinK => self.student(cell, &mut settings, &mut needs, "model")?,
            Probe::Score => {
                self.student(cell, &mut settings, &mut needs, "student")?;
                needs.push(prompt(self.tune(cell, On::Student, cell.epsilon)?));
                let task = &self.config.tasks[&cell.task];
                settings.insert("task".into(), task.task.as_str().into());
                self.public(cell, &mut settings, "public")?;
            }
            Probe::Bench => {
                self.student(cell, &mut settings, &mut needs, "student")?;
                self.teacher(cell, &mut settings, "teacher")?;
            }
        }
        overlay(&mut settings, &with_file(own)?);
        let job = self.job(probe.command(), settings, needs, told(&coordinates))?;
        self.plan.probes.push(Probed {
            probe,
            coordinates,
            job,
        });
        Ok(())
    }

    fn tune(&mut self, cell: &Cell, on: On, epsilon: Epsilon) -> Result<String> {
        let (settings, needs) = self.tuning(cell, on, epsilon)?;
        let method = match on {
            On::Student => Method::Student,
            On::Teacher => Method::TeacherTuned,
        };
        let mut coordinates = cell.coordinates(method);
        coordinates.insert("epsilon".into(), epsilon.coordinate());
        self.job("tune", settings, needs, told(&coordinates))
    }

    /// What the file says of a tuning run.
    fn tuning_settings(&self, cell: &Cell, on: On, epsilon: Epsilon) -> Result<Table> {
        let (tune, task) = (&self.config.tune, &self.config.tasks[&cell.task]);
        let mut settings = with_file(&tune.all)?;
        overlay(
            &mut settings,
            &with_file(match epsilon.0 {
                Some(_) => &tune.private,
                None => &tune.plain,
            })?,
        );
        if on == On::Teacher {
            overlay(&mut settings, &with_file(&tune.teacher)?);
        }
        overlay(&mut settings, &with_file(&task.tune)?);
        overlay(&mut settings, &cell.settings("tune"));
        Ok(settings)
    }

    /// Settings of a tuning run, and what it needs.
    fn tuning(&mut self, cell: &Cell, on: On, epsilon: Epsilon) -> Result<(Table, Vec<Need>)> {
        let mut settings = self.tuning_settings(cell, on, epsilon)?;
        let task = &self.config.tasks[&cell.task];
        match epsilon.0 {
            Some(epsilon) => settings.insert("target_epsilon".into(), epsilon.into()),
            None => settings.insert("no_dp".into(), true.into()),
        };
        settings.insert("seed".into(), i64::from(cell.seed).into());
        settings.insert("task".into(), task.task.as_str().into());
        settings.insert("data".into(), paths(&task.train));
        let mut needs = Vec::new();
        match on {
            On::Student => self.students(cell, &mut settings, &mut needs)?,
            On::Teacher => self.teacher(cell, &mut settings, "student")?,
        }
        Ok((settings, needs))
    }

    /// By training on public rows, or by relative representation alone.
    fn transfer(&mut self, cell: &Cell, method: Method) -> Result<String> {
        let task = &self.config.tasks[&cell.task];
        let mut settings = Table::new();
        if method == Method::Relative {
            settings.insert("init".into(), "relative".into());
            settings.insert("steps".into(), 0.into());
        } else {
            settings = with_file(&self.config.transfer)?;
            overlay(&mut settings, &with_file(&task.transfer)?);
            overlay(&mut settings, &cell.settings("transfer"));
            settings.extend(cell.alpha.map(|alpha| ("alpha".into(), alpha.into())));
            settings.insert("seed".into(), i64::from(cell.seed).into());
            self.public(cell, &mut settings, "public")?;
        }
        settings.insert("task".into(), task.task.as_str().into());
        let mut needs = vec![prompt(self.tune(cell, On::Student, cell.epsilon)?)];
        self.student(cell, &mut settings, &mut needs, "student")?;
        self.teacher(cell, &mut settings, "teacher")?;
        self.job("transfer", settings, needs, told(&cell.coordinates(method)))
    }

    fn public(&self, cell: &Cell, settings: &mut Table, setting: &str) -> Result<()> {
        let name = cell.public.as_ref();
        let public = name.and_then(|name| self.config.publics.get(name));
        let public = public.context("a method or score needs a public set")?;
        settings.insert(setting.into(), paths(&public.data));
        if !public.columns.is_empty() {
            let columns = public.columns.iter();
            let columns: Vec<_> = columns
                .map(|(field, header)| format!("{field}={header}"))
                .collect();
            settings.insert("public_columns".into(), columns.into());
        }
        Ok(())
    }

    fn teacher(&self, cell: &Cell, settings: &mut Table, setting: &str) -> Result<()> {
        let model = &self.config.teachers[&cell.teacher].model;
        settings.insert(setting.to_owned(), model.to_string().into());
        Ok(())
    }

    /// The student's model, or the job that distils it.
    fn student(
        &mut self,
        cell: &Cell,
        settings: &mut Table,
        needs: &mut Vec<Need>,
        setting: &'static str,
    ) -> Result<()> {
        match self.maker(cell, cell.student.as_deref())? {
            Made::There(model) => {
                settings.insert(setting.to_owned(), model.into());
            }
            Made::By(job) => needs.push(Need {
                setting,
                job,
                file: "student",
            }),
        }
        Ok(())
    }

    /// The student, and those that its prompts are tuned on as well.
    fn students(&mut self, cell: &Cell, settings: &mut Table, needs: &mut Vec<Need>) -> Result<()> {
        self.student(cell, settings, needs, "student")?;
        let config = self.config;
        let student = cell
            .student
            .as_ref()
            .and_then(|name| config.students.get(name));
        let mut there = Vec::new();
        for name in student.map_or(&[][..], |student| &student.also) {
            match self.maker(cell, Some(name))? {
                Made::There(model) => there.push(Value::String(model)),
                Made::By(job) => needs.push(Need {
                    setting: ALSO,
                    job,
                    file: "student",
                }),
            }
        }
        if !there.is_empty() {
            settings.insert(ALSO.to_owned(), there.into());
        }
        Ok(())
    }

    fn maker(&mut self, cell: &Cell, name: Option<&str>) -> Result<Made> {
        let config = self.config;
        let student = name.and_then(|name| config.students.get(name));
        let student = student.context("a method needs a student")?;
        let Some(distill) = &student.distill else {
            let model = student.model.as_ref().map(ModelSource::to_string);
            return Ok(Made::There(model.unwrap_or_default()));
        };
        let mut own = with_file(distill)?;
        overlay(&mut own, &cell.settings("distill"));
        self.teacher(cell, &mut own, "teacher")?;
        let what = told(&cell.coordinates(Method::StudentZeroShot));
        Ok(Made::By(self.job("distill", own, Vec::new(), what)?))
    }

    /// The job with these settings, made anew if there is none yet.
    fn job(
        &mut self,
        command: &'static str,
        settings: Table,
        needs: Vec<Need>,
        what: String,
    ) -> Result<String> {
        let mut text = format!("{command}\n{settings}\n");
        for need in &needs {
            text += &format!("{} = {}/{}\n", need.setting, need.job, need.file);
        }
        text += &self.inputs.of(&settings)?;
        let words = command.replace(' ', "-");
        let name = format!("{words}-{}", &sha256(text.as_bytes())[..DIGITS]);
        if self.plan.job(&name).is_none() {
            self.plan.jobs.push(Job {
                name: name.clone(),
                command,
                settings,
                needs,
                what,
            });
        }
        Ok(name)
    }
}

impl Inputs {
    /// For plans that nobody runs: no file is looked at.
    pub(crate) fn unread() -> Self {
        Self {
            unread: true,
            ..Self::default()
        }
    }

    /// A line for each file or model that the settings name, with its hash.
    fn of(&mut self, settings: &Table) -> Result<String> {
        let mut lines = String::new();
        if self.unread {
            return Ok(lines);
        }
        for (name, value) in settings {
            match (name.as_str(), value) {
                (
                    "data" | "public" | "text" | "calibrate" | "members" | "others",
                    Value::Array(patterns),
                ) => {
                    let patterns = patterns.iter().filter_map(Value::as_str);
                    let patterns: Vec<PathBuf> = patterns.map(PathBuf::from).collect();
                    for path in post_data::files::expand(&patterns)? {
                        lines += &self.line(&path.display().to_string(), || hash(&path))?;
                    }
                }
                ("model" | "teacher" | "student", Value::String(source)) => {
                    lines += &self.model(name, source)?;
                }
                (ALSO, Value::Array(sources)) => {
                    for source in sources.iter().filter_map(Value::as_str) {
                        lines += &self.model(name, source)?;
                    }
                }
                ("task", Value::String(path)) if Path::new(path).is_file() => {
                    lines += &self.line(path, || hash(Path::new(path)))?;
                }
                _ => {}
            }
        }
        Ok(lines)
    }

    fn model(&mut self, name: &str, source: &str) -> Result<String> {
        let parsed: ModelSource = source
            .parse()
            .map_err(|error| Usage(format!("`{name} = \"{source}\"`: {error}")))?;
        self.line(source, || models::hash(&parsed))
    }

    fn line(&mut self, name: &str, hash: impl FnOnce() -> Result<String>) -> Result<String> {
        if !self.known.contains_key(name) {
            self.known.insert(name.to_owned(), hash()?);
        }
        Ok(format!("{name} {}\n", self.known[name]))
    }
}

/// SHA-256 of a file.
pub(super) fn hash(path: &Path) -> Result<String> {
    Ok(sha256(&files::map(path)?))
}

fn prompt(job: String) -> Need {
    Need {
        setting: "prompt",
        job,
        file: "prompt",
    }
}

fn paths(paths: &[PathBuf]) -> Value {
    let text = |path: &PathBuf| Value::String(path.to_string_lossy().into_owned());
    Value::Array(paths.iter().map(text).collect())
}

/// `epsilon 8, seed 0`
fn told(coordinates: &Coordinates) -> String {
    let pairs = coordinates.iter();
    let pairs = pairs.map(|(axis, value)| format!("{axis} {}", cell(Some(value))));
    pairs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
