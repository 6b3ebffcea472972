"""The digits data, and training, measuring and writing a network on them."""

from typing import NamedTuple

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits

import files
import layers

SEED = 20240607
TEST_PART = 360
BATCH = 64
WEIGHT_DECAY = 0.1


class Digits(NamedTuple):
    """Images are float32 [count, 1, 8, 8] in [0, 1], labels int64 [count]."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load():
    """Shuffles the 1,797 digits and holds back the first 360 of them for testing."""
    source = load_digits()
    order = np.random.default_rng(SEED).permutation(len(source.target))
    images = (source.images[order, None] / 16.0).astype(np.float32)
    labels = source.target[order].astype(np.int64)
    return Digits(images[TEST_PART:], labels[TEST_PART:], images[:TEST_PART], labels[:TEST_PART])


def train(network, digits, epochs):
    """Cross entropy, Adam, a learning rate that falls to zero along a cosine."""
    rng = np.random.default_rng(SEED)
    adam = Adam(network.parameters)
    steps = len(digits.train_labels) // BATCH
    for epoch in range(epochs):
        order = rng.permutation(len(digits.train_labels))
        for step in range(steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            logits = network.forward(digits.train_images[batch].astype(np.float64), True)
            network.backward(cross_entropy_gradient(logits, digits.train_labels[batch]))
            progress = (epoch * steps + step) / (epochs * steps)
            adam.step(network.gradients, 0.005 * (1 + np.cos(np.pi * progress)))


def cross_entropy_gradient(logits, labels):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = exponentials / exponentials.sum(axis=1, keepdims=True)
    gradient[np.arange(len(labels)), labels] -= 1.0
    return gradient / len(labels)


class Adam:
    """Adam with decoupled weight decay."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.moments = [(np.zeros_like(array), np.zeros_like(array)) for array in parameters]
        self.steps = 0

    def step(self, gradients, rate):
        self.steps += 1
        for array, gradient, (first, second) in zip(self.parameters, gradients, self.moments, strict=True):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            mean = first / (1 - 0.9**self.steps)
            spread = np.sqrt(second / (1 - 0.999**self.steps)) + 1e-8
            array -= rate * (mean / spread + WEIGHT_DECAY * array)


def write(name, network, softmax):
    """Writes `testdata/NAME.onnx`: input [N, 1, 8, 8], output [N, 10], logits unless a Softmax ends the graph."""
    writer = layers.Writer()
    output = network.emit(writer, "image")
    if softmax:
        writer.add("Softmax", "softmax", [output], axis=1)
    writer.nodes[-1].output[0] = "scores"
    onnx_model = files.model(
        name,
        13,
        writer.nodes,
        [files.value("image", ["N", 1, 8, 8])],
        [files.value("scores", ["N", 10])],
        writer.weights,
    )
    files.write_model(files.TESTDATA / f"{name}.onnx", onnx_model)


def report(name, network, digits):
    """Prints what onnxruntime says of the written file, and the largest ReLU inputs on all of the data."""
    session = onnxruntime.InferenceSession(files.TESTDATA / f"{name}.onnx", providers=["CPUExecutionProvider"])
    scores = session.run(None, {"image": digits.test_images})[0]
    right = int((scores.argmax(axis=1) == digits.test_labels).sum())
    everything = np.concatenate([digits.train_images, digits.test_images]).astype(np.float64)
    logits = network.forward(everything, False)
    largest = ", ".join(f"{relu.name} {relu.largest:.2f}" for relu in layers.relus(network))
    print(f"{name}: {right} of {len(scores)} test images right ({100 * right / len(scores):.1f} %)")
    print(f"{name}: largest |ReLU input|: {largest}; largest |logit|: {np.abs(logits).max():.2f}")
