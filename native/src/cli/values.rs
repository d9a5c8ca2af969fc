//! Numbers as they may be typed: a value outside its range is a usage error that names the range.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use post_core::model::PromptPlace;
use post_core::optim::Schedule;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What `--decay` means.
pub(super) fn schedule(decay: bool) -> Schedule {
    if decay {
        Schedule::DECAY
    } else {
        Schedule::Constant
    }
}

/// Where a prompt stands, by name.
pub(super) fn place() -> impl TypedValueParser<Value = PromptPlace> {
    let names = PossibleValuesParser::new(PromptPlace::ALL.map(PromptPlace::name));
    names.try_map(|name| name.parse::<PromptPlace>())
}

/// A number above zero.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    within(text, |x| x > 0.0 && x.is_finite(), "a number above 0")
}

/// A number of at least zero.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    within(
        text,
        |x| x >= 0.0 && x.is_finite(),
        "a number of at least 0",
    )
}

/// A number from 0 to 1, both included.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    within(text, |x| (0.0..=1.0).contains(&x), "a number from 0 to 1")
}

/// A number between 0 and 1, neither included: a δ.
pub(super) fn probability(text: &str) -> Result<f64, String> {
    within(
        text,
        |x| x > 0.0 && x < 1.0,
        "a number between 0 and 1, such as 1e-5",
    )
}

/// Files in a settings file: one as a text, several as a list.
pub(super) mod paths {
    use super::*;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(PathBuf),
        More(Vec<PathBuf>),
    }

    /// A text if there is one path, else a list.
    pub(in crate::cli) fn serialize<S: Serializer>(
        paths: &[PathBuf],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match paths {
            [one] => one.serialize(serializer),
            more => more.serialize(serializer),
        }
    }

    /// A text or a list.
    pub(in crate::cli) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        Ok(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(path) => vec![path],
            OneOrMore::More(paths) => paths,
        })
    }
}

fn within(text: &str, good: impl Fn(f64) -> bool, what: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if good(x) => Ok(x),
        _ => Err(format!("expected {what}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        #[serde(default, with = "paths", skip_serializing_if = "Vec::is_empty")]
        data: Vec<PathBuf>,
    }

    #[test]
    fn one_file_is_a_text_and_several_are_a_list() {
        for text in ["", "data = \"a.csv\"\n", "data = [\"a.csv\", \"b.csv\"]\n"] {
            let settings: Settings = toml::from_str(text).unwrap();
            assert_eq!(settings.data.len(), text.matches(".csv").count());
            assert_eq!(toml::to_string(&settings).unwrap(), text);
        }
    }
}
