//! Where a soft prompt stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a soft prompt stands, seen from the token that a tokenizer begins every text with: BOS, which is
/// `<s>` or `[CLS]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum PromptPlace {
    /// `[prompt, <s>, text]`, as PEFT has it.
    #[default]
    BeforeBos,
    /// `[<s>, prompt, text]`. Of texts without such a token it is the first one that counts as it.
    AfterBos,
}

impl PromptPlace {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::BeforeBos, Self::AfterBos];

    /// As files and people name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeBos => "before-bos",
            Self::AfterBos => "after-bos",
        }
    }

    /// How many of a text's tokens stand before the prompt.
    #[must_use]
    pub fn tokens_before(self) -> usize {
        match self {
            Self::BeforeBos => 0,
            Self::AfterBos => 1,
        }
    }

    /// Whether files need not name it: those of before there was a choice don't.
    #[must_use]
    pub fn is_before_bos(&self) -> bool {
        *self == Self::BeforeBos
    }
}

impl fmt::Display for PromptPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for PromptPlace {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The error names the places there are.
impl FromStr for PromptPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "before-bos" => Ok(Self::BeforeBos),
            "after-bos" => Ok(Self::AfterBos),
            _ => Err("a prompt stands before-bos or after-bos"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_name_everywhere() {
        for place in PromptPlace::ALL {
            assert_eq!(place.name().parse(), Ok(place));
            let json = serde_json::to_value(place).unwrap();
            assert_eq!(json, place.name());
            assert_eq!(serde_json::from_value::<PromptPlace>(json).unwrap(), place);
        }
        let error = "behind".parse::<PromptPlace>().unwrap_err();
        for place in PromptPlace::ALL {
            assert!(error.contains(place.name()), "{error}");
        }
    }
}
