//! What is run, in which order: one call of `post-native` each.

use std::path::{Path, PathBuf};

use crate::data::Sets;

use super::results::Key;

/// Settings that are not about files lie there, in the form that `--config` reads.
const RECIPES: &str = "experiments/quickstart";
pub(super) const TASK: &str = "rotten-tomatoes";
/// The blocks of a student that was distilled for hours; embeddings and head are the teacher's.
pub(super) const BLOCKS: &str = "experiments/quickstart/student-blocks.post.safetensors";
/// What the private prompt may cost.
const TARGET_EPSILON: &str = "8";

/// One call of `post-native`.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) name: String,
    /// What it does, for people.
    pub(super) what: String,
    pub(super) args: Vec<String>,
    /// Settings that it reads from a file of the repository.
    pub(super) recipe: Option<PathBuf>,
    /// There once the phase is finished.
    pub(super) done: PathBuf,
    /// An evaluation: its standard output is kept in `done`, and is a result.
    pub(super) measures: Option<Key>,
}

/// Where everything is.
pub(super) struct Places<'a> {
    /// Of the whole run.
    pub(super) folder: &'a Path,
    pub(super) teacher: &'a Path,
    pub(super) sets: &'a Sets,
}

/// What to do beside the main job.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras {
    /// Distil the student here instead of taking the one that comes with the repository.
    pub(super) from_scratch: bool,
    /// Tune a prompt on the teacher itself, too.
    pub(super) upper_bound: bool,
}

/// The student's bundle in the folder of a run.
pub(super) fn student(folder: &Path) -> PathBuf {
    folder.join("student.post.safetensors")
}

/// All phases.
pub(super) fn all(places: &Places<'_>, extras: Extras) -> Vec<Phase> {
    let student = student(places.folder);
    let teacher = places.teacher;
    let upper_bound = extras.upper_bound;
    let mut phases = if extras.from_scratch {
        let distilled = places.folder.join("distil/student");
        vec![places.distil(), places.bundle(&distilled, &student)]
    } else {
        vec![places.bundle(Path::new(BLOCKS), &student)]
    };
    phases.extend([
        places.tune(
            "tune",
            "Tuning a prompt on the student, without DP",
            "tune",
            &student,
            &["--no-dp"],
        ),
        places.tune_dp(&student),
        places.transfer("transfer", "tune", &student),
        places.transfer("transfer-dp", "tune-dp", &student),
    ]);
    if upper_bound {
        let what = "Tuning a prompt on the teacher itself, which shows it the private text";
        phases.push(places.tune("tune-teacher", what, "tune", teacher, &["--no-dp"]));
    }
    let evaluations = [
        (Key::TeacherZeroShot, teacher, None),
        (Key::TeacherCalibrated, teacher, None),
        (Key::StudentZeroShot, &student, None),
        (Key::StudentPrompt, &student, Some("tune")),
        (Key::StudentPromptDp, &student, Some("tune-dp")),
        (Key::Direct, teacher, Some("tune")),
        (Key::DirectDp, teacher, Some("tune-dp")),
        (Key::Post, teacher, Some("transfer")),
        (Key::PostDp, teacher, Some("transfer-dp")),
        (Key::PostCalibrated, teacher, Some("transfer")),
        (Key::PostCalibratedDp, teacher, Some("transfer-dp")),
        (Key::UpperBound, teacher, Some("tune-teacher")),
    ];
    let wanted = evaluations
        .into_iter()
        .filter(|(key, ..)| upper_bound || *key != Key::UpperBound);
    phases.extend(wanted.map(|(key, model, prompt)| places.evaluate(key, model, prompt)));
    phases
}

impl Places<'_> {
    fn distil(&self) -> Phase {
        let args = [
            pair("--teacher", self.teacher),
            pair("--data", &self.sets.distil),
        ];
        self.long(
            "distill",
            "distil",
            "Distilling the student",
            "distil",
            args.concat(),
        )
    }

    /// One file of the student, as a provider would publish it.
    fn bundle(&self, student: &Path, bundle: &Path) -> Phase {
        Phase {
            name: "bundle".to_owned(),
            what: "Making the student's bundle".to_owned(),
            args: self::bundle(student, self.teacher, bundle),
            recipe: None,
            done: bundle.to_owned(),
            measures: None,
        }
    }

    fn tune(&self, name: &str, what: &str, recipe: &str, model: &Path, budget: &[&str]) -> Phase {
        let mut args = [
            pair("--student", model),
            pair("--data", &self.sets.private_train),
        ]
        .concat();
        args.extend(budget.iter().map(|arg| (*arg).to_owned()));
        self.long("tune", name, what, recipe, args)
    }

    /// With a ledger of its own: this run's text only plays the private data, and must not use up
    /// the budget of anybody's real data.
    fn tune_dp(&self, student: &Path) -> Phase {
        let ledger = text(&self.folder.join("ledger.json"));
        let budget = ["--target-epsilon", TARGET_EPSILON, "--ledger", &ledger];
        self.tune(
            "tune-dp",
            "Tuning a prompt on the student, with DP",
            "tune-dp",
            student,
            &budget,
        )
    }

    fn transfer(&self, name: &str, tuned: &str, student: &Path) -> Phase {
        let args = [
            pair("--student", student),
            pair("--teacher", self.teacher),
            pair("--prompt", &self.folder.join(tuned).join("prompt")),
            pair("--public", &self.sets.public),
        ];
        let what = format!("Transferring the prompt of `{tuned}` to the teacher");
        self.long("transfer", name, &what, "transfer", args.concat())
    }

    /// A command with a run folder, which goes on where it was.
    fn long(
        &self,
        command: &str,
        name: &str,
        what: &str,
        recipe: &str,
        more: Vec<String>,
    ) -> Phase {
        let run = self.folder.join(name);
        let recipe = Path::new(RECIPES).join(format!("{recipe}.toml"));
        let mut args = vec![command.to_owned()];
        args.extend(["--task", TASK].map(str::to_owned));
        args.extend([pair("--config", &recipe), pair("--run", &run), more].concat());
        args.push("--resume".to_owned());
        let (name, what) = (name.to_owned(), what.to_owned());
        Phase {
            name,
            what,
            args,
            recipe: Some(recipe),
            done: run.join("done.json"),
            measures: None,
        }
    }

    fn evaluate(&self, key: Key, model: &Path, prompt: Option<&str>) -> Phase {
        let mut args = ["eval", "--task", TASK, "--json"]
            .map(str::to_owned)
            .to_vec();
        args.extend(
            [
                pair("--model", model),
                pair("--data", &self.sets.private_test),
            ]
            .concat(),
        );
        if let Some(run) = prompt {
            args.extend(pair("--prompt", &self.folder.join(run).join("prompt")));
        }
        if key.calibrated() {
            args.extend(pair("--calibrate", &self.sets.public));
        }
        Phase {
            name: format!("eval-{}", key.name()),
            what: format!("Measuring {}", key.name()),
            args,
            recipe: None,
            done: self
                .folder
                .join("eval")
                .join(format!("{}.json", key.name())),
            measures: Some(key),
        }
    }
}

/// The arguments that make one file of a student.
pub(super) fn bundle(student: &Path, teacher: &Path, out: &Path) -> Vec<String> {
    let mut args = ["bundle", "--license", "Apache-2.0", "--task", TASK]
        .map(str::to_owned)
        .to_vec();
    args.extend(pair("--student", student));
    args.extend(pair("--teacher", teacher));
    args.extend(pair("--out", out));
    args
}

fn pair(flag: &str, path: &Path) -> Vec<String> {
    vec![flag.to_owned(), text(path)]
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn phases(upper_bound: bool) -> Vec<Phase> {
        phases_with(Extras {
            upper_bound,
            from_scratch: false,
        })
    }

    fn phases_with(extras: Extras) -> Vec<Phase> {
        let sets = Sets::in_folder(Path::new("data"));
        let places = Places {
            folder: Path::new("run"),
            teacher: Path::new("t.gguf"),
            sets: &sets,
        };
        all(&places, extras)
    }

    #[test]
    fn every_prompt_that_is_measured_was_made_before() {
        let phases = phases(true);
        for (at, phase) in phases.iter().enumerate() {
            let after = |flag: &str| {
                let at = phase.args.iter().position(|arg| arg == flag)?;
                phase.args.get(at + 1).cloned()
            };
            let made = |path: String| {
                let run = Path::new(&path).parent().unwrap();
                phases[..at]
                    .iter()
                    .any(|earlier| earlier.done.parent() == Some(run))
            };
            assert!(after("--prompt").is_none_or(made), "{}", phase.name);
        }
    }

    #[test]
    fn only_the_upper_bound_shows_private_text_to_the_teacher() {
        let leaks = |phase: &&Phase| {
            phase.args.contains(&"data/private-train.csv".to_owned())
                && phase.args.contains(&"t.gguf".to_owned())
        };
        assert_eq!(phases(false).iter().filter(leaks).count(), 0);
        assert_eq!(phases(true).iter().filter(leaks).count(), 1);
    }

    #[test]
    fn every_model_is_there_or_made_before() {
        for from_scratch in [false, true] {
            let phases = phases_with(Extras {
                from_scratch,
                upper_bound: true,
            });
            for (at, phase) in phases.iter().enumerate() {
                let flag = phase.args.iter().position(|arg| arg == "--student");
                let Some(student) = flag.map(|at| &phase.args[at + 1]) else {
                    continue;
                };
                let student = Path::new(student);
                let made = phases[..at].iter().any(|earlier| {
                    earlier.done == student || earlier.done.parent() == student.parent()
                });
                let kept =
                    Path::new("..").join(student).is_file() || student == Path::new("t.gguf");
                assert!(made || kept, "{}", phase.name);
            }
        }
    }

    #[test]
    fn answers_are_calibrated_on_public_rows() {
        let phases = phases(true);
        let calibrated = phases
            .iter()
            .filter(|phase| phase.name.contains("calibrated"));
        let by: Vec<_> = calibrated
            .map(|phase| &phase.args[phase.args.len() - 2..])
            .collect();
        assert_eq!(by, [["--calibrate", "data/public.csv"]; 3]);
    }

    #[test]
    fn private_text_is_neither_distilled_nor_transferred_on() {
        for phase in phases(true)
            .iter()
            .filter(|phase| ["distill", "transfer"].contains(&&*phase.args[0]))
        {
            assert!(
                phase.args.iter().all(|arg| !arg.contains("private")),
                "{}",
                phase.name
            );
        }
    }

    #[test]
    fn the_recipes_are_there() {
        for phase in phases(true) {
            if let Some(at) = phase.args.iter().position(|arg| arg == "--config") {
                assert!(
                    Path::new("..").join(&phase.args[at + 1]).is_file(),
                    "{}",
                    phase.name
                );
            }
        }
    }
}
