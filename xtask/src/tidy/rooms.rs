//! Which room of `core` may know which, as `ARCHITECTURE.md` has it.

use super::Finding;
use super::source::{find_word, line_of};
use super::tree::{Source, Tree};

/// A room, and the rooms that it may know.
struct Room {
    name: &'static str,
    may_know: &'static [&'static str],
    why: &'static str,
}

/// What the steps have in common. They don't know each other.
const BELOW: &[&str] = &["model", "checkpoint", "task", "prompt", "dp", "optim"];
const AUDIT: &[&str] = &[
    "model",
    "checkpoint",
    "task",
    "prompt",
    "dp",
    "optim",
    "tune",
];
const STEP: &str = "the steps are run by different people; what two of them share is its own room";

const fn room(name: &'static str, may_know: &'static [&'static str], why: &'static str) -> Room {
    Room {
        name,
        may_know,
        why,
    }
}

const ROOMS: [Room; 13] = [
    // A model is loaded from a checkpoint and saved as one; the checkpoint names its parts for it.
    room("model", &["checkpoint"], "a model is there for every use"),
    room("checkpoint", &["model"], "it only turns bytes into weights"),
    room("task", &[], "a task is text and token ids, no tensors"),
    room(
        "prompt",
        &["model", "checkpoint"],
        "a prompt is so many rows of a width",
    ),
    room(
        "cost",
        &["model", "optim"],
        "it counts what a configuration says",
    ),
    room(
        "account",
        &[],
        "it composes numbers, and knows nothing of what they are spent on",
    ),
    room(
        "dp",
        &["account"],
        "a guarantee is checked without knowing models, tasks or tokens",
    ),
    room(
        "optim",
        &[],
        "an optimiser sees numbers, wherever they come from",
    ),
    room("distill", BELOW, STEP),
    room("tune", BELOW, STEP),
    room("transfer", BELOW, STEP),
    // It tries to break what the tuner promises, through the tuner.
    room("audit", AUDIT, STEP),
    room(
        "bundle",
        &["model", "checkpoint", "task"],
        "it is a file, not a step",
    ),
];

/// No room names one that it may not know.
pub(super) fn imports(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for room in &ROOMS {
        let folder = format!("core/src/{}/", room.name);
        let file = format!("core/src/{}.rs", room.name);
        let mine = |source: &&Source| source.path.starts_with(&folder) || source.path == file;
        for source in tree
            .sources
            .iter()
            .filter(mine)
            .filter(|source| !source.is_test())
        {
            findings.extend(named(source).into_iter().filter_map(|(line, name)| {
                let unknown = ROOMS.iter().any(|other| other.name == name)
                    && name != room.name
                    && !room.may_know.contains(&name.as_str());
                let message = format!(
                    "core::{} names core::{name}: {}; pass a value in, or say in ARCHITECTURE.md and \
                     here why it has to know",
                    room.name, room.why
                );
                unknown.then(|| Finding { path: source.path.clone(), line, message })
            }));
        }
    }
    findings
}

/// The rooms after every `crate::`, with their lines: `crate::a::b` and `crate::{a::b, c}`.
fn named(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in find_word(&source.code, "crate") {
        let Some(path) = source.code[at + "crate".len()..].strip_prefix("::") else {
            continue;
        };
        let line = line_of(&source.code, at);
        found.extend(first_names(path).into_iter().map(|name| (line, name)));
    }
    found
}

fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut depth, mut names) = (0, vec![name(group)]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::planted;

    #[test]
    fn the_engine_may_know_nobody() {
        for planted_line in [
            "use crate::task::Task;",
            "use crate::{dp::Plan, task};",
            "fn f(x: crate::model::Lm) {}",
        ] {
            let found = imports(&planted(
                "core/src/dp/clip.rs",
                &format!("\n{planted_line}\n"),
            ));
            assert_eq!(found.len(), 1, "{planted_line}");
            assert_eq!(found[0].line, 2);
        }
        let own = "use crate::{account, dp::{Plan, PlanError}};\nuse super::noise::Noise;\n";
        assert_eq!(imports(&planted("core/src/dp/clip.rs", own)), []);
    }

    #[test]
    fn only_the_engine_asks_the_accountant() {
        let text = "use crate::account::epsilon;\n";
        assert_eq!(imports(&planted("core/src/dp/plan.rs", text)), []);
        assert_eq!(imports(&planted("core/src/tune/mod.rs", text)).len(), 1);
        let back = "use crate::dp::Plan;\n";
        assert_eq!(imports(&planted("core/src/account/pld.rs", back)).len(), 1);
    }

    #[test]
    fn the_steps_may_know_the_rooms_below_but_not_each_other() {
        let text = "use crate::{model::{Lm, Input}, dp::Plan};\n";
        assert_eq!(imports(&planted("core/src/tune/mod.rs", text)), []);
        assert_eq!(
            imports(&planted("core/src/tune/mod.rs", "use crate::transfer;\n")).len(),
            1
        );
        assert_eq!(
            imports(&planted("core/src/bundle.rs", "use crate::tune::X;\n")).len(),
            1
        );
    }
}
