//! How long files and functions may be.

use super::Finding;
use super::source::functions;
use super::tree::{Source, Tree};

/// No file of the field's best code is longer.
const FILE: usize = 600;
/// The privacy engine is what a reader checks line by line.
const DP_FILE: usize = 300;
/// Code that one reader can hold in mind: what is drawn, clipped, noised and claimed.
const DP_TOTAL: usize = 1500;
const DP: &str = "core/src/dp";
/// What ε is worth rests on the accountant as well, which is mathematics and a room of its own.
const ACCOUNT: &str = "core/src/account";
/// What the report lists at most.
const LISTED: usize = 20;

/// No file is too long for one sitting.
pub(super) fn files(tree: &Tree) -> Vec<Finding> {
    let limit = |source: &Source| {
        let engine = source.path.starts_with(DP) || source.path.starts_with(ACCOUNT);
        if engine && !source.is_test() {
            DP_FILE
        } else {
            FILE
        }
    };
    let mut findings = Vec::new();
    for source in &tree.sources {
        let lines = source.text.lines().count();
        if lines > limit(source) {
            findings.push(Finding {
                path: source.path.clone(),
                line: lines,
                message: format!(
                    "{lines} lines, more than {}: nobody reads it in one sitting; split it by concern",
                    limit(source)
                ),
            });
        }
    }
    findings
}

/// The privacy engine stays small enough to be checked by hand. What explains it (comments) or
/// checks it (tests) doesn't count.
pub(super) fn dp(tree: &Tree) -> Vec<Finding> {
    let lines: usize = tree
        .under(DP)
        .filter(|source| !source.is_test())
        .map(lines_of_code)
        .sum();
    if lines <= DP_TOTAL {
        return Vec::new();
    }
    let message = format!(
        "core::dp has {lines} lines of code without tests, more than {DP_TOTAL}: a guarantee that takes longer \
         to read is not checked; move what is no part of it elsewhere"
    );
    vec![Finding {
        path: DP.to_owned(),
        line: 1,
        message,
    }]
}

/// Lines with code on them, test modules left out.
fn lines_of_code(source: &Source) -> usize {
    source
        .code
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count()
}

/// Lists the longest functions: no limit, a place to look for a missing name.
pub(super) fn report(tree: &Tree) {
    let mut all: Vec<(usize, String)> = Vec::new();
    for source in &tree.sources {
        for (name, lines) in functions(&source.code) {
            all.push((
                lines.len(),
                format!("{}:{} {name}", source.path, lines.start),
            ));
        }
    }
    all.sort_by(|a, b| b.cmp(a));
    let median = all.get(all.len() / 2).map_or(0, |(lines, _)| *lines);
    eprintln!(
        "{} functions, median {median} lines; the longest:",
        all.len()
    );
    for (lines, place) in all.iter().take(LISTED) {
        eprintln!("{lines:5}  {place}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::planted;

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(
            files(&planted("core/src/a.rs", &"x\n".repeat(FILE))).len(),
            0
        );
        assert_eq!(
            files(&planted("core/src/a.rs", &"x\n".repeat(FILE + 1))).len(),
            1
        );
        assert_eq!(
            files(&planted("core/src/dp/a.rs", &"x\n".repeat(DP_FILE + 1))).len(),
            1
        );
    }

    #[test]
    fn an_engine_that_grew_is_found_and_its_tests_do_not_count() {
        let mut tree = planted("core/src/dp/mod.rs", &"x\n".repeat(DP_TOTAL));
        tree.add(
            "core/src/dp/b.rs",
            "#[cfg(test)]\nmod tests {\n    use a;\n}\n".into(),
        );
        assert_eq!(dp(&tree), []);
        tree.add("core/src/dp/c.rs", "//! Says why.\nuse b;\n".into());
        assert_eq!(dp(&tree).len(), 1);
    }
}
