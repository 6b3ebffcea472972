//! The exact MaxPool; the gradient goes to the first of the largest elements.

use paf_ir::linear::Window;

use super::{Kernel, Real, each_pair, each_sample};

/// Operand: images `[batch, channels·height·width]`.
pub(crate) struct MaxPool {
    window: Window,
    /// Elements of one channel that each output reads.
    taps: Vec<Vec<u32>>,
}

impl MaxPool {
    pub(crate) fn new(window: &Window) -> Self {
        let [rows, columns] = window.output;
        let taps = (0..rows * columns).map(|out| taps(window, out / columns, out % columns)).collect();
        MaxPool { window: window.clone(), taps }
    }

    fn plane(&self) -> usize {
        self.window.input[1] * self.window.input[2]
    }
}

fn taps(window: &Window, y: usize, x: usize) -> Vec<u32> {
    let rows = (0..window.kernel[0]).filter_map(|tap| window.input_index(0, y, tap));
    let columns: Vec<usize> = (0..window.kernel[1]).filter_map(|tap| window.input_index(1, x, tap)).collect();
    rows.flat_map(|row| columns.iter().map(move |column| (row * window.input[2] + column) as u32)).collect()
}

fn largest<T: Real>(plane: &[T], taps: &[u32]) -> usize {
    let first = taps[0] as usize;
    taps.iter().map(|&tap| tap as usize).fold(first, |best, tap| if plane[tap] > plane[best] { tap } else { best })
}

impl Kernel for MaxPool {
    const NAME: &'static str = "max pool";

    fn widths(&self) -> (usize, usize) {
        (self.window.input[0] * self.plane(), self.window.input[0] * self.taps.len())
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        each_sample(operands[0], self.widths(), |image, result| {
            for (plane, result) in image.chunks(self.plane()).zip(result.chunks_mut(self.taps.len())) {
                result.iter_mut().zip(&self.taps).for_each(|(y, taps)| *y = plane[largest(plane, taps)]);
            }
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let (inputs, outputs) = self.widths();
        let pull_back = |image: &[T], gradient: &[T], result: &mut [T]| {
            let planes = image.chunks(self.plane()).zip(result.chunks_mut(self.plane()));
            for ((plane, result), gradient) in planes.zip(gradient.chunks(self.taps.len())) {
                gradient.iter().zip(&self.taps).for_each(|(g, taps)| result[largest(plane, taps)] += *g);
            }
        };
        vec![wanted[0].then(|| each_pair((operands[0], inputs), (gradient, outputs), inputs, pull_back))]
    }
}
