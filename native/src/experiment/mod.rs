//! An experiment: a grid of settings as jobs, each one call of this program, and a table of what they gave.
//!
//! ```text
//! config (TOML) → cells of the grid → rows (a method in a cell) → jobs → done.json … → results, report
//! ```
//! Attacks on the runs and what a pair of models costs (`probes`) are jobs beside them, with tables of their own.
//! A job's name is a hash of everything that its numbers depend on, so cells that ask for the same thing
//! share it, and a job that was done is not done again, whatever else changed in the grid. Which build of this program
//! did it stands beside its mark (`program`), and in each row.

mod config;
mod grid;
mod jobs;
mod methods;
mod page;
mod pool;
mod probes;
mod program;
mod results;
mod share;
mod table;

pub(crate) use config::Config;
pub(crate) use jobs::{Inputs, Job, Plan};
pub(crate) use page::page;
pub(crate) use pool::{Events, Pool};
pub(crate) use probes::tables;
pub(crate) use program::{Program, UNKNOWN};
pub(crate) use results::Results;
pub(crate) use table::{gather, table};
