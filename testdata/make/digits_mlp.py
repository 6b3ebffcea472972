"""Writes digits_mlp.onnx: two fully connected layers with a ReLU between them, logits out."""

import reproducible  # noqa: F401  (before NumPy)

import numpy as np

import digits
from layers import Flatten, Gemm, Relu, Sequential


def main():
    data = digits.load()
    rng = np.random.default_rng(digits.SEED)
    network = Sequential(
        Flatten("flatten"),
        Gemm(rng, "gemm_0", 64, 32),
        Relu("relu"),
        Gemm(rng, "gemm_1", 32, 10),
    )
    digits.train(network, data, epochs=60)
    digits.write("digits_mlp", network, softmax=False)
    digits.report("digits_mlp", network, data)


main()
