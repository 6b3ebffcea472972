//! ConvTranspose: one linear map, a convolution over the input spread out with zeros.

use std::sync::Arc;

use paf_ir::linear::{Conv, Primitive, Window, ZERO};
use paf_ir::tensor::Tensor;
use paf_ir::{Constant, LinearMap, Shape};

use super::conv::{bias, check_kernel_shape, for_each_of_batch, groups, plane_weights};
use super::site::{Outcome, Refusal, Site, Value, size};
use super::window::{Planes, explicit_pads};

/// Geometry along one spatial axis.
struct Axis {
    input: usize,
    stride: usize,
    dilation: usize,
    /// Elements between the first and the last tap, both included.
    span: usize,
    /// Padding before the first element; it takes away from the result.
    begin: i64,
    output: usize,
}

/// ConvTranspose on 1-D and 2-D data.
pub(super) fn conv_transpose(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    let planes = Planes::of(&shape)?;
    let given = plane_weights(&site.weights(1, "the weight")?.tensor, &planes)?;
    let kernel = [given.shape.0[2], given.shape.0[3]];
    check_kernel_shape(site, &planes, kernel)?;
    let groups = groups(site)?;
    let channels = planes.input[0] / planes.batch();
    if given.shape.0[0] != channels || !channels.is_multiple_of(groups) {
        let problem = format!("a weight of shape {} in {groups} groups for {channels} channels", given.shape);
        return Err(Refusal::invalid(problem));
    }
    let axes = spatial_axes(site, &planes, kernel)?;
    let lists = axes.each_ref().map(spread);
    let spread_shape = Shape(vec![planes.input[0], lists[0].len(), lists[1].len()]);
    size(&spread_shape)?;
    let window = Window {
        input: [planes.input[0], lists[0].len(), lists[1].len()],
        kernel,
        strides: [1, 1],
        pads: [0; 4],
        dilations: axes.each_ref().map(|axis| axis.dilation),
        output: axes.each_ref().map(|axis| axis.output),
        count_include_pad: false,
    };
    let outputs = given.shape.0[1] * groups;
    let result = planes.result(outputs, &window)?;
    let bias = bias(site, outputs, window.output[0] * window.output[1])?;
    let weight = for_each_of_batch(&turned(&given, groups), planes.batch())?;
    let conv = Primitive::Conv(Conv { weight, window, groups: groups * planes.batch() });
    conv.check()?;
    let [rows, columns] = lists;
    let everything = (0..planes.input[0] as u32).collect();
    let select = Primitive::Select { input: Shape(planes.input.to_vec()), indices: vec![everything, rows, columns] };
    let mut map = LinearMap::of(conv, bias);
    map.inputs = planes.input.iter().product();
    map.factors.insert(0, select);
    Ok(Value::Tensor(site.add_linear(map, input, result)?))
}

/// Weights `[inputs, outputs / groups, …]` as those of the convolution, `[outputs, inputs / groups, …]`, turned around.
fn turned(given: &Constant, groups: usize) -> Constant {
    let [inputs, group_outputs, height, width] = [0, 1, 2, 3].map(|axis| given.shape.0[axis]);
    let group_inputs = inputs / groups;
    let shape = Shape(vec![group_outputs * groups, group_inputs, height, width]);
    let element = |index: usize| {
        let place = shape.coordinates(index);
        let (group, output) = (place[0] / group_outputs, place[0] % group_outputs);
        let row = (group * group_inputs + place[1]) * group_outputs + output;
        given.data[(row * height + height - 1 - place[2]) * width + width - 1 - place[3]]
    };
    let data = (0..shape.size()).map(element).collect();
    Arc::new(Tensor::new(shape, data))
}

/// The input element at each place of the axis that the convolution reads.
fn spread(axis: &Axis) -> Vec<u32> {
    let source = |place: usize| {
        let at = place as i64 + axis.begin - (axis.span as i64 - 1);
        let (stride, inside) = (axis.stride as i64, at >= 0 && at % axis.stride as i64 == 0);
        if inside && at / stride < axis.input as i64 { (at / stride) as u32 } else { ZERO }
    };
    (0..axis.output + axis.span - 1).map(source).collect()
}

fn spatial_axes(site: &Site<'_>, planes: &Planes, kernel: [usize; 2]) -> Result<[Axis; 2], Refusal> {
    let pair = |name: &str| match site.attributes.integers(name)? {
        Some(list) => planes.pair(&list, name),
        None => Ok([1, 1]),
    };
    let (strides, dilations) = (pair("strides")?, pair("dilations")?);
    let extra = last_two(site, planes, "output_padding")?.unwrap_or([0, 0]);
    let asked = last_two(site, planes, "output_shape")?;
    let auto_pad = site.attributes.text("auto_pad")?.unwrap_or_default();
    let pads = if matches!(auto_pad.as_str(), "" | "NOTSET") { explicit_pads(site, planes)? } else { [0; 4] };
    let axis = |axis: usize| -> Result<Axis, Refusal> {
        let (input, stride) = (planes.input[axis + 1], strides[axis]);
        let span = dilations[axis] * (kernel[axis] - 1) + 1;
        let whole = (stride * (input - 1) + extra[axis] + span) as i64;
        let is_same = matches!(auto_pad.as_str(), "SAME_UPPER" | "SAME_LOWER");
        let wanted = asked.map(|sizes| sizes[axis]).or_else(|| is_same.then_some(input * stride));
        let (begin, output) = match wanted {
            None => (pads[axis] as i64, whole - (pads[axis] + pads[axis + 2]) as i64),
            Some(output) => {
                let total = (whole - output as i64).max(0);
                let begin = if auto_pad == "SAME_UPPER" { total / 2 } else { total - total / 2 };
                (begin, output as i64)
            }
        };
        let output = usize::try_from(output).ok().filter(|&output| output > 0);
        let output = output.ok_or_else(|| Refusal::invalid("the pads leave nothing of the result"))?;
        Ok(Axis { input, stride, dilation: dilations[axis], span, begin, output })
    };
    Ok([axis(0)?, axis(1)?])
}

/// One number a spatial axis, zero included; leading axes that a list has beside are passed over.
fn last_two(site: &Site<'_>, planes: &Planes, name: &str) -> Result<Option<[usize; 2]>, Refusal> {
    let Some(list) = site.attributes.integers(name)? else { return Ok(None) };
    let bad = || Refusal::invalid(format!("{name} is {list:?}"));
    let spatial = list.len().checked_sub(planes.spatial).map(|first| &list[first..]).ok_or_else(bad)?;
    let number = |value: i64| usize::try_from(value).ok().filter(|&value| value <= paf_ir::linear::MAX_SIDE);
    match spatial {
        [width] => Ok(Some([usize::from(name == "output_shape"), number(*width).ok_or_else(bad)?])),
        [height, width] => Ok(Some([number(*height).ok_or_else(bad)?, number(*width).ok_or_else(bad)?])),
        _ => Err(bad()),
    }
}
