"""Writes digits_cnn.onnx and the digits tensors: Conv, BatchNorm, ReLU, MaxPool, Gemm, Softmax."""

import reproducible  # noqa: F401  (before NumPy)

import numpy as np

import digits
import files
from layers import BatchNorm, Conv, Flatten, Gemm, MaxPool, Relu, Sequential

CALIBRATION_IMAGES = 600


def main():
    data = digits.load()
    write_tensors(data)
    rng = np.random.default_rng(digits.SEED)
    network = Sequential(
        Conv(rng, "conv", 1, 4, kernel=3, pad=1),
        BatchNorm("batch_norm", 4),
        Relu("relu"),
        MaxPool("max_pool"),
        Flatten("flatten"),
        Gemm(rng, "gemm", 64, 10),
    )
    digits.train(network, data, epochs=60)
    digits.write("digits_cnn", network, softmax=True)
    digits.report("digits_cnn", network, data)


def write_tensors(data):
    """The calibration images, the whole test part, and the first test image of each digit from 0 to 9."""
    first = [int(np.argmax(data.test_labels == digit)) for digit in range(10)]
    tensors = {
        "digits_calibration": data.train_images[:CALIBRATION_IMAGES],
        "digits_test": data.test_images,
        "digits_test_labels": data.test_labels,
        "digits_images": data.test_images[first],
        "digits_labels": data.test_labels[first],
    }
    for name, array in tensors.items():
        files.write_array(files.TESTDATA / f"{name}.npy", array)


main()
