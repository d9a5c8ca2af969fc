//! Task files written to do harm: from a stranger, or within a bundle.

use post_core::checkpoint::tokenizer;
use post_core::task::{LabelWords, Task};

use crate::same::student;

const HEAD: &str = r#"
name = "hostile"
template = "{text}It was"
init_text = "Good or bad"
max_length = 12
[columns]
text = "text"
"#;

fn error(source: &str) -> String {
    Task::from_toml(source).unwrap_err().to_string()
}

/// What costs the square of its size where each class is compared with all others.
#[test]
fn a_hundred_thousand_classes_are_read_and_have_no_tokens() {
    let class = |at: usize| format!("[[classes]]\nname = \"{at}\"\nwords = [\"w{at}\"]\n");
    let classes: String = (0..100_000).map(class).collect();
    let task = Task::from_toml(&format!("{HEAD}{classes}")).unwrap();
    assert_eq!(task.classes().unwrap().len(), 100_000);
    let words = student::tokenizer().to_string();
    let words = tokenizer::from_json(words.as_bytes()).unwrap();
    assert!(LabelWords::new(&task, &words).is_err());
    let same = error(&format!("{HEAD}{classes}{}", class(7)));
    assert!(same.contains("two classes are named `7`"), "{same}");
}

#[test]
fn templates_have_few_fields() {
    let fields: String = (0..100_000).map(|at| format!("{{f{at}}}")).collect();
    let many = error(&HEAD.replace("{text}", &fields));
    assert!(many.contains("more than 64 fields"), "{many}");
    let braces = error(&HEAD.replace("{text}", &"{".repeat(100_001)));
    assert!(braces.contains("template"), "{braces}");
}

#[test]
fn nests_and_numbers_without_end_are_errors() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let nest = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        error(&format!("{HEAD}other = {nest}\n"));
        error(&HEAD.replace("\"text\"", &nest));
    }
    let keys = "a.".repeat(100_000);
    error(&format!("{HEAD}{keys}b = 1\n"));
    for length in ["-1", "1e3", "nan", "inf", "99999999999999999999"] {
        let wrong = error(&HEAD.replace("= 12", &format!("= {length}")));
        assert!(wrong.contains("line 5"), "{wrong}");
    }
    let (classes, answer) = (
        "[[classes]]\nname = \"a\"\nwords = [\"a\"]\n[[classes]]\nname = \"b\"\nwords = [\"b\"]\n",
        "[answer]\nmax_tokens = ",
    );
    Task::from_toml(&format!("{HEAD}{classes}")).unwrap();
    for most in ["16777217", "9223372036854775807", "18446744073709551615"] {
        let long = error(&format!("{}{classes}", HEAD.replace("12", most)));
        assert!(long.contains("`max_length`"), "{long}");
        let long = error(&format!("{HEAD}{answer}{most}\n"));
        assert!(long.contains("`max_tokens`"), "{long}");
    }
}
