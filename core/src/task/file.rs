//! The task file: one small TOML document that says what is asked of the model.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::answers::{Answers, Class, NoClasses, OpenAnswer};
use super::{Template, TemplateError};

/// The entry of `[columns]` that names the label's column.
const LABEL: &str = "label";

/// What is wrong with a task file; callers add its path.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Not TOML, or a field is missing, unknown or of the wrong type; names line and column.
    #[error("the task file does not read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A field that must say something is blank.
    #[error("`{field}` is empty; it needs at least one character")]
    Blank {
        /// The field's name.
        field: &'static str,
    },
    /// The template does not parse.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template names a field that no column fills.
    #[error(
        "the template names `{field}`, which [columns] does not map; add `{field} = \"the column's header\"` (mapped are: {mapped})"
    )]
    UnmappedField {
        /// The field in braces.
        field: String,
        /// What `[columns]` maps.
        mapped: String,
    },
    /// A mapped column that nothing reads is most often a spelling mistake.
    #[error(
        "[columns] maps `{field}`, which the template never names; remove it or write {{{field}}} in the template"
    )]
    UnusedColumn {
        /// The entry's name.
        field: String,
    },
    /// The model would be told the answer.
    #[error("the template names {{label}}, so the model would be told the answer; remove it")]
    LabelInTemplate,
    /// Nothing to answer with.
    #[error(
        "the task says neither what to choose between nor how long an answer of text may be; add [[classes]], or [answer] with `max_tokens`"
    )]
    NoAnswers,
    /// Two ways to answer.
    #[error("the task has both [[classes]] and [answer]; keep one of them")]
    TwoKinds,
    /// No answer would fit.
    #[error(
        "`max_tokens` under [answer] is 0; give the number of tokens that an answer may have, such as 8"
    )]
    NoAnswerTokens,
    /// Nothing would end an answer.
    #[error(
        "`end` under [answer] is empty; give the text that ends an answer, or leave it out for a new line"
    )]
    NoEnd,
    /// What only label words need.
    #[error("`first_token` is about label words, and a task with [answer] has none; remove it")]
    FirstToken,
    /// Nothing to decide between.
    #[error("`classes` has {count} entries; a classification needs at least two")]
    TooFewClasses {
        /// How many there are.
        count: usize,
    },
    /// A class that nothing can score.
    #[error("class `{class}` has no label words; list at least one under `words`")]
    NoWords {
        /// The class's name.
        class: String,
    },
    /// A label word may not hold space at its ends, as it gets its leading space later.
    #[error(
        "class `{class}`: the label word `{word}` is blank or has space at an end; write the bare word"
    )]
    BadWord {
        /// The class's name.
        class: String,
        /// The word as written.
        word: String,
    },
    /// The same class name twice.
    #[error("two classes are named `{class}`; rename one")]
    SameClass {
        /// The name.
        class: String,
    },
    /// One word cannot speak for two classes, nor count twice for one.
    #[error("the label word `{word}` is listed for `{first}` and for `{second}`; keep one of them")]
    SharedWord {
        /// The word.
        word: String,
        /// The class that has it.
        first: String,
        /// The class that has it again.
        second: String,
    },
    /// One value of the label column cannot mean two classes.
    #[error("the label value `{value}` stands for `{first}` and for `{second}`; keep one of them")]
    SharedValue {
        /// The value.
        value: String,
        /// The class (or `ignored_labels`) that has it.
        first: String,
        /// The class that has it again.
        second: String,
    },
    /// No room for text.
    #[error(
        "`max_length` is 0; give the number of tokens that text and template may take, such as 256"
    )]
    NoLength,
    /// More than any model has room for; sums of it with other lengths could not be counted.
    #[error("`{field}` is {found}; no model has room for more than {MOST_TOKENS} tokens")]
    TooManyTokens {
        /// `max_length` or `max_tokens`.
        field: &'static str,
        /// The number found.
        found: usize,
    },
    /// No such ready task.
    #[error("there is no ready task `{name}`; ready are {known}, or give the path of a task file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// As many places as a model may have.
const MOST_TOKENS: usize = 1 << 24;

/// The document as written; [`Task`] is the checked one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    #[serde(default)]
    description: String,
    template: String,
    init_text: String,
    max_length: usize,
    #[serde(default)]
    first_token: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignored_labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_column: Option<String>,
    columns: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    classes: Vec<Class>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<OpenAnswer>,
}

/// A checked task. Its fields and what they mean are listed in `tasks/README.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Task {
    document: Document,
    template: Template,
}

impl Task {
    /// Reads and checks a task file.
    ///
    /// # Errors
    /// [`TaskError`], naming the field, or line and column where the TOML itself is at fault.
    pub fn from_toml(source: &str) -> Result<Self, TaskError> {
        toml::from_str::<Document>(source)?.try_into()
    }

    /// The task as a TOML document that [`Self::from_toml`] reads back to an equal task.
    pub fn to_toml(&self) -> String {
        // Strings, integers, tables of strings: nothing in it that TOML cannot say.
        toml::to_string(&self.document).unwrap_or_default()
    }

    /// SHA-256 of [`Self::to_toml`], in hex: equal for equal tasks, however they were written.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_toml());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.document.name
    }

    /// One sentence for people.
    pub fn description(&self) -> &str {
        &self.document.description
    }

    /// How a row becomes text.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The sentence that the prompt starts from.
    pub fn init_text(&self) -> &str {
        &self.document.init_text
    }

    /// Most tokens that text and template may take together.
    pub fn max_length(&self) -> usize {
        self.document.max_length
    }

    /// Whether a label word of several tokens is scored by its first (as in the paper's code);
    /// otherwise such a word is an error.
    pub fn first_token(&self) -> bool {
        self.document.first_token
    }

    /// What its rows are answered with.
    pub fn answers(&self) -> Answers<'_> {
        match &self.document.answer {
            Some(open) => Answers::Open(open),
            None => Answers::Classes(&self.document.classes),
        }
    }

    /// The classes, in the order of their indices.
    ///
    /// # Errors
    /// [`NoClasses`] where the answer is text.
    pub fn classes(&self) -> Result<&[Class], NoClasses> {
        match self.answers() {
            Answers::Classes(classes) => Ok(classes),
            Answers::Open(_) => Err(NoClasses::of(self)),
        }
    }

    /// Column of each of the template's fields, in the template's order; an empty one leaves its field empty.
    pub fn text_columns(&self) -> impl Iterator<Item = &str> {
        self.template
            .fields()
            .iter()
            .map(|field| self.document.columns[field].as_str())
    }

    /// Column that holds the label.
    pub fn label_column(&self) -> &str {
        self.document
            .columns
            .get(LABEL)
            .map_or(LABEL, String::as_str)
    }

    /// Column whose equal values must stay on one side of a split (`movie_name`).
    pub fn group_column(&self) -> Option<&str> {
        self.document.group_column.as_deref()
    }

    /// Label values whose rows are left out on purpose.
    pub fn ignored_labels(&self) -> &[String] {
        &self.document.ignored_labels
    }

    /// Class index of a value of the label column; space around it does not count.
    pub fn class_of(&self, value: &str) -> Option<usize> {
        let value = value.trim();
        self.document
            .classes
            .iter()
            .position(|class| class.values.iter().any(|v| v.trim() == value))
    }

    /// The same task over other column headers: `field` is a field of the template or `label`.
    ///
    /// # Errors
    /// [`TaskError::UnusedColumn`] where the template has no such field.
    pub fn with_column(mut self, field: &str, column: &str) -> Result<Self, TaskError> {
        self.document
            .columns
            .insert(field.to_owned(), column.to_owned());
        self.document.try_into()
    }
}

impl From<Task> for Document {
    fn from(task: Task) -> Self {
        task.document
    }
}

impl TryFrom<Document> for Task {
    type Error = TaskError;

    fn try_from(mut document: Document) -> Result<Self, TaskError> {
        not_blank("name", &document.name)?;
        not_blank("init_text", &document.init_text)?;
        if document.max_length == 0 {
            return Err(TaskError::NoLength);
        }
        few_tokens("max_length", document.max_length)?;
        for class in &mut document.classes {
            if class.values.is_empty() {
                class.values.push(class.name.clone());
            }
        }
        let template = Template::parse(&document.template)?;
        check_columns(&template, &document.columns)?;
        check_answers(&document)?;
        Ok(Self { document, template })
    }
}

/// Exactly one kind of answer, and one that can be given.
fn check_answers(document: &Document) -> Result<(), TaskError> {
    match (&document.answer, document.classes.as_slice()) {
        (None, []) => Err(TaskError::NoAnswers),
        (Some(_), [_, ..]) => Err(TaskError::TwoKinds),
        (Some(_), []) if document.first_token => Err(TaskError::FirstToken),
        (Some(open), []) if open.max_tokens == 0 => Err(TaskError::NoAnswerTokens),
        (Some(open), []) if open.end.is_empty() => Err(TaskError::NoEnd),
        (Some(open), []) => few_tokens("max_tokens", open.max_tokens),
        (None, classes) => {
            check_classes(classes)?;
            check_words(classes)?;
            check_values(classes, &document.ignored_labels)
        }
    }
}

fn few_tokens(field: &'static str, found: usize) -> Result<(), TaskError> {
    match found > MOST_TOKENS {
        true => Err(TaskError::TooManyTokens { field, found }),
        false => Ok(()),
    }
}

fn not_blank(field: &'static str, value: &str) -> Result<(), TaskError> {
    if value.trim().is_empty() {
        return Err(TaskError::Blank { field });
    }
    Ok(())
}

fn check_columns(template: &Template, columns: &BTreeMap<String, String>) -> Result<(), TaskError> {
    for field in template.fields() {
        if field == LABEL {
            return Err(TaskError::LabelInTemplate);
        }
        if !columns.contains_key(field) {
            let mapped: Vec<_> = columns.keys().map(String::as_str).collect();
            let mapped = mapped.join(", ");
            return Err(TaskError::UnmappedField {
                field: field.clone(),
                mapped,
            });
        }
    }
    let unused = columns
        .keys()
        .find(|name| *name != LABEL && !template.fields().contains(name));
    match unused {
        Some(field) => Err(TaskError::UnusedColumn {
            field: field.clone(),
        }),
        None => Ok(()),
    }
}

fn check_classes(classes: &[Class]) -> Result<(), TaskError> {
    if classes.len() < 2 {
        return Err(TaskError::TooFewClasses {
            count: classes.len(),
        });
    }
    let mut names = BTreeSet::new();
    for class in classes {
        not_blank("classes.name", &class.name)?;
        if !names.insert(class.name.as_str()) {
            return Err(TaskError::SameClass {
                class: class.name.clone(),
            });
        }
        if class.words.is_empty() {
            return Err(TaskError::NoWords {
                class: class.name.clone(),
            });
        }
    }
    Ok(())
}

fn check_words(classes: &[Class]) -> Result<(), TaskError> {
    let mut owner = BTreeMap::new();
    for class in classes {
        for word in &class.words {
            if word.is_empty() || word.trim() != word {
                let (class, word) = (class.name.clone(), word.clone());
                return Err(TaskError::BadWord { class, word });
            }
            if let Some(first) = owner.insert(word, &class.name) {
                return Err(TaskError::SharedWord {
                    word: word.clone(),
                    first: first.clone(),
                    second: class.name.clone(),
                });
            }
        }
    }
    Ok(())
}

fn check_values(classes: &[Class], ignored: &[String]) -> Result<(), TaskError> {
    let mut owner: BTreeMap<&str, &str> = ignored
        .iter()
        .map(|value| (value.as_str(), "ignored_labels"))
        .collect();
    for class in classes {
        for value in &class.values {
            if let Some(first) = owner.insert(value.trim(), &class.name) {
                return Err(TaskError::SharedValue {
                    value: value.clone(),
                    first: first.to_owned(),
                    second: class.name.clone(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const SMALL: &str = r#"
name = "small"
template = "{text}It was"
init_text = "Good or bad"
max_length = 12
[columns]
text = "review"
label = "stars"
[[classes]]
name = "negative"
values = ["0", "1"]
words = ["bad", "awful"]
[[classes]]
name = "positive"
words = ["good"]
"#;

    /// `SMALL` with one text replaced, and the error that follows.
    fn broken(from: &str, to: &str) -> TaskError {
        assert!(SMALL.contains(from));
        Task::from_toml(&SMALL.replacen(from, to, 1)).unwrap_err()
    }

    #[test]
    fn reads_and_writes_back_the_same_task() {
        let task = Task::from_toml(SMALL).unwrap();
        assert_eq!(task.label_column(), "stars");
        assert_eq!(task.text_columns().collect::<Vec<_>>(), ["review"]);
        assert_eq!(task.class_of(" 1 "), Some(0));
        assert_eq!(task.class_of("positive"), Some(1));
        assert_eq!(task.class_of("2"), None);
        let again = Task::from_toml(&task.to_toml()).unwrap();
        assert_eq!(again, task);
        assert_eq!(again.hash(), task.hash());
    }

    #[test]
    fn columns_can_be_mapped_to_other_headers() {
        let task = Task::from_toml(SMALL).unwrap();
        let mapped = task.clone().with_column("text", "body").unwrap();
        assert_eq!(mapped.text_columns().next(), Some("body"));
        assert_ne!(mapped.hash(), task.hash());
        assert!(matches!(
            task.with_column("txet", "body"),
            Err(TaskError::UnusedColumn { field }) if field == "txet"
        ));
    }

    #[test]
    fn toml_mistakes_name_their_line() {
        let message = broken("max_length = 12", "max_length = \"12\"").to_string();
        assert!(message.contains("line 5"), "{message}");
        let message = broken("max_length", "maxlength").to_string();
        assert!(message.contains("maxlength"), "{message}");
    }

    #[test]
    fn fields_and_columns_must_match() {
        let unmapped = broken("{text}", "{txt}");
        assert!(matches!(&unmapped, TaskError::UnmappedField { field, .. } if field == "txt"));
        assert!(unmapped.to_string().contains("text"), "{unmapped}");
        assert!(matches!(
            broken("{text}", "{text}{label}"),
            TaskError::LabelInTemplate
        ));
        let unused = broken("[columns]", "[columns]\ntitle = \"t\"");
        assert!(matches!(unused, TaskError::UnusedColumn { field } if field == "title"));
    }

    #[test]
    fn classes_must_be_distinct_and_have_words() {
        let empty = broken("words = [\"good\"]", "words = []");
        assert!(matches!(empty, TaskError::NoWords { class } if class == "positive"));
        let shared = broken("\"good\"", "\"bad\"");
        assert!(matches!(shared, TaskError::SharedWord { word, .. } if word == "bad"));
        let value = broken("\"1\"", "\"positive\"");
        assert!(matches!(value, TaskError::SharedValue { value, .. } if value == "positive"));
        let same = broken("\"positive\"", "\"negative\"");
        assert!(matches!(same, TaskError::SameClass { .. }));
        let space = broken("\"good\"", "\" good\"");
        assert!(matches!(space, TaskError::BadWord { .. }));
        let alone = SMALL
            .split("[[classes]]\nname = \"positive\"")
            .next()
            .unwrap();
        assert!(matches!(
            Task::from_toml(alone),
            Err(TaskError::TooFewClasses { count: 1 })
        ));
    }

    #[test]
    fn blank_and_zero_are_errors() {
        assert!(matches!(
            broken("Good or bad", " "),
            TaskError::Blank { field: "init_text" }
        ));
        assert!(matches!(broken("= 12", "= 0"), TaskError::NoLength));
        let ignored = broken("[columns]", "ignored_labels = [\"0\"]\n[columns]");
        assert!(
            matches!(ignored, TaskError::SharedValue { first, .. } if first == "ignored_labels")
        );
    }

    proptest! {
        #[test]
        fn any_text_reads_or_is_an_error(source in ".*", cut in 0usize..300) {
            let _ = Task::from_toml(&source);
            let end = cut.min(SMALL.len());
            let _ = Task::from_toml(&format!("{}{source}", &SMALL[..end]));
        }
    }
}
