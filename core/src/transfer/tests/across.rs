//! Student and teacher of two widths and vocabularies.

use burn::tensor::Device;
use serde_json::json;
use tokenizers::Tokenizer;

use super::*;
use crate::model::Config;
use crate::model::testing::{gpt_neox, gpt2};
use crate::optim::divergence;
use crate::task::{Encoder, Head, Task};

/// Label words of either model, of three classes.
const WORDS: [[u32; 2]; 3] = [[3, 30], [17, 5], [4, 11]];

/// A student of width 20 with 23 tokens, and a teacher of width 24 with 41.
fn unlike() -> (Arc<Lm>, Arc<Lm>) {
    let large = Config {
        vocab_size: 41,
        ..gpt_neox()
    };
    (Arc::new(random(&gpt2(), 4)), Arc::new(random(&large, 5)))
}

/// Rows as either model reads them: what is one token to the student is one or two to the teacher.
fn read_by_both(count: usize) -> (Vec<Example>, Vec<Example>) {
    let student = examples(count);
    let longer = |example: &Example| {
        let ids = example.ids.iter().flat_map(|&id| match id % 3 {
            0 => vec![40 - id, 40],
            _ => vec![40 - id],
        });
        let ids: Vec<u32> = ids.collect();
        let answer = ids.len() - 1;
        Example {
            ids,
            answer,
            label: None,
            removed: 0,
        }
    };
    let teacher = student.iter().map(longer).collect();
    (student, teacher)
}

fn logits(lm: &Lm, prompt: Option<&SoftPrompt>, example: &Example, side: usize) -> Tensor<2> {
    let tokens = TokenBatch::padded(&[&example.ids], 0);
    let mut input = lm.embed(&tokens);
    if let Some(prompt) = prompt {
        let shape = [1, prompt.num_virtual_tokens(), prompt.token_dim()];
        let data = TensorData::new(prompt.embeddings().to_vec(), shape);
        input = input.with_prompt(Tensor::from_data(data, lm.device()));
    }
    let hidden = lm.hidden_at(&input, &[example.answer]);
    lm.head_rows(&WORDS.map(|pair| pair[side])).logits(hidden)
}

/// How far the teacher's answers are from those that the student gives behind `tuned`: the mean over
/// the rows of T²·KL, each model reading its own tokens one row at a time.
fn apart(tuned: &SoftPrompt, behind: Option<&SoftPrompt>) -> f64 {
    let (student, teacher) = unlike();
    let (own, theirs) = read_by_both(40);
    let rows = own.iter().zip(&theirs).map(|(own, theirs)| {
        let target = logits(&student, Some(tuned), own, 0);
        let loss = divergence(target, logits(&teacher, behind, theirs, 1), 2.0);
        f64::from(block_on(read(loss.value)).unwrap()[0])
    });
    rows.sum::<f64>() / 40.0
}

/// The step's loss is that of each model's own tokens and words; it falls; and the teacher then comes
/// nearer to what the prompted student says than it does without a prompt.
#[test]
fn a_teacher_of_another_width_and_vocabulary_learns_the_students_answers() {
    let (student, teacher) = unlike();
    let (own, theirs) = read_by_both(40);
    let tuned = prompt(8);
    let mut constants = Constants::new(&own, &theirs).unwrap();
    while constants.done() < constants.len() {
        block_on(constants.extend(&student, &teacher, &tuned, 7)).unwrap();
    }
    let start: Vec<f32> = random_rows(12, PROMPT, 24);
    let start = SoftPrompt::new(start, PROMPT, 24).unwrap();
    let config = TransferConfig {
        alpha: 0.0,
        batch: 40,
        steps: 120,
        ..config()
    };
    let words = Words::Some(WORDS.to_vec());
    let mut transfer = Transfer::new(
        teacher.clone(),
        student.clone(),
        constants,
        &start,
        words,
        config,
        None,
    )
    .unwrap();
    let reports = run(&mut transfer);

    let expected = apart(&tuned, Some(&start));
    let (first, last) = (reports[0].loss, reports.last().unwrap().loss);
    assert!((first - expected).abs() < 1e-5, "{first}, not {expected}");
    assert!(last < 0.5 * first, "{first} → {last}");

    let moved = transfer.finish().unwrap();
    let (zero_shot, after) = (apart(&tuned, None), apart(&tuned, Some(&moved)));
    assert!(after < 0.5 * zero_shot, "{zero_shot} → {after}");
}

fn random_rows(seed: u64, rows: usize, width: usize) -> Vec<f32> {
    let mut generator = SplitMix64::new(seed);
    let values = (0..rows * width).map(|_| 2.0 * generator.unit() as f32 - 1.0);
    values.collect()
}

fn far(a: &[f32], b: &[f32]) -> f32 {
    let size = b.iter().fold(0f32, |size, x| size.max(x.abs()));
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0f32, f32::max) / size
}

#[test]
fn a_models_prompt_is_its_own_image() {
    let lm = random(
        &Config {
            vocab_size: 90,
            ..llama()
        },
        3,
    );
    let anchors: Vec<[u32; 2]> = (0..90).map(|id| [id, id]).collect();
    let own = prompt(8);
    let config = RelativeConfig::default();
    let image = block_on(relative(&own, [&lm, &lm], &anchors, config)).unwrap();
    assert!(far(image.embeddings(), own.embeddings()) < 1e-3);
    let nearest = RelativeConfig {
        nearest: Some(40),
        ..config
    };
    let image = block_on(relative(&own, [&lm, &lm], &anchors, nearest)).unwrap();
    assert!(far(image.embeddings(), own.embeddings()) < 1e-2);
}

/// The teacher's space is the student's, turned into more dimensions and thrice as large: the image is
/// the prompt, turned alike and thrice as long.
#[test]
fn a_turned_space_turns_the_prompt() {
    let (narrow, wide, m) = (6, 9, 50);
    let mut basis: Vec<Vec<f32>> = Vec::new();
    for seed in 0..narrow as u64 {
        let mut row = random_rows(100 + seed, 1, wide);
        for other in &basis {
            let along: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        basis.push(row.iter().map(|x| x / length).collect());
    }
    let turned = |rows: &[f32]| -> Vec<f32> {
        let turn = |row: &[f32]| {
            let column = |i: usize| row.iter().zip(&basis).map(|(x, b)| 3.0 * x * b[i]).sum();
            (0..wide).map(column).collect::<Vec<f32>>()
        };
        rows.chunks(narrow).flat_map(turn).collect()
    };
    let source = random_rows(1, m, narrow);
    let mut numbers = random_rows(2, 4, narrow);
    // A row of zeros stays one.
    numbers[..narrow].fill(0.0);
    let prompt = SoftPrompt::new(numbers, 4, narrow).unwrap();
    let (config, device) = (RelativeConfig::default(), Device::default());
    let target = turned(&source);
    let image = relative::search(&prompt, &source, &target, config, &device);
    let image = block_on(image).unwrap();
    assert_eq!((image.num_virtual_tokens(), image.token_dim()), (4, wide));
    assert!(far(image.embeddings(), &turned(prompt.embeddings())) < 1e-3);
}

#[test]
fn what_says_nothing_of_a_place_is_refused() {
    let (student, teacher) = unlike();
    let config = RelativeConfig {
        nearest: Some(0),
        ..RelativeConfig::default()
    };
    let models = [&*student, &*teacher];
    let error = block_on(relative(&prompt(8), models, &WORDS, config)).unwrap_err();
    assert!(error.to_string().contains("nearest is 0"), "{error}");
    let config = RelativeConfig::default();
    let narrow = SoftPrompt::new(vec![1.0; 4], 2, 2).unwrap();
    let error = block_on(relative(&narrow, models, &WORDS, config)).unwrap_err();
    assert!(matches!(error, TransferError::Prompt(_)));
}

fn speaking(words: &[&str]) -> Tokenizer {
    let vocab: serde_json::Map<_, _> = words
        .iter()
        .enumerate()
        .map(|(id, word)| ((*word).to_owned(), json!(id)))
        .collect();
    let description = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
    });
    Tokenizer::from_bytes(description.to_string()).unwrap()
}

/// One word after the other, by its first token; what begins like an earlier word is left out.
#[test]
fn label_words_are_matched_by_the_task() {
    let task = r#"
        name = "small"
        template = "{text} It was"
        init_text = "good"
        max_length = 12
        first_token = true
        columns = { text = "text", label = "label" }
        classes = [
            { name = "negative", words = ["very bad", "very dull", "bad"] },
            { name = "positive", words = ["good"] },
        ]
    "#;
    let task = Task::from_toml(task).unwrap();
    let student = speaking(&["<unk>", "It", "was", "very", "bad", "dull", "good"]);
    let teacher = speaking(&["good", "dull", "bad", "<unk>", "very", "was", "It"]);
    let encoder = |tokenizer| Encoder::new(&task, tokenizer, 20, Head::Causal).unwrap();
    let words = Words::labels(&encoder(&student), &encoder(&teacher)).unwrap();
    assert_eq!(words, Words::Some(vec![[3, 4], [4, 2], [6, 0]]));
    let classes = Words::classes(&encoder(&student), &encoder(&teacher)).unwrap();
    let negative = [vec![3, 4], vec![4, 2]];
    assert_eq!(classes, Words::Classes(vec![negative, [vec![6], vec![0]]]));
    assert_eq!(Words::all(&student, &student).unwrap(), Words::All);
    let open = Task::from_toml(
        r#"
        name = "open"
        template = "{text} It was"
        init_text = "good"
        max_length = 12
        columns = { text = "text", label = "label" }
        answer = { max_tokens = 2, end = " It" }
    "#,
    );
    let open = open.unwrap();
    let encoder = |tokenizer| Encoder::new(&open, tokenizer, 20, Head::Causal).unwrap();
    let error = Words::labels(&encoder(&student), &encoder(&teacher)).unwrap_err();
    assert!(matches!(error, TransferError::NoClasses(_)));
    assert!(error.to_string().contains("--words all"), "{error}");
    let error = Words::classes(&encoder(&student), &encoder(&teacher)).unwrap_err();
    assert!(matches!(error, TransferError::NoClasses(_)));
    let error = Words::all(&student, &teacher).unwrap_err();
    assert!(matches!(error, TransferError::Tokenizer { id: 0, .. }));
    assert!(
        error
            .to_string()
            .contains("can only be compared where both have the same")
    );
}
