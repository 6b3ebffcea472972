//! Geometry of convolutions and pools: kernel, strides, pads, dilations and the size of the result.

use paf_ir::Shape;
use paf_ir::linear::Window;

use super::site::{Refusal, Site, size};

/// No kernel size, stride, pad or dilation may be larger, so that their products cannot overflow.
const MAX_PARAMETER: i64 = 1 << 20;

/// A tensor as planes of height and width; one-dimensional data has height 1.
pub(super) struct Planes {
    /// Sizes of the axes before the spatial ones.
    leading: Vec<usize>,
    /// Planes, height and width.
    pub(super) input: [usize; 3],
    /// Number of spatial axes, 1 or 2.
    pub(super) spatial: usize,
}

impl Planes {
    /// Reads `[batch, channels, height, width]` or `[batch, channels, width]`.
    pub(super) fn of(shape: &Shape) -> Result<Self, Refusal> {
        let (leading, [height, width]) = match shape.0[..] {
            [batch, channels, width] => ([batch, channels], [1, width]),
            [batch, channels, height, width] => ([batch, channels], [height, width]),
            _ => {
                let reason = format!("its input {shape} has {} axes", shape.0.len());
                return Err(Refusal::unsupported(reason, "1-D and 2-D data with a batch and a channel axis work"));
            }
        };
        let input = [leading[0] * leading[1], height, width];
        Ok(Planes { leading: leading.to_vec(), input, spatial: shape.0.len() - 2 })
    }

    pub(super) fn batch(&self) -> usize {
        self.leading[0]
    }

    /// The shape of a result with the given number of channels.
    pub(super) fn result(&self, channels: usize, window: &Window) -> Result<Shape, Refusal> {
        let mut sizes = vec![self.leading[0], channels];
        sizes.extend_from_slice(&window.output[2 - self.spatial..]);
        let shape = Shape(sizes);
        size(&shape)?;
        Ok(shape)
    }

    /// The shape of a pool's result.
    pub(super) fn pooled(&self, window: &Window) -> Result<Shape, Refusal> {
        self.result(self.leading[1], window)
    }

    /// A list of one number a spatial axis, as height and width.
    pub(super) fn pair(&self, list: &[i64], name: &str) -> Result<[usize; 2], Refusal> {
        let bounded = list.iter().all(|value| (1..=MAX_PARAMETER).contains(value));
        match (list, self.spatial) {
            _ if !bounded => Err(Refusal::invalid(format!("{name} {list:?} must lie in 1..={MAX_PARAMETER}"))),
            (&[width], 1) => Ok([1, width as usize]),
            (&[height, width], 2) => Ok([height as usize, width as usize]),
            _ => Err(Refusal::invalid(format!("{name} {list:?} does not have {} values", self.spatial))),
        }
    }
}

/// How the number of windows is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    Floor,
    Ceil,
}

/// The windows that a node's attributes describe.
pub(super) fn window(
    site: &Site<'_>,
    planes: &Planes,
    kernel: [usize; 2],
    rounding: Rounding,
) -> Result<Window, Refusal> {
    let pair = |name: &str| match site.attributes.integers(name)? {
        Some(list) => planes.pair(&list, name),
        None => Ok([1, 1]),
    };
    let mut window = Window {
        input: planes.input,
        kernel,
        strides: pair("strides")?,
        pads: [0; 4],
        dilations: pair("dilations")?,
        output: [0; 2],
        count_include_pad: site.attributes.flag("count_include_pad")?,
    };
    place(site, planes, &mut window, rounding)?;
    if window.output.contains(&0) {
        return Err(Refusal::invalid(format!(
            "a kernel of {kernel:?} does not fit into the padded input of {:?}",
            &window.input[1..]
        )));
    }
    Ok(window)
}

fn place(site: &Site<'_>, planes: &Planes, window: &mut Window, rounding: Rounding) -> Result<(), Refusal> {
    let auto_pad = site.attributes.text("auto_pad")?.unwrap_or_default();
    match auto_pad.as_str() {
        "" | "NOTSET" => {
            window.pads = explicit_pads(site, planes)?;
            window.output = output(window, rounding);
        }
        "VALID" => window.output = output(window, rounding),
        "SAME_UPPER" | "SAME_LOWER" => pad_to_same(window, auto_pad == "SAME_UPPER"),
        _ => return Err(Refusal::invalid(format!("auto_pad is `{auto_pad}`"))),
    }
    Ok(())
}

/// The `pads` attribute, begins first, as top, left, bottom, right.
pub(super) fn explicit_pads(site: &Site<'_>, planes: &Planes) -> Result<[usize; 4], Refusal> {
    let Some(list) = site.attributes.integers("pads")? else { return Ok([0; 4]) };
    if list.iter().any(|pad| *pad < 0) {
        return Err(Refusal::unsupported(format!("pads {list:?} are negative"), "use a Slice before it"));
    }
    let pads: Vec<usize> = list.iter().filter(|&&pad| pad <= MAX_PARAMETER).map(|&pad| pad as usize).collect();
    match (&pads[..], planes.spatial) {
        (&[left, right], 1) => Ok([0, left, 0, right]),
        (&[top, left, bottom, right], 2) => Ok([top, left, bottom, right]),
        _ => {
            Err(Refusal::invalid(format!("pads {list:?} must be {} values up to {MAX_PARAMETER}", 2 * planes.spatial)))
        }
    }
}

/// Number of windows by the formula. Rounding up drops a last window that would start in the right padding.
fn output(window: &Window, rounding: Rounding) -> [usize; 2] {
    let floor = window.floor_output();
    if rounding == Rounding::Floor || floor.contains(&0) {
        return floor;
    }
    [0, 1].map(|axis| {
        let padded = window.input[axis + 1] + window.pads[axis] + window.pads[axis + 2];
        let room = padded - span(window, axis);
        let windows = room.div_ceil(window.strides[axis]) + 1;
        let last_start = (windows - 1) * window.strides[axis];
        if last_start >= window.input[axis + 1] + window.pads[axis] { windows - 1 } else { windows }
    })
}

/// As many windows as strides cover the input; pads are shared between both ends, the odd one at the end or, for
/// `SAME_LOWER`, at the beginning.
fn pad_to_same(window: &mut Window, odd_at_end: bool) {
    for axis in [0, 1] {
        let input = window.input[axis + 1];
        window.output[axis] = input.div_ceil(window.strides[axis]);
        let covered = window.output[axis].saturating_sub(1) * window.strides[axis] + span(window, axis);
        let total = covered.saturating_sub(input);
        let begin = if odd_at_end { total / 2 } else { total.div_ceil(2) };
        window.pads[axis] = begin;
        window.pads[axis + 2] = total - begin;
    }
}

/// Input elements between the first and the last tap, both included.
fn span(window: &Window, axis: usize) -> usize {
    window.dilations[axis] * (window.kernel[axis] - 1) + 1
}

/// Checks that every window reads at least one input element: a maximum or an average of nothing is undefined.
pub(super) fn check_windows_not_empty(window: &Window) -> Result<(), Refusal> {
    for axis in [0, 1] {
        let (input, pad) = (window.input[axis + 1], window.pads[axis]);
        let (kernel, dilation) = (window.kernel[axis], window.dilations[axis]);
        let reads_input = |start: usize| {
            let tap = pad.saturating_sub(start).div_ceil(dilation);
            tap < kernel && start + tap * dilation < input + pad
        };
        if !(0..window.output[axis]).all(|out| reads_input(out * window.strides[axis])) {
            return Err(Refusal::invalid(format!("pads {:?} leave a window without any input element", window.pads)));
        }
    }
    Ok(())
}
