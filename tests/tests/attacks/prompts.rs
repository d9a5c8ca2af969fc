//! Prompts written to do harm, in every format they are read in.

use std::io::{Cursor, Write};
use std::path::Path;

use post_core::checkpoint::pytorch::{File, PytorchReader};
use post_core::prompt::{SoftPrompt, archive, npy, pytorch, raw, sniff};
use proptest::prelude::*;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/prompts")
        .join(name)
}

fn prompt() -> SoftPrompt {
    SoftPrompt::new((0..54).map(|x| x as f32).collect(), 3, 18).unwrap()
}

/// A `.npy` with this dictionary and this much data.
fn array(header: &str, data: usize) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        &length[..],
        header.as_bytes(),
        &vec![0; data],
    ]
    .concat()
}

fn pickle(bytes: &[u8]) -> Result<SoftPrompt, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let opened = File::open("x.pth", bytes, || PytorchReader::new(file.path()));
    pytorch::read(&opened.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

#[test]
fn arrays_that_lie_are_refused() {
    let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
    npy::read(&array(good, 8)).unwrap();
    for (header, data) in [
        (good.to_owned(), 7),
        (good.to_owned(), 12),
        (good.to_owned(), 0),
        (good.replace("(1, 2)", "(2,)"), 8),
        (good.replace("(1, 2)", "(1, 1, 2)"), 8),
        (good.replace("(1, 2)", "(-1, 2)"), 8),
        (good.replace("(1, 2)", "(0, 0)"), 0),
        (good.replace("(1, 2)", "(18446744073709551615, 2)"), 8),
        (good.replace("(1, 2)", "(4611686018427387904, 4)"), 8),
        (good.replace("(1, 2)", "1, 2"), 8),
        (good.replace("<f4", ">f4"), 8),
        (good.replace("<f4", "|O"), 8),
        (good.replace("'descr'", "'desc'"), 8),
        ("".to_owned(), 8),
    ] {
        assert!(npy::read(&array(&header, data)).is_err(), "{header} {data}");
    }
    let whole = npy::write(&prompt());
    for length in 0..whole.len() {
        assert!(npy::read(&whole[..length]).is_err(), "cut to {length}");
    }
    let mut longer = b"\x93NUMPY\x02\x00".to_vec();
    longer.extend(u32::MAX.to_le_bytes());
    assert!(
        npy::read(&longer)
            .unwrap_err()
            .to_string()
            .contains("claims")
    );
}

/// The pickle asks for `os.system`; nothing is called, and the file is refused.
#[test]
fn a_pickle_is_never_executed() {
    let mark = Path::new("/tmp/post-pickle-was-executed");
    let _ = std::fs::remove_file(mark);
    let error = pickle(&std::fs::read(fixture("evil.pth")).unwrap()).unwrap_err();
    assert!(!mark.exists(), "the pickle was executed");
    assert!(!error.is_empty());
}

/// A view of one number that claims to be 16 MB would cost memory that no file paid for.
#[test]
fn a_view_larger_than_its_file_is_refused() {
    let error = pickle(&std::fs::read(fixture("expanded.pth")).unwrap()).unwrap_err();
    assert!(
        error.contains("larger than the file") && error.contains("x.pth"),
        "{error}"
    );
}

#[test]
fn compressed_archives_are_refused_before_they_unpack() {
    let mut zip = zip_of("x/data.pkl", &vec![b'N'; 20 << 20], true);
    let error = pickle(&zip).unwrap_err();
    assert!(error.contains("compressed"), "{error}");
    zip = zip_of("x/data.pkl", &vec![b'N'; 20 << 20], false);
    let error = pickle(&zip).unwrap_err();
    assert!(error.contains("20971520 bytes"), "{error}");
}

/// An archive with one file, made by Python's rules but not by us.
fn zip_of(name: &str, content: &[u8], deflate: bool) -> Vec<u8> {
    use zip::write::SimpleFileOptions;
    let method = match deflate {
        true => zip::CompressionMethod::Deflated,
        false => zip::CompressionMethod::Stored,
    };
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    writer.start_file(name, options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A megabyte of zip that unpacks to a gigabyte is stopped at what a prompt may take.
#[test]
fn an_archive_that_unpacks_without_end_is_refused() {
    let bomb = zip_of("adapter_config.json", &vec![0; 300 << 20], true);
    assert!(bomb.len() < 2 << 20);
    let error = archive::unpack(&bomb).unwrap_err().to_string();
    assert!(error.contains("256 MiB"), "{error}");
}

#[test]
fn names_that_lead_elsewhere_are_only_names() {
    for name in [
        "../../etc/adapter_config.json",
        "/adapter_config.json",
        "a\\adapter_config.json",
    ] {
        let files = archive::unpack(&zip_of(name, b"{}", false)).unwrap();
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            ["adapter_config.json"],
            "{name}"
        );
    }
}

#[test]
fn every_cut_of_a_bare_tensor_is_an_error() {
    let whole = raw::write(&prompt()).unwrap();
    for length in 0..whole.len() {
        assert!(raw::read(&whole[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn tensors_that_are_no_prompt_are_named() {
    let two = |names: [&str; 2]| {
        let entry = |name: &str, from: usize| {
            format!(
                r#""{name}":{{"dtype":"F32","shape":[1,1],"data_offsets":[{from},{}]}}"#,
                from + 4
            )
        };
        let header = format!("{{{},{}}}", entry(names[0], 0), entry(names[1], 4));
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &[0; 8]].concat()
    };
    let error = raw::read(&two(["a", "b"])).unwrap_err().to_string();
    assert!(
        error.contains("\"a\", \"b\"") && error.contains("prompt_embeds"),
        "{error}"
    );
    assert!(raw::read(&two(["a", "prompt_embeds"])).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_prompts_never_panic(
        format in 0usize..4,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = match format {
            0 => npy::write(&prompt()),
            1 => raw::write(&prompt()).unwrap(),
            2 => std::fs::read(fixture("post.pth")).unwrap(),
            _ => std::fs::read(fixture("legacy.pth")).unwrap(),
        };
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = sniff(&bytes);
        let read = match format {
            0 => npy::read(&bytes).map_err(|e| e.to_string()),
            1 => raw::read(&bytes).map_err(|e| e.to_string()),
            _ => pickle(&bytes),
        };
        match read {
            Ok(read) => prop_assert!(read.embeddings().len() <= bytes.len()),
            Err(error) => prop_assert!(!error.is_empty()),
        }
    }
}
