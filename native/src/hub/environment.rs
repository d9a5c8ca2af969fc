//! What the environment says of the hub, read as Python's `huggingface_hub` reads it. An empty variable
//! says nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Hint;
use crate::files;

/// Variables that forbid the network, the first that is there deciding.
const OFFLINE: [&str; 2] = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
/// What counts as yes, in any case; everything else is no.
const YES: [&str; 4] = ["1", "ON", "YES", "TRUE"];

/// Where the hub is, where its files are kept, and who asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Environment {
    /// `HF_ENDPOINT`.
    pub(super) endpoint: Option<String>,
    /// `HF_HUB_CACHE`, else `hub` in Hugging Face's folder.
    pub(super) cache: PathBuf,
    /// The variable that forbids the network, if one does.
    pub(super) offline: Option<&'static str>,
    /// `HF_TOKEN`.
    token: Option<String>,
    /// `HF_TOKEN_PATH`, else `token` in Hugging Face's folder.
    token_path: PathBuf,
}

impl Environment {
    /// # Errors
    /// When nothing says where the home folder is.
    pub(super) fn read() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        Self::of(variable, std::env::home_dir().as_deref())
    }

    /// Hugging Face's folder is `HF_HOME`, else `huggingface` in `XDG_CACHE_HOME`, else in `.cache` of the home.
    fn of(variable: impl Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let caches = || path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let folder = path("HF_HOME").or_else(|| Some(caches()?.join("huggingface")));
        let folder = folder
            .context("there is no home folder, where the hub's cache would lie")
            .hint("set HF_HOME to a folder for it")?;
        let mut said = OFFLINE
            .into_iter()
            .filter_map(|name| Some((name, variable(name)?)));
        let offline = said.next().filter(|(_, value)| is_yes(value));
        Ok(Self {
            endpoint: variable("HF_ENDPOINT").map(|url| url.trim_end_matches('/').to_owned()),
            cache: path("HF_HUB_CACHE").unwrap_or_else(|| folder.join("hub")),
            offline: offline.map(|(name, _)| name),
            token: variable("HF_TOKEN"),
            token_path: path("HF_TOKEN_PATH").unwrap_or_else(|| folder.join("token")),
        })
    }

    /// What a person's account is known by; none where nobody has logged in.
    ///
    /// # Errors
    /// When the file is there and can't be read.
    pub(super) fn token(&self) -> Result<Option<String>> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None if self.token_path.exists() => files::read_text(&self.token_path)?,
            None => return Ok(None),
        };
        let token = token.trim();
        Ok((!token.is_empty()).then(|| token.to_owned()))
    }
}

fn is_yes(value: &str) -> bool {
    YES.iter().any(|yes| yes.eq_ignore_ascii_case(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        let find = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        Environment::of(find, Some(Path::new("/home/a"))).unwrap()
    }

    fn places(variables: &[(&str, &str)]) -> [String; 2] {
        let found = of(variables);
        [found.cache, found.token_path].map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_yes_is_yes_and_the_first_variable_decides() {
        let offline = |variables: &[(&str, &str)]| of(variables).offline;
        for yes in ["1", "on", "ON", "Yes", "true", "TRUE"] {
            assert_eq!(
                offline(&[("HF_HUB_OFFLINE", yes)]),
                Some("HF_HUB_OFFLINE"),
                "{yes}"
            );
        }
        for no in ["", "0", "no", "false", "off", "2", " 1"] {
            assert_eq!(offline(&[("HF_HUB_OFFLINE", no)]), None, "{no}");
        }
        let both =
            |first, second| offline(&[("HF_HUB_OFFLINE", first), ("TRANSFORMERS_OFFLINE", second)]);
        assert_eq!(both("", "1"), Some("TRANSFORMERS_OFFLINE"));
        assert_eq!(both("0", "1"), None);
        assert_eq!(both("1", "0"), Some("HF_HUB_OFFLINE"));
        assert_eq!(offline(&[]), None);
    }

    #[test]
    fn cache_and_token_lie_where_python_has_them() {
        let home = "/home/a/.cache/huggingface";
        let default = [format!("{home}/hub"), format!("{home}/token")];
        assert_eq!(places(&[]), default);
        assert_eq!(places(&[("HF_HOME", ""), ("HF_HUB_CACHE", "")]), default);
        let caches = ("XDG_CACHE_HOME", "/caches");
        assert_eq!(
            places(&[caches]),
            ["/caches/huggingface/hub", "/caches/huggingface/token"]
        );
        let folder = ("HF_HOME", "/hf");
        assert_eq!(places(&[caches, folder]), ["/hf/hub", "/hf/token"]);
        let cache = ("HF_HUB_CACHE", "/large/models");
        assert_eq!(places(&[folder, cache]), ["/large/models", "/hf/token"]);
        let token = ("HF_TOKEN_PATH", "/secrets/hf");
        assert_eq!(places(&[folder, token]), ["/hf/hub", "/secrets/hf"]);
        let error = Environment::of(|_| None, None).unwrap_err();
        assert!(error.to_string().contains("no home folder"), "{error}");
    }

    #[test]
    fn a_token_is_the_variables_else_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let home = ("HF_HOME", folder.path().to_str().unwrap());
        assert_eq!(of(&[home]).token().unwrap(), None);
        std::fs::write(folder.path().join("token"), "hf_file\r\n").unwrap();
        assert_eq!(of(&[home]).token().unwrap().unwrap(), "hf_file");
        let token = of(&[home, ("HF_TOKEN", "hf_variable\n")]).token();
        assert_eq!(token.unwrap().unwrap(), "hf_variable");
        std::fs::write(folder.path().join("token"), " \n").unwrap();
        assert_eq!(of(&[home]).token().unwrap(), None);
    }
}
