//! The trained networks of the shared data, with the images they were trained for (`data/README.md` there says how
//! pixels are prepared). Nobody here made them.

use std::path::PathBuf;

use crate::images::{LabelledImages, cifar_compressed, cifar_test, cifar_train, mnist_test, mnist_train};
use crate::shared;

/// A trained network.
#[derive(Debug, Clone, Copy)]
pub struct TrainedNetwork {
    path: &'static str,
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

const fn of(path: &'static str, images: Images, normalization: Normalization) -> TrainedNetwork {
    TrainedNetwork { path, images, normalization }
}

/// All of them, the smaller images first.
pub const NETWORKS: [TrainedNetwork; 31] = [
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

impl TrainedNetwork {
    /// A network of the list.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn named(name: &str) -> Self {
        let found = NETWORKS.into_iter().find(|network| network.name() == name);
        found.unwrap_or_else(|| panic!("`{name}` is not in the list of networks"))
    }

    /// The name without its folder.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The path without its extension, below `data`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The model's file.
    ///
    /// # Panics
    /// Without the shared data.
    pub fn file(&self) -> PathBuf {
        shared(&format!("data/{}.onnx", self.path))
    }

    /// Whether its images are those of CIFAR-10.
    pub fn is_of_colors(&self) -> bool {
        matches!(self.images, Images::Cifar | Images::CifarChannelsLast)
    }

    /// Training images that calibrate it: fewer of those that are larger and in color.
    pub fn calibration_images(&self) -> usize {
        match self.images {
            Images::Mnist | Images::MnistHalved => 1000,
            Images::Cifar | Images::CifarChannelsLast => 256,
        }
    }

    /// The first training images, prepared.
    ///
    /// # Panics
    /// Without the shared data.
    pub fn calibration(&self, count: usize) -> Vec<Vec<f64>> {
        let images = match self.images {
            Images::Mnist | Images::MnistHalved => mnist_train(count),
            Images::Cifar | Images::CifarChannelsLast => cifar_train(count),
        };
        self.all(images).images
    }

    /// The first test images, prepared: of CIFAR-10 the first 100, then 150 others.
    ///
    /// # Panics
    /// Without the shared data.
    pub fn test(&self, count: usize) -> LabelledImages<f64> {
        self.all(match self.images {
            Images::Mnist | Images::MnistHalved => mnist_test(count),
            Images::Cifar | Images::CifarChannelsLast => cifar_test(count),
        })
    }

    /// The first of 1,000 test images of CIFAR-10, classes in turn, which went through JPEG; those of MNIST as they are.
    ///
    /// # Panics
    /// Without the shared data.
    pub fn compressed_test(&self, count: usize) -> LabelledImages<f64> {
        self.all(match self.images {
            Images::Mnist | Images::MnistHalved => mnist_test(count),
            Images::Cifar | Images::CifarChannelsLast => cifar_compressed(count),
        })
    }

    fn all(&self, LabelledImages { images, labels }: LabelledImages<u8>) -> LabelledImages<f64> {
        LabelledImages { images: images.iter().map(|image| self.prepared(image)).collect(), labels }
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
