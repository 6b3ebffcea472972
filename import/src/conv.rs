//! Conv.

use std::sync::Arc;

use paf_ir::linear::{Bias, Conv, Primitive};
use paf_ir::tensor::Tensor;
use paf_ir::{Constant, LinearMap, Shape};

use super::site::{Outcome, Refusal, Site, Value, size};
use super::window::{Planes, Rounding, window};

/// Conv on 2-D data, and on 1-D data as a plane of height 1.
pub(super) fn conv(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let planes = Planes::of(&shape)?;
    let weight = plane_weights(&site.weights(1, "the weight")?.tensor, &planes)?;
    let kernel = [weight.shape.0[2], weight.shape.0[3]];
    check_kernel_shape(site, &planes, kernel)?;
    let window = window(site, &planes, kernel, Rounding::Floor)?;
    let outputs = weight.shape.0[0];
    let result = planes.result(outputs, &window)?;
    let bias = bias(site, outputs, window.output[0] * window.output[1])?;
    let groups = groups(site)? * planes.batch();
    let weight = for_each_of_batch(&weight, planes.batch())?;
    let factor = Primitive::Conv(Conv { weight, window, groups });
    factor.check()?;
    Ok(Value::Tensor(site.add_linear(LinearMap::of(factor, bias), input, result)?))
}

/// The weights of every sample of a batch: the samples are groups of channels.
pub(super) fn for_each_of_batch(weight: &Constant, batch: usize) -> Result<Constant, Refusal> {
    if batch == 1 {
        return Ok(weight.clone());
    }
    let mut shape = weight.shape.clone();
    shape.0[0] *= batch;
    size(&shape)?;
    Ok(Arc::new(Tensor::new(shape, weight.data.repeat(batch))))
}

/// Weights `[outputs, inputs / groups, height, width]`; one-dimensional kernels get height 1.
pub(super) fn plane_weights(weight: &Constant, planes: &Planes) -> Result<Constant, Refusal> {
    let fail = || Refusal::invalid(format!("a weight of shape {} for {}-D data", weight.shape, planes.spatial));
    if weight.data.is_empty() || weight.shape.0.len() != planes.spatial + 2 {
        return Err(fail());
    }
    match weight.shape.0[..] {
        [outputs, inputs, width] => {
            let shape = Shape(vec![outputs, inputs, 1, width]);
            Ok(Arc::new(Tensor::new(shape, weight.data.clone())))
        }
        _ => Ok(weight.clone()),
    }
}

pub(super) fn check_kernel_shape(site: &Site<'_>, planes: &Planes, kernel: [usize; 2]) -> Result<(), Refusal> {
    match site.attributes.integers("kernel_shape")? {
        Some(list) if planes.pair(&list, "kernel_shape")? != kernel => {
            Err(Refusal::invalid(format!("kernel_shape {list:?} differs from the weight's")))
        }
        _ => Ok(()),
    }
}

pub(super) fn groups(site: &Site<'_>) -> Result<usize, Refusal> {
    let group = site.attributes.integer("group")?.unwrap_or(1);
    u32::try_from(group)
        .ok()
        .filter(|&group| group > 0)
        .map(|group| group as usize)
        .ok_or_else(|| Refusal::invalid(format!("group is {group}")))
}

/// One value a channel; `repeat` is the number of elements in a plane.
pub(super) fn bias(site: &Site<'_>, channels: usize, repeat: usize) -> Result<Option<Bias>, Refusal> {
    if site.optional(2)?.is_none() {
        return Ok(None);
    }
    let values = site.weights(2, "the bias")?.tensor;
    if values.data.len() != channels {
        return Err(Refusal::invalid(format!("a bias of shape {} for {channels} channels", values.shape)));
    }
    Ok(Some(Bias { values, repeat }))
}
