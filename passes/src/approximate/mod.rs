//! `approximate`: ReLU and MaxPool become polynomials.
//!
//! Needs: a folded graph. Then holds: the graph is polynomial (see [`paf_ir::tensor`]), its inputs are scaled to
//! [−1, 1] by the client and its outputs come scaled to about [−1, 1].
//!
//! `relu(x) = S·u·step(u)` with `u = x/S`, and `max(a, b) = S·(v + (u − v)·step(u − v))` with `u = a/S`, `v = b/S`,
//! `step = ½ + ½·paf` (smartpaf.md 1.3). S is the static scale: margin × the largest magnitude that the approximated
//! network itself shows there on the calibration data, or by interval arithmetic without data. A pool's S covers
//! every difference of two of its inputs, zero included, and the guard of its PAF (smartpaf.md 6.2).

mod polynomial;
mod pool;
mod values;

use paf_ir::linear::Window;
use paf_ir::tensor::{Graph, Node, NodeId, Op, Output};

use crate::error::PassError;
use crate::fold::copy_node;
use crate::paf::Paf;
use crate::recover::{Recovered, Samples};
use values::Values;

/// What to approximate with.
#[derive(Debug, Clone)]
pub struct Options {
    /// PAF of every node that has none of its own.
    pub default_paf: Paf,
    /// PAFs and static scales by node name.
    pub per_node: Recovered,
    /// The static scale is this times the largest magnitude seen.
    pub margin: f64,
    /// Inputs are taken to lie in this range where there are no samples.
    pub input_range: (f64, f64),
}

/// One node that was replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Replaced {
    /// Name of the ONNX node.
    pub node: String,
    /// `Relu` or `MaxPool`.
    pub operator: &'static str,
    /// Name of the PAF.
    pub paf: String,
    /// Static scale S.
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
    /// For each input: what the client multiplies by, and the range it was calibrated for.
    pub inputs: Vec<(f64, (f64, f64))>,
    /// For each output: what the client multiplies by.
    pub output_scales: Vec<f64>,
}

/// Replaces ReLU and MaxPool by PAFs, calibrated on `samples`, or by interval bounds without samples.
///
/// # Errors
/// [`PassError`] for data that do not fit the graph, unknown node names, values that are not finite.
pub fn approximate(graph: &Graph, options: &Options, samples: &Samples) -> Result<Approximated, PassError> {
    check_names(graph, &options.per_node)?;
    let mut lowering = Lowering::new(graph, options);
    let consumers = graph.consumers();
    let mut pending: Vec<usize> = consumers.iter().map(Vec::len).collect();
    for (id, node) in graph.nodes() {
        let (image, values) =
            if node.op == Op::Input { lowering.input(id, node, samples)? } else { lowering.node(id, node)? };
        lowering.images.push(image);
        lowering.values.push(Some(values));
        for input in &node.inputs {
            pending[input.index()] -= 1;
            let is_output = graph.outputs.iter().any(|output| output.node == *input);
            if pending[input.index()] == 0 && !is_output {
                lowering.values[input.index()] = None;
            }
        }
    }
    lowering.finish()
}

fn check_names(graph: &Graph, per_node: &Recovered) -> Result<(), PassError> {
    let nonlinear = graph.nodes().filter(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)));
    let known: Vec<String> = nonlinear.map(|(_, node)| node.name.clone()).collect();
    let unknown = per_node.pafs.keys().chain(per_node.scales.keys()).find(|name| !known.contains(name));
    match unknown {
        Some(node) => Err(PassError::NoSuchNode { node: node.clone(), known }),
        None => Ok(()),
    }
}

struct Lowering<'a> {
    source: &'a Graph,
    options: &'a Options,
    graph: Graph,
    images: Vec<NodeId>,
    values: Vec<Option<Values>>,
    replaced: Vec<Replaced>,
    inputs: Vec<(f64, (f64, f64))>,
}

impl<'a> Lowering<'a> {
    fn new(source: &'a Graph, options: &'a Options) -> Self {
        Lowering {
            source,
            options,
            graph: Graph::default(),
            images: vec![],
            values: vec![],
            replaced: vec![],
            inputs: vec![],
        }
    }

    fn input(&mut self, id: NodeId, node: &Node, samples: &Samples) -> Result<(NodeId, Values), PassError> {
        let port = self.source.inputs.iter().position(|input| input.0 == id).unwrap_or(0);
        let values = if samples.is_empty() {
            Values::Bounds(vec![self.options.input_range; node.shape.size()])
        } else {
            Values::Samples(port_samples(samples, port, node)?)
        };
        let range = finite_range(&values, &node.name)?;
        let scale = range.0.abs().max(range.1.abs()).max(f64::MIN_POSITIVE);
        self.inputs.push((1.0 / scale, range));
        let image = copy_node(&mut self.graph, node, self.source.inputs[port].1, &[])?;
        Ok((self.graph.add(node.name.clone(), Op::Scale(scale), &[image])?, values))
    }

    fn operand(&self, node: &Node, index: usize) -> &Values {
        self.values[node.inputs[index].index()].as_ref().expect("values live until their last consumer")
    }

    fn node(&mut self, id: NodeId, node: &Node) -> Result<(NodeId, Values), PassError> {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| self.images[input.index()]).collect();
        match &node.op {
            Op::Relu => self.relu(node, inputs[0]),
            Op::MaxPool(window) => self.max_pool(node, window, inputs[0]),
            op => {
                let values = self.exact(op, node);
                let batch = self.source.inputs.iter().any(|input| *input == (id, true));
                Ok((copy_node(&mut self.graph, node, batch, &inputs)?, values))
            }
        }
    }

    fn exact(&self, op: &Op, node: &Node) -> Values {
        let x = self.operand(node, 0);
        match op {
            Op::Linear(map) => x.linear(map, &map.matrix()),
            Op::Add => x.zip(self.operand(node, 1), |a, b| a + b),
            Op::Sub => x.zip(self.operand(node, 1), |a, b| a - b),
            Op::Mul => x.zip(self.operand(node, 1), |a, b| a * b),
            Op::Scale(c) => x.map(|x| c * x),
            Op::AddConstant(c) => x.map(|x| x + c),
            _ => x.clone(),
        }
    }

    fn relu(&mut self, node: &Node, x: NodeId) -> Result<(NodeId, Values), PassError> {
        let paf = self.paf_of(node);
        let (low, high) = finite_range(self.operand(node, 0), &node.name)?;
        let s = self.scale_of(node, low.abs().max(high.abs()), 1.0)?;
        let values = self.operand(node, 0).relu(&paf, s);
        let u = self.graph.add(node.name.clone(), Op::Scale(1.0 / s), &[x])?;
        let step = polynomial::step(&mut self.graph, &node.name, &paf, u)?;
        let product = self.graph.add(node.name.clone(), Op::Mul, &[u, step])?;
        let image = self.graph.add(node.name.clone(), Op::Scale(s), &[product])?;
        self.record(node, "Relu", &paf, s, s * paf.max_relu_error());
        Ok((image, values))
    }

    fn max_pool(&mut self, node: &Node, window: &Window, x: NodeId) -> Result<(NodeId, Values), PassError> {
        let paf = self.paf_of(node);
        let guard = paf.pool_guard(window.kernel.iter().product());
        if !guard.is_finite() {
            let elements = window.kernel.iter().product();
            return Err(PassError::PoolTooLarge { node: node.name.clone(), paf: paf.name, elements });
        }
        let (low, high) = finite_range(self.operand(node, 0), &node.name)?;
        let s = self.scale_of(node, high.max(0.0) - low.min(0.0), guard)?;
        let mut values = self.operand(node, 0).clone();
        let mut image = self.graph.add(node.name.clone(), Op::Scale(1.0 / s), &[x])?;
        for round in pool::rounds(window) {
            (image, values) = self.pool_round(node, &paf, s, &round, image, &values)?;
        }
        let flat = self.graph.add(node.name.clone(), Op::Scale(s), &[image])?;
        let image = self.graph.reshape(node.name.clone(), flat, node.shape.clone())?;
        let error = f64::from(pool::comparisons(window)) * s * paf.max_relu_error();
        self.record(node, "MaxPool", &paf, s, error);
        Ok((image, values))
    }

    fn pool_round(
        &mut self,
        node: &Node,
        paf: &Paf,
        s: f64,
        round: &pool::Round,
        x: NodeId,
        values: &Values,
    ) -> Result<(NodeId, Values), PassError> {
        match round {
            pool::Round::Select(map) => self.select(node, map, x, values),
            pool::Round::Max(a, b) => {
                let a = self.select(node, a, x, values)?;
                let b = self.select(node, b, x, values)?;
                self.max(node, paf, s, a, b)
            }
            pool::Round::Tree(taps) => {
                let mut level =
                    taps.iter().map(|tap| self.select(node, tap, x, values)).collect::<Result<Vec<_>, _>>()?;
                while level.len() > 1 {
                    let mut next = Vec::with_capacity(level.len().div_ceil(2));
                    let mut pairs = level.into_iter();
                    while let Some(a) = pairs.next() {
                        next.push(match pairs.next() {
                            Some(b) => self.max(node, paf, s, a, b)?,
                            None => a,
                        });
                    }
                    level = next;
                }
                Ok(level.remove(0))
            }
        }
    }

    fn select(
        &mut self,
        node: &Node,
        map: &paf_ir::LinearMap,
        x: NodeId,
        values: &Values,
    ) -> Result<(NodeId, Values), PassError> {
        let shape = paf_ir::Shape(vec![map.outputs]);
        let image = self.graph.linear(node.name.clone(), map.clone(), x, shape)?;
        Ok((image, values.linear(map, &map.matrix())))
    }

    /// `b + (a − b)·step(a − b)`, both already divided by S; the values are not.
    fn max(
        &mut self,
        node: &Node,
        paf: &Paf,
        s: f64,
        a: (NodeId, Values),
        b: (NodeId, Values),
    ) -> Result<(NodeId, Values), PassError> {
        let name = &node.name;
        let difference = self.graph.add(name.clone(), Op::Sub, &[a.0, b.0])?;
        let step = polynomial::step(&mut self.graph, name, paf, difference)?;
        let product = self.graph.add(name.clone(), Op::Mul, &[difference, step])?;
        let maximum = self.graph.add(name.clone(), Op::Add, &[b.0, product])?;
        Ok((maximum, a.1.max(&b.1, paf, s)))
    }

    fn paf_of(&self, node: &Node) -> Paf {
        self.options.per_node.pafs.get(&node.name).unwrap_or(&self.options.default_paf).clone()
    }

    /// The static scale: given, or margin × reached, times the guard. A node that sees only zeros gets 1.
    fn scale_of(&self, node: &Node, reached: f64, guard: f64) -> Result<f64, PassError> {
        match self.options.per_node.scales.get(&node.name) {
            Some(&scale) if reached > scale => Err(PassError::OutOfRange { node: node.name.clone(), reached, scale }),
            Some(&scale) => Ok(scale * guard),
            None if reached > 0.0 => Ok(self.options.margin * reached * guard),
            None => Ok(1.0),
        }
    }

    fn record(&mut self, node: &Node, operator: &'static str, paf: &Paf, scale: f64, max_error: f64) {
        self.replaced.push(Replaced { node: node.name.clone(), operator, paf: paf.name.clone(), scale, max_error });
    }

    fn finish(mut self) -> Result<Approximated, PassError> {
        let mut output_scales = Vec::new();
        for output in &self.source.outputs {
            let values = self.values[output.node.index()].as_ref().expect("outputs stay alive");
            let name = &self.source.node(output.node).name;
            let (low, high) = finite_range(values, name)?;
            let reached = low.abs().max(high.abs());
            let scale = if reached > 0.0 { self.options.margin * reached } else { 1.0 };
            let image = self.images[output.node.index()];
            let node = self.graph.add(name.clone(), Op::Scale(1.0 / scale), &[image])?;
            self.graph.outputs.push(Output { node, ..output.clone() });
            output_scales.push(scale);
        }
        self.graph.verify()?;
        Ok(Approximated { graph: self.graph, replaced: self.replaced, inputs: self.inputs, output_scales })
    }
}

fn finite_range(values: &Values, name: &str) -> Result<(f64, f64), PassError> {
    values.range().ok_or_else(|| PassError::NotFinite { node: name.to_owned() })
}

fn port_samples(samples: &Samples, port: usize, node: &Node) -> Result<Vec<Vec<f64>>, PassError> {
    let pick = |sample: &Vec<Vec<f64>>| {
        let tensor = sample.get(port).filter(|tensor| tensor.len() == node.shape.size());
        let message = || format!("a sample has not the {} values that input `{}` needs", node.shape.size(), node.name);
        tensor.cloned().ok_or_else(|| PassError::Calibration(message()))
    };
    samples.iter().map(pick).collect()
}
