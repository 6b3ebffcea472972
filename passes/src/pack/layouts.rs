//! Candidate layouts for the result of linear maps.
//!
//! Convolutions keep the plane of their input: an output pixel of stride s stays at every s-th row and column, and the
//! channels fill the gaps (multiplexed packing, see [`paf_ir::layout`]), or take planes of their own where slots are
//! plenty: then all channels share their diagonals.

use paf_ir::Layout;
use paf_ir::layout::Gaps;
use paf_ir::linear::{LinearMap, Primitive, Window};

/// The physical plane that a spatial tensor lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    /// Slots from one row to the next.
    row_pitch: usize,
    /// Slots of the plane.
    slots: usize,
    /// Rows from one pixel row to the next.
    gap_y: usize,
    /// Slots from one pixel column to the next.
    gap_x: usize,
}

impl Plane {
    /// The plane of a dense `height × width` image.
    pub(super) fn dense(height: usize, width: usize) -> Self {
        Plane { row_pitch: width, slots: height * width, gap_y: 1, gap_x: 1 }
    }

    /// The plane seen through a stride.
    pub(super) fn strided_by(self, strides: [usize; 2]) -> Self {
        Plane { gap_y: self.gap_y * strides[0], gap_x: self.gap_x * strides[1], ..self }
    }

    fn holds(self, height: usize, width: usize) -> bool {
        height * self.gap_y * self.row_pitch <= self.slots.next_multiple_of(self.gap_y * self.row_pitch)
            && width * self.gap_x <= self.row_pitch.next_multiple_of(self.gap_x)
    }
}

/// Channels, height and width of a map's input and output, strides, where it is spatial.
pub(super) struct Geometry {
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 3],
    pub(super) strides: [usize; 2],
}

/// The spatial geometry of a map whose factors are all windows or act on channels alone.
pub(super) fn geometry(map: &LinearMap) -> Option<Geometry> {
    let mut result: Option<Geometry> = None;
    for factor in &map.factors {
        let (window, channels) = match factor {
            Primitive::Conv(conv) => (conv.window.clone(), conv.weight.shape.0[0]),
            Primitive::AveragePool(window) => (window.clone(), window.input[0]),
            Primitive::Select { .. } => (select_window(factor)?, 0),
            Primitive::Diagonal { .. } => continue,
            _ => return None,
        };
        let channels = if channels == 0 { window.input[0] } else { channels };
        let input = result.as_ref().map_or(window.input, |before| before.input);
        let before = result.as_ref().map_or([1, 1], |before| before.strides);
        let strides = [before[0] * window.strides[0], before[1] * window.strides[1]];
        result = Some(Geometry { input, output: [channels, window.output[0], window.output[1]], strides });
    }
    result
}

/// A selection of `[.., height, width]` that pads or strides regularly, as a window of one tap.
fn select_window(factor: &Primitive) -> Option<Window> {
    let Primitive::Select { input, indices } = factor else { return None };
    let rank = input.0.len();
    let stride = |list: &Vec<u32>| match list.iter().filter(|&&i| i != paf_ir::linear::ZERO).collect::<Vec<_>>()[..] {
        [first, second, ..] if second > first => (second - first) as usize,
        _ => 1,
    };
    if rank < 3 {
        return None;
    }
    let (rows, columns) = (&indices[rank - 2], &indices[rank - 1]);
    Some(Window {
        input: [input.0[..rank - 2].iter().product(), input.0[rank - 2], input.0[rank - 1]],
        kernel: [1, 1],
        strides: [stride(rows), stride(columns)],
        pads: [0; 4],
        dilations: [1, 1],
        output: [rows.len(), columns.len()],
        count_include_pad: false,
    })
}

/// Layouts worth trying for the output of a map that reads a tensor in `plane`, each with the plane it lies in.
pub(super) fn candidates(map: &LinearMap, plane: Option<Plane>, max_period: usize) -> Vec<(Layout, Option<Plane>)> {
    let mut list = Vec::new();
    let geometry = geometry(map).filter(|geometry| geometry.output.iter().product::<usize>() == map.outputs);
    if let Some(geometry) = geometry {
        let [channels, height, width] = geometry.output;
        let input_plane = plane.unwrap_or_else(|| Plane::dense(geometry.input[1], geometry.input[2]));
        let strided = input_plane.strided_by(geometry.strides);
        let dense = Plane::dense(height, width);
        for plane in [strided, dense] {
            if !plane.holds(height, width) {
                continue;
            }
            for multiplexed in [true, false] {
                for rounded in [false, true] {
                    let layout = planar(channels, height, width, plane, multiplexed, rounded, max_period);
                    list.extend(layout.map(|layout| (layout, Some(plane))));
                }
            }
        }
    }
    list.push((Layout::dense(map.outputs, max_period), None));
    let mut distinct: Vec<(Layout, Option<Plane>)> = Vec::new();
    for candidate in list {
        if !distinct.iter().any(|(layout, _)| *layout == candidate.0) {
            distinct.push(candidate);
        }
    }
    distinct
}

/// Channels in planes: `multiplexed` fills the gaps first; `rounded` starts planes at powers of two.
fn planar(
    channels: usize,
    height: usize,
    width: usize,
    plane: Plane,
    multiplexed: bool,
    rounded: bool,
    max_period: usize,
) -> Option<Layout> {
    let (cells_y, cells_x) = if multiplexed { (plane.gap_y, plane.gap_x) } else { (1, 1) };
    let size = plane.slots.next_multiple_of(plane.gap_y * plane.row_pitch);
    let pitch = if rounded { size.next_power_of_two() } else { size };
    let slot = |element: usize| {
        let (channel, y, x) = (element / (height * width), element / width % height, element % width);
        let cell = channel % (cells_y * cells_x);
        let row = y * plane.gap_y + cell / cells_x;
        channel / (cells_y * cells_x) * pitch + row * plane.row_pitch + x * plane.gap_x + cell % cells_x
    };
    let slots: Vec<u32> = (0..channels * height * width).map(|element| slot(element) as u32).collect();
    let extent = slots.iter().max().map_or(1, |&slot| slot as usize + 1);
    let period = extent.next_power_of_two().min(max_period);
    let ciphertexts = extent.div_ceil(period);
    if ciphertexts > 1 && (rounded && pitch > max_period) {
        return None;
    }
    Layout::new(slots, period, ciphertexts, Gaps::Zero)
}
