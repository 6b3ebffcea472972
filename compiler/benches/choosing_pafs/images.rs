//! CIFAR-10 as the network was trained on it (`data/README.md` beside the images).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use paf_passes::recover::Samples;

use crate::Result;

/// Pixels of a plane.
const PLANE: usize = 32 * 32;
/// Mean and standard deviation of red, green and blue, for pixels in [0, 1].
const CHANNELS: [(f64, f64); 3] = [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)];

/// Preprocessed images and their classes.
pub(crate) struct Images {
    pub(crate) samples: Samples,
    pub(crate) labels: Vec<usize>,
}

/// The first training images.
pub(crate) fn training_images(data: &Path, count: usize) -> Result<Images> {
    read(&data.join("cifar10/train_first4000.bin.gz"), count)
}

/// The first of 1,000 test images, classes in turn; they went through JPEG, which costs the network some accuracy.
pub(crate) fn test_images(data: &Path, count: usize) -> Result<Images> {
    read(&data.join("cifar10/jpeg/test_s1000.bin.gz"), count)
}

/// Records of a label and three planes of bytes.
fn read(path: &Path, count: usize) -> Result<Images> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path)?).read_to_end(&mut bytes)?;
    let records = || bytes.chunks_exact(1 + 3 * PLANE).take(count);
    Ok(Images {
        samples: records().map(|record| vec![preprocess(&record[1..])]).collect(),
        labels: records().map(|record| usize::from(record[0])).collect(),
    })
}

fn preprocess(pixels: &[u8]) -> Vec<f64> {
    let planes = pixels.chunks(PLANE).zip(CHANNELS);
    planes
        .flat_map(|(plane, (mean, deviation))| plane.iter().map(move |&x| (f64::from(x) / 255.0 - mean) / deviation))
        .collect()
}
