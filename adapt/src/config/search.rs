//! What the search may use and what it aims for.

use paf_files::Bytes;
use serde::{Deserialize, Serialize};

/// Options of `search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// PAFs that nodes may get.
    pub pafs: Vec<String>,
    /// Most levels on the deepest path, linear layers included, as `paf-compile --max-levels` counts them.
    pub max_levels: Option<u32>,
    /// Most bootstraps.
    pub max_bootstraps: Option<u32>,
    /// Most points of accuracy that may be lost against the original network; 1 if no bound is given.
    pub max_lost: Option<f64>,
    /// By how many of its standard errors a loss must stay below `max_lost`.
    pub certainty: f64,
    /// Samples that judge: kept from the steps, at most three quarters of the data.
    pub held_back: usize,
    /// Most mixes that are tried after the uniform ones.
    pub tries: usize,
    /// Memory that the circuit may take, if the compilation that it is for does not limit it itself.
    pub memory: Option<Bytes>,
}

impl Default for SearchConfig {
    fn default() -> Self {
        let pafs = ["relu4", "relu8", "relu16", "relu32", "relu63", "abs126", "alpha8", "alpha9", "alpha10"];
        SearchConfig {
            pafs: pafs.map(String::from).to_vec(),
            max_levels: None,
            max_bootstraps: None,
            max_lost: None,
            certainty: 1.0,
            held_back: 3000,
            tries: 40,
            memory: None,
        }
    }
}

impl SearchConfig {
    /// A sentence about a value out of bounds.
    pub(crate) fn check(&self) -> Result<(), String> {
        let bounded = [("max_lost", self.max_lost.unwrap_or(0.0), 100.0), ("certainty", self.certainty, 10.0)];
        for (name, value, most) in bounded {
            if !(0.0..=most).contains(&value) {
                return Err(format!("{name} = {value}: a number from 0 to {most} is needed"));
            }
        }
        match (self.pafs.is_empty(), self.held_back) {
            (true, _) => Err("pafs = []: at least one is needed".into()),
            (_, 0) => Err("held_back = 0: at least one sample is needed".into()),
            _ => Ok(()),
        }
    }
}
