//! `getrandom` reaches `crypto.getRandomValues`.

use wasm_bindgen_test::wasm_bindgen_test;

/// Both draws being equal, or either being all zeros, has probability 2⁻²⁵⁵ for a working source.
#[wasm_bindgen_test]
fn the_browser_gives_fresh_bytes() {
    let mut first = [0; 32];
    let mut second = [0; 32];
    getrandom::fill(&mut first).unwrap();
    getrandom::fill(&mut second).unwrap();
    assert_ne!(first, [0; 32]);
    assert_ne!(second, [0; 32]);
    assert_ne!(first, second);
}
