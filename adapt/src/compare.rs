//! Accuracy after each step, PAF by PAF: what the report shows.

use std::collections::BTreeMap;

use paf_passes::paf::Paf;

use crate::config::{Config, StepName};
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::Accuracy;
use crate::events::unheard;
use crate::network::Network;
use crate::recovery::{Outcome, accuracy};
use crate::search::usable;
use crate::steps::{direct, walk};

/// The steps without gradients, each with those before it.
const STEPS: [(&str, StepName); 3] = [("calibrate", StepName::Calibrate), ("bn", StepName::Bn), ("ct", StepName::Ct)];

/// One choice of PAFs.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The PAF, or what the choice is.
    pub name: String,
    /// Accuracy after each step, by its name; none where values stop being finite.
    pub steps: Vec<(&'static str, Option<Accuracy>)>,
}

impl Row {
    /// Accuracy after a step.
    pub fn after(&self, step: &str) -> Option<Accuracy> {
        self.steps.iter().find(|(name, _)| *name == step).and_then(|(_, accuracy)| *accuracy)
    }
}

/// The PAFs of a recovery step by step, and those that its configuration names for comparison.
///
/// # Errors
/// [`RecoveryError`] for data without labels, unknown PAFs.
pub fn compare(outcome: &Outcome, config: &Config, data: &Data, test: &Data) -> Result<Vec<Row>, RecoveryError> {
    let chosen: BTreeMap<&str, &str> = outcome
        .network
        .pafs
        .iter()
        .map(|(id, chosen)| (outcome.original.graph.node(*id).name.as_str(), chosen.paf.name.as_str()))
        .collect();
    let comparison =
        Comparison { original: &outcome.original, config, data: data.drawn(config.samples, config.seed), test };
    let mut own = comparison.row("as recovered", &|node| chosen[node])?;
    own.steps.extend(outcome.accuracy.map(|(_, recovered)| ("result", Some(recovered))));
    let mut rows = vec![own];
    for name in &config.compare {
        rows.push(comparison.row(name, &|_| name)?);
    }
    Ok(rows)
}

struct Comparison<'a> {
    original: &'a Network,
    config: &'a Config,
    data: Data,
    test: &'a Data,
}

impl Comparison<'_> {
    fn row<'n>(&self, name: &str, pafs: &dyn Fn(&str) -> &'n str) -> Result<Row, RecoveryError> {
        let mut by_node = BTreeMap::new();
        for (_, node) in self.original.nonlinear() {
            by_node.insert(node.name.as_str(), Paf::by_name(pafs(&node.name))?);
        }
        let paf = |node: &str| by_node[node].clone();
        let mut steps = vec![("none", Some(self.accuracy(&direct(self.original, &paf, &self.data)?)?))];
        let asked: Vec<_> = STEPS.into_iter().filter(|(_, step)| self.config.steps.contains(step)).collect();
        for last in 0..asked.len() {
            let so_far = asked[..=last].iter().map(|step| step.1).collect();
            let config = Config { steps: so_far, ..self.config.clone() };
            let walked = usable(walk(self.original, &paf, &self.data, &config, &mut unheard))?;
            let accuracy = walked.map(|walked| self.accuracy(&walked.network)).transpose()?;
            steps.push((asked[last].0, accuracy));
        }
        Ok(Row { name: name.to_owned(), steps })
    }

    fn accuracy(&self, network: &Network) -> Result<Accuracy, RecoveryError> {
        accuracy(network, self.test)
    }
}
