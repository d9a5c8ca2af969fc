//! A graphics card that is lost before the run has a checkpoint.

use post_core::dp::Receipt;
use post_core::prompt::archive;
use post_core::tune::RECEIPT;

use super::tiny::Tiny;
use super::trouble::on_graphics;

/// The run was entered, so it is spent: the processor makes it, and it is counted once.
#[test]
fn a_card_that_is_lost_in_the_self_test_costs_nothing_more() {
    let tiny = Tiny::new(40);
    let (_served, browser) = on_graphics("early", &tiny);
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "3");
    browser.start_run();
    browser.until_text("#run-text", |said| said.starts_with("Testing"));
    assert_eq!(browser.text("#device-chosen"), "the graphics card");
    browser.crash_graphics();
    browser.until_text("#device-chosen", |said| said == "the processor");
    browser.finish_run();
    let files = archive::unpack(&browser.export("prompt-toy.zip")).unwrap();
    let receipt = Receipt::from_json(&files[RECEIPT]).unwrap();
    assert_eq!(receipt.earlier_runs, []);
    browser.until_text("#cost-ledger", |said| said.starts_with("1 earlier run "));
}
