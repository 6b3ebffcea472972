"""Writes digits_resnet_tiny.onnx: a stem, one residual block with stride 2, global average pooling, logits out."""

import reproducible  # noqa: F401  (before NumPy)

import numpy as np

import digits
from layers import BatchNorm, Conv, Flatten, Gemm, GlobalAveragePool, Relu, Residual, Sequential


def main():
    data = digits.load()
    rng = np.random.default_rng(digits.SEED)
    network = Sequential(
        Conv(rng, "stem_conv", 1, 8, kernel=3, pad=1),
        BatchNorm("stem_norm", 8),
        Relu("stem_relu"),
        block(rng, 8, 16),
        Relu("block_relu"),
        GlobalAveragePool("average"),
        Flatten("flatten"),
        Gemm(rng, "gemm", 16, 10),
    )
    digits.train(network, data, epochs=60)
    digits.write("digits_resnet_tiny", network, softmax=False)
    digits.report("digits_resnet_tiny", network, data)


def block(rng, inputs, outputs):
    """Two 3x3 convolutions, the first with stride 2, beside a 1x1 projection with stride 2."""
    main_branch = Sequential(
        Conv(rng, "block_conv_0", inputs, outputs, kernel=3, stride=2, pad=1),
        BatchNorm("block_norm_0", outputs),
        Relu("inner_relu"),
        Conv(rng, "block_conv_1", outputs, outputs, kernel=3, pad=1),
        BatchNorm("block_norm_1", outputs),
    )
    shortcut = Sequential(
        Conv(rng, "shortcut_conv", inputs, outputs, kernel=1, stride=2),
        BatchNorm("shortcut_norm", outputs),
    )
    return Residual("block_add", main_branch, shortcut)


main()
