//! Images of the shared data as their files hold them: bytes, rows first, of CIFAR-10 three planes after another.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::shared;

/// Images and their classes.
#[derive(Debug, Clone, Default)]
pub struct LabelledImages<Pixel> {
    /// Pixels of each image.
    pub images: Vec<Vec<Pixel>>,
    /// The class of each image.
    pub labels: Vec<usize>,
}

/// The first training images of MNIST.
///
/// # Panics
/// Without the shared data.
pub fn mnist_train(count: usize) -> LabelledImages<u8> {
    mnist("train", count)
}

/// The first test images of MNIST, of 10,000.
///
/// # Panics
/// Without the shared data.
pub fn mnist_test(count: usize) -> LabelledImages<u8> {
    mnist("t10k", count)
}

fn mnist(part: &str, count: usize) -> LabelledImages<u8> {
    let (sizes, bytes) = read_idx(&shared(&format!("data/mnist/{part}-images-idx3-ubyte.gz")));
    assert_eq!(sizes[1..], [28, 28]);
    let images = bytes.chunks_exact(28 * 28).take(count).map(<[u8]>::to_vec).collect();
    let (sizes, labels) = read_idx(&shared(&format!("data/mnist/{part}-labels-idx1-ubyte.gz")));
    assert_eq!(sizes, [labels.len()]);
    LabelledImages { images, labels: labels.into_iter().take(count).map(usize::from).collect() }
}

/// The first training images of CIFAR-10, of 4,000.
///
/// # Panics
/// Without the shared data.
pub fn cifar_train(count: usize) -> LabelledImages<u8> {
    cifar(&unpacked(&shared("data/cifar10/train_first4000.bin.gz")), count)
}

/// Test images of CIFAR-10: the first 100, then 150 others that were selected.
///
/// # Panics
/// Without the shared data.
pub fn cifar_test(count: usize) -> LabelledImages<u8> {
    let read = |name: &str| fs::read(shared(name)).expect("images");
    let first = read("data/cifar10/test_first100.bin");
    cifar(&[first, read("data/cifar10/test_vnn150.bin")].concat(), count)
}

/// Test images of CIFAR-10 that went through JPEG, classes in turn, of 1,000.
///
/// # Panics
/// Without the shared data.
pub fn cifar_compressed(count: usize) -> LabelledImages<u8> {
    cifar(&unpacked(&shared("data/cifar10/jpeg/test_s1000.bin.gz")), count)
}

/// Records of a class and three planes of 32×32 bytes.
fn cifar(records: &[u8], count: usize) -> LabelledImages<u8> {
    let records = || records.chunks_exact(1 + 3 * 1024).take(count);
    LabelledImages {
        images: records().map(|record| record[1..].to_vec()).collect(),
        labels: records().map(|record| usize::from(record[0])).collect(),
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    let packed = fs::read(path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("a gzip file");
    bytes
}

/// Sizes of the axes and the bytes of a gzipped IDX file: two zero bytes, the element type (8: unsigned byte), the number
/// of axes, each size in four bytes with the highest first, then the elements.
fn read_idx(path: &Path) -> (Vec<usize>, Vec<u8>) {
    let mut bytes = unpacked(path);
    assert_eq!(bytes[..3], [0, 0, 8], "{}", path.display());
    let header = 4 + 4 * usize::from(bytes[3]);
    let (sizes, _) = bytes[4..header].as_chunks();
    let sizes: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let elements = bytes.split_off(header);
    assert_eq!(sizes.iter().product::<usize>(), elements.len(), "{}", path.display());
    (sizes, elements)
}
