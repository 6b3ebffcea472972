//! Cleartext evaluation in f64: the meaning of the tensor IR.

use super::{BatchNorm, Graph, Node, Op, Shape};
use crate::error::IrError;
use crate::linear::Window;
use crate::sparse::Sparse;

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
    Evaluator::new(graph).run(inputs)
}

/// Evaluates one graph on many samples; matrices are expanded once.
pub struct Evaluator<'g> {
    graph: &'g Graph,
    matrices: Vec<Option<Sparse>>,
}

impl<'g> Evaluator<'g> {
    /// Expands the linear maps of a graph.
    pub fn new(graph: &'g Graph) -> Self {
        let expand = |node: &Node| if let Op::Linear(map) = &node.op { Some(map.matrix()) } else { None };
        Evaluator { graph, matrices: graph.nodes().map(|(_, node)| expand(node)).collect() }
    }

    /// The value of every node on one sample.
    ///
    /// # Errors
    /// [`IrError::Eval`] if the number or sizes of inputs are wrong.
    pub fn run(&self, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, IrError> {
        check_inputs(self.graph, inputs)?;
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(self.graph.len());
        for (id, node) in self.graph.nodes() {
            let value = match &node.op {
                Op::Input => {
                    let place = self.graph.inputs.iter().position(|input| input.0 == id);
                    inputs[place.ok_or_else(|| IrError::Eval(format!("input %{} is not listed", id.0)))?].clone()
                }
                _ => {
                    let operands: Vec<&[f64]> =
                        node.inputs.iter().map(|input| values[input.index()].as_slice()).collect();
                    self.node(id.index(), node, &operands)
                }
            };
            values.push(value);
        }
        Ok(values)
    }

    /// The outputs on many samples: one flat tensor an output for each sample. A matrix is read once for several
    /// samples, and values are kept only until their last reader.
    ///
    /// # Errors
    /// [`IrError::Eval`] if the number or sizes of inputs are wrong.
    pub fn outputs_of_all(&self, samples: &[Vec<Vec<f64>>]) -> Result<Vec<Vec<Vec<f64>>>, IrError> {
        samples.iter().try_for_each(|inputs| check_inputs(self.graph, inputs))?;
        let mut readers: Vec<usize> = self.graph.consumers().iter().map(Vec::len).collect();
        self.graph.outputs.iter().for_each(|output| readers[output.node.index()] += 1);
        let mut values: Vec<Vec<Vec<f64>>> = Vec::with_capacity(self.graph.len());
        for (id, node) in self.graph.nodes() {
            let value = match self.graph.inputs.iter().position(|input| input.0 == id) {
                Some(place) => samples.iter().map(|inputs| inputs[place].clone()).collect(),
                None => self.node_of_all(id.index(), node, &values),
            };
            values.push(value);
            for input in &node.inputs {
                readers[input.index()] -= 1;
                if readers[input.index()] == 0 {
                    values[input.index()] = Vec::new();
                }
            }
        }
        let of_sample =
            |sample: usize| self.graph.outputs.iter().map(|o| values[o.node.index()][sample].clone()).collect();
        Ok((0..samples.len()).map(of_sample).collect())
    }

    fn node_of_all(&self, index: usize, node: &Node, values: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
        let of_sample = |sample: usize| -> Vec<&[f64]> {
            node.inputs.iter().map(|input| values[input.index()][sample].as_slice()).collect()
        };
        let samples = 0..values[node.inputs[0].index()].len();
        match (&node.op, &self.matrices[index]) {
            (Op::Linear(map), Some(matrix)) => {
                let operands: Vec<&[f64]> = samples.map(|sample| of_sample(sample)[0]).collect();
                let mut results = matrix.apply_all(&operands);
                results.iter_mut().for_each(|y| map.add_bias(y));
                results
            }
            _ => samples.map(|sample| self.node(index, node, &of_sample(sample))).collect(),
        }
    }

    /// The value of one node from its operands' values.
    pub fn node(&self, index: usize, node: &Node, operands: &[&[f64]]) -> Vec<f64> {
        match (&node.op, &self.matrices[index]) {
            (Op::Linear(map), Some(matrix)) => {
                let mut y = matrix.apply(operands[0]);
                map.add_bias(&mut y);
                y
            }
            _ => apply(&node.op, operands, &node.shape),
        }
    }
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

fn apply(op: &Op, operands: &[&[f64]], shape: &Shape) -> Vec<f64> {
    let pairs = |f: fn(f64, f64) -> f64| operands[0].iter().zip(operands[1]).map(|(a, b)| f(*a, *b)).collect();
    let each = |f: &dyn Fn(f64) -> f64| operands[0].iter().map(|x| f(*x)).collect();
    match op {
        Op::Input | Op::Reshape => operands[0].to_vec(),
        Op::Linear(map) => map.apply(operands[0]),
        Op::BatchNorm(norm) => batch_norm(norm, operands[0], shape),
        Op::Relu => each(&|x| x.max(0.0)),
        Op::MaxPool(window) => max_pool(window, operands[0]),
        Op::Function(function) => each(&|x| function.eval(x)),
        Op::Add => pairs(|a, b| a + b),
        Op::Sub => pairs(|a, b| a - b),
        Op::Mul => pairs(|a, b| a * b),
        Op::Scale(c) => each(&|x| c * x),
        Op::AddConstant(c) => each(&|x| x + c),
    }
}

impl BatchNorm {
    /// Factor and offset of one channel: `y = factor · x + offset`.
    pub fn affine(&self, channel: usize) -> (f64, f64) {
        let factor = self.scale.data[channel] / (self.variance.data[channel] + self.epsilon).sqrt();
        (factor, self.bias.data[channel] - factor * self.mean.data[channel])
    }
}

fn batch_norm(norm: &BatchNorm, x: &[f64], shape: &Shape) -> Vec<f64> {
    let repeat: usize = shape.0[2..].iter().product();
    let affine: Vec<(f64, f64)> = (0..shape.0[1]).map(|channel| norm.affine(channel)).collect();
    let channel_of = |index: usize| affine[index / repeat % affine.len()];
    x.iter().enumerate().map(|(index, x)| channel_of(index).0 * x + channel_of(index).1).collect()
}

fn max_pool(window: &Window, x: &[f64]) -> Vec<f64> {
    let [channels, height, width] = window.input;
    let mut result = Vec::with_capacity(channels * window.output[0] * window.output[1]);
    for channel in 0..channels {
        for y in 0..window.output[0] {
            for x_out in 0..window.output[1] {
                let rows = (0..window.kernel[0]).filter_map(|tap| window.input_index(0, y, tap));
                let maximum = rows
                    .flat_map(|row| {
                        let columns = (0..window.kernel[1]).filter_map(|tap| window.input_index(1, x_out, tap));
                        columns.map(move |column| (channel * height + row) * width + column)
                    })
                    .map(|index| x[index])
                    .fold(f64::NEG_INFINITY, f64::max);
                result.push(maximum);
            }
        }
    }
    result
}
