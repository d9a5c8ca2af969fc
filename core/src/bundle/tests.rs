use std::sync::Arc;

use tokenizers::Tokenizer;
use tokenizers::models::bpe::{BPE, Vocab};

use super::*;
use crate::checkpoint::{HostData, HostTensor};
use crate::model::NamedTensors;
use crate::model::testing::{Memory, gpt2, llama, random_tensors, roberta};

fn tokenizer(tokens: u32) -> Tokenizer {
    let vocab: Vocab = (0..tokens).map(|id| (format!("t{id}"), id)).collect();
    Tokenizer::new(
        BPE::builder()
            .vocab_and_merges(vocab, vec![])
            .build()
            .unwrap(),
    )
}

fn card() -> Card {
    Card {
        name: "tiny student".to_owned(),
        teacher: "tiny teacher".to_owned(),
        license: "apache-2.0".to_owned(),
        blocks: vec![0, 4, 7],
        tasks: vec!["name = \"a\"\n".to_owned(), "ü \" \\ \u{0}".to_owned()],
        prompt_place: PromptPlace::BeforeBos,
    }
}

fn tensors(config: &Config, seed: u64) -> NamedTensors {
    random_tensors(config, seed).into_iter().collect()
}

fn written(config: &Config, tensors: &NamedTensors, dtype: Dtype) -> Vec<u8> {
    let contents = Contents {
        tensors,
        config,
        tokenizer: &tokenizer(23),
        card: card(),
    };
    write(&contents, dtype).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Bundle, BundleError> {
    Bundle::open(Arc::new(bytes))
}

fn error<T>(result: Result<T, BundleError>) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    }
}

fn teacher(config: &Config, seed: u64) -> Checkpoint {
    let tensors = Memory(random_tensors(config, seed));
    Checkpoint::new(
        config.clone(),
        tensors,
        Some(tokenizer(23)),
        About::default(),
    )
    .unwrap()
}

#[test]
fn f32_bundles_keep_every_bit_of_every_family() {
    for config in [llama(), gpt2(), roberta()] {
        let tensors = tensors(&config, 1);
        let bundle = open(written(&config, &tensors, Dtype::F32)).unwrap();
        assert_eq!(bundle.card(), &card());
        assert_eq!(bundle.config(), &config);
        assert_eq!(bundle.hash().len(), 64);
        let checkpoint = bundle.into_checkpoint().unwrap();
        assert_eq!(checkpoint.tensors.names().len(), tensors.len());
        for (name, tensor) in &tensors {
            assert_eq!(&checkpoint.tensors.tensor(name).unwrap(), tensor, "{name}");
        }
        assert_eq!(checkpoint.tokenizer.unwrap().get_vocab_size(true), 23);
    }
}

/// Bundles name a place only where it is not the one that all had before there was a choice.
#[test]
fn a_bundle_says_where_prompts_are_tuned() {
    let config = llama();
    let (tensors, teacher) = (tensors(&config, 1), teacher(&config, 1));
    let mut blocks = tensors.clone();
    blocks.retain(|(name, _)| hash::in_block(&config, name));
    for place in PromptPlace::ALL {
        let [whole, part] = [&tensors, &blocks].map(|tensors| Contents {
            tensors,
            config: &config,
            tokenizer: teacher.tokenizer.as_ref().unwrap(),
            card: Card {
                prompt_place: place,
                ..card()
            },
        });
        let whole = write(&whole, Dtype::F32).unwrap();
        let part = write_without_embeddings(&part, Dtype::F32, &teacher).unwrap();
        let named = |bytes: &[u8]| {
            bytes
                .windows(PLACE.len())
                .any(|found| found == PLACE.as_bytes())
        };
        assert_eq!(named(&whole), place == PromptPlace::AfterBos);
        let whole = open(whole).unwrap();
        assert_eq!(whole.card().prompt_place, place);
        assert_eq!(whole.into_checkpoint().unwrap().about.prompt_place, place);
        let completed = open(part).unwrap().complete(&teacher).unwrap();
        assert_eq!(completed.about.prompt_place, place);
    }
    let message = error(place(Some("behind")));
    assert!(
        message.contains("`prompt_place`") && message.contains("after-bos"),
        "{message}"
    );
}

#[test]
fn f16_bundles_round_matrices_and_keep_vectors() {
    let config = llama();
    let tensors = tensors(&config, 2);
    let checkpoint = open(written(&config, &tensors, Dtype::F16))
        .unwrap()
        .into_checkpoint()
        .unwrap();
    for (name, tensor) in tensors {
        let want = if tensor.shape.len() == 1 {
            tensor
        } else {
            HostTensor::f16(tensor.shape.clone(), tensor.into_f16())
        };
        assert_eq!(checkpoint.tensors.tensor(&name).unwrap(), want, "{name}");
    }
}

#[test]
fn int8_bundles_err_by_half_a_step_of_each_row() {
    let config = llama();
    let mut tensors = tensors(&config, 3);
    // A row of zeros, and one whose values are spread over many orders of magnitude.
    let embedding = tensors
        .iter_mut()
        .find(|(name, _)| name == "model.embed_tokens.weight")
        .unwrap();
    let HostData::F32(values) = &mut embedding.1.data else {
        panic!("random tensors are f32")
    };
    values[..20].fill(0.0);
    values[20] = 1e4;
    let bytes = written(&config, &tensors, Dtype::Int8);
    assert!(bytes.len() < written(&config, &tensors, Dtype::F16).len());
    let checkpoint = open(bytes).unwrap().into_checkpoint().unwrap();
    assert_eq!(
        checkpoint.tensors.names().len(),
        tensors.len(),
        "scales are not tensors of their own"
    );
    for (name, tensor) in tensors {
        let found = checkpoint.tensors.tensor(&name).unwrap();
        assert_eq!(found.shape, tensor.shape);
        let table = name == "model.embed_tokens.weight" || name == "lm_head.weight";
        assert_eq!(matches!(found.data, HostData::F16(_)), table, "{name}");
        let columns = *tensor.shape.last().unwrap();
        let exact = tensor.shape.len() == 1;
        for (got, want) in found
            .into_f32()
            .chunks(columns)
            .zip(tensor.into_f32().chunks(columns))
        {
            let most = want.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            let allowed = if exact {
                0.0
            } else {
                most / 254.0 * 1.001 + if table { most / 2048.0 } else { 0.0 }
            };
            assert!(
                got.iter().zip(want).all(|(g, w)| (g - w).abs() <= allowed),
                "{name}"
            );
        }
    }
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let config = llama();
    let tensors = tensors(&config, 4);
    let mut reversed = tensors.clone();
    reversed.reverse();
    assert_eq!(
        written(&config, &tensors, Dtype::F16),
        written(&config, &reversed, Dtype::F16)
    );
}

#[test]
fn any_changed_byte_is_noticed() {
    let config = llama();
    let bytes = written(&config, &tensors(&config, 5), Dtype::Int8);
    let hash = open(bytes.clone()).unwrap().hash;
    let mut changed = 0;
    // Every byte of the front of the header, then samples: each costs a hash over the file.
    for at in (0..400).chain((400..bytes.len()).step_by(61)) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        match open(bytes) {
            Err(_) => changed += 1,
            // A blank of JSON turned into another blank changes nothing that is read.
            Ok(bundle) => assert_eq!(bundle.hash, hash, "byte {at}"),
        }
    }
    assert!(changed > 500, "only {changed} changes were noticed");
}

#[test]
fn blocks_alone_are_completed_by_their_teacher_and_no_other() {
    for config in [llama(), gpt2(), roberta()] {
        let student = config.with_blocks(&[0, 2]);
        let teacher_model = teacher(&config, 6);
        let all = tensors(&student, 7);
        let prefix = config.family.names().block[0];
        let blocks: NamedTensors = all
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .cloned()
            .collect();
        let contents = Contents {
            tensors: &blocks,
            config: &student,
            tokenizer: &tokenizer(23),
            card: card(),
        };
        let bytes = write_without_embeddings(&contents, Dtype::F32, &teacher_model).unwrap();
        assert!(open(bytes.clone()).unwrap().needs_teacher());
        assert!(error(open(bytes.clone()).unwrap().into_checkpoint()).contains("tiny teacher"));

        let completed = open(bytes.clone())
            .unwrap()
            .complete(&teacher_model)
            .unwrap();
        assert_eq!(completed.config, student);
        let mut names: Vec<_> = all.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        assert_eq!(completed.tensors.names(), names);
        for (name, tensor) in &all {
            let want = if name.starts_with(prefix) {
                tensor.clone()
            } else {
                teacher_model.tensors.tensor(name).unwrap()
            };
            assert_eq!(completed.tensors.tensor(name).unwrap(), want, "{name}");
        }
        assert!(
            error(open(bytes).unwrap().complete(&teacher(&config, 8))).contains("not the teacher")
        );

        let whole = Contents {
            tensors: &all,
            config: &student,
            tokenizer: &tokenizer(23),
            card: card(),
        };
        assert!(matches!(
            write_without_embeddings(&whole, Dtype::F32, &teacher_model),
            Err(BundleError::Outside(_))
        ));
    }
}

#[test]
fn a_whole_bundle_refuses_a_teacher() {
    let config = llama();
    let bundle = open(written(&config, &tensors(&config, 9), Dtype::F16)).unwrap();
    assert!(!bundle.needs_teacher());
    assert!(matches!(
        bundle.complete(&teacher(&config, 9)),
        Err(BundleError::Complete)
    ));
}

#[test]
fn values_that_a_type_cannot_hold_are_named() {
    let config = llama();
    for (value, dtype) in [
        (f32::NAN, Dtype::F32),
        (f32::INFINITY, Dtype::Int8),
        (1e5, Dtype::F16),
    ] {
        let mut tensors = tensors(&config, 10);
        let (name, tensor) = tensors
            .iter_mut()
            .find(|(_, tensor)| tensor.shape.len() == 2)
            .unwrap();
        let HostData::F32(values) = &mut tensor.data else {
            panic!("random tensors are f32")
        };
        values[3] = value;
        let name = name.clone();
        let contents = Contents {
            tensors: &tensors,
            config: &config,
            tokenizer: &tokenizer(23),
            card: card(),
        };
        assert!(error(write(&contents, dtype)).contains(&name));
    }
}

#[test]
fn plain_weights_and_misfitting_tokenizers_are_refused() {
    let config = llama();
    let tensors = tensors(&config, 11);
    let folder = crate::checkpoint::hf::folder(&tensors, &config, None).unwrap();
    assert!(error(open(folder[1].1.clone())).contains("plain safetensors file"));

    let contents = Contents {
        tensors: &tensors,
        config: &config,
        tokenizer: &tokenizer(24),
        card: card(),
    };
    let bundle = open(write(&contents, Dtype::F32).unwrap()).unwrap();
    assert!(error(bundle.into_checkpoint()).contains("token `t23` has id 23"));
}

#[test]
fn a_listed_bundle_says_what_the_file_says_and_survives_json() {
    let config = llama();
    let bytes = written(&config, &tensors(&config, 12), Dtype::F16);
    let bundle = open(bytes.clone()).unwrap();
    let listed = Listed::of(&bundle, "a.post.safetensors", bytes.len() as u64);
    assert_eq!(listed.hash, bundle.hash());
    assert_eq!(listed.layers, config.num_hidden_layers());
    let catalog = Catalog {
        bundles: vec![listed],
        sample: None,
    };
    let text = serde_json::to_string(&catalog).unwrap();
    assert!(!text.contains("sample"));
    assert_eq!(serde_json::from_str::<Catalog>(&text).unwrap(), catalog);
}
