//! Settings from `--config file.toml` under the flags, flag by flag.
//!
//! A setting's name in the file is the flag's name with underscores. Defaults live in one place,
//! the arguments' declarations: clap says which values were typed and which are defaults, and only
//! a typed value wins over the file.

use std::path::Path;

use anyhow::{Context, Result};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use crate::failure::{Hint, Usage};
use crate::files;

/// What says how to run rather than what to compute.
const OF_THE_CALL: [&str; 4] = ["config", "resume", "force", "json"];

const NOT_TOML: &str = "these settings can't be kept as TOML";

/// Arguments as they count: typed flag, else the file's setting, else the default.
///
/// # Errors
/// When the file can't be read, isn't TOML, has a setting that no flag has or one of a wrong type.
pub(crate) fn merge<T>(typed: T, matches: &ArgMatches, file: Option<&Path>) -> Result<T>
where
    T: Args + Serialize + DeserializeOwned,
{
    let Some(path) = file else { return Ok(typed) };
    let settings: Table = files::read_text(path)?
        .parse()
        .map_err(|e| Usage(format!("{} is not TOML: {e}", path.display())))?;
    let mut command = T::augment_args(Command::new("settings").disable_help_flag(true));
    // Only a built command knows its groups.
    command.build();
    let mut table = Table::try_from(&typed).context(NOT_TOML)?;
    for (name, value) in settings {
        known(&command, &name).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
        if !overruled(&command, matches, &name) {
            table.insert(name, value);
        }
    }
    table
        .try_into()
        .map_err(|e| Usage(format!("{}: {}", path.display(), e.message())).into())
}

/// Whether a command would take these settings, whatever else it is told.
///
/// # Errors
/// When a setting is none of the command's, or of a wrong type.
pub(crate) fn check<T>(settings: &Table) -> Result<()>
where
    T: Args + Serialize + DeserializeOwned,
{
    let mut command = T::augment_args(Command::new("settings").disable_help_flag(true));
    command.build();
    let matches = command
        .clone()
        .no_binary_name(true)
        .try_get_matches_from::<_, &str>([])?;
    let mut table = Table::try_from(T::from_arg_matches(&matches)?).context(NOT_TOML)?;
    for (name, value) in settings {
        known(&command, name).map_err(Usage)?;
        table.insert(name.clone(), value.clone());
    }
    match table.try_into::<T>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Usage(error.message().to_owned()).into()),
    }
}

/// The settings as a table, in the form that `--config` reads back: all but how this one call runs.
///
/// # Errors
/// When a value has no TOML form (an integer beyond 2⁶³).
pub(crate) fn table(settings: &impl Serialize) -> Result<Table> {
    let mut table = Table::try_from(settings).context(NOT_TOML)?;
    table.retain(|name, _| !OF_THE_CALL.contains(&name));
    Ok(table)
}

/// A setting that must come from somewhere.
///
/// # Errors
/// A usage error that names the flag.
pub(crate) fn required<T>(value: Option<T>, flag: &str) -> Result<T> {
    let name = flag.replace('-', "_");
    value
        .ok_or_else(|| Usage(format!("--{flag} is missing")))
        .hint(format!(
            "give it as a flag, or as `{name} = …` in the --config file"
        ))
}

/// Files that must come from somewhere.
///
/// # Errors
/// As [`required`].
pub(crate) fn some<'a, T>(values: &'a [T], flag: &str) -> Result<&'a [T]> {
    required((!values.is_empty()).then_some(values), flag)
}

fn known(command: &Command, name: &str) -> Result<(), String> {
    let mut names = command.get_arguments().map(|arg| arg.get_id().as_str());
    match names.any(|known| known == name) {
        true => Ok(()),
        false => Err(format!("`{name}` is no setting of this command")),
    }
}

/// A typed flag overrules its own setting, and those of flags it can't stand beside.
fn overruled(command: &Command, matches: &ArgMatches, name: &str) -> bool {
    let typed = |id: &str| {
        matches.try_contains_id(id).is_ok()
            && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let exclusive = command.get_groups().cloned().filter_map(|mut group| {
        let exclusive = !group.is_multiple();
        exclusive.then_some(group)
    });
    let beside: Vec<_> = exclusive
        .map(|group| {
            group
                .get_args()
                .map(|id| id.to_string())
                .collect::<Vec<_>>()
        })
        .filter(|ids| ids.iter().any(|id| id == name))
        .flatten()
        .collect();
    typed(name) || beside.iter().any(|id| typed(id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::FromArgMatches;
    use serde::Deserialize;

    #[derive(Args, Serialize, Deserialize, Debug, PartialEq)]
    struct Demo {
        #[arg(long, default_value_t = 100)]
        steps: u64,
        #[arg(long, default_value_t = 0.5)]
        rate: f64,
        #[arg(long, group = "budget")]
        target_epsilon: Option<f64>,
        #[arg(long, group = "budget")]
        no_dp: bool,
    }

    fn merged(flags: &[&str], file: &str) -> Result<Demo> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, file).unwrap();
        let command = Demo::augment_args(Command::new("demo").no_binary_name(true));
        let matches = command.get_matches_from(flags);
        let typed = Demo::from_arg_matches(&matches).unwrap();
        merge(typed, &matches, Some(&path))
    }

    #[test]
    fn a_typed_flag_wins_even_when_it_equals_the_default() {
        let demo = merged(&["--steps", "100"], "steps = 7\nrate = 0.25").unwrap();
        assert_eq!((demo.steps, demo.rate), (100, 0.25));
    }

    #[test]
    fn a_typed_flag_overrules_its_rivals_in_the_file() {
        let demo = merged(&["--target-epsilon", "3"], "no_dp = true").unwrap();
        assert_eq!((demo.target_epsilon, demo.no_dp), (Some(3.0), false));
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_type_are_named() {
        let unknown = merged(&[], "step = 7").unwrap_err().to_string();
        assert!(unknown.contains("`step` is no setting"), "{unknown}");
        let wrong = merged(&[], "steps = \"many\"").unwrap_err().to_string();
        assert!(wrong.contains("invalid type"), "{wrong}");
    }

    #[test]
    fn settings_are_checked_before_any_run() {
        let check = |text: &str| check::<Demo>(&text.parse().unwrap());
        check("steps = 7\nno_dp = true").unwrap();
        let unknown = check("step = 7").unwrap_err().to_string();
        assert!(unknown.contains("`step` is no setting"), "{unknown}");
        assert!(check("steps = \"many\"").is_err());
    }

    #[test]
    fn settings_survive_their_file() {
        let demo = merged(&["--no-dp"], "").unwrap();
        let text = table(&demo).unwrap().to_string();
        assert_eq!(merged(&[], &text).unwrap(), demo);
    }
}
