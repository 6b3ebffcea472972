//! 2-D convolution on the tape: images `[batch, channels·height·width]` and weights.

use paf_adapt::convolve::Convolution;

use super::{Kernel, Real, each_sample_with, sum_over_samples_with};

impl Kernel for Convolution {
    const NAME: &'static str = "convolution";

    fn widths(&self) -> (usize, usize) {
        Convolution::widths(self)
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        each_sample_with(operands[0], self.widths(), self.room(), |image, result, room| {
            self.apply(T::one(), operands[1], image, result, room);
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let images = wanted[0].then(|| image_gradient(self, operands[1], gradient));
        let weights = wanted[1].then(|| weight_gradient(self, operands, gradient));
        vec![images, weights]
    }
}

fn image_gradient<T: Real>(convolution: &Convolution, weights: &[T], gradient: &[T]) -> Vec<T> {
    let (inputs, outputs) = convolution.widths();
    each_sample_with(gradient, (outputs, inputs), convolution.room(), |gradient, image, room| {
        convolution.add_image_gradient(weights, gradient, image, room);
    })
}

fn weight_gradient<T: Real>(convolution: &Convolution, operands: &[&[T]], gradient: &[T]) -> Vec<T> {
    let (inputs, outputs) = convolution.widths();
    let zeros = |count: usize| vec![T::zero(); count];
    let room = || zeros(convolution.room());
    sum_over_samples_with(gradient.len() / outputs, &zeros(operands[1].len()), room, |sample, sum, room| {
        let image = &operands[0][sample * inputs..][..inputs];
        let gradient = &gradient[sample * outputs..][..outputs];
        convolution.add_weight_gradient(image, gradient, sum, room);
    })
}
