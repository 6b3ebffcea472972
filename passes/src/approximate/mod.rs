//! `approximate`: ReLU, MaxPool and smooth functions become polynomials.
//!
//! Needs: a folded graph. Then holds: the graph is polynomial (see [`paf_ir::tensor`]), its inputs are scaled to
//! [−1, 1] by the client and its outputs come scaled to about [−1, 1].
//!
//! `relu(x) = S·u·step(u)` with `u = x/S`, and `max(a, b) = S·(v + (u − v)·step(u − v))` with `u = a/S`, `v = b/S`,
//! `step = ½ + ½·paf` (Cheon, Kim, Kim, ePrint 2019/1234; SmartPAF, arXiv 2404.03216). S is the static scale: margin × the largest magnitude that the approximated
//! network itself shows there on the calibration data, or by interval arithmetic without data. A pool's S covers
//! every difference of two of its inputs, zero included, and the guard of its PAF ([`Paf::pool_guard`]).
//!
//! A smooth function is a Chebyshev series on its calibrated range, of the least degree that has the error asked for
//! (`series.rs`).
//!
//! Between linear maps S is a scale by channel (`scaling.rs`). Where a pool follows a ReLU, the two want different ones:
//! the ReLU must hold large negative values, the pool only what is left of them. Then the linear map before is evaluated
//! twice, `relu(x)/q = (x/q)·step(x/S)`, and the product comes out in the pool's units at no level.
//!
//! ReLU and MaxPool commute. ReLU goes first (`order.rs`): levels and products are the same, and the pool's S need not
//! hold negative values. Where the tree of maxima has room for one more operand, that operand is the zero of the ReLU,
//! which then costs no level of its own.

mod batch;
mod comparing;
mod inputs;
mod margin;
mod maxima;
mod order;
mod polynomial;
mod pool;
mod rectify;
mod scales;
mod scaling;
mod sensitivity;
mod series;
mod signs;
mod squares;
mod values;

use std::collections::BTreeMap;

use paf_ir::linear::Window;
use paf_ir::program::InputScaling;
use paf_ir::tensor::{Function, Graph, Live, Node, NodeId, Op, Output};

use crate::decisions::{CalibrationSamples, Decisions};
use crate::error::PassError;
use crate::fold::fold_polynomial;
use crate::paf::{Form, Paf};
pub use comparing::{Comparing, reduced};
pub use margin::Margin;
pub use polynomial::component;
pub use pool::{Reduction, Round, rounds};
pub use rectify::{arguments, fitted_to};
use scales::{Scales, reach_from_middle, reach_of_sign};
pub use scaling::Scaling;
pub use sensitivity::Deviation;
pub(crate) use sensitivity::{Effect, Sensitivity, measure};
use series::Series;
pub(crate) use signs::{Sign, channels, exact, signs};
pub use values::Values;

/// What to approximate with.
#[derive(Debug, Clone)]
pub struct ApproximationOptions {
    /// PAF of every node that has none of its own.
    pub default_paf: Paf,
    /// PAFs and static scales by node name.
    pub per_node: Decisions,
    /// How much wider static scales are than what calibration shows.
    pub margin: Margin,
    /// Inputs are taken to lie in this range where there are no samples, and none was decided.
    pub input_range: (f64, f64),
    /// Largest error of the polynomial of a smooth function, as a part of its largest value on its range.
    pub function_error: f64,
    /// How pools compare.
    pub reduction: Reduction,
}

/// Smallest scale of a pool in parts of that of the ReLU before whose coefficients take it in.
const LEAST_OF_UNITS: f64 = 1.0 / 32.0;

/// Default error of a smooth function's polynomial.
pub const DEFAULT_FUNCTION_ERROR: f64 = 1e-3;

impl ApproximationOptions {
    /// The defaults of a compilation, with this PAF for every node.
    pub fn new(default_paf: Paf) -> Self {
        ApproximationOptions {
            default_paf,
            per_node: Decisions::default(),
            margin: Margin::default(),
            input_range: (-1.0, 1.0),
            function_error: DEFAULT_FUNCTION_ERROR,
            reduction: Reduction::default(),
        }
    }
}

/// One node that was replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Replaced {
    /// Name of the ONNX node.
    pub node: String,
    /// `Relu`, `MaxPool` or the name of a function.
    pub operator: &'static str,
    /// Name of the PAF, or `chebyshev` and the degree of a function's polynomial.
    pub paf: String,
    /// Static scale S; a function's polynomial holds on a part of [−S, S].
    pub scale: f64,
    /// Largest absolute error on inputs within the scale.
    pub max_error: f64,
}

/// A polynomial network and what was decided on the way.
#[derive(Debug, Clone)]
pub struct Approximated {
    /// The polynomial graph.
    pub graph: Graph,
    /// Every replaced node, in order.
    pub replaced: Vec<Replaced>,
    /// What the client does to each input.
    pub inputs: Vec<InputScaling>,
    /// For each output: what the client multiplies by.
    pub output_scales: Vec<f64>,
    /// Bits that precision loses where polynomials of ReLU give small results in the units of a pool: the noise of their powers
    /// is multiplied as their coefficients are, by the ratio of the two scales.
    pub lost_bits: f64,
    /// Bits that the operands of composites must have: [`Composite::least_bits`](crate::paf::Composite::least_bits).
    pub least_bits: f64,
    /// For each output, the approximated network's result on every sample; empty without samples.
    pub outputs: Vec<Vec<Vec<f64>>>,
}

/// Replaces ReLU, MaxPool and smooth functions by polynomials, calibrated on `samples`, or by interval bounds without samples.
///
/// # Errors
/// [`PassError`] for data that do not fit the graph, unknown node names, values that are not finite.
pub fn approximate(
    graph: &Graph,
    options: &ApproximationOptions,
    samples: &CalibrationSamples,
) -> Result<Approximated, PassError> {
    check_names(graph, &options.per_node)?;
    approximate_with(&in_cheaper_order(graph, &options.per_node)?, options, samples, &BTreeMap::new())
}

/// The network as it is approximated: ReLU before MaxPool.
pub(crate) fn in_cheaper_order(graph: &Graph, per_node: &Decisions) -> Result<Graph, PassError> {
    order::relu_before_pools(graph, per_node)
}

/// Approximates a network in its cheaper order, with the PAFs of some nodes by id: several nodes may share a name.
pub(crate) fn approximate_with(
    graph: &Graph,
    options: &ApproximationOptions,
    samples: &CalibrationSamples,
    chosen: &BTreeMap<NodeId, Paf>,
) -> Result<Approximated, PassError> {
    let mut approximation = Approximation::new(graph, options, samples.len(), chosen);
    while let Some((id, node)) = approximation.live.next() {
        let (image, values) = if node.op == Op::Input {
            approximation.input(id, node, samples)?
        } else {
            approximation.node(id, node)?
        };
        approximation.images.push(image);
        approximation.live.push(values);
    }
    approximation.finish()
}

/// Levels of a folded network with one PAF for all nodes, every scale folded: what the optimizer reaches.
pub fn least_depth(graph: &Graph, paf: &Paf, reduction: Reduction) -> u32 {
    let consumers = graph.consumers();
    let mut depths: Vec<u32> = Vec::with_capacity(graph.len());
    for (id, node) in graph.nodes() {
        let operands = node.inputs.iter().map(|input| depths[input.index()]).max().unwrap_or(0);
        let own = match &node.op {
            Op::Relu if order::joins_pool(graph, &consumers, id, reduction) => 0,
            Op::Relu | Op::MaxPool(_) => levels_with(&node.op, paf, reduction),
            op => levels_without_paf(op),
        };
        depths.push(operands + own);
    }
    graph.outputs.iter().map(|output| depths[output.node.index()]).max().unwrap_or(0)
}

/// Levels of a ReLU or MaxPool with a PAF: those of each comparison in sequence.
pub fn levels_with(op: &Op, paf: &Paf, reduction: Reduction) -> u32 {
    let depth = if let Op::MaxPool(_) = op { paf.depth_of_comparison() } else { paf.depth() };
    comparisons(op, reduction) * depth as u32
}

/// Comparisons in sequence of a ReLU or MaxPool; none of anything else.
pub(crate) fn comparisons(op: &Op, reduction: Reduction) -> u32 {
    match op {
        Op::MaxPool(window) => reduction.comparisons(window),
        Op::Relu => 1,
        _ => 0,
    }
}

/// Levels of any other operation of a folded network, every scale folded.
pub(crate) fn levels_without_paf(op: &Op) -> u32 {
    match op {
        Op::Linear(map) => u32::from(map.as_view().is_none()),
        // The degree depends on the calibration; 2 is the least of any use.
        Op::Function(_) => 2,
        Op::Mul | Op::BatchNorm(_) => 1,
        _ => 0,
    }
}

/// The static scale of a ReLU or MaxPool that is to have this PAF and sees these values, as [`approximate`] decides it:
/// by channel where linear maps stand on both sides, the guard of a pool included.
///
/// # Errors
/// [`PassError::NotFinite`], [`PassError::PoolTooLarge`], or what is wrong with a scale that was given.
pub fn static_scale(
    graph: &Graph,
    id: NodeId,
    paf: &Paf,
    values: &Values,
    options: &ApproximationOptions,
) -> Result<Scaling, PassError> {
    let node = graph.node(id);
    let scales = Scales::new(graph, options, values.sample_count());
    match &node.op {
        Op::MaxPool(window) => scales.of_pool(id, node, values, pool_guard(node, paf, window, options.reduction)?),
        _ => scales.of_relu(id, node, values),
    }
}

/// The guard of a pool's PAF.
fn pool_guard(node: &Node, paf: &Paf, window: &Window, reduction: Reduction) -> Result<f64, PassError> {
    let guard = paf.pool_guard(reduction.comparisons(window));
    if guard.is_finite() {
        return Ok(guard);
    }
    let elements = window.kernel.iter().product();
    Err(PassError::PoolTooLarge { node: node.name.clone(), paf: paf.name.clone(), elements })
}

pub(crate) fn check_names(graph: &Graph, per_node: &Decisions) -> Result<(), PassError> {
    let nonlinear = graph.nodes().filter(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)));
    let known: Vec<String> = nonlinear.map(|(_, node)| node.name.clone()).collect();
    let unknown = per_node.pafs.keys().chain(per_node.scales.keys()).find(|name| !known.contains(name));
    match unknown {
        Some(node) => Err(PassError::NoSuchNode { node: node.clone(), known }),
        None => Ok(()),
    }
}

struct Approximation<'a> {
    source: &'a Graph,
    options: &'a ApproximationOptions,
    scales: Scales<'a>,
    chosen: &'a BTreeMap<NodeId, Paf>,
    graph: Graph,
    images: Vec<NodeId>,
    live: Live<'a, Values>,
    replaced: Vec<Replaced>,
    inputs: Vec<InputScaling>,
    /// Scales of pools in whose units the ReLU before gives its result.
    decided: BTreeMap<NodeId, Scaling>,
    lost_bits: f64,
    least_bits: f64,
}

impl<'a> Approximation<'a> {
    fn new(
        source: &'a Graph,
        options: &'a ApproximationOptions,
        sample_count: usize,
        chosen: &'a BTreeMap<NodeId, Paf>,
    ) -> Self {
        Approximation {
            source,
            options,
            scales: Scales::new(source, options, sample_count),
            chosen,
            graph: Graph::default(),
            images: vec![],
            live: Live::new(source),
            replaced: vec![],
            inputs: vec![],
            decided: BTreeMap::new(),
            lost_bits: 0.0,
            least_bits: 0.0,
        }
    }

    fn input(&mut self, id: NodeId, node: &Node, samples: &CalibrationSamples) -> Result<(NodeId, Values), PassError> {
        let port = self.source.inputs.iter().position(|input| input.0 == id).unwrap_or(0);
        let decided = self.options.per_node.ranges.get(&node.name).copied();
        let samples = port_samples(samples, port, node)?;
        let values = if samples.is_empty() {
            Values::Bounds(vec![decided.unwrap_or(self.options.input_range); node.shape.size()])
        } else {
            Values::of_samples(&samples)
        };
        let (low, high) = finite_range(&values, &node.name)?;
        let range = decided.map_or((low, high), |(least, most)| (low.min(least), high.max(most)));
        let scale = range.0.abs().max(range.1.abs()).max(f64::MIN_POSITIVE);
        let shared = InputScaling::shared(1.0 / scale, range);
        let port = (id, self.source.batch_axis(id));
        let scaling = if samples.is_empty() { shared } else { inputs::scaling(self.source, port, &samples, shared) };
        let image = self.graph.copy(self.source, id, &[])?;
        let image = inputs::unscaled(&mut self.graph, &node.name, image, &scaling)?;
        self.inputs.push(scaling);
        Ok((image, values))
    }

    /// The values of an operand of the node that is lowered.
    fn operand(&self, index: usize) -> &Values {
        self.live.operand(index)
    }

    fn node(&mut self, id: NodeId, node: &Node) -> Result<(NodeId, Values), PassError> {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| self.images[input.index()]).collect();
        match &node.op {
            Op::Relu => self.relu(id, node, inputs[0]),
            Op::MaxPool(window) => self.max_pool(id, node, window, inputs[0]),
            Op::Function(function) => self.function(node, *function, inputs[0]),
            op => {
                let values = Values::exact(op, &self.live.operands());
                Ok((self.graph.copy(self.source, id, &inputs)?, values))
            }
        }
    }

    fn relu(&mut self, id: NodeId, node: &Node, x: NodeId) -> Result<(NodeId, Values), PassError> {
        if self.scales.is_part_of_pool(id) {
            return Ok((x, self.operand(0).clone()));
        }
        let scaling = self.scales.of_relu(id, node, self.operand(0))?;
        let paf = rectify::fitted(&self.paf_of(id, node), &node.op, self.operand(0), &scaling, self.options.reduction);
        let values = self.operand(0).relu(&paf, &scaling);
        let units = self.units_of_pool(id, &paf, &scaling, &values)?.unwrap_or_else(|| scaling.clone());
        let name = &node.name;
        let rectified = match &paf.form {
            Form::Sign(sign) => {
                let u = self.divided(node, x, &scaling)?;
                let step = polynomial::step(&mut self.graph, name, sign, u)?;
                let factor = if units == scaling { u } else { units.divide(&mut self.graph, name, x)? };
                self.graph.add(name.clone(), Op::Mul, &[factor, step])?
            }
            Form::Rectifier(rectifier) => {
                let ratios = scaling.in_units(&units);
                let square = ratios.iter().map(|ratio| ratio * ratio).sum::<f64>() / ratios.len() as f64;
                self.lost_bits = self.lost_bits.max(square.log2() / 2.0);
                match rectifier.squares(&ratios) {
                    Some(squares) => {
                        let w = self.divided(node, x, &scaling.in_parts(&squares.factors))?;
                        squares::build(&mut self.graph, name, &squares, w)?
                    }
                    None => {
                        let u = self.divided(node, x, &scaling)?;
                        rectify::build(&mut self.graph, name, rectifier, u, &ratios)?
                    }
                }
            }
        };
        let image = units.multiply(&mut self.graph, name, rectified)?;
        self.record(node, "Relu", &paf, scaling.largest(), scaling.largest() * paf.max_relu_error());
        Ok((image, values))
    }

    /// What a ReLU reads, in parts of its scales. Scales by channel of a sum go to its addends, where they melt into maps or
    /// take a level that is to spare.
    fn divided(&mut self, relu: &Node, x: NodeId, scaling: &Scaling) -> Result<NodeId, PassError> {
        let (name, sum) = (&relu.name, self.source.node(relu.inputs[0]));
        let (Op::Add, Scaling::Channels(_)) = (&sum.op, scaling) else {
            return scaling.divide(&mut self.graph, name, x);
        };
        let addends = sum.inputs.iter().map(|addend| self.images[addend.index()]);
        let parts = addends.map(|addend| scaling.divide(&mut self.graph, name, addend));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(self.graph.add(name.clone(), Op::Add, &parts)?)
    }

    fn function(&mut self, node: &Node, function: Function, x: NodeId) -> Result<(NodeId, Values), PassError> {
        let (name, wanted, x_values) = (&node.name, self.options.function_error, self.operand(0));
        let (low, high) = finite_range(x_values, name)?;
        let margin = self.scales.margin(x_values, reach_from_middle(low, high));
        let outside = || PassError::OutsideDomain { node: name.clone(), function: function.name(), low, high };
        let (low, high) = series::widened(function, low, high, margin).ok_or_else(outside)?;
        let series = Series::fit(function, low, high, wanted).map_err(|reached| PassError::TooSteep {
            node: name.clone(),
            function: function.name(),
            low,
            high,
            wanted,
            reached,
            degree: series::MAX_DEGREE,
        })?;
        let values = self.operand(0).function(&series);
        let image = series.build(&mut self.graph, name, x)?;
        self.replaced.push(Replaced {
            node: name.clone(),
            operator: function.name(),
            paf: format!("chebyshev{}", series.degree()),
            scale: reach_of_sign(low, high),
            max_error: series.error,
        });
        Ok((image, values))
    }

    /// The scale of the one pool after a ReLU, where the ReLU's polynomial can give its result in those units at no level: a
    /// composite where both have scales by channel, as a factor of `x`; a polynomial of ReLU in its coefficients, always.
    ///
    /// Coefficients that are much larger than what they add up to lose precision, so no scale of the pool is below
    /// [`LEAST_OF_UNITS`] times that of the ReLU: what the ReLU's error is to such a channel, the pool's is not.
    fn units_of_pool(
        &mut self,
        id: NodeId,
        paf: &Paf,
        scaling: &Scaling,
        values: &Values,
    ) -> Result<Option<Scaling>, PassError> {
        let Some((reader, pool, window)) = self.scales.pool_after(id) else { return Ok(None) };
        let of_pool = self.paf_of(reader, pool);
        let guard = pool_guard(pool, &of_pool, window, self.options.reduction)?;
        let units = self.scales.of_pool(reader, pool, values, guard)?;
        let units = match (&paf.form, scaling, &units) {
            (Form::Rectifier(_), ..) => units.at_least(LEAST_OF_UNITS, scaling),
            (Form::Sign(_), Scaling::Channels(_), Scaling::Channels(_)) if self.scales.reads_map(id) => units,
            (Form::Sign(_), ..) => return Ok(None),
        };
        self.decided.insert(reader, units.clone());
        Ok(Some(units))
    }

    fn paf_of(&self, id: NodeId, node: &Node) -> Paf {
        let named = || self.options.per_node.pafs.get(&node.name);
        self.chosen.get(&id).or_else(named).unwrap_or(&self.options.default_paf).clone()
    }

    fn record(&mut self, node: &Node, operator: &'static str, paf: &Paf, scale: f64, max_error: f64) {
        if let Some(composite) = paf.composite() {
            self.least_bits = self.least_bits.max(composite.least_bits());
        }
        self.replaced.push(Replaced { node: node.name.clone(), operator, paf: paf.name.clone(), scale, max_error });
    }

    fn finish(mut self) -> Result<Approximated, PassError> {
        let (mut output_scales, mut outputs) = (Vec::new(), Vec::new());
        for output in &self.source.outputs {
            let values = self.live.get(output.node).expect("outputs stay to the end");
            let name = &self.source.node(output.node).name;
            let (low, high) = finite_range(values, name)?;
            let reached = low.abs().max(high.abs());
            let margin = self.scales.margin(values, reach_of_sign);
            let scale = if reached > 0.0 { margin * reached } else { 1.0 };
            let image = self.images[output.node.index()];
            let node = self.graph.add(name.clone(), Op::Scale(1.0 / scale), &[image])?;
            self.graph.outputs.push(Output { node, ..output.clone() });
            output_scales.push(scale);
            outputs.push(values.samples());
        }
        let graph = fold_polynomial(&self.graph)?;
        graph.verify()?;
        let Approximation { replaced, inputs, lost_bits, least_bits, .. } = self;
        Ok(Approximated { graph, replaced, inputs, output_scales, lost_bits, least_bits, outputs })
    }
}

fn finite_range(values: &Values, name: &str) -> Result<(f64, f64), PassError> {
    values.range().ok_or_else(|| PassError::NotFinite { node: name.to_owned() })
}

fn port_samples<'s>(samples: &'s CalibrationSamples, port: usize, node: &Node) -> Result<Vec<&'s [f64]>, PassError> {
    let pick = |sample: &'s Vec<Vec<f64>>| {
        let tensor = sample.get(port).filter(|tensor| tensor.len() == node.shape.size());
        let message = || format!("a sample has not the {} values that input `{}` needs", node.shape.size(), node.name);
        tensor.map(Vec::as_slice).ok_or_else(|| PassError::Calibration(message()))
    };
    samples.iter().map(pick).collect()
}
