//! Products that exporters write for one function: Silu, Mish and both forms of Gelu.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use paf_ir::tensor::{Function, Graph, NodeId, Op};

/// Relative distance at which constants of a pattern are equal: exporters write them with seven digits or less.
const TOLERANCE: f64 = 1e-5;

/// Most operations between the variable of a pattern and its function.
const DEPTH_LIMIT: u32 = 8;

/// The cubic coefficient of Gelu with tanh.
const GELU_CUBIC: f64 = 0.044715;

/// `factor · function(argument)`.
pub(super) struct Pattern {
    pub(super) function: Function,
    pub(super) argument: NodeId,
    pub(super) factor: f64,
}

/// Recognizes Silu `x · sigmoid(c·x)`, Mish `x · tanh(softplus(x))`, Gelu `x · (1 + erf(x/√2))` and
/// `x · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, with constant factors anywhere.
pub(super) fn product_pattern(graph: &Graph, a: NodeId, b: NodeId) -> Option<Pattern> {
    one_sided_pattern(graph, a, b).or_else(|| one_sided_pattern(graph, b, a))
}

fn one_sided_pattern(graph: &Graph, plain: NodeId, gate: NodeId) -> Option<Pattern> {
    let (base, outer) = unscaled(graph, plain);
    let gate = Gate::of(graph, gate)?;
    let factor = outer * gate.factor;
    match gate.function {
        Function::Sigmoid if gate.offset == 0.0 => {
            let (inner, scale) = unscaled(graph, gate.argument);
            let silu = Pattern { function: Function::Silu, argument: gate.argument, factor: factor / scale };
            (inner == base && scale != 0.0).then_some(silu)
        }
        Function::Tanh if gate.offset == 0.0 => {
            let softplus = graph.node(gate.argument);
            let is_mish = softplus.op == Op::Function(Function::Softplus) && softplus.inputs == [base];
            is_mish.then_some(Pattern { function: Function::Mish, argument: base, factor })
        }
        Function::Erf | Function::Tanh if is_near(gate.offset, gate.factor) => {
            let (function, expected) = match gate.function {
                Function::Erf => (Function::Gelu, [0.0, FRAC_1_SQRT_2, 0.0, 0.0]),
                _ => {
                    let slope = (2.0 / PI).sqrt();
                    (Function::GeluTanh, [0.0, slope, 0.0, slope * GELU_CUBIC])
                }
            };
            let argument = cubic(graph, gate.argument, base, DEPTH_LIMIT)?;
            let is_gelu = argument.iter().zip(expected).all(|(&got, expected)| is_near(got, expected));
            is_gelu.then_some(Pattern { function, argument: base, factor: 2.0 * factor })
        }
        _ => None,
    }
}

/// `factor · function(argument) + offset`.
struct Gate {
    factor: f64,
    function: Function,
    argument: NodeId,
    offset: f64,
}

impl Gate {
    fn of(graph: &Graph, mut id: NodeId) -> Option<Self> {
        let (mut factor, mut offset) = (1.0, 0.0);
        loop {
            let node = graph.node(id);
            match node.op {
                Op::Scale(c) => factor *= c,
                Op::AddConstant(c) => offset += factor * c,
                Op::Function(function) => return Some(Gate { factor, function, argument: node.inputs[0], offset }),
                _ => return None,
            }
            id = node.inputs[0];
        }
    }
}

fn is_near(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= TOLERANCE * expected.abs()
}

/// A node as a constant times another.
fn unscaled(graph: &Graph, mut id: NodeId) -> (NodeId, f64) {
    let mut factor = 1.0;
    while let Op::Scale(c) = graph.node(id).op {
        factor *= c;
        id = graph.node(id).inputs[0];
    }
    (id, factor)
}

/// A node as a polynomial of another, so many operations below at most: the coefficients of 1, x, x² and x³.
fn cubic(graph: &Graph, id: NodeId, variable: NodeId, depth_limit: u32) -> Option<[f64; 4]> {
    if id == variable {
        return Some([0.0, 1.0, 0.0, 0.0]);
    }
    let deeper = depth_limit.checked_sub(1)?;
    let node = graph.node(id);
    let operand = |index: usize| cubic(graph, node.inputs[index], variable, deeper);
    match node.op {
        Op::Scale(c) => Some(operand(0)?.map(|a| c * a)),
        Op::AddConstant(c) => operand(0).map(|[a, rest @ ..]| [a + c, rest[0], rest[1], rest[2]]),
        Op::Add | Op::Sub => {
            let (a, b) = (operand(0)?, operand(1)?);
            let sign = if node.op == Op::Add { 1.0 } else { -1.0 };
            Some(std::array::from_fn(|k| a[k] + sign * b[k]))
        }
        Op::Mul => product(operand(0)?, operand(1)?),
        _ => None,
    }
}

/// `None` for degrees above 3.
fn product(a: [f64; 4], b: [f64; 4]) -> Option<[f64; 4]> {
    let mut result = [0.0; 4];
    for (i, a) in a.iter().enumerate().filter(|(_, a)| **a != 0.0) {
        for (j, b) in b.iter().enumerate().filter(|(_, b)| **b != 0.0) {
            *result.get_mut(i + j)? += a * b;
        }
    }
    Some(result)
}
