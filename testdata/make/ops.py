"""Writes ops/NAME/{model.onnx, input.npy, output.npy}: one small model for each operator, form and attribute.

The expected outputs are ONNX's own reference evaluator's in float64, and onnxruntime must agree in float32. Each case
draws from a generator seeded by its name, so a new case changes no other.
"""

import reproducible  # noqa: F401  (before NumPy)

import zlib
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import files

INPUT, OUTPUT = "x", "y"
IMAGE = (1, 2, 6, 6)
TOLERANCE = 1e-5
CASES = {}


class Case(NamedTuple):
    """`weights` holds initializers; `shape` is the input's, whose batch axis is symbolic in the model if `batch`.

    `reference_opset` is given where the reference evaluator is wrong for `opset` and the nodes mean the same in both.
    """

    opset: int
    nodes: list
    weights: dict
    shape: tuple = IMAGE
    batch: str | None = None
    output_type: int = TensorProto.FLOAT
    weights_are_inputs: bool = False
    reference_opset: int | None = None


def case(function):
    """Registers a function from a random generator to a Case under its own name."""
    CASES[function.__name__] = function
    return function


def node(operator, inputs, output=OUTPUT, **attributes):
    name = f"{operator.lower()}_{output}"
    return helper.make_node(operator, inputs.split(), [output], name=name, **attributes)


def normal(rng, *shape):
    return rng.normal(0.0, 0.5, shape).astype(np.float32)


def integers(*values):
    return np.array(values, np.int64)


def conv(rng, opset, weight_shape, shape=IMAGE, bias=True, **attributes):
    weights = {"w": normal(rng, *weight_shape)}
    if bias:
        weights["b"] = normal(rng, weight_shape[0])
    return Case(opset, [node("Conv", " ".join(["x", *weights]), **attributes)], weights, shape)


@case
def conv_basic(rng):
    return conv(rng, 7, (3, 2, 3, 3), kernel_shape=[3, 3])._replace(batch="N")


@case
def conv_no_attributes(rng):
    return conv(rng, 11, (3, 2, 3, 3))


@case
def conv_no_bias_padded(rng):
    return conv(rng, 13, (3, 2, 3, 3), bias=False, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


@case
def conv_1x1(rng):
    return conv(rng, 13, (4, 2, 1, 1), kernel_shape=[1, 1])


@case
def conv_strides_differ(rng):
    return conv(rng, 11, (3, 2, 3, 3), (1, 2, 7, 6), kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1])


@case
def conv_asymmetric_pads(rng):
    return conv(rng, 11, (2, 2, 3, 2), kernel_shape=[3, 2], strides=[2, 2], pads=[0, 1, 2, 0])


@case
def conv_same_upper(rng):
    return conv(rng, 9, (2, 2, 2, 3), (1, 2, 6, 7), kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER")


@case
def conv_same_lower(rng):
    return conv(rng, 9, (2, 2, 2, 4), (1, 2, 6, 7), kernel_shape=[2, 4], auto_pad="SAME_LOWER")


@case
def conv_valid(rng):
    return conv(rng, 12, (2, 2, 3, 3), kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID")


@case
def conv_groups(rng):
    return conv(rng, 13, (6, 2, 3, 3), (1, 4, 5, 5), kernel_shape=[3, 3], group=2, pads=[1, 1, 1, 1])


@case
def conv_depthwise(rng):
    return conv(rng, 16, (3, 1, 3, 3), (1, 3, 6, 6), kernel_shape=[3, 3], group=3, strides=[2, 2], pads=[1, 1, 1, 1])


@case
def conv_depthwise_multiplier(rng):
    return conv(rng, 11, (4, 1, 3, 3), kernel_shape=[3, 3], group=2, pads=[1, 1, 1, 1])


@case
def conv_dilated(rng):
    return conv(rng, 17, (2, 2, 3, 2), (1, 2, 7, 7), kernel_shape=[3, 2], dilations=[2, 3], pads=[2, 1, 2, 2])


@case
def conv_weights_are_inputs(rng):
    return conv(rng, 7, (2, 2, 3, 3), kernel_shape=[3, 3])._replace(weights_are_inputs=True)


def gemm(rng, opset, weight_shape, bias_shape, **attributes):
    weights = {"w": normal(rng, *weight_shape)}
    if bias_shape is not None:
        weights["b"] = normal(rng, *bias_shape)
    return Case(opset, [node("Gemm", " ".join(["x", *weights]), **attributes)], weights, (1, 8))


@case
def gemm_trans_b_0(rng):
    return gemm(rng, 7, (8, 5), (5,), transB=0)


@case
def gemm_trans_b_1(rng):
    return gemm(rng, 13, (5, 8), (5,), transB=1)._replace(batch="N")


@case
def gemm_alpha_beta(rng):
    return gemm(rng, 9, (5, 8), (1, 5), transB=1, alpha=0.5, beta=-2.0)


@case
def gemm_scalar_bias(rng):
    return gemm(rng, 11, (8, 5), (1,))


@case
def gemm_no_bias(rng):
    return gemm(rng, 11, (8, 5), None)


@case
def matmul_constant_right(rng):
    return Case(13, [node("MatMul", "x w")], {"w": normal(rng, 8, 5)}, (1, 8))


@case
def matmul_then_add(rng):
    nodes = [node("MatMul", "x w", "product"), node("Add", "product b")]
    return Case(9, nodes, {"w": normal(rng, 8, 5), "b": normal(rng, 5)}, (1, 8), batch="N")


def batch_norm_weights(rng, channels):
    return {
        "scale": (1.0 + normal(rng, channels)).astype(np.float32),
        "shift": normal(rng, channels),
        "mean": normal(rng, channels),
        "variance": rng.uniform(0.3, 2.0, channels).astype(np.float32),
    }


# Before opset 14 the reference evaluator updates the running statistics with those of the input, as in training.
INFERENCE_BATCH_NORM = 15


@case
def batch_norm_after_conv(rng):
    weights = {"w": normal(rng, 3, 2, 3, 3), **batch_norm_weights(rng, 3)}
    nodes = [
        node("Conv", "x w", "convolved", kernel_shape=[3, 3]),
        node("BatchNormalization", "convolved scale shift mean variance", epsilon=1e-3),
    ]
    return Case(9, nodes, weights, reference_opset=INFERENCE_BATCH_NORM)


@case
def batch_norm_alone(rng):
    return Case(15, [node("BatchNormalization", "x scale shift mean variance")], batch_norm_weights(rng, 2))


@case
def batch_norm_opset_7(rng):
    attributes = {"epsilon": 1e-5, "momentum": 0.9}
    nodes = [node("BatchNormalization", "x scale shift mean variance", **attributes)]
    return Case(7, nodes, batch_norm_weights(rng, 2), reference_opset=INFERENCE_BATCH_NORM)


@case
def batch_norm_after_gemm(rng):
    weights = {"w": normal(rng, 8, 4), **batch_norm_weights(rng, 4)}
    nodes = [node("Gemm", "x w", "dense"), node("BatchNormalization", "dense scale shift mean variance")]
    return Case(14, nodes, weights, (1, 8))


@case
def relu(rng):
    return Case(13, [node("Relu", "x")], {})


@case
def relu_twice(rng):
    return Case(7, [node("Relu", "x", "positive"), node("Relu", "positive")], {})


def pool(operator, opset, shape=IMAGE, **attributes):
    return Case(opset, [node(operator, "x", **attributes)], {}, shape)


@case
def max_pool_2x2(rng):
    return pool("MaxPool", 8, kernel_shape=[2, 2], strides=[2, 2])._replace(batch="N")


@case
def max_pool_default_stride(rng):
    return pool("MaxPool", 12, kernel_shape=[3, 2])


@case
def max_pool_3x3_stride_2(rng):
    return pool("MaxPool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


@case
def max_pool_negative_padded(rng):
    """Every value is below zero, so padding with zeros instead of minus infinity changes the result."""
    weights = {"below": np.array(-10.0, np.float32)}
    pooled = node("MaxPool", "lowered", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return Case(13, [node("Add", "x below", "lowered"), pooled], weights)


@case
def max_pool_ceil_mode(rng):
    return pool("MaxPool", 10, (1, 2, 7, 5), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)


@case
def max_pool_dilated(rng):
    return pool("MaxPool", 12, (1, 2, 7, 7), kernel_shape=[2, 2], strides=[1, 2], dilations=[3, 2])


@case
def max_pool_same_upper(rng):
    return pool("MaxPool", 8, (1, 2, 7, 6), kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER")


@case
def average_pool_2x2(rng):
    return pool("AveragePool", 7, kernel_shape=[2, 2], strides=[2, 2])


@case
def average_pool_pads_not_counted(rng):
    return pool("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=0)


@case
def average_pool_pads_counted(rng):
    return pool("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1)


@case
def average_pool_ceil_mode(rng):
    return pool("AveragePool", 10, (1, 2, 7, 5), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)


@case
def average_pool_same_lower(rng):
    return pool("AveragePool", 10, (1, 2, 7, 6), kernel_shape=[2, 3], strides=[2, 1], auto_pad="SAME_LOWER")


@case
def global_average_pool(rng):
    return pool("GlobalAveragePool", 7)


def arithmetic(opset, operator, inputs, constant, shape=IMAGE):
    return Case(opset, [node(operator, inputs)], {"c": constant}, shape)


@case
def add_scalar(rng):
    return arithmetic(13, "Add", "x c", np.array(0.75, np.float32))


@case
def add_per_channel(rng):
    return arithmetic(7, "Add", "x c", normal(rng, 2, 1, 1))


@case
def add_full_tensor(rng):
    return arithmetic(14, "Add", "c x", normal(rng, 1, 2, 6, 6))


@case
def sub_scalar(rng):
    return arithmetic(7, "Sub", "x c", np.array([0.5], np.float32))


@case
def sub_constant_left(rng):
    return arithmetic(13, "Sub", "c x", normal(rng, 1, 2, 1, 1))


@case
def mul_scalar(rng):
    return arithmetic(13, "Mul", "c x", np.array(-1.25, np.float32))


@case
def mul_per_channel(rng):
    return arithmetic(14, "Mul", "x c", normal(rng, 1, 2, 1, 1))


@case
def mul_per_column(rng):
    return arithmetic(7, "Mul", "x c", normal(rng, 6))


@case
def div_scalar(rng):
    return arithmetic(7, "Div", "x c", np.array(255.0, np.float32))


@case
def div_per_channel(rng):
    return arithmetic(13, "Div", "x c", rng.uniform(0.5, 2.0, (2, 1, 1)).astype(np.float32))


@case
def constant_nodes(rng):
    nodes = [
        constant("mean", normal(rng, 2, 1, 1)),
        constant("deviation", np.array(0.25, np.float32)),
        node("Sub", "x mean", "centred"),
        node("Div", "centred deviation"),
    ]
    return Case(9, nodes, {})


@case
def add_two_branches(rng):
    weights = {"w0": normal(rng, 3, 2, 3, 3), "w1": normal(rng, 3, 2, 1, 1)}
    nodes = [
        node("Conv", "x w0", "main", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", "x w1", "shortcut", kernel_shape=[1, 1], strides=[2, 2]),
        node("Add", "main shortcut"),
    ]
    return Case(13, nodes, weights)


@case
def add_identity_shortcut(rng):
    nodes = [node("Relu", "x", "positive"), node("Add", "positive x")]
    return Case(7, nodes, {})


@case
def flatten(rng):
    return Case(9, [node("Flatten", "x")], {}, batch="N")


@case
def flatten_then_gemm(rng):
    nodes = [node("Flatten", "x", "flat", axis=1), node("Gemm", "flat w", transB=1)]
    return Case(13, nodes, {"w": normal(rng, 4, 72)}, batch="N")


@case
def flatten_negative_axis(rng):
    return Case(11, [node("Flatten", "x", axis=-3)], {})


@case
def reshape_minus_one(rng):
    return Case(7, [node("Reshape", "x shape")], {"shape": integers(1, -1)})


@case
def reshape_zero(rng):
    return Case(13, [node("Reshape", "x shape")], {"shape": integers(0, 0, 4, -1)}, batch="N")


@case
def reshape_by_constant_node(rng):
    return Case(14, [constant("shape", integers(-1, 72)), node("Reshape", "x shape")], {}, batch="N")


@case
def squeeze_by_attribute(rng):
    nodes = [node("GlobalAveragePool", "x", "pooled"), node("Squeeze", "pooled", axes=[2, 3])]
    return Case(11, nodes, {})


@case
def squeeze_by_input(rng):
    nodes = [node("GlobalAveragePool", "x", "pooled"), node("Squeeze", "pooled axes")]
    return Case(13, nodes, {"axes": integers(-1, -2)})


@case
def unsqueeze_by_attribute(rng):
    return Case(11, [node("Unsqueeze", "x", axes=[1])], {}, (1, 6, 6))


@case
def unsqueeze_by_input(rng):
    nodes = [node("Unsqueeze", "x axes", "image"), node("Conv", "image w", kernel_shape=[3, 3])]
    return Case(13, nodes, {"axes": integers(1), "w": normal(rng, 2, 1, 3, 3)}, (1, 6, 6))


@case
def transpose(rng):
    return Case(13, [node("Transpose", "x", perm=[0, 2, 3, 1])], {}, (1, 2, 3, 4))


@case
def transpose_to_channels_first(rng):
    """The start of a network exported from a channels-last framework."""
    nodes = [node("Transpose", "x", "image", perm=[0, 3, 1, 2]), node("Conv", "image w", kernel_shape=[3, 3])]
    return Case(9, nodes, {"w": normal(rng, 3, 2, 3, 3)}, (1, 6, 6, 2))


@case
def identity(rng):
    return Case(13, [node("Identity", "x")], {})


@case
def identity_of_weight(rng):
    nodes = [node("Identity", "w", "same"), node("Gemm", "x same")]
    return Case(14, nodes, {"w": normal(rng, 8, 3)}, (1, 8))


@case
def dropout_by_attribute(rng):
    return Case(10, [node("Dropout", "x", ratio=0.4)], {})


@case
def dropout_by_input(rng):
    weights = {"ratio": np.array(0.4, np.float32), "training": np.array(False)}
    return Case(13, [node("Dropout", "x ratio training")], weights)


@case
def shape_chain(rng):
    """What PyTorch's exporter writes for x.view(x.size(0), -1)."""
    nodes = [
        node("Shape", "x", "sizes"),
        constant("zero", np.array(0, np.int64)),
        node("Gather", "sizes zero", "batch", axis=0),
        constant("rest", integers(-1)),
        node("Unsqueeze", "batch", "batch_axis", axes=[0]),
        node("Concat", "batch_axis rest", "target", axis=0),
        node("Reshape", "x target", "flat"),
        node("Gemm", "flat w", transB=1),
    ]
    return Case(11, nodes, {"w": normal(rng, 3, 72)}, batch="N")


@case
def shape_chain_fixed_batch(rng):
    nodes = [
        node("Shape", "x", "sizes"),
        node("Gather", "sizes zero", "batch", axis=0),
        node("Unsqueeze", "batch axes", "batch_axis"),
        node("Concat", "batch_axis channels rest", "target", axis=0),
        node("Reshape", "x target"),
    ]
    weights = {"zero": np.array(0, np.int64), "axes": integers(0), "channels": integers(2), "rest": integers(-1)}
    return Case(17, nodes, weights)


def classifier(rng, opset, final):
    weights = {"w": normal(rng, 8, 5), "b": normal(rng, 5)}
    return Case(opset, [node("Gemm", "x w b", "logits"), final], weights, (1, 8))


@case
def final_softmax(rng):
    return classifier(rng, 13, node("Softmax", "logits", axis=1))


@case
def final_softmax_default_axis(rng):
    return classifier(rng, 9, node("Softmax", "logits"))._replace(batch="N")


@case
def final_log_softmax(rng):
    return classifier(rng, 11, node("LogSoftmax", "logits", axis=1))


@case
def final_log_softmax_negative_axis(rng):
    return classifier(rng, 13, node("LogSoftmax", "logits", axis=-1))


@case
def final_arg_max(rng):
    final = node("ArgMax", "logits", axis=1, keepdims=0)
    return classifier(rng, 13, final)._replace(output_type=TensorProto.INT64)


@case
def final_arg_max_keep_dims(rng):
    return classifier(rng, 11, node("ArgMax", "logits", axis=-1))._replace(output_type=TensorProto.INT64)


def constant(name, array):
    return helper.make_node("Constant", [], [name], name=f"constant_{name}", value=numpy_helper.from_array(array))


def main():
    for name, function in CASES.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        one_case = function(rng)
        x = rng.normal(0.0, 1.0, one_case.shape).astype(np.float32)
        y = expected_output(name, one_case, x)
        folder = files.TESTDATA / "ops" / name
        files.write_model(folder / "model.onnx", build(name, one_case, y.shape))
        files.write_array(folder / "input.npy", x)
        files.write_array(folder / "output.npy", y)
    print(f"ops: {len(CASES)} cases")


def expected_output(name, one_case, x):
    """The reference evaluator's float64 result, which onnxruntime's float32 result must confirm."""
    readable = one_case._replace(opset=one_case.reference_opset or one_case.opset)
    wide = ReferenceEvaluator(in_float64(build(name, readable, None))).run(None, {INPUT: x.astype(np.float64)})[0]
    content = build(name, one_case, wide.shape).SerializeToString()
    narrow = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {INPUT: x})[0]
    if wide.shape != narrow.shape or not np.allclose(wide, narrow, TOLERANCE, TOLERANCE):
        raise ValueError(f"{name}: the two reference evaluators disagree: {wide.shape} {wide} {narrow.shape} {narrow}")
    return wide.astype(narrow.dtype)


def build(name, one_case, output_shape):
    input_shape = [one_case.batch or one_case.shape[0], *one_case.shape[1:]]
    if one_case.batch and output_shape:
        output_shape = [one_case.batch, *output_shape[1:]]
    inputs = [files.value(INPUT, input_shape)]
    if one_case.weights_are_inputs:
        inputs += [files.value(key, array.shape) for key, array in one_case.weights.items()]
    outputs = [files.value(OUTPUT, output_shape, one_case.output_type)]
    onnx_model = files.model(name, one_case.opset, one_case.nodes, inputs, outputs, one_case.weights)
    if one_case.weights_are_inputs:
        onnx_model.ir_version = 3
    return onnx_model


def in_float64(onnx_model):
    """The same model with every float32 weight, Constant, input and output in float64."""
    wide = onnx.ModelProto()
    wide.CopyFrom(onnx_model)
    tensors = list(wide.graph.initializer)
    tensors += [attribute.t for node_ in wide.graph.node for attribute in node_.attribute if attribute.HasField("t")]
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for info in [*wide.graph.input, *wide.graph.output]:
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    return wide


main()
