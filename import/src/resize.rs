//! Resize and Upsample: nearest picks elements, linear weighs two neighbours an axis, cubic four.

use std::sync::Arc;

use paf_ir::linear::Primitive;
use paf_ir::tensor::Tensor;
use paf_ir::{LinearMap, Shape};

use super::constants::{ConstantValue, MAX_ELEMENTS};
use super::site::{Outcome, Refusal, Site, Value, axis, size};

/// How one axis is resized.
struct Axis {
    input: usize,
    output: usize,
    /// Output elements an input element.
    scale: f64,
}

/// How places of the result are found in the input, and rounded.
struct Rule {
    coordinates: String,
    rounding: String,
}

/// Resize.
pub(super) fn resize(site: &mut Site<'_>) -> Outcome {
    let text =
        |name: &str, default: &str| Ok::<_, Refusal>(site.attributes.text(name)?.unwrap_or_else(|| default.into()));
    let (scales, rule) = if site.opset < 11 {
        (1, Rule { coordinates: "asymmetric".into(), rounding: "floor".into() })
    } else {
        let coordinates = text("coordinate_transformation_mode", "half_pixel")?;
        (2, Rule { coordinates, rounding: text("nearest_mode", "round_prefer_floor")? })
    };
    if site.attributes.flag("antialias")? {
        return Err(Refusal::unsupported("antialias is 1", "export the model without it"));
    }
    let policy = text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        return Err(Refusal::unsupported(format!("keep_aspect_ratio_policy is `{policy}`"), "stretch works"));
    }
    let scales = given(site, scales, "scales")?.map(|list| list.tensor.data.clone());
    let sizes = if site.opset < 11 { None } else { given(site, 3, "sizes")? };
    resized(site, scales, sizes.map(|list| list.tensor.data.clone()), &rule)
}

/// Upsample: the scales are an operand, before operator set 9 an attribute.
pub(super) fn upsample(site: &mut Site<'_>) -> Outcome {
    let scales = match given(site, 1, "scales")? {
        Some(list) => Some(list.tensor.data.clone()),
        None => site.attributes.numbers("scales")?,
    };
    let rule = Rule { coordinates: "asymmetric".into(), rounding: "floor".into() };
    resized(site, scales, None, &rule)
}

/// An optional constant; an empty one counts as none.
fn given(site: &Site<'_>, index: usize, name: &str) -> Result<Option<ConstantValue>, Refusal> {
    Ok(site.optional_constant(index, name)?.filter(|list| !list.tensor.data.is_empty()))
}

fn resized(site: &mut Site<'_>, scales: Option<Vec<f64>>, sizes: Option<Vec<f64>>, rule: &Rule) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let resized = all_axes(site, &shape, scales, sizes)?;
    let result = Shape(resized.iter().map(|axis| axis.output).collect());
    size(&result)?;
    match site.attributes.text("mode")?.as_deref() {
        None | Some("nearest") => {
            let indices = resized.iter().map(|axis| nearest(axis, rule)).collect::<Result<Vec<_>, _>>()?;
            site.selected(value, indices)
        }
        Some("linear" | "bilinear") => interpolated(site, value, &resized, result, |axis| linear(axis, rule)),
        Some("cubic") => {
            let kernel = Cubic {
                a: site.attributes.number("cubic_coeff_a")?.unwrap_or(-0.75),
                exclude_outside: site.attributes.flag("exclude_outside")?,
            };
            interpolated(site, value, &resized, result, |axis| kernel.matrix(axis, rule))
        }
        Some(other) => Err(Refusal::unsupported(format!("mode is `{other}`"), "nearest, linear and cubic work")),
    }
}

fn all_axes(
    site: &Site<'_>,
    shape: &Shape,
    scales: Option<Vec<f64>>,
    sizes: Option<Vec<f64>>,
) -> Result<Vec<Axis>, Refusal> {
    let mut all: Vec<Axis> = shape.0.iter().map(|&input| Axis { input, output: input, scale: 1.0 }).collect();
    let list = sizes.as_ref().or(scales.as_ref()).ok_or_else(|| Refusal::invalid("scales and sizes are missing"))?;
    let places = site.attributes.integers("axes")?.unwrap_or_else(|| (0..shape.0.len() as i64).collect());
    if places.len() != list.len() {
        return Err(Refusal::invalid(format!("{} scales or sizes for {} axes", list.len(), places.len())));
    }
    for (&place, &number) in places.iter().zip(list) {
        let place = axis(place, shape.0.len())?;
        let input = shape.0[place];
        let output = if sizes.is_some() { number } else { (input as f64 * number).floor() };
        if !(1.0..=MAX_ELEMENTS as f64).contains(&output) {
            return Err(Refusal::invalid(format!("axis {place} of size {input} gets size {output}")));
        }
        let scale = if sizes.is_some() { output / input as f64 } else { number };
        all[place] = Axis { input, output: output as usize, scale };
    }
    Ok(all)
}

impl Rule {
    /// The place in the input, in elements, of an element of the result.
    fn place(&self, axis: &Axis, index: usize) -> Result<f64, Refusal> {
        let (x, input, output) = (index as f64, axis.input as f64, axis.output as f64);
        let half_pixel = (x + 0.5) / axis.scale - 0.5;
        Ok(match self.coordinates.as_str() {
            _ if axis.scale == 1.0 => x,
            "half_pixel" => half_pixel,
            "pytorch_half_pixel" if axis.output == 1 => 0.0,
            "pytorch_half_pixel" => half_pixel,
            "half_pixel_symmetric" => input / 2.0 * (1.0 - output / (axis.scale * input)) + half_pixel,
            "align_corners" if axis.output == 1 => 0.0,
            "align_corners" => x * (input - 1.0) / (output - 1.0),
            "asymmetric" => x / axis.scale,
            other => {
                let reason = format!("coordinate_transformation_mode is `{other}`");
                return Err(Refusal::unsupported(reason, "half_pixel, align_corners and asymmetric work"));
            }
        })
    }
}

fn nearest(axis: &Axis, rule: &Rule) -> Result<Vec<u32>, Refusal> {
    let last = axis.input as f64 - 1.0;
    let index = |index: usize| {
        let place = rule.place(axis, index)?;
        let rounded = match rule.rounding.as_str() {
            "round_prefer_floor" => (place - 0.5).ceil(),
            "round_prefer_ceil" => (place + 0.5).floor(),
            "floor" => place.floor(),
            "ceil" => place.ceil(),
            other => return Err(Refusal::invalid(format!("nearest_mode is `{other}`"))),
        };
        Ok(rounded.clamp(0.0, last) as u32)
    };
    (0..axis.output).map(index).collect()
}

/// One matrix an axis that changes.
fn interpolated(
    site: &mut Site<'_>,
    value: Value,
    axes: &[Axis],
    result: Shape,
    matrix: impl Fn(&Axis) -> Result<Tensor, Refusal>,
) -> Outcome {
    let Value::Tensor(x) = value else { return Err(Refusal::not_constant("the result of a constant's interpolation")) };
    let mut sizes: Vec<usize> = axes.iter().map(|axis| axis.input).collect();
    let mut factors = vec![];
    for (place, axis) in axes.iter().enumerate() {
        if axis.input == axis.output && axis.scale == 1.0 {
            continue;
        }
        let weight = Arc::new(matrix(axis)?);
        let left = sizes[..place].iter().product();
        let right = sizes[place + 1..].iter().product();
        factors.push(Primitive::Dense { weight, left, right });
        sizes[place] = axis.output;
    }
    if factors.is_empty() {
        return Ok(Value::Tensor(x));
    }
    let inputs = axes.iter().map(|axis| axis.input).product();
    let map = LinearMap { factors, scale: 1.0, bias: None, inputs, outputs: size(&result)? };
    Ok(Value::Tensor(site.add_linear(map, x, result)?))
}

/// The matrix `[output, input]` of linear interpolation; places outside take the nearest element.
fn linear(axis: &Axis, rule: &Rule) -> Result<Tensor, Refusal> {
    let shape = Shape(vec![axis.output, axis.input]);
    let mut data = vec![0.0; size(&shape)?];
    for (index, row) in data.chunks_mut(axis.input).enumerate() {
        let place = rule.place(axis, index)?.clamp(0.0, axis.input as f64 - 1.0);
        let (below, part) = (place.floor() as usize, place.fract());
        row[below] += 1.0 - part;
        if part > 0.0 {
            row[below + 1] += part;
        }
    }
    Ok(Tensor::new(shape, data))
}

/// Cubic convolution (Keys 1981) with its parameter.
struct Cubic {
    a: f64,
    /// Whether elements outside count for nothing; else they are those of the border.
    exclude_outside: bool,
}

impl Cubic {
    /// The matrix `[output, input]`.
    fn matrix(&self, axis: &Axis, rule: &Rule) -> Result<Tensor, Refusal> {
        let shape = Shape(vec![axis.output, axis.input]);
        let mut data = vec![0.0; size(&shape)?];
        let last = axis.input as i64 - 1;
        for (index, row) in data.chunks_mut(axis.input).enumerate() {
            let place = rule.place(axis, index)?;
            let first = place.floor() as i64 - 1;
            for tap in first..first + 4 {
                if !self.exclude_outside || (0..=last).contains(&tap) {
                    row[tap.clamp(0, last) as usize] += self.weight((place - tap as f64).abs());
                }
            }
            if self.exclude_outside {
                let total: f64 = row.iter().sum();
                row.iter_mut().for_each(|weight| *weight /= total);
            }
        }
        Ok(Tensor::new(shape, data))
    }

    /// The weight of an element at a distance.
    fn weight(&self, distance: f64) -> f64 {
        let (a, d) = (self.a, distance);
        match d {
            _ if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            _ if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
            _ => 0.0,
        }
    }
}
