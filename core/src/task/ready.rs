//! Ready tasks: the files of `tasks/`, built in so that terminal and tab have the same ones.

use super::file::{Task, TaskError};

/// Name and source of every ready task; words and templates of all but the last as in the
/// paper's public code.
pub const READY: [(&str, &str); 12] = [
    ("sst2", include_str!("../../../tasks/sst2.toml")),
    ("imdb", include_str!("../../../tasks/imdb.toml")),
    ("mpqa", include_str!("../../../tasks/mpqa.toml")),
    ("tweet", include_str!("../../../tasks/tweet.toml")),
    ("agnews", include_str!("../../../tasks/agnews.toml")),
    ("arisetv", include_str!("../../../tasks/arisetv.toml")),
    ("trec", include_str!("../../../tasks/trec.toml")),
    ("disaster", include_str!("../../../tasks/disaster.toml")),
    ("boolq", include_str!("../../../tasks/boolq.toml")),
    ("mit-d", include_str!("../../../tasks/mit-d.toml")),
    ("mit-g", include_str!("../../../tasks/mit-g.toml")),
    (
        "rotten-tomatoes",
        include_str!("../../../tasks/rotten-tomatoes.toml"),
    ),
];

/// The ready task of that name.
///
/// # Errors
/// [`TaskError::Unknown`], listing the names there are.
pub fn ready(name: &str) -> Result<Task, TaskError> {
    match READY.iter().find(|(known, _)| *known == name) {
        Some((_, source)) => Task::from_toml(source),
        None => Err(TaskError::Unknown {
            name: name.to_owned(),
            known: READY.map(|(known, _)| known).join(", "),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Answers;
    use super::*;

    #[test]
    fn every_ready_task_reads_and_bears_its_files_name() {
        for (name, _) in READY {
            let task = ready(name).unwrap();
            assert_eq!(task.name(), name);
            assert!(!task.description().is_empty());
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = ready("sst3").unwrap_err().to_string();
        assert!(
            message.contains("sst3") && message.contains("rotten-tomatoes"),
            "{message}"
        );
    }

    #[test]
    fn sentiment_renders_as_in_the_papers_code() {
        let task = ready("sst2").unwrap();
        let template = task.template();
        assert_eq!(
            template.causal(&["a fine film . "]).unwrap().text,
            "a fine film . It was"
        );
        let masked = template.masked(&["x "], "<mask>").text;
        assert_eq!(masked, "x It was <mask>.");
        let news = ready("arisetv").unwrap();
        let text = news.template().causal(&["T", "E"]).unwrap().text;
        assert_eq!(text, "Title:TExcerpt:EIt's about");
    }

    #[test]
    fn questions_render_as_in_the_papers_code() {
        let render = |name: &str, values: &[&str]| {
            let task = ready(name).unwrap();
            task.template().causal(values).unwrap().text
        };
        assert_eq!(render("trec", &["Who ?"]), "Who ?This question is about");
        assert_eq!(
            render("disaster", &["Fire"]),
            "Sentence:FireIs this sentence related to disaster (answer yes or no)?"
        );
        assert_eq!(
            render("boolq", &["P", "q"]),
            "Context: P\nQuestion: q\nA.no\nB.yes\nThe answer is A or B?"
        );
    }

    #[test]
    fn spans_are_asked_for_as_in_the_papers_code() {
        let render = |name: &str| {
            let task = ready(name).unwrap();
            assert!(matches!(task.answers(), Answers::Open(open) if open.end == "\n"));
            task.template().causal(&["a film"]).unwrap().text
        };
        assert_eq!(
            render("mit-d"),
            "Context:a film\nThe director of the movie is"
        );
        assert_eq!(
            render("mit-g"),
            "Answer the genre of the movie directly from the context.\nContext:a film.\n This movie is"
        );
    }

    /// Receipts and published students name tasks by these.
    #[test]
    fn hashes_are_those_of_earlier_builds() {
        let hash = |name: &str| ready(name).unwrap().hash();
        let known = [
            (
                "sst2",
                "e163373a52f9555465e16fd28359364818fcc82e730537abfab8c1b132469af9",
            ),
            (
                "trec",
                "c05508551c47fc74b20d580044949fca0720e877f7278103e22ce4f33863f0c7",
            ),
            (
                "boolq",
                "65ecf698dc2737e9843decbd77e572fef0ff4e709048ef961c207f1081937a7b",
            ),
        ];
        for (name, expected) in known {
            assert_eq!(hash(name), expected, "{name}");
        }
    }

    /// As the Hugging Face hub has them: numbers of classes, and true or false.
    #[test]
    fn labels_of_the_published_sets_are_known() {
        let classes = |name: &str, values: &[&str]| {
            let task = ready(name).unwrap();
            let known = values.iter().map(|value| task.class_of(value).unwrap());
            known.collect::<Vec<_>>()
        };
        assert_eq!(classes("trec", &["0", "5", "LOC"]), [0, 5, 4]);
        assert_eq!(classes("disaster", &["0", "1"]), [0, 1]);
        assert_eq!(classes("boolq", &["true", "False", "1"]), [1, 0, 1]);
    }
}
