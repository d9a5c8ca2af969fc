//! Files in the origin's private file system, and in a tab that has none.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;

use js_sys::{Array, Uint8Array};
use post_web::worker::files;
use post_web::worker::storage::Storage;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::Blob;

async fn both() -> [Storage; 2] {
    let (kept, why) = Storage::open().await;
    assert_eq!(why, None);
    assert!(matches!(kept, Storage::Kept(_)));
    [kept, Storage::in_tab()]
}

#[wasm_bindgen_test]
async fn a_file_is_replaced_as_a_whole_and_deleted() {
    for storage in both().await {
        storage.remove("a").await.unwrap();
        assert_eq!(storage.read("a").await.unwrap(), None);
        storage.write("a", b"longer than the next").await.unwrap();
        storage.write("a", b"short").await.unwrap();
        assert_eq!(storage.read("a").await.unwrap().unwrap(), b"short");
        assert_eq!(storage.file("a").await.unwrap().unwrap().size(), 5.0);
        storage.remove("a").await.unwrap();
        storage.remove("a").await.unwrap();
        assert_eq!(storage.read("a").await.unwrap(), None);
    }
}

/// Another tab keeps its run after every few steps, and this one looks at it.
#[wasm_bindgen_test]
async fn a_file_that_is_being_replaced_is_read_as_it_was_or_as_it_will_be() {
    let [storage, _] = both().await;
    storage.write("d", &[0; 1000]).await.unwrap();
    let mut write = pin!(async {
        for value in 1..=100 {
            storage.write("d", &[value; 1000]).await.unwrap();
        }
    });
    let mut read = pin!(async {
        loop {
            let bytes = storage.read("d").await.unwrap().unwrap();
            assert_eq!(bytes, [bytes[0]; 1000]);
        }
    });
    poll_fn(|context| {
        let _: Poll<()> = read.as_mut().poll(context);
        write.as_mut().poll(context)
    })
    .await;
}

/// What a broken download left behind is found by the next one.
#[wasm_bindgen_test]
async fn a_file_grows_over_several_openings() {
    for storage in both().await {
        storage.remove("b").await.unwrap();
        for (before, piece) in [(0, "one "), (4, "two "), (8, "three")] {
            let file = storage.append("b").await.unwrap();
            assert_eq!(file.size().unwrap(), before);
            file.push(&Uint8Array::from(piece.as_bytes())).unwrap();
        }
        assert_eq!(storage.read("b").await.unwrap().unwrap(), b"one two three");
        let file = storage.append("b").await.unwrap();
        file.clear().unwrap();
        assert_eq!(file.size().unwrap(), 0);
        drop(file);
        storage.remove("b").await.unwrap();
    }
}

/// Bigger than the pieces it is read in.
#[wasm_bindgen_test]
async fn a_big_file_comes_back_whole() {
    let bytes: Vec<u8> = (0..(16 << 20) + 77_u32)
        .map(|at| (at % 251) as u8)
        .collect();
    for storage in both().await {
        storage.write("c", &bytes).await.unwrap();
        assert!(storage.read("c").await.unwrap().unwrap() == bytes);
        storage.remove("c").await.unwrap();
    }
}

/// More than the largest vector of a tab, and more than its `usize` can count. The same few bytes over
/// and over, which the browser doesn't copy.
#[wasm_bindgen_test]
async fn a_file_that_no_tab_has_room_for_is_refused() {
    let piece = Array::of1(&Uint8Array::new_with_length(16 << 20));
    let piece = Blob::new_with_u8_array_sequence(&piece).unwrap();
    for pieces in [192, 320] {
        let parts: Array = (0..pieces).map(|_| piece.clone()).collect();
        let file = Blob::new_with_blob_sequence(&parts).unwrap();
        let error = files::read(&file).await.unwrap_err().to_string();
        let megabytes = format!("{:.0} MB", file.size() / 1e6);
        assert!(error.contains(&megabytes), "{error}");
    }
}
