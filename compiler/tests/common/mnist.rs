//! MNIST and the networks of the benchmark, all made by others; their accuracy is what ONNX Runtime measured
//! (`data/README.md` beside them).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;

use super::write_array;

/// Images that calibrate a network.
pub(crate) const CALIBRATION_IMAGES: usize = 1000;

/// A trained network for MNIST.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    pub(crate) name: &'static str,
    /// Top-1 on the 10,000 test images in percent.
    pub(crate) accuracy: f64,
    /// Shape of one sample.
    sample: &'static [usize],
    /// From a pixel of 0 to 255 to what the network was trained on.
    preprocess: fn(u8) -> f32,
}

pub(crate) const NETKIT_MLP: Network =
    Network { name: "netkit_mnist_mlp", accuracy: 97.90, sample: &[784], preprocess: unit_interval };

pub(crate) const VERIVITAL_MAXPOOL: Network =
    Network { name: "verivital_convnet_maxpool", accuracy: 97.92, sample: &[1, 28, 28], preprocess: unit_interval };

pub(crate) const ZKML_TINY: Network =
    Network { name: "zkml_mnist_cnn_tiny", accuracy: 96.95, sample: &[1, 28, 28], preprocess: around_zero };

pub(crate) const NETWORKS: [Network; 3] = [NETKIT_MLP, VERIVITAL_MAXPOOL, ZKML_TINY];

fn unit_interval(pixel: u8) -> f32 {
    f32::from(pixel) / 255.0
}

fn around_zero(pixel: u8) -> f32 {
    (f32::from(pixel) / 255.0 - 0.5) / 0.5
}

impl Network {
    pub(crate) fn path(&self, data: &Path) -> PathBuf {
        data.join("onnx").join(self.name).with_extension("onnx")
    }

    /// Writes the first training images, preprocessed, for `--calibration`.
    pub(crate) fn write_calibration(&self, data: &Path, path: &Path) {
        let images = images(data, "train", CALIBRATION_IMAGES);
        write_array(path, &self.shape(images.len()), self.values(&images));
    }

    /// The first test images, preprocessed.
    pub(crate) fn test_images(&self, data: &Path, count: usize) -> Array {
        let images = images(data, "t10k", count);
        let values = self.values(&images).into_iter().map(f64::from).collect();
        Array { shape: Shape(self.shape(images.len())), data: values }
    }

    fn shape(&self, images: usize) -> Vec<usize> {
        [&[images], self.sample].concat()
    }

    fn values(&self, images: &[Vec<u8>]) -> Vec<f32> {
        images.iter().flatten().map(|&pixel| (self.preprocess)(pixel)).collect()
    }
}

/// The labels of the test images.
pub(crate) fn test_labels(data: &Path) -> Vec<usize> {
    let (sizes, bytes) = read_idx(&data.join("mnist/t10k-labels-idx1-ubyte.gz"));
    assert_eq!(sizes, [bytes.len()]);
    bytes.into_iter().map(usize::from).collect()
}

/// The first images of a part, `train` or `t10k`.
pub(crate) fn images(data: &Path, part: &str, count: usize) -> Vec<Vec<u8>> {
    let (sizes, bytes) = read_idx(&data.join(format!("mnist/{part}-images-idx3-ubyte.gz")));
    assert_eq!(sizes[1..], [28, 28]);
    bytes.chunks_exact(28 * 28).take(count).map(<[u8]>::to_vec).collect()
}

/// Sizes of the axes and the bytes of a gzipped IDX file: two zero bytes, the element type (8: unsigned byte), the number
/// of axes, each size in four bytes with the highest first, then the elements.
fn read_idx(path: &Path) -> (Vec<usize>, Vec<u8>) {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).expect("a gzip file");
    assert_eq!(bytes[..3], [0, 0, 8], "{}", path.display());
    let header = 4 + 4 * usize::from(bytes[3]);
    let (sizes, _) = bytes[4..header].as_chunks();
    let sizes: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let elements = bytes.split_off(header);
    assert_eq!(sizes.iter().product::<usize>(), elements.len(), "{}", path.display());
    (sizes, elements)
}
