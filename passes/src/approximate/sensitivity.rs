//! How far each PAF of each node moves the network's outputs.
//!
//! One node at a time gets a PAF, every other node stays exact, and samples are followed to the outputs. The result
//! holds the network's sensitivity to the node, and the PAF's error on the values that the node sees, in one number.
//! Errors of several nodes add up like independent ones, square by square, to within a third on the networks tried.

use std::collections::BTreeMap;

use paf_ir::linear::Operator;
use paf_ir::tensor::{BatchAxis, Graph, Live, Node, NodeId, Op};
use rayon::prelude::*;

use super::rectify::fitted;
use super::scales::{Scales, reach_from_middle};
use super::scaling::Scaling;
use super::series::{self, Series};
use super::values::Values;
use super::{ApproximationOptions, Reduction, finite_range, levels_with, port_samples};
use crate::decisions::CalibrationSamples;
use crate::error::PassError;
use crate::paf::Paf;

/// Products with weights that all probes together may take: about ten seconds on two cores.
const PROBING_WORK: usize = 80_000_000_000;
/// Fewest and most samples that are followed for each PAF of each node.
const PROBES: (usize, usize) = (16, 128);

/// What a node costs and does with one PAF.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effect {
    /// Which of the PAFs.
    pub(crate) paf: usize,
    /// Levels of the node.
    pub(crate) levels: u32,
    /// Mean square by which the outputs move, each in parts of its largest magnitude.
    pub(crate) mean_square: f64,
}

/// What was measured of a network.
#[derive(Debug, Clone)]
pub(crate) struct Sensitivity {
    /// Levels of each node that is no ReLU or MaxPool.
    pub(crate) levels: Vec<u32>,
    /// For each ReLU and MaxPool the effects of the PAFs that it may have; a ReLU that is part of a pool has none of
    /// its own.
    pub(crate) effects: Vec<Option<Vec<Effect>>>,
    /// For each ReLU that is part of a pool, that pool.
    pub(crate) pools: BTreeMap<NodeId, NodeId>,
    /// What the unchanged network computes.
    pub(crate) reference: Reference,
}

/// Results of the unchanged network.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// For each output one tensor a sample.
    outputs: Vec<Vec<Vec<f64>>>,
    /// Largest magnitude of each output on all samples.
    largest: Vec<f64>,
}

/// How far results are from the reference, in parts of an output's largest magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// Root of the mean square over samples and outputs.
    pub rms: f64,
    /// The largest.
    pub largest: f64,
}

impl Reference {
    fn new(outputs: Vec<Vec<Vec<f64>>>) -> Self {
        let largest = |samples: &Vec<Vec<f64>>| samples.iter().flatten().fold(0f64, |most, x| most.max(x.abs()));
        let largest = outputs.iter().map(largest).map(|most| if most > 0.0 { most } else { 1.0 }).collect();
        Reference { outputs, largest }
    }

    /// How far the same outputs of an approximated network are from these.
    pub(crate) fn deviation(&self, outputs: &[Vec<Vec<f64>>]) -> Deviation {
        let (mut squares, mut largest) = (0.0, 0f64);
        for ((exact, got), scale) in self.outputs.iter().zip(outputs).zip(&self.largest) {
            let pairs = exact.iter().flatten().zip(got.iter().flatten());
            let parts: Vec<f64> = pairs.map(|(exact, got)| (got - exact).abs() / scale).collect();
            squares += parts.iter().map(|part| part * part).sum::<f64>() / parts.len().max(1) as f64;
            // A comparison that NaN fails would hide it.
            largest = parts.iter().fold(largest, |most, &part| if part <= most { most } else { part });
        }
        Deviation { rms: (squares / self.outputs.len().max(1) as f64).sqrt(), largest }
    }
}

/// Measures PAFs at every ReLU and MaxPool; `allowed` says which of them a node may have.
///
/// # Errors
/// [`PassError`] for data that do not fit the graph, values that are not finite, and a pool for which every PAF allowed
/// is too coarse.
pub(crate) fn measure(
    graph: &Graph,
    options: &ApproximationOptions,
    samples: &CalibrationSamples,
    pafs: &[Paf],
    allowed: impl Fn(&Node) -> Vec<usize>,
) -> Result<Sensitivity, PassError> {
    let scales = Scales::new(graph, options, samples.len());
    let network = Network::new(graph, &scales);
    let calibrated = Calibrated::new(&network, &scales, samples)?;
    let probes = probes(samples, network.work() * pafs.len());
    let inputs = network.inputs(&probes)?;
    let exact = network.follow(&inputs, |_, _, _| Ok(()))?;
    let reference = Reference { outputs: tensors(&exact), largest: calibrated.reference.largest.clone() };
    let mut effects = vec![None; graph.len()];
    network.follow(&inputs, |id, node, live| {
        let Some(scaling) = &calibrated.scalings[id.index()] else { return Ok(()) };
        let operand = network.compared(node, live);
        let effect = |&paf: &usize| {
            let value = network.replaced(node, operand, &pafs[paf], scaling)?;
            let moved = reference.deviation(&tensors(&network.outputs_with(value, live, &inputs)));
            let levels = levels_with(&node.op, &pafs[paf], options.reduction);
            moved.rms.is_finite().then_some(Effect { paf, levels, mean_square: moved.rms * moved.rms })
        };
        let allowed = allowed(node);
        let measured: Vec<Effect> = allowed.par_iter().filter_map(effect).collect();
        if measured.is_empty() {
            return Err(unusable(node, allowed.first().map_or("", |&paf| &pafs[paf].name)));
        }
        effects[id.index()] = Some(measured);
        Ok(())
    })?;
    Ok(Sensitivity { levels: calibrated.levels, effects, pools: network.pools, reference: calibrated.reference })
}

/// Samples at even distances, as many as the work for each allows.
fn probes(samples: &CalibrationSamples, work: usize) -> CalibrationSamples {
    let count = (PROBING_WORK / work.max(1)).clamp(PROBES.0, PROBES.1).min(samples.len());
    (0..count).map(|probe| samples[probe * samples.len() / count].clone()).collect()
}

/// Why no PAF that a node may have is of use there.
fn unusable(node: &Node, paf: &str) -> PassError {
    match &node.op {
        Op::MaxPool(window) => {
            let elements = window.kernel.iter().product();
            PassError::PoolTooLarge { node: node.name.clone(), paf: paf.to_owned(), elements }
        }
        _ => PassError::NotFinite { node: node.name.clone() },
    }
}

fn tensors(values: &[Values]) -> Vec<Vec<Vec<f64>>> {
    values.iter().map(Values::samples).collect()
}

/// What all samples say of the unchanged network.
struct Calibrated {
    /// Scales of ReLU and MaxPool, without the guard of a PAF.
    scalings: Vec<Option<Scaling>>,
    levels: Vec<u32>,
    reference: Reference,
}

impl Calibrated {
    fn new(network: &Network<'_>, scales: &Scales<'_>, samples: &CalibrationSamples) -> Result<Self, PassError> {
        let mut scalings = vec![None; network.graph.len()];
        let mut levels = vec![0; network.graph.len()];
        let outputs = network.follow(&network.inputs(samples)?, |id, node, live| {
            let x = network.compared(node, live);
            match &node.op {
                Op::Relu if network.pools.contains_key(&id) => {}
                Op::Relu => scalings[id.index()] = Some(scales.of_relu(id, node, x)?),
                Op::MaxPool(_) => scalings[id.index()] = Some(scales.of_pool(id, node, x, 1.0)?),
                _ => levels[id.index()] = exact_levels(node, x, scales)?,
            }
            Ok(())
        })?;
        Ok(Calibrated { scalings, levels, reference: Reference::new(tensors(&outputs)) })
    }
}

/// Levels of a node that needs no PAF.
fn exact_levels(node: &Node, x: &Values, scales: &Scales<'_>) -> Result<u32, PassError> {
    Ok(match &node.op {
        Op::Linear(map) => u32::from(map.as_view().is_none()),
        Op::Mul | Op::BatchNorm(_) => 1,
        Op::Function(function) => {
            let (low, high) = finite_range(x, &node.name)?;
            // What cannot be approximated is reported by the step that has to do it.
            let range = series::widened(*function, low, high, scales.margin(x, reach_from_middle(low, high)));
            let wanted = scales.options.function_error;
            let series = range.and_then(|(low, high)| Series::fit(*function, low, high, wanted).ok());
            series.map_or(0, |series| series.levels())
        }
        _ => 0,
    })
}

/// A network whose values on samples are followed.
struct Network<'a> {
    graph: &'a Graph,
    operators: Vec<Option<Operator>>,
    /// For each ReLU that is part of a pool, that pool.
    pools: BTreeMap<NodeId, NodeId>,
    reduction: Reduction,
}

impl<'a> Network<'a> {
    fn new(graph: &'a Graph, scales: &Scales<'_>) -> Self {
        let prepare = |node: &Node| if let Op::Linear(map) = &node.op { Some(Operator::new(map)) } else { None };
        let operators = graph.nodes().map(|(_, node)| prepare(node)).collect();
        let joined = graph.nodes().filter(|(id, _)| scales.is_part_of_pool(*id));
        let pools = joined.map(|(id, _)| (id, scales.consumers[id.index()][0])).collect();
        Network { graph, operators, pools, reduction: scales.options.reduction }
    }

    /// Products with weights that it takes to follow one sample from every ReLU and MaxPool to the outputs.
    fn work(&self) -> usize {
        let (mut after, mut all) = (0, 0);
        for index in (0..self.graph.len()).rev() {
            after += self.operators[index].as_ref().map_or(0, Operator::products);
            let op = &self.graph.node(NodeId(index as u32)).op;
            all += if matches!(op, Op::Relu | Op::MaxPool(_)) { after } else { 0 };
        }
        all
    }

    /// The values of each input.
    fn inputs(&self, samples: &CalibrationSamples) -> Result<BTreeMap<NodeId, Values>, PassError> {
        let inputs = self.graph.inputs.iter().enumerate();
        let values = |(port, &(id, _)): (usize, &(NodeId, BatchAxis))| {
            Ok((id, Values::of_samples(&port_samples(samples, port, self.graph.node(id))?)))
        };
        inputs.map(values).collect()
    }

    /// What a node compares: its first operand, or for a pool with a ReLU in it what that reads.
    fn compared<'v>(&self, node: &Node, live: &'v Live<'_, Values>) -> &'v Values {
        let operand = node.inputs[0];
        let relu = self.pools.contains_key(&operand) && matches!(node.op, Op::MaxPool(_));
        let compared = if relu { self.graph.node(operand).inputs[0] } else { operand };
        live.get(compared).expect("values live until their last reader")
    }

    /// The value of a node with a PAF; `None` if no guard makes the PAF fit a pool. The zero of a ReLU in a pool is
    /// taken to be compared first.
    fn replaced(&self, node: &Node, x: &Values, paf: &Paf, scaling: &Scaling) -> Option<Values> {
        let Op::MaxPool(window) = &node.op else {
            return Some(x.relu(&fitted(paf, &node.op, x, scaling, self.reduction), scaling));
        };
        let guard = paf.pool_guard(self.reduction.comparisons(window));
        let scaling = guard.is_finite().then(|| scaling.times(guard))?;
        let comparing = |x: &Values| {
            let paf = fitted(paf, &node.op, x, &scaling, self.reduction);
            x.pool(window, self.reduction, &|a: &Values, b: &Values| a.max(b, &paf, &scaling))
        };
        Some(match self.pools.contains_key(&node.inputs[0]) {
            true => comparing(&x.relu(&fitted(paf, &Op::Relu, x, &scaling, self.reduction), &scaling)),
            false => comparing(x),
        })
    }

    /// The exact value of the next node.
    fn exact(&self, live: &Live<'_, Values>, inputs: &BTreeMap<NodeId, Values>) -> Option<Values> {
        let (id, node) = live.next()?;
        Some(match (&node.op, &self.operators[id.index()]) {
            (Op::Input, _) => inputs[&id].clone(),
            (_, Some(operator)) => live.operand(0).through(operator),
            (op, None) => Values::exact(op, &live.operands()),
        })
    }

    /// Follows exact values; `visit` sees every node but the inputs before it is computed, with the values so far.
    fn follow(
        &self,
        inputs: &BTreeMap<NodeId, Values>,
        mut visit: impl FnMut(NodeId, &Node, &Live<'_, Values>) -> Result<(), PassError>,
    ) -> Result<Vec<Values>, PassError> {
        // A pool with a ReLU in it reads what that reads.
        let of_pools = self.pools.iter().map(|(&relu, &pool)| (self.graph.node(relu).inputs[0], pool));
        let mut live = Live::new(self.graph).reading(of_pools);
        while let Some((id, node)) = live.next() {
            if node.op != Op::Input {
                visit(id, node, &live)?;
            }
            let value = self.exact(&live, inputs).expect("there is a next node");
            live.push(value);
        }
        Ok(live.outputs().cloned().collect())
    }

    /// The outputs if the next node had this value and not the exact one.
    fn outputs_with(&self, value: Values, live: &Live<'_, Values>, inputs: &BTreeMap<NodeId, Values>) -> Vec<Values> {
        let mut after = live.clone();
        after.push(value);
        while let Some(value) = self.exact(&after, inputs) {
            after.push(value);
        }
        after.outputs().cloned().collect()
    }
}
