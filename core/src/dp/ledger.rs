//! What a data set has spent, over all runs; the owner keeps it, and no mechanism starts without it.

mod check;

use std::collections::BTreeSet;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{
    Entropy, Plan,
    account::{AccountError, Event},
    receipt, slack,
};

/// Fingerprints kept per run: two data sets that share a hundredth of all their rows share none of
/// their 1024 smallest with probability 3e-5, and if they share a fiftieth, 1e-9.
const SKETCH: usize = 1024;

/// The run may not start.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Over the cap.
    #[error(
        "this run would bring the data set from ε = {spent:.3} to {total:.3} (δ = {delta:e}), past its cap of {cap}; use fewer steps or more noise, or other data"
    )]
    Cap {
        /// ε so far.
        spent: f64,
        /// ε with this run.
        total: f64,
        /// The δ of both.
        delta: f64,
        /// What the owner allows.
        cap: f64,
    },
    /// Nothing to resume.
    #[error("no run of this plan on this data is in the ledger, so there is none to resume")]
    Unknown,
    /// What the accountant refuses.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A file that no ledger wrote.
    #[error(
        "the ledger cannot be read (no run leaves `{0}` like that); restore it, for a new one would forget what is spent"
    )]
    Field(String),
    /// A damaged file.
    #[error(
        "the ledger cannot be read ({0}); restore it, for a new one would forget what is spent"
    )]
    Json(#[from] serde_json::Error),
}

/// All runs of an owner, with a cap per data set. It is secret: its key could test whether a row
/// is in a data set.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    version: u32,
    key: String,
    cap_epsilon: f64,
    cap_delta: f64,
    runs: Vec<Run>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    plan: String,
    event: Event,
    data: DataId,
}

/// A data set as the ledger knows it: its rows' 1024 smallest HMAC-SHA256 fingerprints.
///
/// Order and repetition of rows do not matter, and data sets that share a fingerprint count as the
/// same, so that neither shuffling nor adding rows makes spent data new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataId(BTreeSet<String>);

impl DataId {
    /// Eight digits to tell data sets apart in a list; worthless without the ledger's key.
    #[must_use]
    pub fn short(&self) -> &str {
        let first = self.0.first().map_or("", String::as_str);
        first.get(..8).unwrap_or(first)
    }
}

/// What a run would promise and cost. Its ε are at the ledger's δ.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// The guarantee in words, as the receipt will have it.
    pub statement: String,
    /// Runs on this data before, each with the ε of it alone.
    pub earlier: Vec<(Event, f64)>,
    /// ε of all of them.
    pub spent: f64,
    /// ε of these and the run.
    pub total: f64,
}

/// A run that is in the ledger already, so that it counts even if it crashes.
#[derive(Debug)]
pub struct Reserved {
    pub(super) plan: String,
    pub(super) earlier: Vec<Event>,
}

impl Ledger {
    /// An empty ledger that refuses runs past (`cap_epsilon`, `cap_delta`) per data set; an
    /// infinite cap only counts.
    pub fn new(cap_epsilon: f64, cap_delta: f64, entropy: Entropy) -> Self {
        let (key, runs) = (entropy.into_key(), Vec::new());
        Self {
            version: 1,
            key,
            cap_epsilon,
            cap_delta,
            runs,
        }
    }

    /// Reads what [`to_json`](Self::to_json) wrote, here or in a browser.
    ///
    /// # Errors
    /// When it is damaged: what no run can have entered might count as nothing.
    pub fn from_json(bytes: &[u8]) -> Result<Self, LedgerError> {
        let ledger: Self = serde_json::from_slice(bytes)?;
        check::check(&ledger)?;
        Ok(ledger)
    }

    /// The ledger's file. Write it before the reserved run starts.
    ///
    /// # Errors
    /// When a cap is not finite, which JSON cannot hold.
    pub fn to_json(&self) -> Result<Vec<u8>, LedgerError> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Identifies a data set by the bytes of its rows' texts (without labels: relabelled rows are
    /// the same rows).
    pub fn identify<T: AsRef<[u8]>>(&self, rows: impl IntoIterator<Item = T>) -> DataId {
        let mut smallest = BTreeSet::new();
        for row in rows {
            smallest.insert(self.fingerprint(row.as_ref()));
            if smallest.len() > SKETCH {
                smallest.pop_last();
            }
        }
        DataId(smallest)
    }

    /// What each data set may spend: (ε, δ).
    #[must_use]
    pub fn cap(&self) -> (f64, f64) {
        (self.cap_epsilon, self.cap_delta)
    }

    /// Every data set that has a run, in the order of their first runs.
    #[must_use]
    pub fn data_sets(&self) -> Vec<&DataId> {
        let mut seen: Vec<&DataId> = Vec::new();
        for run in &self.runs {
            if !seen.contains(&&run.data) {
                seen.push(&run.data);
            }
        }
        seen
    }

    /// Every run that shares rows with the data.
    #[must_use]
    pub fn runs(&self, data: &DataId) -> Vec<Event> {
        events(&self.runs, data)
    }

    /// ε that the data has spent so far at the cap's δ: every run that shares rows with it, composed.
    ///
    /// # Errors
    /// When the accountant refuses an entry.
    pub fn spent(&self, data: &DataId) -> Result<f64, LedgerError> {
        let earlier = events(&self.runs, data);
        if earlier.is_empty() {
            return Ok(0.0);
        }
        Ok(slack::epsilon(&earlier, self.cap_delta)?)
    }

    /// What a run would promise and cost, without entering it.
    ///
    /// # Errors
    /// When the accountant refuses an entry.
    pub fn quote(&self, data: &DataId, plan: &Plan) -> Result<Quote, LedgerError> {
        let earlier = events(&self.runs, data);
        let all = [earlier.as_slice(), &[plan.event()]].concat();
        let at_plan = slack::epsilon(&all, plan.delta())?;
        Ok(Quote {
            statement: receipt::statement(plan, true, earlier.len(), at_plan),
            spent: self.spent(data)?,
            total: slack::epsilon(&all, self.cap_delta)?,
            earlier: self.each(&earlier)?,
        })
    }

    /// Each run with its own ε at the cap's δ. Runs are often alike, and each kind is counted once.
    fn each(&self, runs: &[Event]) -> Result<Vec<(Event, f64)>, LedgerError> {
        let mut known: Vec<(Event, f64)> = Vec::new();
        let mut one = |run: &Event| match known.iter().find(|(event, _)| event == run) {
            Some(found) => Ok(*found),
            None => {
                let counted = (*run, slack::epsilon(&[*run], self.cap_delta)?);
                known.push(counted);
                Ok(counted)
            }
        };
        runs.iter().map(&mut one).collect()
    }

    /// The runs before it, if the cap has room for one more.
    ///
    /// # Errors
    /// When the data would pass its cap.
    pub fn admit(&self, data: &DataId, plan: &Plan) -> Result<Vec<Event>, LedgerError> {
        let earlier = events(&self.runs, data);
        let all = [earlier.as_slice(), &[plan.event()]].concat();
        let total = slack::epsilon(&all, self.cap_delta)?;
        if total > self.cap_epsilon {
            let (spent, delta, cap) = (self.spent(data)?, self.cap_delta, self.cap_epsilon);
            return Err(LedgerError::Cap {
                spent,
                total,
                delta,
                cap,
            });
        }
        Ok(earlier)
    }

    /// Enters a run, before it starts.
    ///
    /// # Errors
    /// When the data would pass its cap.
    pub fn reserve(&mut self, data: &DataId, plan: &Plan) -> Result<Reserved, LedgerError> {
        let earlier = self.admit(data, plan)?;
        let plan_hash = plan.hash();
        self.runs.push(Run {
            plan: plan_hash.clone(),
            event: plan.event(),
            data: data.clone(),
        });
        Ok(Reserved {
            plan: plan_hash,
            earlier,
        })
    }

    /// The reservation of a run that was interrupted: the latest of `plan` on `data`.
    ///
    /// # Errors
    /// When there is none.
    pub fn resume(&self, data: &DataId, plan: &Plan) -> Result<Reserved, LedgerError> {
        let plan = plan.hash();
        let same = |run: &Run| run.plan == plan && run.data == *data;
        let at = self
            .runs
            .iter()
            .rposition(same)
            .ok_or(LedgerError::Unknown)?;
        Ok(Reserved {
            plan,
            earlier: events(&self.runs[..at], data),
        })
    }

    fn fingerprint(&self, row: &[u8]) -> String {
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("any length does");
        mac.update(row);
        let bytes = mac.finalize().into_bytes();
        bytes[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Of all runs that share a row with `data`.
fn events(runs: &[Run], data: &DataId) -> Vec<Event> {
    let shares = |run: &&Run| !run.data.0.is_disjoint(&data.0);
    runs.iter().filter(shares).map(|run| run.event).collect()
}
