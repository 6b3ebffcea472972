//! MaxPool, AveragePool and their global forms.

use paf_ir::linear::{Primitive, Window};
use paf_ir::tensor::{Function, NodeId, Op};
use paf_ir::{LinearMap, Shape};

use super::activation::{apply, magnitude};
use super::site::{Outcome, Refusal, Site, Value, size};
use super::window::{Planes, Rounding, check_windows_not_empty, window};

/// MaxPool. `storage_order` orders the second output only, which is not supported.
pub(super) fn max_pool(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let planes = Planes::of(&shape)?;
    let window = pool_window(site, &planes)?;
    let result = planes.pooled(&window)?;
    add_max_pool(site, input, window, result)
}

/// GlobalMaxPool.
pub(super) fn global_max_pool(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let (window, result) = whole_planes(&shape)?;
    add_max_pool(site, input, window, result)
}

/// AveragePool.
pub(super) fn average_pool(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let planes = Planes::of(&shape)?;
    let window = pool_window(site, &planes)?;
    let result = planes.pooled(&window)?;
    let map = LinearMap::of(Primitive::AveragePool(window), None);
    Ok(Value::Tensor(site.add_linear(map, input, result)?))
}

/// GlobalAveragePool.
pub(super) fn global_average_pool(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let (window, result) = whole_planes(&shape)?;
    let map = LinearMap::of(Primitive::AveragePool(window), None);
    Ok(Value::Tensor(site.add_linear(map, input, result)?))
}

/// LpPool with p = 1 or 2: the sum of magnitudes, or the root of the sum of squares.
pub(super) fn lp_pool(site: &mut Site<'_>) -> Outcome {
    let (_, shape) = site.tensor(0)?;
    if site.attributes.flag("ceil_mode")? {
        return Err(Refusal::unsupported("ceil_mode is 1", "with pads in its place and ceil_mode 0 it works"));
    }
    let planes = Planes::of(&shape)?;
    let window = Window { count_include_pad: true, ..pool_window(site, &planes)? };
    let result = planes.pooled(&window)?;
    norms_of_windows(site, window, result)
}

/// GlobalLpPool with p = 1 or 2.
pub(super) fn global_lp_pool(site: &mut Site<'_>) -> Outcome {
    let (_, shape) = site.tensor(0)?;
    let (window, result) = whole_planes(&shape)?;
    norms_of_windows(site, window, result)
}

fn norms_of_windows(site: &mut Site<'_>, window: Window, result: Shape) -> Outcome {
    let (x, _) = site.tensor(0)?;
    let p = site.attributes.integer("p")?.unwrap_or(2);
    let powers = match p {
        1 => magnitude(site, Value::Tensor(x))?,
        2 => Value::Tensor(site.add(Op::Mul, &[x, x])?),
        _ => return Err(Refusal::unsupported(format!("p is {p}"), "1 and 2 work")),
    };
    let Value::Tensor(powers) = powers else { return Err(Refusal::UnknownOperand) };
    let count = window.kernel[0] * window.kernel[1];
    let map = LinearMap { scale: count as f64, ..LinearMap::of(Primitive::AveragePool(window), None) };
    let sums = Value::Tensor(site.add_linear(map, powers, result)?);
    if p == 2 { apply(site, Function::Sqrt, sums) } else { Ok(sums) }
}

fn pool_window(site: &Site<'_>, planes: &Planes) -> Result<Window, Refusal> {
    let kernel = site.attributes.integers("kernel_shape")?;
    let kernel = kernel.ok_or_else(|| Refusal::invalid("attribute `kernel_shape` is missing"))?;
    let kernel = planes.pair(&kernel, "kernel_shape")?;
    let rounding = if site.attributes.flag("ceil_mode")? { Rounding::Ceil } else { Rounding::Floor };
    let window = window(site, planes, kernel, rounding)?;
    planes.pooled(&window)?;
    check_windows_not_empty(&window)?;
    Ok(window)
}

/// [`Op::MaxPool`] pools the last two axes, so other data passes through a plane.
pub(super) fn add_max_pool(site: &mut Site<'_>, input: NodeId, window: Window, result: Shape) -> Outcome {
    let given = site.graph.node(input).shape.clone();
    let is_plane = given.0.len() >= 2 && given.0.ends_with(&window.input[1..]);
    let plane = if is_plane { given } else { Shape([&[1], &window.input[..]].concat()) };
    let input = site.add_reshape(input, plane)?;
    let pooled = site.add(Op::MaxPool(window), &[input])?;
    Ok(Value::Tensor(site.add_reshape(pooled, result)?))
}

/// One window a channel of `[batch, channels, …]`, and the result's shape.
fn whole_planes(shape: &Shape) -> Result<(Window, Shape), Refusal> {
    let (Some(leading), true) = (shape.0.get(..2), shape.0.len() >= 3) else {
        return Err(Refusal::invalid(format!("its input {shape} has no spatial axes")));
    };
    let plane = match shape.0[2..] {
        [height, width] => [height, width],
        _ => [1, shape.0[2..].iter().product()],
    };
    let mut result = Shape(vec![1; shape.0.len()]);
    result.0[..2].copy_from_slice(leading);
    Ok((whole_window([size(&Shape(leading.to_vec()))?, plane[0], plane[1]]), result))
}

/// A window that covers each plane.
pub(super) fn whole_window(input: [usize; 3]) -> Window {
    Window {
        input,
        kernel: [input[1], input[2]],
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        output: [1, 1],
        count_include_pad: false,
    }
}
