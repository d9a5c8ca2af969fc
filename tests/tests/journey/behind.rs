//! A student on which prompts are tuned behind the token that every text begins with.

use std::fs;

use post_core::prompt::{PromptPlace, archive, peft};

use super::newcomer::accepted;
use super::steps::prepared;
use super::tiny::Tiny;

#[test]
fn a_prompt_stands_where_the_students_provider_said() {
    let tiny = Tiny::behind_bos(60);
    let (_served, browser) = prepared("behind", &tiny);
    browser.set("set-steps", "4");
    browser.start_run();
    browser.finish_run();
    let zip = browser.export("prompt-toy.zip");
    browser.assert_no_errors();
    let adapter = peft::read(&archive::unpack(&zip).unwrap()).unwrap();
    assert_eq!(adapter.prompt.place(), PromptPlace::AfterBos);
    let prompt = tiny.table().with_file_name("prompt-toy.zip");
    fs::write(&prompt, zip).unwrap();
    accepted(
        &prompt,
        &[
            ("--student", &tiny.bundle()),
            ("--teacher", &tiny.teacher()),
            ("--task", &tiny.task()),
            ("--public", &tiny.table()),
        ],
    );
}
