#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

/// Files that an experiment can name, and its text.
fn files(folder: &Path) -> impl Fn(&str) -> String {
    for name in ["t.gguf", "s.gguf", "train.csv", "test.csv", "public.csv"] {
        fs::write(folder.join(name), name).unwrap();
    }
    let folder = folder.display().to_string();
    move |more| {
        format!(
            r#"
title = "Small"
methods = ["zero-shot", "direct", "post", "upper-bound"]
[teachers.t]
model = "{folder}/t.gguf"
[students.s]
model = "{folder}/s.gguf"
[tasks.films]
task = "sst2"
train = ["{folder}/train.csv"]
test = ["{folder}/test.csv"]
transfer.learning_rate = 0.25
[publics.p]
data = ["{folder}/public.csv"]
[tune]
steps = 3
private.steps = 7
{more}
"#
        )
    }
}

fn plan(text: &str) -> Plan {
    Plan::new(&Config::parse(text).unwrap(), &mut Inputs::default()).unwrap()
}

fn commands(plan: &Plan, command: &str) -> usize {
    plan.jobs
        .iter()
        .filter(|job| job.command == command)
        .count()
}

#[test]
fn what_cells_share_is_done_once_and_before_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path());
    let plan = plan(&text(
        "[grid]\nepsilon = [\"inf\", 8]\nalpha = [0.0, 1.0]\nseed = [0, 1]",
    ));
    // On the student for each ε and seed, on the teacher for each seed.
    assert_eq!(commands(&plan, "tune"), 4 + 2);
    assert_eq!(commands(&plan, "transfer"), 8);
    // Zero-shot once, direct for each ε and seed, POST for each transfer, the bound for each seed.
    assert_eq!(commands(&plan, "eval"), 1 + 4 + 8 + 2);
    assert_eq!(plan.rows.len(), 1 + 4 + 8 + 2);
    for (at, job) in plan.jobs.iter().enumerate() {
        let before = |need: &Need| plan.jobs[..at].iter().any(|job| job.name == need.job);
        assert!(job.needs.iter().all(before), "{}", job.name);
    }
}

#[test]
fn a_variant_is_a_row_where_it_changes_something() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path());
    let variants = "[variants.as-it-is]\n[variants.short.tune]\nsteps = 1\nrank = 1\n\
                    [variants.slow.transfer]\nsteps = 9\n";
    let plan = plan(&text(variants));
    let of = |method: Method| {
        let rows = plan.rows.iter().filter(move |row| row.method == method);
        let named = |row: &Planned| row.coordinates.get("variant").map(|v| v.to_string());
        rows.map(named).collect::<Vec<_>>()
    };
    let (short, slow) = (Some("\"short\"".to_owned()), Some("\"slow\"".to_owned()));
    assert_eq!(of(Method::ZeroShot), [None]);
    assert_eq!(of(Method::Direct), [None, short.clone()]);
    assert_eq!(of(Method::Post), [None, short, slow]);
    let steps = |command: &str| {
        let jobs = plan.jobs.iter().filter(|job| job.command == command);
        jobs.map(|job| job.settings.get("steps").and_then(Value::as_integer))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps("transfer"), [None, None, Some(9)]);
    assert!(steps("tune").contains(&Some(1)), "{:?}", steps("tune"));
}

#[test]
fn only_prompts_tuned_on_the_teacher_show_it_the_private_rows() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&files(folder.path())(""));
    let private = |job: &Job| format!("{:?}", job.settings).contains("train.csv");
    let teacher = |job: &Job| format!("{:?}", job.settings).contains("t.gguf");
    for row in &plan.rows {
        let training = row.training.iter().filter_map(|name| plan.job(name));
        let leaks = training.into_iter().any(|job| private(job) && teacher(job));
        assert_eq!(leaks, row.method.leaks(), "{:?}", row.method);
    }
}

#[test]
fn calibrated_answers_look_at_public_rows_and_share_the_transfer() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path())("").replace(
        "\"post\"",
        "\"post\", \"post-calibrated\", \"calibrated\", \"sentence\", \"sentence-calibrated\"",
    );
    let plan = plan(&text);
    assert_eq!(commands(&plan, "transfer"), 1);
    for row in &plan.rows {
        let eval = format!("{:?}", plan.job(&row.eval).unwrap().settings);
        let name = serde_json::to_string(&row.method).unwrap();
        let calibrated = name.contains("calibrated");
        assert_eq!(eval.contains("public.csv"), calibrated, "{name}");
        assert_eq!(
            eval.contains("\"sentence\""),
            name.contains("sentence"),
            "{name}"
        );
    }
}

#[test]
fn logit_arithmetic_since_the_sentence_says_so_and_runs_the_student_beside() {
    let folder = tempfile::tempdir().unwrap();
    let both = "\"logit-arithmetic\", \"sentence-logit-arithmetic\"";
    let plan = plan(&files(folder.path())("").replace("\"post\"", both));
    let of = |method: Method| {
        let row = plan.rows.iter().find(|row| row.method == method).unwrap();
        plan.job(&row.eval).unwrap().settings.clone()
    };
    let since = |method| of(method).get("change_since").map(ToString::to_string);
    assert_eq!(since(Method::LogitArithmetic), None);
    assert_eq!(
        since(Method::SentenceLogitArithmetic).as_deref(),
        Some("\"sentence\"")
    );
    let student = |method| of(method).contains_key("student");
    assert!(student(Method::SentenceLogitArithmetic) && !student(Method::Direct));
}

#[test]
fn public_sets_may_have_columns_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let all = files(folder.path())("").replace("\"post\"", "\"post\", \"calibrated\"");
    let columns = "[publics.p]\ncolumns = { text = \"review\" }";
    let plan = plan(&all.replace("[publics.p]", columns));
    let mut reading = 0;
    for job in &plan.jobs {
        let reads = ["public", "calibrate"]
            .iter()
            .any(|name| job.settings.contains_key(*name));
        let columns = job.settings.get("public_columns").map(ToString::to_string);
        assert_eq!(
            columns.as_deref(),
            reads.then_some("[\"text=review\"]"),
            "{}",
            job.command
        );
        reading += usize::from(reads);
    }
    assert_eq!(reading, 2);
}

#[test]
fn the_upper_bound_is_without_privacy_whatever_the_grid() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&files(folder.path())("[grid]\nepsilon = [8]"));
    let trained = |method: Method| {
        let row = plan.rows.iter().find(|row| row.method == method).unwrap();
        plan.job(&row.training[0]).unwrap().settings.clone()
    };
    assert_eq!(trained(Method::UpperBound)["no_dp"].as_bool(), Some(true));
    assert_eq!(
        trained(Method::Direct)["target_epsilon"].as_float(),
        Some(8.0)
    );
}

#[test]
fn students_and_public_sets_meet_only_what_they_are_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path());
    let more = format!(
        "[tasks.news]\ntask = \"sst2\"\ntrain = [\"{0}/train.csv\"]\ntest = [\"{0}/test.csv\"]\n\
         [teachers.u]\nmodel = \"{0}/s.gguf\"\n",
        folder.path().display()
    );
    let posts = |text: &str| {
        let rows = plan(text).rows.into_iter();
        rows.filter(|row| row.method == Method::Post).count()
    };
    let all = text(&more);
    assert_eq!(posts(&all), 4);
    let one_task = all.replace("[publics.p]", "[publics.p]\ntasks = [\"news\"]");
    assert_eq!(posts(&one_task), 2);
    let one_teacher = one_task.replace("[students.s]", "[students.s]\nteachers = [\"t\"]");
    assert_eq!(posts(&one_teacher), 1);
}

#[test]
fn settings_come_from_the_general_to_the_special() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path());
    let steps = |more: &str| {
        let plan = plan(&text(more));
        let tune = plan.jobs.iter().find(|job| job.command == "tune").unwrap();
        tune.settings["steps"].as_integer().unwrap()
    };
    assert_eq!(steps(""), 3);
    assert_eq!(steps("[grid]\nepsilon = [8]"), 7);
    assert_eq!(steps("[grid]\nepsilon = [8]\ntune.steps = [9]"), 9);
    let plan = plan(&text(
        "[grid]\nalpha = [0.5]\n[transfer]\nlearning_rate = 1.0",
    ));
    let transfer = plan
        .jobs
        .iter()
        .find(|job| job.command == "transfer")
        .unwrap();
    let setting = |name: &str| transfer.settings[name].as_float().unwrap();
    assert_eq!((setting("learning_rate"), setting("alpha")), (0.25, 0.5));
}

#[test]
fn a_changed_file_makes_new_jobs_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path());
    let names = || {
        plan(&text(""))
            .jobs
            .into_iter()
            .map(|job| job.name)
            .collect::<Vec<_>>()
    };
    let before = names();
    assert_eq!(before, names());
    fs::write(folder.path().join("public.csv"), "others").unwrap();
    let after = names();
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b);
    let changed: Vec<&str> = changed.map(|(a, _)| a.split('-').next().unwrap()).collect();
    assert_eq!(changed, ["transfer", "eval"]);
}

#[test]
fn a_student_that_is_distilled_is_distilled_once_for_all_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path())("[grid]\nseed = [0, 1]\ndistill.steps = [1, 2]");
    let data = format!(
        "distill = {{ data = [\"{}/public.csv\"] }}",
        folder.path().display()
    );
    let model = format!("model = \"{}/s.gguf\"", folder.path().display());
    let plan = plan(&text.replace(&model, &data));
    assert_eq!(commands(&plan, "distill"), 2);
    let direct = plan
        .rows
        .iter()
        .find(|row| row.method == Method::Direct)
        .unwrap();
    assert_eq!(direct.training.len(), 2, "distilling and tuning");
}

#[test]
fn prompts_are_tuned_on_the_students_that_a_student_names() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path())("");
    let (there, here) = (folder.path().join("t.gguf"), folder.path().display());
    let more = format!(
        "[students.there]\nmodel = \"{}\"\n[students.made]\ndistill = {{ data = [\"{here}/public.csv\"] }}\n",
        there.display()
    );
    let with_both = text.replace("[students.s]", "[students.s]\nalso = [\"made\", \"there\"]");
    let (one, all) = (plan(&(text + &more)), plan(&(with_both + &more)));
    let named = |job: &&Job| job.what.contains("student s");
    let tune = |plan: &Plan| {
        let mut tunes = plan.jobs.iter().filter(|job| job.command == "tune");
        tunes.find(named).unwrap().clone()
    };
    let (one, other) = (tune(&one), tune(&all));
    assert_ne!(one.name, other.name);
    assert!(one.needs.is_empty() && !one.settings.contains_key(ALSO));
    assert_eq!(
        other.settings[ALSO],
        vec![there.display().to_string()].into()
    );
    let needs = other.needs.iter();
    let needs: Vec<&str> = needs
        .filter(|need| need.setting == ALSO)
        .map(|need| need.job.as_str())
        .collect();
    assert!(
        needs.len() == 1 && needs[0].starts_with("distill-"),
        "{needs:?}"
    );
    // Only where the first student is that one, and only on the student.
    let tunes = all.jobs.iter().filter(|job| job.command == "tune");
    let others = tunes.filter(|job| job.name != other.name);
    assert!(others.clone().count() > 1);
    assert!(
        others
            .into_iter()
            .all(|job| !job.settings.contains_key(ALSO))
    );
}

#[test]
fn an_experiment_that_makes_none_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let text = files(folder.path());
    let error = |text: &str| format!("{:#}", Config::parse(text).unwrap_err());
    let cases = [
        (text("[grid]\nepsilon = [-1]"), "a number above 0"),
        (text("[grid]\nteacher = [\"x\"]"), "no teacher `x`"),
        (text("[grid]\nsteps = [1]"), "unknown field `steps`"),
        (text("").replace("\"post\"", "\"posts\""), "posts"),
        (
            text("").replace("[publics.p]", "[publics.p]\ntasks = [\"x\"]"),
            "no task `x`",
        ),
        (text("[students.b]"), "needs `model` or `distill`"),
        (
            text("").replace("[students.s]", "[students.s]\nalso = [\"x\"]"),
            "no student `x`",
        ),
        (
            text("").replace("[students.s]", "[students.s]\nalso = [\"s\"]"),
            "names a student twice",
        ),
        (
            text("[audits]\ncanaries = {}\n[students.b]\nmodel = \"b\"")
                .replace("[students.s]", "[students.s]\nalso = [\"b\"]"),
            "canaries are scored on one",
        ),
        (
            text("[students.b]\nmodel = \"b\"\nteachers = [\"t\"]")
                .replace("[students.s]", "[students.s]\nalso = [\"b\"]"),
            "other `teachers`",
        ),
    ];
    for (text, part) in cases {
        let error = error(&text);
        assert!(error.contains(part), "{error}");
    }
    let missing = text("").replace("train.csv", "gone.csv");
    let config = Config::parse(&missing).unwrap();
    let error = Plan::new(&config, &mut Inputs::default()).unwrap_err();
    assert!(format!("{error:#}").contains("gone.csv"), "{error:#}");
}
