//! Files in the origin's private file system, and in a tab that has none.

use js_sys::Uint8Array;
use post_web::worker::storage::Storage;
use wasm_bindgen_test::wasm_bindgen_test;

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
