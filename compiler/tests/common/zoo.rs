//! The trained networks beside the workspace, with the images they were trained for (`data/README.md` there says how
//! pixels are prepared).

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::mnist;

/// A trained network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// Path without its extension, below `data`.
    pub(crate) path: &'static str,
    images: Images,
    normalization: Normalization,
}

/// What a network looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Images {
    /// 28×28 pixels.
    Mnist,
    /// Means of 2×2 pixels, 14×14.
    MnistHalved,
    /// Three planes of 32×32.
    Cifar,
    /// 32×32 pixels of three values.
    CifarChannelsLast,
}

/// `(x · factor − mean) / deviation` by channel, x from 0 to 255.
#[derive(Debug, Clone, Copy)]
struct Normalization {
    factor: f64,
    mean: [f64; 3],
    deviation: [f64; 3],
}

const fn normalized(mean: [f64; 3], deviation: [f64; 3]) -> Normalization {
    Normalization { factor: 1.0 / 255.0, mean, deviation }
}

const BYTES: Normalization = Normalization { factor: 1.0, ..UNIT };
const UNIT: Normalization = normalized([0.0; 3], [1.0; 3]);
const AROUND_ZERO: Normalization = normalized([0.5; 3], [0.5; 3]);
const MNIST: Normalization = normalized([0.1307; 3], [0.3081; 3]);
const IMAGENET: Normalization = normalized([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
const IMAGENET_MEAN: Normalization = normalized([0.485, 0.456, 0.406], [0.225; 3]);
const CIFAR: Normalization = normalized([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);
const CIFAR_SRI: Normalization = normalized([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]);

const fn of(path: &'static str, images: Images, normalization: Normalization) -> Network {
    Network { path, images, normalization }
}

/// All of them, the smaller images first.
pub(crate) const NETWORKS: [Network; 31] = [
    of("onnx/marabou_mnist2x10", Images::Mnist, UNIT),
    of("onnx/onnx2c_mnist14_tiny", Images::MnistHalved, BYTES),
    of("onnx/zkml_mnist_cnn_tiny", Images::Mnist, AROUND_ZERO),
    of("onnx/zkml_lenet_4_8_32_tanh", Images::Mnist, MNIST),
    of("onnx/cntk_mnist_opset7", Images::Mnist, UNIT),
    of("onnx/cntk_mnist_opset8", Images::Mnist, UNIT),
    of("onnx/verivital_convnet_maxpool", Images::Mnist, UNIT),
    of("onnx/marabou_cnn_max_mnist2", Images::Mnist, UNIT),
    of("onnx/onnx2c_mnist_fc_bn", Images::Mnist, UNIT),
    of("onnx/netkit_mnist_mlp", Images::Mnist, UNIT),
    of("onnx/germanov_lenet5_mnist", Images::Mnist, UNIT),
    of("onnx/pcelis_mnist_cnn", Images::Mnist, UNIT),
    of("onnx/vnn_mnist_256x2", Images::Mnist, UNIT),
    of("onnx/eth_mnist_0.1", Images::Mnist, MNIST),
    of("onnx/netkit_mnist_cnn", Images::Mnist, UNIT),
    of("onnx/tinyml_mnist_gap", Images::Mnist, MNIST),
    of("onnx/burn_mnist_bn", Images::Mnist, MNIST),
    of("onnx/winml_cifar10_imageclassifier", Images::Cifar, AROUND_ZERO),
    of("onnx/oval_cifar_deep_kw", Images::Cifar, IMAGENET_MEAN),
    of("onnx/oval_cifar_base_kw", Images::Cifar, IMAGENET_MEAN),
    of("onnx/marabou_cifar10_small", Images::CifarChannelsLast, UNIT),
    of("onnx/marabou_cifar10_large", Images::CifarChannelsLast, UNIT),
    of("onnx/vnn_resnet_2b", Images::Cifar, CIFAR),
    of("onnx/sri_resnet_a", Images::Cifar, CIFAR_SRI),
    of("assembled/mlperf_tiny_resnet8_bn_cifar10", Images::Cifar, BYTES),
    of("onnx/biasfield_cifar_base", Images::Cifar, IMAGENET),
    of("onnx/yashraj_cifar_maxpool", Images::CifarChannelsLast, UNIT),
    of("onnx/squeezenet_cifar10", Images::CifarChannelsLast, UNIT),
    of("onnx/onnc_resnet20_bn_cifar10", Images::Cifar, CIFAR),
    of("onnx/ace_resnet20_cifar10", Images::Cifar, IMAGENET),
    of("onnx/ace_resnet44_cifar10", Images::Cifar, IMAGENET),
];

/// Prepared images, flat, and their classes.
pub(crate) struct Labelled {
    pub(crate) images: Vec<Vec<f64>>,
    pub(crate) labels: Vec<usize>,
}

impl Network {
    /// The name without its folder.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    pub(crate) fn file(&self, data: &Path) -> PathBuf {
        data.join(format!("{}.onnx", self.path))
    }

    /// Training images that calibrate it: fewer of those that are larger and in color.
    pub(crate) fn calibration_images(&self) -> usize {
        match self.images {
            Images::Mnist | Images::MnistHalved => 1000,
            Images::Cifar | Images::CifarChannelsLast => 256,
        }
    }

    /// The first training images.
    pub(crate) fn calibration(&self, data: &Path, count: usize) -> Vec<Vec<f64>> {
        match self.images {
            Images::Mnist | Images::MnistHalved => self.all(&mnist::images(data, "train", count)),
            Images::Cifar | Images::CifarChannelsLast => {
                let bytes = fs::read(data.join("cifar10/train_first4000.bin.gz")).expect("training images");
                let mut records = Vec::new();
                GzDecoder::new(&bytes[..]).read_to_end(&mut records).expect("a gzip file");
                self.all(&cifar(&records, count).0)
            }
        }
    }

    /// The first test images: of CIFAR-10 the first 100, then 150 others.
    pub(crate) fn test(&self, data: &Path, count: usize) -> Labelled {
        let (images, labels) = match self.images {
            Images::Mnist | Images::MnistHalved => {
                let mut labels = mnist::test_labels(data);
                labels.truncate(count);
                (mnist::images(data, "t10k", count), labels)
            }
            Images::Cifar | Images::CifarChannelsLast => {
                let files = ["cifar10/test_first100.bin", "cifar10/test_vnn150.bin"];
                let records: Vec<u8> =
                    files.iter().flat_map(|file| fs::read(data.join(file)).expect("images")).collect();
                cifar(&records, count)
            }
        };
        Labelled { images: self.all(&images), labels }
    }

    fn all(&self, images: &[Vec<u8>]) -> Vec<Vec<f64>> {
        images.iter().map(|image| self.prepared(image)).collect()
    }

    fn prepared(&self, pixels: &[u8]) -> Vec<f64> {
        let Normalization { factor, mean, deviation } = self.normalization;
        let value = |channel: usize, pixel: f64| (pixel * factor - mean[channel]) / deviation[channel];
        let plane = |channel: usize, index: usize| value(channel, f64::from(pixels[channel * 1024 + index]));
        match self.images {
            Images::Mnist => pixels.iter().map(|&pixel| value(0, f64::from(pixel))).collect(),
            Images::MnistHalved => halved(pixels).into_iter().map(|pixel| value(0, pixel)).collect(),
            Images::Cifar => (0..3).flat_map(|channel| (0..1024).map(move |index| plane(channel, index))).collect(),
            Images::CifarChannelsLast => {
                (0..1024).flat_map(|index| (0..3).map(move |channel| plane(channel, index))).collect()
            }
        }
    }
}

/// Means of 2×2 pixels.
fn halved(pixels: &[u8]) -> Vec<f64> {
    let pixel = |row: usize, column: usize| f64::from(pixels[row * 28 + column]);
    let mean = |row: usize, column: usize| {
        let (y, x) = (2 * row, 2 * column);
        (pixel(y, x) + pixel(y, x + 1) + pixel(y + 1, x) + pixel(y + 1, x + 1)) / 4.0
    };
    (0..14).flat_map(|row| (0..14).map(move |column| mean(row, column))).collect()
}

/// Records of a class and three planes of 32×32 bytes.
fn cifar(records: &[u8], count: usize) -> (Vec<Vec<u8>>, Vec<usize>) {
    let records = || records.chunks_exact(1 + 3 * 1024).take(count);
    (records().map(|record| record[1..].to_vec()).collect(), records().map(|record| usize::from(record[0])).collect())
}
