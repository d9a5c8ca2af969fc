//! A run that a closed tab interrupted goes on from the browser's own storage, by what the worker calls.

use std::collections::BTreeMap;

use burn::tensor::Device;
use post_core::dp::{Entropy, Plan, Reserved};
use post_core::tune::{Optimizer, Privacy, Released, TuneConfig, Tuner};
use post_web::protocol::{Kept, Mapping, Settings, TaskForm, Unit};
use post_web::worker::storage::Storage;
use post_web::worker::{kept, suggest};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::same::run::{Student, TOKENS, assert_goes_on};
use crate::same::student::Model;

/// Every row is in every batch, so that two continuations of a run differ by their noise alone.
const SETTINGS: Settings = Settings {
    epsilon: 8.0,
    delta: 1e-2,
    public_size: 30,
    unit: Unit::Row,
    expected_batch: 30.0,
    steps: 4,
    max_grad_norm: 0.5,
    num_virtual_tokens: TOKENS,
    learning_rate: 1.0,
    decay: false,
};

/// A run with randomness of the browser's. It moves by the noised mean itself, so that what differs
/// between two runs can be read off.
async fn start(student: &Student, plan: &Plan, reserved: Reserved, from: Option<&[u8]>) -> Tuner {
    let privacy = Privacy::Private {
        plan: plan.clone(),
        entropy: Entropy::from_os().unwrap(),
        reserved,
    };
    let config = TuneConfig {
        optimizer: Optimizer::Sgd { momentum: 0.0 },
        ..suggest::tuning(&SETTINGS, 4)
    };
    let setup = student.setup(config, privacy, 0).await;
    Tuner::start(setup, from).await.unwrap()
}

fn said(tuner: &Tuner, plan: &Plan) -> Kept {
    let task = TaskForm {
        name: "toy".to_owned(),
        description: String::new(),
        template: "{text}".to_owned(),
        init_text: "good".to_owned(),
        max_length: 16,
        first_token: false,
        ignored_labels: Vec::new(),
        group_column: None,
        columns: BTreeMap::new(),
        classes: Vec::new(),
    };
    Kept {
        step: tuner.steps_done(),
        steps: tuner.steps(),
        epsilon: plan.epsilon(),
        bundle: "hash".to_owned(),
        student: "tiny".to_owned(),
        mapping: Mapping {
            task,
            test_share: 0.0,
            drop_duplicates: true,
        },
        settings: SETTINGS,
    }
}

fn prompt(tuner: &Tuner) -> Vec<f32> {
    tuner.prompt().unwrap().embeddings().to_vec()
}

async fn both() -> [Storage; 2] {
    let (kept, why) = Storage::open().await;
    assert_eq!(why, None);
    [kept, Storage::in_tab()]
}

/// The prompt after a step more, from what is kept.
async fn one_more(student: &Student, plan: &Plan, storage: &Storage) -> (Tuner, Vec<f32>) {
    let reserved = kept::resume(storage, &student.rows, plan).await.unwrap();
    let checkpoint = kept::checkpoint(storage).await.unwrap();
    let mut tuner = start(student, plan, reserved, checkpoint.as_deref()).await;
    let before = prompt(&tuner);
    assert_eq!(tuner.step().await.unwrap().unwrap().step, 3);
    (tuner, before)
}

#[wasm_bindgen_test]
async fn a_closed_tab_costs_no_step_and_no_noise_is_used_twice() {
    let student = Student::open(Model::Gpt2, &Device::flex());
    let plan = suggest::plan(&SETTINGS).unwrap();
    for storage in both().await {
        for name in ["ledger.json", "run.json", "run.checkpoint"] {
            storage.remove(name).await.unwrap();
        }
        let reserved = kept::reserve(&storage, &student.rows, &plan, 1e9, None)
            .await
            .unwrap();
        let mut tuner = start(&student, &plan, reserved, None).await;
        for _ in 0..2 {
            tuner.step().await.unwrap().unwrap();
            let said = said(&tuner, &plan);
            let stored = kept::keep(&storage, &said, &tuner.checkpoint()).await;
            stored.unwrap();
        }
        let stopped = prompt(&tuner);
        // A step whose checkpoint never came to be.
        tuner.step().await.unwrap().unwrap();
        let lost = prompt(&tuner);
        drop(tuner);

        let found = kept::run(&storage).await.unwrap();
        assert_eq!(found.step, 2);
        assert!(kept::fits(&storage, &found, &student.rows).await);
        assert!(!kept::fits(&storage, &found, &student.rows[1..]).await);
        let (first, from) = one_more(&student, &plan, &storage).await;
        assert_eq!(from, stopped);
        let (mut second, from) = one_more(&student, &plan, &storage).await;
        assert_eq!(from, stopped);
        let ends = [lost, prompt(&first), prompt(&second)];
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            assert_apart(&ends[a], &ends[b], &plan);
        }

        // However often it was taken up, it is one run.
        let quote = kept::quote(&storage, &student.rows, &plan, 1e9)
            .await
            .unwrap();
        assert_eq!(quote.quote.earlier.len(), 1);
        assert!(quote.fixed);
        assert_eq!(second.step().await.unwrap().unwrap().step, 4);
        assert!(second.step().await.unwrap().is_none());
        assert!(second.is_private());
        let released = second.finish().unwrap().released;
        assert!(matches!(released, Released::Private(_)));
        kept::discard(&storage).await.unwrap();
        assert!(kept::run(&storage).await.is_none());
        assert_eq!(kept::checkpoint(&storage).await.unwrap(), None);
        storage.remove("ledger.json").await.unwrap();
    }
}

/// Two steps of the same sum have noise of their own: their difference has √2 of its deviation. Of 60
/// numbers the deviation is found to a tenth.
fn assert_apart(a: &[f32], b: &[f32], plan: &Plan) {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    let found = (squares.sum::<f64>() / a.len() as f64).sqrt();
    let unit = plan.max_grad_norm() / plan.expected_batch();
    let expected = f64::sqrt(2.0) * plan.noise_multiplier() * unit;
    assert!(
        (0.5..1.5).contains(&(found / expected)),
        "{found} for {expected}"
    );
}

#[wasm_bindgen_test]
async fn a_plain_run_ends_where_an_uninterrupted_one_does() {
    for storage in both().await {
        assert_goes_on(async |checkpoint| {
            storage
                .write("plain.checkpoint", &checkpoint)
                .await
                .unwrap();
            let read = storage.read("plain.checkpoint").await.unwrap();
            storage.remove("plain.checkpoint").await.unwrap();
            read.unwrap()
        })
        .await;
    }
}
