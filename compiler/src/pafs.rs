//! Which PAFs the options ask for.

use std::collections::BTreeMap;

use paf_ir::tensor::Graph;
use paf_passes::PassError;
use paf_passes::approximate::{self, Approximated, approximate};
use paf_passes::choose::{Chosen, Goal, choose};
use paf_passes::paf::Paf;
use paf_passes::recover::{Recovered, Samples};

use crate::error::CompileError;
use crate::options::{AUTO_PAF, DEFAULT_PAF, Options};

/// What to approximate with, and whether PAFs are to be chosen.
#[derive(Debug, Clone)]
pub(crate) struct PafRequest {
    pub(crate) options: approximate::Options,
    goal: Option<Goal>,
}

impl PafRequest {
    /// # Errors
    /// [`CompileError::Usage`] for unknown names, and for options that do not go together.
    pub(crate) fn new(options: &Options) -> Result<Self, CompileError> {
        let goal = goal(options)?;
        let mut default_paf = DEFAULT_PAF;
        let mut pafs = BTreeMap::new();
        for choice in options.pafs.iter().filter(|choice| choice.paf != AUTO_PAF) {
            let paf = Paf::by_name(&choice.paf).map_err(|error| CompileError::Usage(format!("--paf: {error}")))?;
            match &choice.node {
                Some(node) => drop(pafs.insert(node.clone(), paf)),
                None => default_paf = &choice.paf,
            }
        }
        let options = approximate::Options {
            default_paf: Paf::by_name(default_paf).map_err(PassError::from)?,
            per_node: Recovered { pafs, ..Recovered::default() },
            margin: options.margin,
            input_range: options.input_range,
            function_error: options.function_error,
            reduction: options.max_pool,
        };
        Ok(PafRequest { options, goal })
    }

    /// Takes over what recovery decided; a PAF that the command line names for a node stays.
    pub(crate) fn decide(&mut self, recovered: Recovered) {
        let per_node = &mut self.options.per_node;
        per_node.scales = recovered.scales;
        for (node, paf) in recovered.pafs {
            per_node.pafs.entry(node).or_insert(paf);
        }
    }

    /// The polynomial network, and the choice that was made for it.
    ///
    /// # Errors
    /// Whatever the pass finds.
    pub(crate) fn approximate(
        &self,
        folded: &Graph,
        samples: &Samples,
    ) -> Result<(Approximated, Option<Chosen>), PassError> {
        match self.goal {
            Some(goal) => {
                let (polynomial, chosen) = choose(folded, &self.options, samples, goal)?;
                Ok((polynomial, Some(chosen)))
            }
            None => Ok((approximate(folded, &self.options, samples)?, None)),
        }
    }
}

/// What a choice of PAFs aims for, if there is to be one.
fn goal(options: &Options) -> Result<Option<Goal>, CompileError> {
    let usage = |message: String| Err(CompileError::Usage(message));
    if let Some(node) = options.pafs.iter().find_map(|choice| choice.node.as_ref().filter(|_| choice.paf == AUTO_PAF)) {
        return usage(format!(
            "--paf {node}=auto: auto is for all nodes; give --paf auto, and NODE=NAME for exceptions"
        ));
    }
    let last_for_all = options.pafs.iter().rfind(|choice| choice.node.is_none());
    let automatic = last_for_all.is_some_and(|choice| choice.paf == AUTO_PAF);
    let goal = match (options.max_error, options.max_levels) {
        (None, None) if automatic => return usage("--paf auto needs --max-error E or --max-levels L".into()),
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return usage("give either --max-error or --max-levels".into()),
        (Some(error), None) if error > 0.0 && error <= 1.0 => Goal::MaxError(error),
        (Some(error), None) => return usage(format!("--max-error {error}: a number above 0 and at most 1 is needed")),
        (None, Some(levels)) => Goal::MaxLevels(levels),
    };
    if !automatic {
        return usage("--max-error and --max-levels say what --paf auto is to aim for; give that as well".into());
    }
    if options.calibration.is_none() {
        return usage("--paf auto measures errors on samples; give --calibration X.npy".into());
    }
    Ok(Some(goal))
}
