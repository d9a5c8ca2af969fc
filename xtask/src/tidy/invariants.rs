//! Words that must not occur in a place, each with its reason.

use super::Finding;
use super::source::{find_word, line_of};
use super::tree::{Source, Tree};

/// What may not be named where.
struct Rule {
    words: &'static [&'static str],
    /// Folders or files; with `except` left out.
    places: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
}

/// The engine, and what it is made of besides.
const CORE: &[&str] = &["core/src", "text/src"];

const RULES: [Rule; 8] = [
    Rule {
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::path",
        ],
        places: CORE,
        except: &[],
        why: "core takes bytes and returns values, so that it runs in a tab",
        instead: "take bytes from the caller, and return them to it",
    },
    Rule {
        words: &["std::time", "Instant", "SystemTime"],
        places: CORE,
        except: &[],
        why: "a tab has no clock there, and results must not depend on one",
        instead: "let the caller measure",
    },
    Rule {
        words: &["thread"],
        places: CORE,
        except: &["core/src/parallel.rs"],
        why: "a tab has no threads there, and results must not depend on their number",
        instead: "use crate::parallel",
    },
    Rule {
        words: &[
            "println!",
            "eprintln!",
            "print!",
            "eprint!",
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
        ],
        places: CORE,
        except: &[],
        why: "core has no terminal",
        instead: "return what is to be shown",
    },
    Rule {
        words: &["wasm_bindgen", "js_sys", "web_sys", "gloo"],
        places: CORE,
        except: &[],
        why: "core knows no JavaScript",
        instead: "put it into web",
    },
    Rule {
        words: &[
            "rand_chacha",
            "rand_core",
            "rand",
            "getrandom",
            "ChaCha20Rng",
        ],
        places: CORE,
        except: &["core/src/dp"],
        why: "random numbers that a guarantee rests on come from one place",
        instead: "take them from core::dp, or a fixed order where no guarantee rests on it",
    },
    Rule {
        words: &["post_core", "post_native", "post_text", "post_web"],
        places: &["xtask/src"],
        except: &[],
        why: "xtask builds the others, so it must build without them",
        instead: "run post-native as a program",
    },
    Rule {
        words: &["into_data", "to_data", "into_scalar"],
        places: CORE,
        except: &[],
        why: "a synchronous read panics on WebGPU",
        instead: "read with into_data_async",
    },
];

/// No rule's word stands in code where the rule forbids it.
pub(super) fn words(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &RULES {
        let under = rule.places.iter().flat_map(|place| tree.under(place));
        for source in under.filter(|source| !source.is_test()) {
            if rule
                .except
                .iter()
                .any(|except| source.path.starts_with(except))
            {
                continue;
            }
            for word in rule.words {
                let message = format!("names `{word}`: {}; {}", rule.why, rule.instead);
                findings.extend(find(source, word, &message));
            }
        }
    }
    findings
}

/// Tensor mathematics is core's; the shells choose a device and nothing more.
pub(super) fn tensors(tree: &Tree) -> Vec<Finding> {
    let message = "does tensor mathematics: the shells choose a device, and what is computed must be \
                   the same in both; move it to core";
    let mut findings = Vec::new();
    for source in tree.under("native/src").chain(tree.under("web/src")) {
        for word in [
            "Tensor",
            "burn::nn",
            "burn::optim",
            "burn::module",
            "Autodiff",
        ] {
            findings.extend(find(source, word, &format!("`{word}`: {message}")));
        }
    }
    findings
}

/// Nothing is left half done.
pub(super) fn markers(tree: &Tree) -> Vec<Finding> {
    // Put together here, so that this file doesn't find itself.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X"],
        ["unimple", "mented"],
    ]
    .map(|word| word.concat());
    let mut findings = Vec::new();
    for source in &tree.sources {
        for word in &words {
            for at in find_word(&source.text, word) {
                let message =
                    format!("`{word}`: finish it, or open an issue and say here what is so");
                findings.push(finding(source, line_of(&source.text, at), message));
            }
        }
    }
    findings
}

fn find(source: &Source, word: &str, message: &str) -> Vec<Finding> {
    let lines = find_word(&source.code, word).map(|at| line_of(&source.code, at));
    lines
        .map(|line| finding(source, line, message.to_owned()))
        .collect()
}

fn finding(source: &Source, line: usize, message: String) -> Finding {
    Finding {
        path: source.path.clone(),
        line,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::planted;

    #[test]
    fn each_rule_finds_each_of_its_words() {
        for rule in &RULES {
            for place in rule.places {
                for word in rule.words {
                    let text = format!("fn f() {{}}\nuse {word};\n");
                    let found = words(&planted(&format!("{place}/planted.rs"), &text));
                    let right = |f: &Finding| f.line == 2 && f.message.contains(rule.why);
                    assert!(found.iter().any(right), "{place}: {word}");
                }
            }
        }
    }

    #[test]
    fn what_core_is_made_of_is_held_to_its_rules() {
        let found = words(&planted("text/src/report/plot/a.rs", "use std::fs;\n"));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn comments_tests_and_exceptions_are_free() {
        let text = "/// Unlike std::fs.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(words(&planted("core/src/a.rs", text)), []);
        assert_eq!(
            words(&planted(
                "core/src/dp/noise.rs",
                "use rand_chacha::ChaCha20Rng;\n"
            )),
            []
        );
        assert_eq!(words(&planted("native/src/a.rs", "use std::fs;\n")), []);
    }

    #[test]
    fn tensors_in_a_shell_are_found_and_devices_are_not() {
        assert_eq!(
            tensors(&planted(
                "native/src/a.rs",
                "use burn::tensor::{Device, DeviceType};\n"
            )),
            []
        );
        assert_eq!(
            tensors(&planted("web/src/a.rs", "let x: Tensor<2> = y;\n")).len(),
            1
        );
    }

    #[test]
    fn a_marker_is_found_in_a_comment_too() {
        let text = format!("// {}: later\n", ["TO", "DO"].concat());
        assert_eq!(markers(&planted("web/src/a.rs", &text)).len(), 1);
    }
}
