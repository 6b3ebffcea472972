//! Affine maps by channel: biases, diagonals, and batch normalization in both of its forms.

use super::{Kernel, Real, each_pair, each_sample, sum_over_samples};

/// Which channel an element belongs to: `(element / repeat) mod count`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channels {
    /// Number of channels.
    pub(crate) count: usize,
    /// Consecutive elements of one channel.
    pub(crate) repeat: usize,
    /// Elements of a sample.
    pub(crate) width: usize,
}

impl Channels {
    /// Runs of one channel in a sample: channel, first element, length.
    fn runs(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let runs = self.width.div_ceil(self.repeat);
        runs_of(runs, self.count, self.repeat, self.width)
    }

    /// For each channel two sums over the elements of a batch, of `f(x)` and `g(x)`, `x` being pairs of elements.
    fn sums<T: Real>(&self, x: &[T], gradient: &[T], f: impl Fn(usize, T, T) -> (f64, f64) + Sync) -> Vec<(f64, f64)> {
        let samples = x.len() / self.width;
        let sums = sum_over_samples(samples, &vec![0.0; 2 * self.count], |sample, sums| {
            let (x, gradient) = (&x[sample * self.width..], &gradient[sample * self.width..]);
            for (channel, first, length) in self.runs() {
                let pairs = x[first..first + length].iter().zip(&gradient[first..first + length]);
                let run = pairs.map(|(&x, &g)| f(channel, x, g)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
                sums[2 * channel] += run.0;
                sums[2 * channel + 1] += run.1;
            }
        });
        sums.chunks(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// Elements of one channel in a batch.
    fn elements<T>(&self, x: &[T]) -> f64 {
        (x.len() / self.count) as f64
    }
}

fn runs_of(runs: usize, count: usize, repeat: usize, width: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..runs).map(move |run| (run % count, run * repeat, repeat.min(width - run * repeat)))
}

/// `y = a[c]·x + b[c]`. Operands: x, a, b.
pub(crate) struct ChannelAffine(pub(crate) Channels);

impl Kernel for ChannelAffine {
    const NAME: &'static str = "channel affine";

    fn widths(&self) -> (usize, usize) {
        (self.0.width, self.0.width)
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        let (factors, offsets) = (operands[1], operands[2]);
        each_sample(operands[0], self.widths(), |x, y| {
            for (channel, first, length) in self.0.runs() {
                let (a, b) = (factors[channel], offsets[channel]);
                let pairs = y[first..first + length].iter_mut().zip(&x[first..first + length]);
                pairs.for_each(|(y, x)| *y = a * *x + b);
            }
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let zeros = vec![T::from_f64(0.0); self.0.count];
        let x = wanted[0].then(|| self.forward(&[gradient, operands[1], &zeros]));
        if !wanted[1] && !wanted[2] {
            return vec![x, None, None];
        }
        let sums = self.0.sums(operands[0], gradient, |_, x, g| (x.to_f64() * g.to_f64(), g.to_f64()));
        let factors = wanted[1].then(|| sums.iter().map(|sum| T::from_f64(sum.0)).collect());
        let offsets = wanted[2].then(|| sums.iter().map(|sum| T::from_f64(sum.1)).collect());
        vec![x, factors, offsets]
    }
}

/// Mean and variance of each channel over a batch, the variance divided by the number of elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
    /// Elements of a channel.
    pub(crate) elements: f64,
}

/// `γ·(x − μ)/√(σ² + ε) + β` with the statistics of the batch itself. Operands: x, γ, β.
pub(crate) struct BatchNormalization {
    channels: Channels,
    statistics: Statistics,
    inverse_deviation: Vec<f64>,
}

impl Statistics {
    pub(crate) fn of<T: Real>(channels: &Channels, x: &[T]) -> Self {
        let elements = channels.elements(x);
        let mean: Vec<f64> =
            channels.sums(x, x, |_, x, _| (x.to_f64(), 0.0)).iter().map(|sum| sum.0 / elements).collect();
        let squares = channels.sums(x, x, |channel, x, _| ((x.to_f64() - mean[channel]).powi(2), 0.0));
        let variance = squares.iter().map(|sum| sum.0 / elements).collect();
        Statistics { mean, variance, elements }
    }
}

impl BatchNormalization {
    pub(crate) fn new(channels: Channels, statistics: Statistics, epsilon: f64) -> Self {
        let inverse_deviation =
            statistics.variance.iter().map(|variance| (variance + epsilon).sqrt().recip()).collect();
        BatchNormalization { channels, statistics, inverse_deviation }
    }

    fn normalized<T: Real>(&self, channel: usize, x: T) -> f64 {
        (x.to_f64() - self.statistics.mean[channel]) * self.inverse_deviation[channel]
    }
}

impl Kernel for BatchNormalization {
    const NAME: &'static str = "batch normalization";

    fn widths(&self) -> (usize, usize) {
        (self.channels.width, self.channels.width)
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        each_sample(operands[0], self.widths(), |x, y| {
            for (channel, first, length) in self.channels.runs() {
                let (scale, bias) = (operands[1][channel].to_f64(), operands[2][channel].to_f64());
                let pairs = y[first..first + length].iter_mut().zip(&x[first..first + length]);
                pairs.for_each(|(y, x)| *y = T::from_f64(scale * self.normalized(channel, *x) + bias));
            }
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let product = |channel: usize, x: T, g: T| (self.normalized(channel, x) * g.to_f64(), g.to_f64());
        let sums = self.channels.sums(operands[0], gradient, product);
        let x = wanted[0].then(|| self.input_gradient(operands, gradient, &sums));
        let scale = wanted[1].then(|| sums.iter().map(|sum| T::from_f64(sum.0)).collect());
        let bias = wanted[2].then(|| sums.iter().map(|sum| T::from_f64(sum.1)).collect());
        vec![x, scale, bias]
    }
}

impl BatchNormalization {
    /// `γ/σ·(g − mean(g) − x̂·mean(g·x̂))`, x̂ being the normalized input.
    fn input_gradient<T: Real>(&self, operands: &[&[T]], gradient: &[T], sums: &[(f64, f64)]) -> Vec<T> {
        let (width, elements) = (self.channels.width, self.channels.elements(operands[0]));
        each_pair((operands[0], width), (gradient, width), width, |x, g, result| {
            for (channel, first, length) in self.channels.runs() {
                let factor = operands[1][channel].to_f64() * self.inverse_deviation[channel];
                let (with_input, alone) = (sums[channel].0 / elements, sums[channel].1 / elements);
                for i in first..first + length {
                    let centred = g[i].to_f64() - alone - self.normalized(channel, x[i]) * with_input;
                    result[i] = T::from_f64(factor * centred);
                }
            }
        })
    }
}
