//! ONNX's multidirectional broadcasting.

use std::sync::Arc;

use paf_ir::linear::Bias;
use paf_ir::tensor::Tensor;
use paf_ir::{Constant, Shape};

use super::site::{Refusal, Site, Value, size_beside};

/// The shape to which two shapes broadcast: aligned at the end, sizes are equal or 1.
pub(super) fn broadcast_shape(a: &Shape, b: &Shape) -> Result<Shape, Refusal> {
    let fail = || Refusal::invalid(format!("shapes {a} and {b} do not broadcast"));
    let shape = a.broadcast(b).ok_or_else(fail)?;
    size_beside(&shape, a.size().max(b.size()))?;
    Ok(shape)
}

/// A shape with axes of size 1 in front.
pub(super) fn aligned(shape: &Shape, rank: usize) -> Vec<usize> {
    let mut sizes = vec![1; rank.saturating_sub(shape.0.len())];
    sizes.extend_from_slice(&shape.0);
    sizes
}

/// A value repeated to a shape to which it broadcasts, which [`broadcast_shape`] has given.
pub(super) fn expanded(site: &mut Site<'_>, value: Value, target: &Shape) -> Result<Value, Refusal> {
    let given = aligned(&site.shape(&value)?, target.0.len());
    let value = site.reshaped(value, Shape(given.clone()))?;
    let repeated = given.iter().zip(&target.0).map(|(&from, &to)| match from {
        1 => vec![0; to],
        _ => (0..from as u32).collect(),
    });
    let indices = repeated.collect();
    site.selected(value, indices)
}

/// A constant that broadcasts to a shape, as values that repeat: compact where the axes along which the constant
/// varies are neighbours, else one value an element.
pub(super) fn repeating(constant: &Constant, target: &Shape) -> Result<Bias, Refusal> {
    if broadcast_shape(&constant.shape, target)? != *target {
        return Err(Refusal::invalid(format!("a constant of shape {} on {target}", constant.shape)));
    }
    let sizes = aligned(&constant.shape, target.0.len());
    let first = sizes.iter().position(|&axis| axis != 1).unwrap_or(0);
    let last = sizes.iter().rposition(|&axis| axis != 1).map_or(0, |axis| axis + 1);
    if sizes[first..last.max(first)] == target.0[first..last.max(first)] {
        let repeat = target.0[last..].iter().product();
        return Ok(Bias { values: constant.clone(), repeat });
    }
    let strides = Shape(sizes.clone()).strides();
    let place = |element: usize| {
        let coordinates = target.coordinates(element);
        let varies = coordinates.iter().zip(&strides).zip(&sizes).filter(|(_, axis)| **axis != 1);
        varies.map(|((index, stride), _)| index * stride).sum::<usize>()
    };
    let data = (0..target.size()).map(|element| constant.data[place(element)]).collect();
    Ok(Bias { values: Arc::new(Tensor::new(target.clone(), data)), repeat: 1 })
}
