//! ReduceMean and ReduceSum.

use std::sync::Arc;

use paf_ir::linear::Primitive;
use paf_ir::tensor::Tensor;
use paf_ir::{LinearMap, Shape};

use super::pool::whole_window;
use super::site::{Outcome, Site, Value, axes};

/// ReduceMean.
pub(super) fn reduce_mean(site: &mut Site<'_>) -> Outcome {
    reduce(site, |_| 1.0)
}

/// ReduceSum: the mean times the number of elements.
pub(super) fn reduce_sum(site: &mut Site<'_>) -> Outcome {
    reduce(site, |count| count as f64)
}

fn reduce(site: &mut Site<'_>, scale: impl Fn(usize) -> f64) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let keep_axes = site.attributes.integer("keepdims")?.unwrap_or(1) != 0;
    let list = site.integers(1, "axes")?.filter(|list| !list.is_empty());
    let reduced = match list {
        Some(list) => axes(&list, shape.0.len())?,
        None if site.attributes.flag("noop_with_empty_axes")? => return Ok(Value::Tensor(input)),
        None => (0..shape.0.len()).collect(),
    };
    let count: usize = reduced.iter().map(|&axis| shape.0[axis]).product();
    let factors = mean_factors(&shape, &reduced);
    let mut result = shape.clone();
    reduced.iter().for_each(|&axis| result.0[axis] = 1);
    let outputs = result.size();
    let map = LinearMap { factors, scale: scale(count), bias: None, inputs: shape.size(), outputs };
    if !keep_axes {
        let kept = (0..shape.0.len()).filter(|axis| !reduced.contains(axis));
        result = Shape(kept.map(|axis| shape.0[axis]).collect());
    }
    if map.factors.is_empty() {
        return site.reshaped(Value::Tensor(input), result);
    }
    Ok(Value::Tensor(site.add_linear(map, input, result)?))
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
