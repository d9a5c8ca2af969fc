//! What a task's rows are answered with: one of several classes, or text of its own.

use serde::{Deserialize, Serialize};

use super::Task;

/// The two kinds of answer that a task can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers<'a> {
    /// One of these, in the order of their indices.
    Classes(&'a [Class]),
    /// Text, token after token.
    Open(&'a OpenAnswer),
}

/// One class: how the data writes it and which words of the vocabulary speak for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// The class's name, for people.
    pub name: String,
    /// What the label column holds for it; the name alone unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Label words, without leading space.
    pub words: Vec<String>,
}

/// `[answer]` of a task file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAnswer {
    /// Most tokens that an answer may have, without its end.
    pub max_tokens: usize,
    /// The text that ends an answer.
    #[serde(default = "new_line", skip_serializing_if = "is_new_line")]
    pub end: String,
}

fn new_line() -> String {
    "\n".to_owned()
}

fn is_new_line(end: &String) -> bool {
    *end == new_line()
}

/// The answer to one row; `T` is its text as a table has it (`String`) or as a model reads it (the
/// tokens, those of its end included).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label<T> {
    /// The index of its class.
    Class(usize),
    /// Text.
    Text(T),
}

impl<T> Label<T> {
    /// The index of its class, if it has one.
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(*class),
            Self::Text(_) => None,
        }
    }
}

/// Classes were asked of a task that has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the task `{task}` is answered with text of its own ([answer]), and what was asked for needs classes; give a task with [[classes]]"
)]
pub struct NoClasses {
    /// The task's name.
    pub task: String,
}

impl NoClasses {
    pub(super) fn of(task: &Task) -> Self {
        Self {
            task: task.name().to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::super::TaskError;
    use super::super::file::tests::SMALL;
    use super::*;

    /// The small task with answers of text.
    pub(crate) fn open(answer: &str) -> String {
        let (head, _) = SMALL.split_once("[[classes]]").unwrap();
        format!("{head}[answer]\n{answer}\n")
    }

    fn broken(source: &str) -> TaskError {
        Task::from_toml(source).unwrap_err()
    }

    #[test]
    fn an_open_task_reads_and_writes_back_the_same() {
        for (answer, end) in [
            ("max_tokens = 3", "\n"),
            ("max_tokens = 3\nend = \".\"", "."),
        ] {
            let task = Task::from_toml(&open(answer)).unwrap();
            let Answers::Open(found) = task.answers() else {
                panic!("it has no classes")
            };
            assert_eq!((found.max_tokens, found.end.as_str()), (3, end));
            let again = Task::from_toml(&task.to_toml()).unwrap();
            assert_eq!((&again, again.hash()), (&task, task.hash()));
        }
    }

    #[test]
    fn what_needs_classes_is_told_that_there_are_none() {
        let task = Task::from_toml(&open("max_tokens = 3")).unwrap();
        let message = task.classes().unwrap_err().to_string();
        assert!(
            message.contains("`small`") && message.contains("[[classes]]"),
            "{message}"
        );
        assert_eq!(task.class_of("0"), None);
        let classes = Task::from_toml(SMALL).unwrap();
        assert_eq!(classes.classes().unwrap().len(), 2);
    }

    #[test]
    fn a_task_asks_for_one_kind_of_answer() {
        let both = format!("{SMALL}[answer]\nmax_tokens = 3\n");
        assert!(matches!(broken(&both), TaskError::TwoKinds));
        let (neither, _) = SMALL.split_once("[[classes]]").unwrap();
        assert!(matches!(broken(neither), TaskError::NoAnswers));
    }

    #[test]
    fn answers_that_cannot_be_given_are_errors() {
        assert!(matches!(
            broken(&open("max_tokens = 0")),
            TaskError::NoAnswerTokens
        ));
        let endless = open("max_tokens = 1\nend = \"\"");
        assert!(matches!(broken(&endless), TaskError::NoEnd));
        let first = open("max_tokens = 1").replace("[columns]", "first_token = true\n[columns]");
        assert!(matches!(broken(&first), TaskError::FirstToken));
        let message = broken(&open("end = \"\\n\"")).to_string();
        assert!(message.contains("max_tokens"), "{message}");
        let message = broken(&open("max_tokens = 1\nstop = 2")).to_string();
        assert!(message.contains("stop"), "{message}");
    }
}
