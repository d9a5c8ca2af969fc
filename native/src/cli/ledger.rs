//! `post-native ledger`: what has been spent.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use post_core::dp::{DataId, Ledger};
use post_core::task::Labels;
use post_core::tune::identify;
use serde_json::{Value, json};

use crate::term::{self, Terminal};
use crate::{data, ledgers};

/// Show the privacy budget that each data set has spent, over all runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native ledger show
  post-native ledger show --ledger runs/ledger.json --task sst2 --data train.csv

The ledger is secret: its key could tell whether a row is in a data set.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List data sets, runs and the ε of all runs together
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The ledger's file [default: post/ledger.json in your configuration folder]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Only what these rows have spent
    #[arg(long, value_name = "FILES", num_args = 1.., requires = "task")]
    data: Vec<PathBuf>,
    /// The task that says which columns of the data are text
    #[arg(long, value_name = "FILE|NAME", requires = "data")]
    task: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows.
///
/// # Errors
/// When the ledger or the data can't be read.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    let Action::Show(args) = &args.action;
    let path = match &args.ledger {
        Some(path) => path.clone(),
        None => ledgers::default_path()?,
    };
    let ledger = ledgers::read(&path)?;
    let sets = match &args.task {
        Some(task) => {
            let rows = data::rows(&args.data, &data::task(task)?, Labels::Unused, term)?;
            vec![identify(&ledger, &rows.rows)]
        }
        _ => ledger.data_sets().into_iter().cloned().collect(),
    };
    let rows = sets
        .iter()
        .map(|data| row(&ledger, data))
        .collect::<Result<Vec<_>>>()?;
    let (cap, delta) = ledger.cap();
    let cap = ledgers::capped(&ledger).then_some(cap);
    if args.json {
        return term::json(&json!({ "cap_epsilon": cap, "delta": delta, "data_sets": rows }));
    }
    let cap = cap.map_or("none".to_owned(), |cap| cap.to_string());
    term::data(format!("cap on ε for each data set: {cap} (δ = {delta:e})"))?;
    for row in rows {
        let [id, runs, spent] = ["data_set", "runs", "epsilon"].map(|key| plain(&row[key]));
        term::data(format!("data set {id}: {runs} runs, ε = {spent}"))?;
    }
    Ok(())
}

fn row(ledger: &Ledger, data: &DataId) -> Result<Value> {
    let (runs, epsilon) = (ledger.runs(data).len(), ledger.spent(data)?);
    Ok(json!({ "data_set": data.short(), "runs": runs, "epsilon": epsilon }))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
