//! Samples in seeded order, augmented and in batches.

use candle_core::{DType, Device, Tensor};
use paf_adapt::Data;
use paf_adapt::config::Augment;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::TrainError;

/// Pixels that a crop shifts an image by at most, as is usual for CIFAR-10.
const LARGEST_SHIFT: usize = 4;

/// The generator for one purpose; every purpose and epoch has a stream of its own, so that a resumed run draws what the
/// first one would have drawn.
pub(crate) fn generator(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(purpose);
    generator
}

/// Numbers of the samples that train and of those that are held back, both in ascending order.
pub(crate) fn split(count: usize, held_back: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut generator(seed, 0));
    let held = ((count as f64 * held_back).round() as usize).clamp(1, count.saturating_sub(1).max(1));
    let mut training = order.split_off(held.min(order.len()));
    training.sort_unstable();
    order.sort_unstable();
    (training, order)
}

/// One epoch's batches of sample numbers. What is left over at the end is a smaller batch.
pub(crate) fn epoch(training: &[usize], batch: usize, generator: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut order = training.to_vec();
    order.shuffle(generator);
    order.chunks(batch).map(<[usize]>::to_vec).collect()
}

/// Samples as a tensor `[batch, elements]`.
pub(crate) fn tensor(data: &Data, indices: &[usize], dtype: DType) -> Result<Tensor, TrainError> {
    let values: Vec<f32> = indices.iter().flat_map(|&index| data.sample(index)).copied().collect();
    Ok(Tensor::from_vec(values, (indices.len(), data.shape.size()), &Device::Cpu)?.to_dtype(dtype)?)
}

/// As [`tensor`], images augmented.
pub(crate) fn augmented(
    data: &Data,
    indices: &[usize],
    augment: Augment,
    generator: &mut ChaCha8Rng,
    dtype: DType,
) -> Result<Tensor, TrainError> {
    let image = Image::of(&data.shape.0);
    let (Some(image), true) = (image, augment != Augment::None) else { return tensor(data, indices, dtype) };
    let mut values = Vec::with_capacity(indices.len() * data.shape.size());
    for &index in indices {
        let mut shift = || generator.random_range(0..=2 * LARGEST_SHIFT) as isize - LARGEST_SHIFT as isize;
        let moved = (shift(), shift());
        let mirrored = augment == Augment::CropFlip && generator.random::<bool>();
        image.shifted(data.sample(index), moved, mirrored, &mut values);
    }
    Ok(Tensor::from_vec(values, (indices.len(), data.shape.size()), &Device::Cpu)?.to_dtype(dtype)?)
}

/// How pixels lie in a sample: distance in elements along channels, rows and columns.
struct Image {
    sizes: [usize; 3],
    strides: [usize; 3],
    channels_last: bool,
}

impl Image {
    /// A sample of three axes is an image; its channels come last if that axis has at most four.
    fn of(shape: &[usize]) -> Option<Self> {
        let [a, b, c] = *shape else { return None };
        let channels_last = c <= 4 && a > 4;
        Some(match channels_last {
            true => Image { sizes: [c, a, b], strides: [1, b * c, c], channels_last },
            false => Image { sizes: [a, b, c], strides: [b * c, c, 1], channels_last },
        })
    }

    /// Appends the image moved by rows and columns, borders repeated, mirrored if wanted.
    fn shifted(&self, image: &[f32], (down, right): (isize, isize), mirrored: bool, result: &mut Vec<f32>) {
        let [channels, rows, columns] = self.sizes;
        let clamped = |place: isize, size: usize| place.clamp(0, size as isize - 1) as usize;
        let pixel = |channel: usize, row: usize, column: usize| {
            let column = if mirrored { columns - 1 - column } else { column };
            let (row, column) = (clamped(row as isize + down, rows), clamped(column as isize + right, columns));
            image[channel * self.strides[0] + row * self.strides[1] + column * self.strides[2]]
        };
        if self.channels_last {
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
            places.for_each(|(row, column)| result.extend((0..channels).map(|channel| pixel(channel, row, column))));
        } else {
            for channel in 0..channels {
                (0..rows).for_each(|row| result.extend((0..columns).map(|column| pixel(channel, row, column))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_repeats_the_border_and_a_mirror_swaps_columns() {
        let image = Image::of(&[1, 2, 3]).unwrap();
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let shifted = |shift, mirrored| {
            let mut result = vec![];
            image.shifted(&pixels, shift, mirrored, &mut result);
            result
        };
        assert_eq!(shifted((0, 0), false), pixels);
        assert_eq!(shifted((1, 0), false), [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
        assert_eq!(shifted((0, 1), false), [2.0, 3.0, 3.0, 5.0, 6.0, 6.0]);
        assert_eq!(shifted((0, 0), true), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
    }

    #[test]
    fn channels_may_come_last() {
        let image = Image::of(&[5, 5, 3]).unwrap();
        let pixels: Vec<f32> = (0..75u8).map(f32::from).collect();
        let mut result = vec![];
        image.shifted(&pixels, (0, 0), false, &mut result);
        assert_eq!(result, pixels);
    }

    #[test]
    fn splits_and_epochs_are_permutations_that_the_seed_decides() {
        let (training, held) = split(50, 0.2, 3);
        assert_eq!((training.len(), held.len()), (40, 10));
        let mut all: Vec<usize> = training.iter().chain(&held).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(split(50, 0.2, 3), (training.clone(), held));
        let first = epoch(&training, 7, &mut generator(3, 1));
        assert_eq!(first, epoch(&training, 7, &mut generator(3, 1)));
        assert_ne!(first, epoch(&training, 7, &mut generator(3, 2)));
        let mut seen: Vec<usize> = first.concat();
        seen.sort_unstable();
        assert_eq!(seen, training);
    }
}
