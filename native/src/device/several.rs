//! `--devices A,B`: devices that share the work of a step, those of other machines among them.

use std::str::FromStr;

use anyhow::{Error, Result};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::DeviceChoice;
use super::worker::Worker;
use crate::term::Terminal;

/// One of them as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// This machine's.
    Here(DeviceChoice),
    /// Another machine's.
    There(Worker),
}

/// Devices that share the work, as a person names them: one, or several with commas between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Devices(Vec<Choice>);

/// Devices that were found.
pub(crate) struct Found {
    /// The one that leads: models are loaded there.
    pub(crate) first: Device,
    /// Those that share its work.
    pub(crate) others: Vec<Device>,
    /// Those of other machines.
    workers: Vec<(Worker, Device)>,
}

impl Devices {
    /// Finds them, the first of which leads, and says on stderr which ones they are.
    ///
    /// # Errors
    /// As [`DeviceChoice::open`] and [`Worker::open`].
    pub(crate) fn open(&self, term: &Terminal) -> Result<Found> {
        let mut workers = Vec::new();
        let mut devices = Vec::new();
        for choice in &self.0 {
            devices.push(match choice {
                Choice::Here(choice) => choice.open(term)?,
                Choice::There(worker) => {
                    let device = worker.open(term)?;
                    workers.push((worker.clone(), device.clone()));
                    device
                }
            });
        }
        Ok(Found {
            first: devices.remove(0),
            others: devices,
            workers,
        })
    }
}

impl Found {
    /// The error of work on them, with the worker that is at fault for it where one no longer answers.
    pub(crate) fn blame(&self, error: Error) -> Error {
        let gone = |(_, device): &&(Worker, Device)| device.sync().is_err();
        match self.workers.iter().find(gone) {
            Some((worker, _)) => worker.lost(error),
            None => error,
        }
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(|name| name.trim().parse());
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Devices {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Devices> for String {
    fn from(devices: Devices) -> Self {
        let names: Vec<String> = devices.0.iter().map(Choice::name).collect();
        names.join(",")
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Worker::is_one(text) {
            true => text.parse().map(Self::There),
            false => text.parse().map(Self::Here),
        }
    }
}

impl Choice {
    fn name(&self) -> String {
        match self {
            Self::Here(choice) => choice.to_string(),
            Self::There(worker) => worker.to_string(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn several_stand_between_commas() {
        for text in [
            "cpu",
            "cuda:1,cuda:0",
            "cpu,cpu,wgpu:2",
            "cpu,ws://gpu:9000/1",
        ] {
            assert_eq!(String::from(text.parse::<Devices>().unwrap()), text);
        }
        let spaced: Devices = "cuda, cpu, ws://gpu:9000".parse().unwrap();
        assert_eq!(String::from(spaced), "cuda:0,cpu,ws://gpu:9000/0");
        for text in ["", "cpu,", "cpu;cpu", "cpu,ws://gpu"] {
            assert!(text.parse::<Devices>().is_err(), "{text}");
        }
        let both: Devices = "cpu,auto".parse().unwrap();
        assert_eq!(both.open(&Terminal::new(true)).unwrap().others.len(), 1);
    }

    #[test]
    fn an_error_is_its_own_where_no_worker_is_gone() {
        let opened = "cpu,cpu"
            .parse::<Devices>()
            .unwrap()
            .open(&Terminal::new(true));
        let error = opened.unwrap().blame(anyhow::anyhow!("a disk is full"));
        assert_eq!(error.to_string(), "a disk is full");
    }
}
