//! The real student, as the quickstart publishes it: 42 million parameters, three steps.

use std::fs;
use std::path::Path;

use super::browser::Browser;
use super::newcomer::accepted;
use super::place;
use super::server::Served;
use super::smooth::{run_smoothly, watched};

/// Sentences made for this test.
const GOOD: [&str; 8] = [
    "A warm and generous film that earns every one of its smiles.",
    "The actors carry this story with quiet grace.",
    "Funny, sad and wise, often in the same breath.",
    "One of those rare films that trusts its audience.",
    "Every scene is lit with care, and the ending lands.",
    "I left the theatre lighter than I came.",
    "A small masterpiece about ordinary people.",
    "Sharp writing and a splendid cast.",
];
const BAD: [&str; 8] = [
    "Two hours that feel like a week in a waiting room.",
    "The plot collapses before the first act is over.",
    "Nobody on screen seems to know why they are there.",
    "A loud, hollow and tiresome affair.",
    "The jokes arrive late and leave early.",
    "It has the charm of a tax form.",
    "Clumsy, overlong and badly edited.",
    "An expensive way to be bored.",
];

#[test]
fn three_steps_with_the_real_student() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("films.csv");
    let mut rows = "text,category,movie_name\n".to_owned();
    for number in 0..4 {
        for (good, bad) in GOOD.iter().zip(BAD) {
            rows += &format!(
                "\"{good} ({number})\",fresh,film {number}\n\"{bad} ({number})\",rotten,film {number}\n"
            );
        }
    }
    fs::write(&table, rows).unwrap();
    let student = place::student();
    let served = Served::start(&[&student], None);
    let browser = Browser::start("real", &watched());
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&table);
    browser.set("test-share", "0");
    browser.click("#map");
    browser.until_text("#summary-train", |said| said.contains("64"));
    browser.set("set-steps", "3");
    browser.set("set-batch", "8");
    run_smoothly(&browser);
    browser.screenshot("done");
    let statement = browser.text("#result-statement");
    assert!(statement.contains("differentially private"), "{statement}");
    let zip = browser.export("prompt-rotten-tomatoes.zip");
    browser.quit().assert_only(&served.origin);
    let prompt = folder.path().join("prompt.zip");
    fs::write(&prompt, zip).unwrap();
    // The student is its own teacher: a large one takes too long here.
    accepted(
        &prompt,
        &[
            ("--student", &student),
            ("--teacher", &student),
            ("--task", Path::new("rotten-tomatoes")),
            ("--public", &table),
        ],
    );
}
