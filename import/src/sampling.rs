//! Linear maps between samples that a constant grid, a window or a wave decides: GridSample, AffineGrid, Col2Im, DFT.

use std::f64::consts::TAU;
use std::sync::Arc;

use paf_ir::linear::Primitive;
use paf_ir::tensor::{NodeId, Tensor};
use paf_ir::{LinearMap, Shape};

use super::constants::ConstantValue;
use super::site::{Outcome, Refusal, Site, Value, axis, size};

/// The a of cubic convolution, as in ONNX's GridSample.
const CUBIC: f64 = -0.75;

/// How a value between pixels follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interpolation {
    Nearest,
    Linear,
    Cubic,
}

/// What lies outside of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// One axis of an image: its pixels, and where −1 and 1 lie.
#[derive(Debug, Clone, Copy)]
struct Sampler {
    size: usize,
    interpolation: Interpolation,
    padding: Padding,
    align_corners: bool,
}

impl Sampler {
    /// Pixels and their weights at a coordinate of the grid.
    fn taps(&self, coordinate: f64) -> Vec<(usize, f64)> {
        let size = self.size as f64;
        let place = match self.align_corners {
            true => (coordinate + 1.0) / 2.0 * (size - 1.0),
            false => ((coordinate + 1.0) * size - 1.0) / 2.0,
        };
        let place = match (self.interpolation, self.padding) {
            (Interpolation::Cubic, _) | (_, Padding::Zeros) => place,
            (_, Padding::Border) => place.clamp(0.0, size - 1.0),
            (_, Padding::Reflection) => self.reflected(place),
        };
        let (floor, part) = (place.floor(), place - place.floor());
        let weights = match self.interpolation {
            Interpolation::Nearest => vec![(place.round_ties_even(), 1.0)],
            Interpolation::Linear => vec![(floor, 1.0 - part), (floor + 1.0, part)],
            Interpolation::Cubic => {
                (-1..=2).map(|tap| (floor + f64::from(tap), cubic(part - f64::from(tap)))).collect()
            }
        };
        weights.into_iter().filter_map(|(index, weight)| Some((self.pixel(index)?, weight))).collect()
    }

    /// The pixel of an index that may lie outside.
    fn pixel(&self, index: f64) -> Option<usize> {
        let last = self.size as f64 - 1.0;
        let inside = (0.0..=last).contains(&index);
        match self.padding {
            _ if inside => Some(index as usize),
            Padding::Zeros => None,
            Padding::Border => Some(index.clamp(0.0, last) as usize),
            Padding::Reflection => Some(self.reflected(index).round().clamp(0.0, last) as usize),
        }
    }

    /// Mirrored at the middles of the outer pixels, or at their edges, until it lies inside.
    fn reflected(&self, place: f64) -> f64 {
        let size = self.size as f64;
        let (low, high) = if self.align_corners { (0.0, size - 1.0) } else { (-0.5, size - 0.5) };
        let span = high - low;
        if span <= 0.0 {
            return 0.0;
        }
        let distance = (place - low).rem_euclid(2.0 * span);
        let inside = low + if distance > span { 2.0 * span - distance } else { distance };
        inside.clamp(0.0, size - 1.0)
    }
}

/// The weight of cubic convolution at a distance.
fn cubic(distance: f64) -> f64 {
    let x = distance.abs();
    match x {
        x if x <= 1.0 => ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((CUBIC * x - 5.0 * CUBIC) * x + 8.0 * CUBIC) * x - 4.0 * CUBIC,
        _ => 0.0,
    }
}

/// GridSample with a constant grid, one for all samples.
pub(super) fn grid_sample(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let grid = site.weights(1, "the grid")?;
    let axes = shape.0.len().saturating_sub(2);
    let fits = axes > 0
        && grid.shape().0.len() == axes + 2
        && grid.shape().0.first() == shape.0.first()
        && grid.shape().0.last() == Some(&axes);
    if !fits {
        return Err(Refusal::invalid(format!("a grid of shape {} on {shape}", grid.shape())));
    }
    if shape.0[0] != 1 {
        return Err(Refusal::unsupported("a grid for each sample of a batch", "export the model for one sample"));
    }
    let samplers = samplers(site, &shape.0[2..])?;
    let target = &grid.shape().0[1..=axes];
    let rows: Vec<Vec<(usize, f64)>> = grid.tensor.data.chunks(axes).map(|point| row(&samplers, point)).collect();
    by_plane(site, x, &shape, (shape.0[1], target), &rows)
}

/// A sampler for each axis of an image.
fn samplers(site: &Site<'_>, sizes: &[usize]) -> Result<Vec<Sampler>, Refusal> {
    let interpolation = match site.attributes.text("mode")?.as_deref() {
        None | Some("linear" | "bilinear") => Interpolation::Linear,
        Some("nearest") => Interpolation::Nearest,
        Some("cubic" | "bicubic") => Interpolation::Cubic,
        Some(other) => return Err(Refusal::invalid(format!("mode is `{other}`"))),
    };
    let padding = match site.attributes.text("padding_mode")?.as_deref() {
        None | Some("zeros") => Padding::Zeros,
        Some("border") => Padding::Border,
        Some("reflection") => Padding::Reflection,
        Some(other) => return Err(Refusal::invalid(format!("padding_mode is `{other}`"))),
    };
    let align_corners = site.attributes.flag("align_corners")?;
    Ok(sizes.iter().map(|&size| Sampler { size, interpolation, padding, align_corners }).collect())
}

/// Pixels of an image and their weights at a point, whose coordinates begin with the last axis.
fn row(samplers: &[Sampler], point: &[f64]) -> Vec<(usize, f64)> {
    samplers.iter().zip(point.iter().rev()).fold(vec![(0, 1.0)], |row, (sampler, &coordinate)| {
        let taps = sampler.taps(coordinate);
        let extended = |(start, weight): (usize, f64)| {
            taps.iter().map(move |&(pixel, of_tap)| (start * sampler.size + pixel, weight * of_tap)).collect::<Vec<_>>()
        };
        row.into_iter().flat_map(extended).collect()
    })
}

/// The same map on every plane: so many channels of a shape come out.
fn by_plane(
    site: &mut Site<'_>,
    x: NodeId,
    shape: &Shape,
    (channels, target): (usize, &[usize]),
    rows: &[Vec<(usize, f64)>],
) -> Outcome {
    let planes = shape.0[0] * channels;
    let inputs = shape.size() / planes.max(1);
    let matrix = Shape(vec![rows.len(), inputs]);
    let mut weight = vec![0.0; size(&matrix)?];
    for (row, entries) in rows.iter().enumerate() {
        entries.iter().for_each(|&(pixel, value)| weight[row * inputs + pixel] += value);
    }
    let result = Shape([&[shape.0[0], channels], target].concat());
    size(&result)?;
    let weight = Arc::new(Tensor::new(matrix, weight));
    let map = LinearMap::of(Primitive::Dense { weight, left: planes, right: 1 }, None);
    Ok(Value::Tensor(site.add_linear(map, x, result)?))
}

/// AffineGrid: the grid of an affine map that depends on the input, of constant size.
pub(super) fn affine_grid(site: &mut Site<'_>) -> Outcome {
    let (theta, shape) = site.tensor(0)?;
    let target = site.integers(1, "size")?.ok_or_else(|| Refusal::invalid("the size is missing"))?;
    let target: Option<Vec<usize>> = target.iter().map(|&size| usize::try_from(size).ok()).collect();
    let target = target.filter(|target| target.len() > 2 && shape.0 == [target[0], target.len() - 2, target.len() - 1]);
    let target = target.ok_or_else(|| Refusal::invalid(format!("an affine map of shape {shape} for this size")))?;
    let (sizes, align_corners) = (Shape(target[2..].to_vec()), site.attributes.flag("align_corners")?);
    let coordinate = |index: usize, size: usize| match align_corners {
        true if size == 1 => -1.0,
        true => 2.0 * index as f64 / (size - 1) as f64 - 1.0,
        false => (2 * index + 1) as f64 / size as f64 - 1.0,
    };
    let (points, axes) = (size(&sizes)?, sizes.0.len());
    let point = |point: usize| {
        let coordinates = sizes.coordinates(point);
        let pairs: Vec<f64> = coordinates.iter().zip(&sizes.0).map(|(&i, &size)| coordinate(i, size)).collect();
        pairs.into_iter().rev().chain([1.0]).collect::<Vec<_>>()
    };
    let weight = Arc::new(Tensor::new(Shape(vec![points, axes + 1]), (0..points).flat_map(point).collect()));
    let map = LinearMap::of(Primitive::Dense { weight, left: target[0] * axes, right: 1 }, None);
    let grid = site.add_linear(map, theta, Shape(vec![target[0], axes, points]))?;
    let moved = site.permuted(Value::Tensor(grid), vec![0, 2, 1])?;
    site.reshaped(moved, Shape([&[target[0]], &*sizes.0, &[axes]].concat()))
}

/// Col2Im: columns of blocks are added up to an image.
pub(super) fn col2im(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let sizes = |constant: ConstantValue, what: &str| -> Result<Vec<usize>, Refusal> {
        let list = constant.as_integers().unwrap_or_default();
        let sizes: Option<Vec<usize>> = list.iter().map(|&size| usize::try_from(size).ok()).collect();
        sizes.filter(|sizes| !sizes.is_empty() && !sizes.contains(&0)).ok_or_else(|| Refusal::invalid(what.to_owned()))
    };
    let image = sizes(site.constant(1, "the image's shape")?, "the image's shape holds no sizes")?;
    let block = sizes(site.constant(2, "the block's shape")?, "the block's shape holds no sizes")?;
    let axes = image.len();
    let attribute = |name: &str, count: usize, default: i64| -> Result<Vec<usize>, Refusal> {
        let list = site.attributes.integers(name)?.unwrap_or_else(|| vec![default; count]);
        let list: Option<Vec<usize>> = list.iter().map(|&value| usize::try_from(value).ok()).collect();
        let list = list.filter(|list| list.len() == count);
        list.ok_or_else(|| Refusal::invalid(format!("{name} does not fit an image of {axes} axes")))
    };
    let (dilations, strides) = (attribute("dilations", axes, 1)?, attribute("strides", axes, 1)?);
    let pads = attribute("pads", 2 * axes, 0)?;
    if block.len() != axes || strides.contains(&0) {
        return Err(Refusal::invalid("image, block and strides do not fit each other"));
    }
    let steps = |axis: usize| {
        let reach = (block[axis] - 1) * dilations[axis] + 1;
        let padded = image[axis] + pads[axis] + pads[axis + axes];
        (padded + 1).checked_sub(reach).map(|room| room.div_ceil(strides[axis]))
    };
    let steps: Option<Vec<usize>> = (0..axes).map(steps).collect();
    let steps = Shape(steps.ok_or_else(|| Refusal::invalid("a block is larger than the image"))?);
    let (of_block, places) = (Shape(block), size(&steps)?);
    let (taps, pixels) = (size(&of_block)?, size(&Shape(image.clone()))?);
    if shape.0.len() != 3 || shape.0[2] != places || !shape.0[1].is_multiple_of(taps) {
        return Err(Refusal::invalid(format!("columns of shape {shape} for {places} blocks of {taps} pixels")));
    }
    let mut rows: Vec<Vec<(usize, f64)>> = vec![vec![]; pixels];
    for tap in 0..taps {
        for place in 0..places {
            let (tap_at, place_at) = (of_block.coordinates(tap), steps.coordinates(place));
            let pixel = (0..axes).try_fold(0usize, |pixel, axis| {
                let at = place_at[axis] * strides[axis] + tap_at[axis] * dilations[axis];
                let at = at.checked_sub(pads[axis]).filter(|&at| at < image[axis])?;
                Some(pixel * image[axis] + at)
            });
            if let Some(pixel) = pixel {
                rows[pixel].push((tap * places + place, 1.0));
            }
        }
    }
    by_plane(site, x, &shape, (shape.0[1] / taps, &image), &rows)
}

/// DFT along one axis; the last axis holds real and imaginary parts, or real numbers alone.
pub(super) fn dft(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let rank = shape.0.len();
    let (given, default) = match site.opset {
        ..20 => (site.attributes.integer("axis")?, 1),
        _ => (site.optional_constant(2, "the axis")?.and_then(|axis| axis.as_scalar()).map(|axis| axis as i64), -2),
    };
    let axis = axis(given.unwrap_or(default), rank)?;
    let parts = shape.0.last().copied().filter(|&parts| axis + 1 < rank && (parts == 1 || parts == 2));
    let parts = parts.ok_or_else(|| Refusal::invalid(format!("axis {axis} of {shape}, whose last axis is 1 or 2")))?;
    let length = shape.0[axis];
    if site.optional_constant(1, "the length")?.and_then(|n| n.as_scalar()).is_some_and(|n| n != length as f64) {
        return Err(Refusal::unsupported("a length other than that of the axis", "pad or slice before it"));
    }
    let is_inverse = site.attributes.flag("inverse")?;
    let waves = if site.attributes.flag("onesided")? { length / 2 + 1 } else { length };
    let (sign, scale) = if is_inverse { (1.0, 1.0 / length as f64) } else { (-1.0, 1.0) };
    let matrix = Shape(vec![2 * waves, length * parts]);
    let mut weight = vec![0.0; size(&matrix)?];
    for wave in 0..waves {
        for time in 0..length {
            let (sine, cosine) = (sign * TAU * (wave * time % length) as f64 / length as f64).sin_cos();
            let entries = [[cosine, -sine], [sine, cosine]];
            for (of_result, row) in entries.iter().enumerate() {
                for (of_input, entry) in row.iter().take(parts).enumerate() {
                    weight[(2 * wave + of_result) * length * parts + time * parts + of_input] = scale * entry;
                }
            }
        }
    }
    let order: Vec<usize> = (0..rank).filter(|&one| one != axis && one + 1 != rank).chain([axis, rank - 1]).collect();
    let Value::Tensor(moved) = site.permuted(Value::Tensor(x), order.clone())? else {
        return Err(Refusal::UnknownOperand);
    };
    let mut result = Shape(order.iter().map(|&one| shape.0[one]).collect());
    (result.0[rank - 2], result.0[rank - 1]) = (waves, 2);
    let weight = Arc::new(Tensor::new(matrix, weight));
    let left = shape.size() / (length * parts);
    let map = LinearMap::of(Primitive::Dense { weight, left, right: 1 }, None);
    size(&result)?;
    let transformed = site.add_linear(map, moved, result)?;
    let back = (0..rank).map(|one| order.iter().position(|&other| other == one).unwrap_or(one)).collect();
    site.permuted(Value::Tensor(transformed), back)
}
