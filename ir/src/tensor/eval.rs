//! Cleartext evaluation in f64: the meaning of the tensor IR.

use super::{BatchNorm, Graph, Live, Node, NodeId, Op, Shape};
use crate::error::IrError;
use crate::lanes::{LANES, apart, side_by_side};
use crate::linear::{Operator, Window};

/// The outputs of the graph on one sample; `inputs` holds one flat tensor per graph input.
///
/// # Errors
/// [`IrError::Eval`] if the number or sizes of inputs are wrong.
pub fn evaluate(graph: &Graph, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, IrError> {
    let values = evaluate_all(graph, inputs)?;
    Ok(graph.outputs.iter().map(|output| values[output.node.index()].clone()).collect())
}

/// The value of every node on one sample.
///
/// # Errors
/// [`IrError::Eval`] if the number or sizes of inputs are wrong.
pub fn evaluate_all(graph: &Graph, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, IrError> {
    GraphEvaluator::new(graph).run(inputs)
}

/// Evaluates one graph on many samples; its linear maps are prepared once.
pub struct GraphEvaluator<'g> {
    graph: &'g Graph,
    operators: Vec<Option<Operator>>,
}

/// A tensor of `L` samples.
type Tensors<const L: usize> = Vec<[f64; L]>;

impl<'g> GraphEvaluator<'g> {
    /// Prepares the linear maps of a graph.
    pub fn new(graph: &'g Graph) -> Self {
        let prepare = |node: &Node| if let Op::Linear(map) = &node.op { Some(Operator::new(map)) } else { None };
        GraphEvaluator { graph, operators: graph.nodes().map(|(_, node)| prepare(node)).collect() }
    }

    /// The value of every node on one sample.
    ///
    /// # Errors
    /// [`IrError::Eval`] if the number or sizes of inputs are wrong.
    pub fn run(&self, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, IrError> {
        let mut values = Vec::with_capacity(self.graph.len());
        self.follow::<1>(&[inputs], |value| values.push(value.as_flattened().to_vec()))?;
        Ok(values)
    }

    /// The outputs on many samples: one flat tensor an output for each sample.
    ///
    /// # Errors
    /// [`IrError::Eval`] if the number or sizes of inputs are wrong.
    pub fn outputs_of_all(&self, samples: &[Vec<Vec<f64>>]) -> Result<Vec<Vec<Vec<f64>>>, IrError> {
        let mut results = Vec::with_capacity(samples.len());
        for together in samples.chunks(LANES) {
            let outputs = self.follow::<LANES>(&slices(together), |_| {})?;
            let first = results.len();
            results.resize_with(first + together.len(), Vec::new);
            for output in outputs {
                let lanes = results[first..].iter_mut().zip(apart(&output, together.len()));
                lanes.for_each(|(result, tensor)| result.push(tensor));
            }
        }
        Ok(results)
    }

    /// The largest magnitude of every node on any of the samples; infinite where a value is not a number.
    ///
    /// # Errors
    /// [`IrError::Eval`] if the number or sizes of inputs are wrong.
    pub fn largest_magnitudes(&self, samples: &[Vec<Vec<f64>>]) -> Result<Vec<f64>, IrError> {
        let mut largest = vec![0.0; self.graph.len()];
        for together in samples.chunks(LANES) {
            let mut most = largest.iter_mut();
            self.follow::<LANES>(&slices(together), |value| {
                if let Some(most) = most.next() {
                    *most = value.as_flattened().iter().fold(*most, |most, x| larger(most, x.abs()));
                }
            })?;
        }
        Ok(largest)
    }

    /// Evaluates at most `L` samples; `visit` sees the value of every node in order. Gives the outputs.
    fn follow<const L: usize>(
        &self,
        samples: &[&[Vec<f64>]],
        mut visit: impl FnMut(&[[f64; L]]),
    ) -> Result<Vec<Tensors<L>>, IrError> {
        samples.iter().try_for_each(|inputs| check_inputs(self.graph, inputs))?;
        let live = Live::new(self.graph).follow(|live, id, node| {
            let value = if node.op == Op::Input { self.input(id, samples)? } else { self.node(live, id, node) };
            visit(&value);
            Ok::<_, IrError>(value)
        })?;
        Ok(live.outputs().cloned().collect())
    }

    fn input<const L: usize>(&self, id: NodeId, samples: &[&[Vec<f64>]]) -> Result<Tensors<L>, IrError> {
        let place = self.graph.inputs.iter().position(|input| input.0 == id);
        let place = place.ok_or_else(|| IrError::Eval(format!("input %{} is not listed", id.0)))?;
        let vectors: Vec<&[f64]> = samples.iter().map(|inputs| inputs[place].as_slice()).collect();
        Ok(side_by_side(&vectors))
    }

    /// The value of a node; the first operand is used up where nothing else reads it.
    fn node<const L: usize>(&self, live: &mut Live<'_, Tensors<L>>, id: NodeId, node: &Node) -> Tensors<L> {
        if let Some(operator) = &self.operators[id.index()] {
            return operator.apply(live.operand(0));
        }
        let x = live.take_operand(0);
        let other = node.inputs.get(1).map(|_| live.operand(1).as_slice());
        apply(&node.op, x, other.unwrap_or_default(), &node.shape)
    }
}

fn slices(samples: &[Vec<Vec<f64>>]) -> Vec<&[Vec<f64>]> {
    samples.iter().map(Vec::as_slice).collect()
}

/// The larger magnitude; infinite for one that is not a number.
fn larger(most: f64, magnitude: f64) -> f64 {
    if magnitude.is_nan() { f64::INFINITY } else { most.max(magnitude) }
}

fn check_inputs(graph: &Graph, inputs: &[Vec<f64>]) -> Result<(), IrError> {
    if inputs.len() != graph.inputs.len() {
        return Err(IrError::Eval(format!("{} inputs given, {} needed", inputs.len(), graph.inputs.len())));
    }
    for ((id, _), value) in graph.inputs.iter().zip(inputs) {
        let node = graph.node(*id);
        if node.shape.size() != value.len() {
            let message = format!("input `{}` has {} values, {} expected", node.name, value.len(), node.shape.size());
            return Err(IrError::Eval(message));
        }
    }
    Ok(())
}

fn apply<const L: usize>(op: &Op, x: Tensors<L>, other: &[[f64; L]], shape: &Shape) -> Tensors<L> {
    match op {
        Op::Input | Op::Reshape => x,
        Op::Linear(map) => Operator::new(map).apply(&x),
        Op::BatchNorm(norm) => batch_norm(norm, x, shape),
        Op::Relu => each(x, |x| x.max(0.0)),
        Op::MaxPool(window) => max_pool(window, &x),
        Op::Function(function) => each(x, |x| function.eval(x)),
        Op::Add => pairs(x, other, |a, b| a + b),
        Op::Sub => pairs(x, other, |a, b| a - b),
        Op::Mul => pairs(x, other, |a, b| a * b),
        Op::Scale(c) => each(x, |x| c * x),
        Op::AddConstant(c) => each(x, |x| x + c),
    }
}

fn each<const L: usize>(mut x: Tensors<L>, f: impl Fn(f64) -> f64) -> Tensors<L> {
    x.as_flattened_mut().iter_mut().for_each(|x| *x = f(*x));
    x
}

fn pairs<const L: usize>(mut x: Tensors<L>, other: &[[f64; L]], f: impl Fn(f64, f64) -> f64) -> Tensors<L> {
    x.as_flattened_mut().iter_mut().zip(other.as_flattened()).for_each(|(a, b)| *a = f(*a, *b));
    x
}

impl BatchNorm {
    /// Factor and offset of one channel: `y = factor · x + offset`.
    pub fn affine(&self, channel: usize) -> (f64, f64) {
        let factor = self.scale.data[channel] / (self.variance.data[channel] + self.epsilon).sqrt();
        (factor, self.bias.data[channel] - factor * self.mean.data[channel])
    }
}

fn batch_norm<const L: usize>(norm: &BatchNorm, mut x: Tensors<L>, shape: &Shape) -> Tensors<L> {
    let repeat: usize = shape.0[2..].iter().product();
    let affine: Vec<(f64, f64)> = (0..shape.0[1]).map(|channel| norm.affine(channel)).collect();
    for (channel, (factor, offset)) in x.chunks_mut(repeat.max(1)).zip(affine.iter().cycle()) {
        channel.as_flattened_mut().iter_mut().for_each(|x| *x = factor * *x + offset);
    }
    x
}

fn max_pool<const L: usize>(window: &Window, x: &[[f64; L]]) -> Tensors<L> {
    let [channels, height, width] = window.input;
    let mut result = Vec::with_capacity(channels * window.output[0] * window.output[1]);
    for channel in 0..channels {
        for y in 0..window.output[0] {
            for x_out in 0..window.output[1] {
                let rows = (0..window.kernel[0]).filter_map(|tap| window.input_index(0, y, tap));
                let elements = rows.flat_map(|row| {
                    let columns = (0..window.kernel[1]).filter_map(|tap| window.input_index(1, x_out, tap));
                    columns.map(move |column| (channel * height + row) * width + column)
                });
                let mut maximum = [f64::NEG_INFINITY; L];
                elements.for_each(|index| maximum.iter_mut().zip(&x[index]).for_each(|(most, x)| *most = most.max(*x)));
                result.push(maximum);
            }
        }
    }
    result
}
