//! The networks of `testdata` for scikit-learn's digits, with their images (`testdata/README.md`).

use std::path::PathBuf;

use paf_ir::tensor::Tensor;

use crate::arrays::{read_array, read_indices};
use crate::testdata;

/// Pixels of an image.
pub const PIXELS: usize = 64;

/// A network for the digits.
#[derive(Debug, Clone, Copy)]
pub struct Digits {
    /// The file without its extension.
    pub name: &'static str,
    /// Top-1 in percent that ONNX Runtime has on the test images.
    pub accuracy: f64,
}

/// A hidden layer of 32.
pub const MLP: Digits = Digits { name: "digits_mlp", accuracy: 100.0 * 352.0 / 360.0 };
/// A convolution with a ReLU and a MaxPool.
pub const CNN: Digits = Digits { name: "digits_cnn", accuracy: 100.0 * 348.0 / 360.0 };
/// Three ReLUs, one after a sum of two branches.
pub const RESNET: Digits = Digits { name: "digits_resnet_tiny", accuracy: 100.0 * 350.0 / 360.0 };
/// All of them.
pub const NETWORKS: [Digits; 3] = [MLP, CNN, RESNET];

impl Digits {
    /// The model's file.
    pub fn model(&self) -> PathBuf {
        testdata(self.name).with_extension("onnx")
    }
}

/// 600 images of the training part, for `--calibration`.
pub fn calibration_file() -> PathBuf {
    testdata("digits_calibration.npy")
}

/// The first test image of each digit.
pub fn images() -> Tensor {
    read_array(&testdata("digits_images.npy"))
}

/// The 360 test images.
pub fn test_images() -> Tensor {
    read_array(&testdata("digits_test.npy"))
}

/// Their classes.
pub fn test_labels() -> Vec<usize> {
    read_indices(&testdata("digits_test_labels.npy"))
}
