//! ReduceMean, ReduceSum and the sums of functions.

use std::sync::Arc;

use paf_ir::linear::Primitive;
use paf_ir::tensor::{Function, NodeId, Op, Tensor};
use paf_ir::{LinearMap, Shape};

use super::activation::{apply, magnitude};
use super::elementwise::{Binary, combine};
use super::pool::whole_window;
use super::site::{Outcome, Refusal, Site, Value, axes};

/// Most factors of a ReduceProd: six levels.
const MOST_FACTORS: usize = 64;

/// ReduceMean.
pub(super) fn reduce_mean(site: &mut Site<'_>) -> Outcome {
    let (x, _) = site.tensor(0)?;
    reduced(site, x, |_| 1.0)
}

/// ReduceSum.
pub(super) fn reduce_sum(site: &mut Site<'_>) -> Outcome {
    let (x, _) = site.tensor(0)?;
    sum(site, x)
}

/// ReduceSumSquare.
pub(super) fn reduce_sum_square(site: &mut Site<'_>) -> Outcome {
    let (x, _) = site.tensor(0)?;
    let squares = site.add(Op::Mul, &[x, x])?;
    sum(site, squares)
}

/// ReduceL1: the sum of magnitudes.
pub(super) fn reduce_l1(site: &mut Site<'_>) -> Outcome {
    let (x, _) = site.tensor(0)?;
    match magnitude(site, Value::Tensor(x))? {
        Value::Tensor(magnitudes) => sum(site, magnitudes),
        other => Ok(other),
    }
}

/// ReduceL2: the root of the sum of squares.
pub(super) fn reduce_l2(site: &mut Site<'_>) -> Outcome {
    let squares = reduce_sum_square(site)?;
    apply(site, Function::Sqrt, squares)
}

/// ReduceLogSum.
pub(super) fn reduce_log_sum(site: &mut Site<'_>) -> Outcome {
    let sum = reduce_sum(site)?;
    apply(site, Function::Log, sum)
}

/// ReduceLogSumExp.
pub(super) fn reduce_log_sum_exp(site: &mut Site<'_>) -> Outcome {
    let (x, _) = site.tensor(0)?;
    let exponentials = site.add(Op::Function(Function::Exp), &[x])?;
    let sum = sum(site, exponentials)?;
    apply(site, Function::Log, sum)
}

/// ReduceProd: a balanced tree of products.
pub(super) fn reduce_prod(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let keep_axes = site.attributes.integer("keepdims")?.unwrap_or(1) != 0;
    let list = site.integers(1, "axes")?.filter(|list| !list.is_empty());
    let reduced = list.map_or_else(|| Ok((0..shape.0.len()).collect()), |list| axes(&list, shape.0.len()))?;
    let kept: Vec<usize> = (0..shape.0.len()).filter(|axis| !reduced.contains(axis)).collect();
    let product = |axes: &[usize]| axes.iter().map(|&axis| shape.0[axis]).product::<usize>();
    let (lines, count) = (product(&kept), product(&reduced));
    if count > MOST_FACTORS {
        return Err(Refusal::unsupported(format!("a product of {count} elements"), "up to 64 factors work"));
    }
    let mut result = shape.clone();
    reduced.iter().for_each(|&axis| result.0[axis] = 1);
    if !keep_axes {
        result = Shape(kept.iter().map(|&axis| shape.0[axis]).collect());
    }
    let moved = site.permuted(Value::Tensor(x), [kept, reduced].concat())?;
    let moved = site.reshaped(moved, Shape(vec![lines, count]))?;
    let line: Vec<u32> = (0..lines as u32).collect();
    let columns = (0..count as u32).map(|column| site.selected(moved.clone(), vec![line.clone(), vec![column]]));
    let mut factors = columns.collect::<Result<Vec<_>, _>>()?;
    while factors.len() > 1 {
        let pairs = factors.chunks(2).map(|pair| match pair {
            [a, b] => combine(site, Binary::Mul, a.clone(), b.clone()),
            _ => Ok(pair[0].clone()),
        });
        factors = pairs.collect::<Result<Vec<_>, _>>()?;
    }
    let product = factors.pop().ok_or_else(|| Refusal::invalid("it has no factors"))?;
    site.reshaped(product, result)
}

/// The mean times the number of elements.
fn sum(site: &mut Site<'_>, x: NodeId) -> Outcome {
    reduced(site, x, |count| count as f64)
}

/// The mean over the node's axes, times a factor.
fn reduced(site: &mut Site<'_>, input: NodeId, scale: impl Fn(usize) -> f64) -> Outcome {
    let shape = site.graph.node(input).shape.clone();
    let keep_axes = site.attributes.integer("keepdims")?.unwrap_or(1) != 0;
    let list = site.integers(1, "axes")?.filter(|list| !list.is_empty());
    let reduced = match list {
        Some(list) => axes(&list, shape.0.len())?,
        None if site.attributes.flag("noop_with_empty_axes")? => return Ok(Value::Tensor(input)),
        None => (0..shape.0.len()).collect(),
    };
    let count: usize = reduced.iter().map(|&axis| shape.0[axis]).product();
    let mean = mean_over(site, input, &reduced, scale(count))?;
    if keep_axes {
        return Ok(Value::Tensor(mean));
    }
    let kept = (0..shape.0.len()).filter(|axis| !reduced.contains(axis));
    site.reshaped(Value::Tensor(mean), Shape(kept.map(|axis| shape.0[axis]).collect()))
}

/// The mean over ascending axes, which become 1, times a factor.
pub(super) fn mean_over(site: &mut Site<'_>, input: NodeId, axes: &[usize], scale: f64) -> Result<NodeId, Refusal> {
    let shape = site.graph.node(input).shape.clone();
    let factors = mean_factors(&shape, axes);
    let mut result = shape.clone();
    axes.iter().for_each(|&axis| result.0[axis] = 1);
    if factors.is_empty() && scale == 1.0 {
        return Ok(input);
    }
    let map = LinearMap { factors, scale, bias: None, inputs: shape.size(), outputs: result.size() };
    site.add_linear(map, input, result)
}

/// One averaging factor a run of neighbouring axes, from the last run to the first.
fn mean_factors(shape: &Shape, reduced: &[usize]) -> Vec<Primitive> {
    let mut sizes = shape.0.clone();
    let mut factors = vec![];
    let mut end = reduced.len();
    while end > 0 {
        let mut start = end - 1;
        while start > 0 && reduced[start - 1] + 1 == reduced[start] {
            start -= 1;
        }
        let run = &reduced[start..end];
        factors.extend(mean_of_run(&sizes, run));
        run.iter().for_each(|&axis| sizes[axis] = 1);
        end = start;
    }
    factors
}

/// The average over neighbouring axes; over the last ones it is a pool of whole planes.
fn mean_of_run(sizes: &[usize], run: &[usize]) -> Option<Primitive> {
    let (&first, &last) = (run.first()?, run.last()?);
    let product = |sizes: &[usize]| sizes.iter().product::<usize>();
    let (left, count, right) = (product(&sizes[..first]), product(&sizes[first..=last]), product(&sizes[last + 1..]));
    if count == 1 {
        return None;
    }
    if right == 1 {
        let width = sizes[last];
        return Some(Primitive::AveragePool(whole_window([left, count / width, width])));
    }
    let weight = Tensor::new(Shape(vec![1, count]), vec![1.0 / count as f64; count]);
    Some(Primitive::Dense { weight: Arc::new(weight), left, right })
}
