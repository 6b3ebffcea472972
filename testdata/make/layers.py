"""Layers of a small NumPy network: each computes its output, its gradients and its ONNX nodes.

A layer keeps what `backward` needs from the latest `forward`. Everything is float64 until `emit` writes float32.
`parameters` is a list of arrays that the optimizer changes in place, `gradients` the list beside it.
"""

import numpy as np
from onnx import helper


class Writer:
    """Collects the nodes and weights of an ONNX graph while layers emit themselves."""

    def __init__(self):
        self.nodes = []
        self.weights = {}

    def add(self, operator, name, inputs, weights=(), **attributes):
        """Appends one node whose `weights` (suffix, array) become initializers; returns its output's name."""
        names = [f"{name}.{suffix}" for suffix, _ in weights]
        self.weights.update((key, array.astype(np.float32)) for key, (_, array) in zip(names, weights))
        output = f"{name}_output"
        self.nodes.append(helper.make_node(operator, [*inputs, *names], [output], name=name, **attributes))
        return output


class Layer:
    parameters = ()
    gradients = ()


class Conv(Layer):
    """2-D convolution without bias (a BatchNorm follows), square kernel, stride and padding."""

    def __init__(self, rng, name, inputs, outputs, kernel, stride=1, pad=0):
        self.name, self.kernel, self.stride, self.pad = name, kernel, stride, pad
        spread = np.sqrt(2.0 / (inputs * kernel * kernel))
        self.weight = rng.normal(0.0, spread, (outputs, inputs, kernel, kernel))
        self.parameters = [self.weight]

    def forward(self, x, training):
        pad = self.pad
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        self.padded_shape = padded.shape
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.kernel, self.kernel), axis=(2, 3))
        self.windows = windows[:, :, :: self.stride, :: self.stride]
        return np.tensordot(self.windows, self.weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)

    def backward(self, gradient):
        self.gradients = [np.tensordot(gradient, self.windows, axes=((0, 2, 3), (0, 2, 3)))]
        spread = np.tensordot(gradient, self.weight, axes=((1,), (0,)))
        padded = np.zeros(self.padded_shape)
        rows, columns, stride = gradient.shape[2] * self.stride, gradient.shape[3] * self.stride, self.stride
        for row in range(self.kernel):
            for column in range(self.kernel):
                target = padded[:, :, row : row + rows : stride, column : column + columns : stride]
                target += spread[..., row, column].transpose(0, 3, 1, 2)
        pad = self.pad
        return padded[:, :, pad : padded.shape[2] - pad, pad : padded.shape[3] - pad]

    def emit(self, writer, source):
        return writer.add(
            "Conv",
            self.name,
            [source],
            [("weight", self.weight)],
            kernel_shape=[self.kernel] * 2,
            strides=[self.stride] * 2,
            pads=[self.pad] * 4,
        )


class BatchNorm(Layer):
    EPSILON = 1e-5
    MOMENTUM = 0.9

    def __init__(self, name, channels):
        self.name = name
        self.scale, self.shift = np.ones(channels), np.zeros(channels)
        self.mean, self.variance = np.zeros(channels), np.ones(channels)
        self.parameters = [self.scale, self.shift]

    def forward(self, x, training):
        mean, variance = self.mean, self.variance
        if training:
            mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            self.mean = self.MOMENTUM * self.mean + (1 - self.MOMENTUM) * mean
            self.variance = self.MOMENTUM * self.variance + (1 - self.MOMENTUM) * variance
        self.deviation = np.sqrt(variance + self.EPSILON)
        self.normal = (x - channelwise(mean)) / channelwise(self.deviation)
        return channelwise(self.scale) * self.normal + channelwise(self.shift)

    def backward(self, gradient):
        along = (gradient * self.normal).sum(axis=(0, 2, 3))
        total = gradient.sum(axis=(0, 2, 3))
        self.gradients = [along, total]
        count = gradient.size / gradient.shape[1]
        centred = gradient - channelwise(total / count) - self.normal * channelwise(along / count)
        return centred * channelwise(self.scale / self.deviation)

    def emit(self, writer, source):
        statistics = [("scale", self.scale), ("bias", self.shift), ("mean", self.mean), ("var", self.variance)]
        return writer.add("BatchNormalization", self.name, [source], statistics, epsilon=self.EPSILON)


class Relu(Layer):
    """`largest` is the largest |input| of the latest forward pass."""

    def __init__(self, name):
        self.name = name

    def forward(self, x, training):
        self.positive = x > 0
        self.largest = float(np.abs(x).max())
        return x * self.positive

    def backward(self, gradient):
        return gradient * self.positive

    def emit(self, writer, source):
        return writer.add("Relu", self.name, [source])


class MaxPool(Layer):
    """2x2 windows, stride 2."""

    def __init__(self, name):
        self.name = name

    def forward(self, x, training):
        count, channels, height, width = x.shape
        blocks = x.reshape(count, channels, height // 2, 2, width // 2, 2)
        self.windows = blocks.transpose(0, 1, 2, 4, 3, 5).reshape(count, channels, height // 2, width // 2, 4)
        self.winner = self.windows.argmax(axis=-1)[..., None]
        return np.take_along_axis(self.windows, self.winner, axis=-1)[..., 0]

    def backward(self, gradient):
        windows = np.zeros_like(self.windows)
        np.put_along_axis(windows, self.winner, gradient[..., None], axis=-1)
        count, channels, height, width = gradient.shape
        blocks = windows.reshape(count, channels, height, width, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        return blocks.reshape(count, channels, height * 2, width * 2)

    def emit(self, writer, source):
        return writer.add("MaxPool", self.name, [source], kernel_shape=[2, 2], strides=[2, 2])


class GlobalAveragePool(Layer):
    def __init__(self, name):
        self.name = name

    def forward(self, x, training):
        self.shape = x.shape
        return x.mean(axis=(2, 3), keepdims=True)

    def backward(self, gradient):
        return np.broadcast_to(gradient / (self.shape[2] * self.shape[3]), self.shape)

    def emit(self, writer, source):
        return writer.add("GlobalAveragePool", self.name, [source])


class Flatten(Layer):
    def __init__(self, name):
        self.name = name

    def forward(self, x, training):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, gradient):
        return gradient.reshape(self.shape)

    def emit(self, writer, source):
        return writer.add("Flatten", self.name, [source], axis=1)


class Gemm(Layer):
    """Fully connected layer, weight [outputs, inputs] as PyTorch exports it (transB = 1)."""

    def __init__(self, rng, name, inputs, outputs):
        self.name = name
        self.weight = rng.normal(0.0, np.sqrt(2.0 / inputs), (outputs, inputs))
        self.bias = np.zeros(outputs)
        self.parameters = [self.weight, self.bias]

    def forward(self, x, training):
        self.input = x
        return x @ self.weight.T + self.bias

    def backward(self, gradient):
        self.gradients = [gradient.T @ self.input, gradient.sum(axis=0)]
        return gradient @ self.weight

    def emit(self, writer, source):
        return writer.add("Gemm", self.name, [source], [("weight", self.weight), ("bias", self.bias)], transB=1)


class Sequential(Layer):
    def __init__(self, *layers):
        self.layers = layers
        self.parameters = [array for layer in layers for array in layer.parameters]

    @property
    def gradients(self):
        return [array for layer in self.layers for array in layer.gradients]

    def forward(self, x, training):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, gradient):
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return gradient

    def emit(self, writer, source):
        for layer in self.layers:
            source = layer.emit(writer, source)
        return source


class Residual(Layer):
    """Two branches that read the same input and are added."""

    def __init__(self, name, main, shortcut):
        self.name, self.main, self.shortcut = name, main, shortcut
        self.layers = (main, shortcut)
        self.parameters = main.parameters + shortcut.parameters

    @property
    def gradients(self):
        return self.main.gradients + self.shortcut.gradients

    def forward(self, x, training):
        return self.main.forward(x, training) + self.shortcut.forward(x, training)

    def backward(self, gradient):
        return self.main.backward(gradient) + self.shortcut.backward(gradient)

    def emit(self, writer, source):
        main = self.main.emit(writer, source)
        return writer.add("Add", self.name, [main, self.shortcut.emit(writer, source)])


def channelwise(values):
    """Per-channel values in a shape that broadcasts over [batch, channel, height, width]."""
    return values[None, :, None, None]


def relus(layer):
    """All ReLUs below a layer, in graph order."""
    found = [layer] if isinstance(layer, Relu) else []
    return found + [relu for child in getattr(layer, "layers", ()) for relu in relus(child)]
