//! One walk over a network in graph order: what has been passed is final, what comes is the original.

use std::sync::Arc;

use paf_ir::tensor::{Live, Node, NodeId, Op};
use paf_passes::PassError;
use paf_passes::approximate::{ApproximationOptions, Reduction, Values, arguments, fitted_to, static_scale};
use paf_passes::paf::{Arguments, Form, Paf};
use rayon::prelude::*;

use super::reconstruction;
use super::statistics::{self, Moments};
use super::{Histogram, NodeReport, fit};
use crate::config::{Config, NamedMargin, ScaleMargin, StepName};
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::{input_values, node_values};
use crate::live::{self, follow};
use crate::network::{Network, NodePaf, Origin};

/// Means and deviations of the original network on the samples, which `bn` restores.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    /// By node; empty without `bn`.
    moments: Vec<Option<Vec<Moments>>>,
}

impl Reference {
    /// What the steps of a configuration need to know of the original network.
    pub(crate) fn for_steps(original: &Network, data: &Data, config: &Config) -> Self {
        if !config.steps.contains(&StepName::Bn) {
            return Reference::default();
        }
        let graph = &original.graph;
        let mut moments = vec![None; graph.len()];
        let Ok(_) = follow(graph, data, 0..data.len(), |id, _, operands| {
            let result = node_values(original, id, operands);
            moments[id.index()] = statistics::reference(graph, id, operands[0], &result);
            Ok::<_, std::convert::Infallible>(result)
        });
        Reference { moments }
    }
}

/// The largest part of its scale that a node is taken to reach at least.
const LEAST_REACH: f64 = 1e-3;

/// The state of a walk; a clone goes on from the same place another way, and shares the values so far.
#[derive(Debug, Clone)]
pub(crate) struct Walk<'a> {
    original: &'a Network,
    reference: &'a Reference,
    data: &'a Data,
    config: &'a Config,
    network: Network,
    reports: Vec<NodeReport>,
    live: Live<'a, Values>,
    /// The original network beside it, where `ls` asks for its results.
    exact: Option<Live<'a, Values>>,
}

/// What the steps make of one PAF at one node.
#[derive(Debug, Clone)]
pub(crate) struct Tuned {
    pub(crate) chosen: NodePaf,
    pub(crate) report: NodeReport,
}

impl<'a> Walk<'a> {
    /// Before the first node. The samples must fit the network.
    pub(crate) fn new(original: &'a Network, reference: &'a Reference, data: &'a Data, config: &'a Config) -> Self {
        let network = Network { pafs: Default::default(), ..original.clone() };
        let exact = config.steps.contains(&StepName::Ls).then(|| Live::new(&original.graph));
        Walk { original, reference, data, config, network, reports: vec![], live: Live::new(&original.graph), exact }
    }

    /// Goes on to the next ReLU or MaxPool, which waits for a decision; `None` at the end.
    pub(crate) fn advance(&mut self) -> Result<Option<(NodeId, &'a Node)>, RecoveryError> {
        while let Some((id, node)) = self.live.next() {
            if matches!(node.op, Op::Relu | Op::MaxPool(_)) {
                return Ok(Some((id, node)));
            }
            if node.op == Op::Input {
                let value = input_values(self.data, 0..self.data.len());
                self.push(value.clone(), Some(value))?;
                continue;
            }
            let wanted = self.original_value(id);
            self.reconstruct(id, wanted.as_ref())?;
            let value = self.corrected_values(id)?;
            self.push(value, wanted)?;
        }
        Ok(None)
    }

    /// What the steps make of a PAF at the node that waits: its static scale, and tuned coefficients where `ct` is asked
    /// for.
    pub(crate) fn tuned(&self, paf: Paf) -> Result<Tuned, RecoveryError> {
        let (id, node) = self.waiting();
        let operand = self.live.operand(0);
        let reduction = self.network.reduction;
        let scale = static_scale(&self.network.graph, id, &paf, operand, &self.scale_options(&paf))?;
        let seen = paf.rectifier().and_then(|_| arguments(&node.op, operand, &scale, reduction));
        let histogram = Histogram::of(&node.op, operand, &scale, reduction);
        let margin = match self.config.margin {
            ScaleMargin::Fixed(margin) => margin,
            ScaleMargin::Named(NamedMargin::Automatic) => 1.0f64.max(1.0 / histogram.largest().max(LEAST_REACH)),
        };
        let error_with = |paf: &Paf| error_of(paf, Some(&histogram), seen.as_ref());
        let before = error_with(&paf);
        let tunes = self.does(StepName::Ct);
        let mut chosen = NodePaf {
            paf: if tunes { paf } else { paf.settled() },
            scale,
            margin,
            coefficients_from: Origin::Named,
            scale_from: Origin::Calibrate,
        };
        let mut kept = None;
        if tunes {
            let tuned = match &seen {
                Some(seen) if self.config.ct.channels => Ok(fitted_to(&chosen.paf, &node.op, seen)),
                Some(seen) => Ok(fitted_to(&chosen.paf, &node.op, &seen.of_node())),
                None => fit(&chosen.paf, &histogram, &self.config.ct),
            };
            match tuned {
                Ok(tuned) => (chosen.paf, chosen.coefficients_from) = (tuned, Origin::Ct),
                Err(reason) => kept = Some(reason),
            }
        }
        let error = (before, error_with(&chosen.paf));
        let warnings = histogram.warnings();
        Ok(Tuned { chosen, report: NodeReport { node: node.name.clone(), histogram, error, kept, warnings } })
    }

    /// The mean square error of each polynomial of ReLU at the node that waits, once it is fitted, in parts of the mean
    /// square of what the node gives; infinite where a pool is too large for it.
    pub(crate) fn relative_squares(&self, pafs: &[Paf]) -> Result<Vec<f64>, RecoveryError> {
        let (id, node) = self.waiting();
        let operand = self.live.operand(0);
        let reduction = self.network.reduction;
        let power = operand.summaries(|samples| {
            samples.iter().flatten().map(|x| x.max(0.0).powi(2)).sum::<f64>() / samples[0].len().max(1) as f64
        });
        let power = power.iter().sum::<f64>() / self.data.len().max(1) as f64;
        let Some(deepest) = pafs.last() else { return Ok(vec![]) };
        // Guards of pools differ a little from PAF to PAF; what is seen at one scale serves them all.
        let scale = static_scale(&self.network.graph, id, deepest, operand, &self.scale_options(deepest))?;
        let Some(arguments) = arguments(&node.op, operand, &scale, reduction) else { return Ok(vec![0.0; pafs.len()]) };
        let is_composite = |paf: &Paf| paf.composite().is_some();
        let signs = pafs.iter().any(is_composite).then(|| Histogram::of(&node.op, operand, &scale, reduction));
        let square = |paf: &Paf| {
            let fits = match &node.op {
                Op::MaxPool(window) => paf.pool_guard(reduction.comparisons(window)).is_finite(),
                _ => true,
            };
            let error = error_of(&fitted_to(paf, &node.op, &arguments), signs.as_ref(), Some(&arguments));
            if fits { error.powi(2) / power.max(f64::MIN_POSITIVE) } else { f64::INFINITY }
        };
        Ok(pafs.par_iter().map(square).collect())
    }

    /// How the scale of a PAF is decided.
    fn scale_options(&self, paf: &Paf) -> ApproximationOptions {
        ApproximationOptions {
            margin: self.config.margin.into(),
            reduction: self.network.reduction,
            ..ApproximationOptions::new(paf.clone())
        }
    }

    /// The network that is walked.
    pub(crate) fn original(&self) -> &'a Network {
        self.original
    }

    /// Decides for the node that waits, and passes it.
    pub(crate) fn place(&mut self, tuned: Tuned) -> Result<(), RecoveryError> {
        self.network.pafs.insert(self.waiting().0, tuned.chosen);
        self.reports.push(tuned.report);
        self.pass()
    }

    /// Passes the node that waits; without a decision it stays exact.
    pub(crate) fn pass(&mut self) -> Result<(), RecoveryError> {
        let (id, _) = self.waiting();
        let value = node_values(&self.network, id, &self.live.operands());
        self.push(value, self.original_value(id))
    }

    /// Passes everything that is left, exactly.
    pub(crate) fn pass_all(&mut self) -> Result<(), RecoveryError> {
        while self.advance()?.is_some() {
            self.pass()?;
        }
        Ok(())
    }

    /// What was found out about the nodes so far.
    pub(crate) fn reports(&self) -> &[NodeReport] {
        &self.reports
    }

    /// The network's results on the samples, once everything was passed.
    pub(crate) fn results(&self) -> Vec<Vec<f64>> {
        live::results(&self.live, &self.original.graph)
    }

    /// How pools compare.
    pub(crate) fn reduction(&self) -> Reduction {
        self.network.reduction
    }

    /// Bytes of the values that it keeps.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<f64>() * live::kept_elements(&self.live, &self.original.graph) * self.data.len()
    }

    /// The network with what was decided, and what was found out about its nodes.
    pub(crate) fn finish(self) -> (Network, Vec<NodeReport>) {
        (self.network, self.reports)
    }

    fn waiting(&self) -> (NodeId, &'a Node) {
        self.live.next().expect("a node waits for a decision")
    }

    fn does(&self, step: StepName) -> bool {
        self.config.steps.contains(&step)
    }

    fn push(&mut self, value: Values, original: Option<Values>) -> Result<(), RecoveryError> {
        let (_, node) = self.waiting();
        value.range().ok_or_else(|| PassError::NotFinite { node: node.name.clone() })?;
        if let (Some(exact), Some(original)) = (&mut self.exact, original) {
            exact.push(original);
        }
        self.live.push(value);
        Ok(())
    }

    /// What the original network shows at the next node, where that is followed.
    fn original_value(&self, id: NodeId) -> Option<Values> {
        self.exact.as_ref().map(|exact| node_values(self.original, id, &exact.operands()))
    }

    /// Solves the weights of a layer behind PAFs for the original network's results.
    fn reconstruct(&mut self, id: NodeId, wanted: Option<&Values>) -> Result<(), RecoveryError> {
        let (Some(wanted), Op::Linear(map)) = (wanted, &self.network.graph.node(id).op) else { return Ok(()) };
        if self.network.pafs.is_empty() {
            return Ok(());
        }
        if let Some(layer) = reconstruction::reconstructed(map, self.live.operand(0), wanted) {
            self.network.graph.replace_weights(id, Op::Linear(Arc::new(layer)))?;
        }
        Ok(())
    }

    /// The values of a node, after its weights were corrected where `bn` is asked for.
    fn corrected_values(&mut self, id: NodeId) -> Result<Values, RecoveryError> {
        let node = self.original.graph.node(id);
        let operands = self.live.operands();
        let exact = self.reference.moments.get(id.index()).and_then(Option::as_ref);
        let Some(exact) = exact.filter(|_| !self.network.pafs.is_empty()) else {
            return Ok(node_values(&self.network, id, &operands));
        };
        if let Op::BatchNorm(norm) = &node.op {
            let corrected = statistics::matched_norm(norm, exact, operands[0]);
            self.network.graph.replace_weights(id, Op::BatchNorm(corrected))?;
            return Ok(node_values(&self.network, id, &operands));
        }
        let values = node_values(&self.network, id, &operands);
        if !self.config.bn.match_linear {
            return Ok(values);
        }
        match statistics::Correction::of(&self.network.graph, id, exact, &values) {
            Some(correction) => {
                let changed = correction.apply(&mut self.network.graph)?;
                Ok(if changed { node_values(&self.network, id, &operands) } else { values })
            }
            None => Ok(values),
        }
    }
}

/// Root of the mean square error of a node: of a composite by its histogram, of a polynomial of ReLU by its arguments; 0 where
/// nothing was seen.
fn error_of(paf: &Paf, histogram: Option<&Histogram>, seen: Option<&Arguments>) -> f64 {
    match &paf.form {
        Form::Sign(sign) => histogram.map_or(0.0, |histogram| histogram.error(sign)),
        Form::Rectifier(rectifier) => seen.map_or(0.0, |seen| seen.error(rectifier)),
    }
}
