//! The bench on a model of a few thousand weights: that it measures, and that its table adds up.

use serde_json::json;

use super::journey::Place;

#[test]
fn every_step_is_measured_and_every_run_worked_out() {
    let place = Place::new();
    let found = place.done(
        "bench --student @teacher --teacher @teacher --text 6 --num-virtual-tokens 4 --rows 100 \
         --epochs 2 --batch 4 --micro-batch 2 --repeats 1 --transfer-steps 10 --transfer-batch 8 \
         --device cpu",
    );
    let (measured, runs) = (&found["measured"], &found["runs"]);
    assert_eq!(measured.as_array().unwrap().len(), 6);
    let best = found["best_matmul"].as_f64().unwrap();
    assert!(best > 1e8, "{best}");
    for (step, run) in measured
        .as_array()
        .unwrap()
        .iter()
        .zip(runs.as_array().unwrap())
    {
        assert_eq!(step["phase"], run["phase"]);
        let number = |name: &str| step[name].as_f64().unwrap();
        let share = number("share_of_matmul");
        assert!(share > 0.0 && share < 1.0, "{step}");
        assert!((number("flops_per_second") / best / share - 1.0).abs() < 1e-9);
        // Both tables tell of the same operations and seconds.
        let (flops, seconds) = (
            run["flops"].as_f64().unwrap(),
            run["seconds"].as_f64().unwrap(),
        );
        assert!((flops / seconds / number("flops_per_second") - 1.0).abs() < 1e-9);
        let examples = run["examples"].as_f64().unwrap();
        assert!((examples / seconds / number("examples_per_second") - 1.0).abs() < 1e-9);
    }
    assert_eq!(runs[2]["examples"], json!(200.0));
    assert_eq!(runs[4]["examples"], json!(80.0));
    // Student and teacher are one model here.
    assert_eq!(runs[2]["flops"], runs[5]["flops"]);
    let half = place.done(
        "bench --student @teacher --teacher @teacher --text 6 --num-virtual-tokens 4 --repeats 1 --batch 2 \
         --dtype bf16 --device cpu",
    );
    assert_eq!(half["measured"].as_array().unwrap().len(), 6);
    place.refused(
        "bench --student @teacher --teacher @teacher --text 100000 --device cpu",
        &["more than the teacher has", "hint:"],
    );
}

#[test]
fn a_student_of_another_width_is_measured_where_it_can_be() {
    let place = Place::new();
    place.model("other", "gpt2");
    let found = place.done(
        "bench --student @other --teacher @teacher --text 6 --num-virtual-tokens 4 --repeats 1 --batch 2 \
         --micro-batch 2 --device cpu",
    );
    let phases = |table: &str| {
        let rows = found[table].as_array().unwrap().iter();
        rows.map(|row| row["phase"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let expected = [
        "tune on the student",
        "constants of transfer",
        "transfer",
        "tune on the teacher",
    ];
    assert_eq!(
        (phases("measured"), phases("runs")),
        (
            expected.map(str::to_owned).to_vec(),
            expected.map(str::to_owned).to_vec()
        )
    );
}
