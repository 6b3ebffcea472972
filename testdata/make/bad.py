"""Writes bad/*.onnx: what the compiler must refuse with an error that names the cause. No case depends on training."""

import reproducible  # noqa: F401  (before NumPy)

import numpy as np
from onnx import TensorProto, helper

import files

BAD = files.TESTDATA / "bad"
IMAGE = ["N", 1, 6, 6]
CLASSES = ["N", 3]


def main():
    files.write_bytes(BAD / "not_onnx.onnx", b"This is a text file with the name of a model.\n")
    files.write_bytes(BAD / "empty.onnx", b"")
    whole = classifier("truncated", weights()).SerializeToString(deterministic=True)
    files.write_bytes(BAD / "truncated.onnx", whole[: len(whole) // 2])
    for name, broken in (("nan_weights", np.nan), ("inf_weights", np.inf)):
        files.write_model(BAD / f"{name}.onnx", classifier(name, with_broken_weight(broken)))
    for make in (unsupported_ops, dynamic_shape, text_input, softmax_in_the_middle, control_flow):
        files.write_model(BAD / f"{make.__name__}.onnx", make())
    files.write_unchecked_model(BAD / "gemm_shape_mismatch.onnx", gemm_shape_mismatch())


def weights():
    rng = np.random.default_rng(7)
    shapes = {"conv.weight": (2, 1, 3, 3), "gemm.weight": (3, 32), "gemm.bias": (3,)}
    return {name: rng.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def with_broken_weight(broken):
    """One element of the convolution's weight is not finite."""
    changed = weights()
    changed["conv.weight"][1, 0, 2, 0] = broken
    return changed


def classifier(name, tensors):
    """Conv, Relu, Flatten and Gemm: good, but for what `tensors` holds."""
    nodes = [node("Conv", "conv", "image conv.weight", "convolved"), *head("convolved")]
    return model(name, nodes, tensors)


def head(source):
    return [
        node("Relu", "relu", source, "positive"),
        node("Flatten", "flatten", "positive", "flat"),
        node("Gemm", "gemm", "flat gemm.weight gemm.bias", "scores", transB=1),
    ]


def unsupported_ops():
    """Two nodes that no circuit can hold, each with a name that the one report must give."""
    nodes = [
        node("Conv", "conv", "image conv.weight", "convolved"),
        node("Tan", "tangents", "convolved", "waves"),
        node("Relu", "relu", "waves", "positive"),
        node("Einsum", "channel_sums", "positive", "sums", equation="nchw->nc"),
        node("RandomNormalLike", "noise", "sums", "noises"),
        node("TopK", "two_best", "noises count", "scores places", axis=1),
    ]
    tensors = {"conv.weight": weights()["conv.weight"], "count": np.array([2], np.int64)}
    return model("unsupported_ops", nodes, tensors, output=["N", 2])


def dynamic_shape():
    """Height and width are symbolic; global pooling makes the model valid for any of them."""
    nodes = [
        node("Conv", "conv", "image conv.weight", "convolved"),
        node("Relu", "relu", "convolved", "positive"),
        node("GlobalAveragePool", "average", "positive", "pooled"),
        node("Flatten", "flatten", "pooled", "scores"),
    ]
    tensors = {"conv.weight": weights()["conv.weight"]}
    return model("dynamic_shape", nodes, tensors, image=["N", 1, "H", "W"], output=["N", 2])


def text_input():
    """Every node has a supported operator, but the tensors hold strings."""
    nodes = [node("Flatten", "flatten", "image", "scores")]
    return model("text_input", nodes, {}, output=["N", 36], element_type=TensorProto.STRING)


def softmax_in_the_middle():
    nodes = [
        node("Conv", "conv", "image conv.weight", "convolved"),
        node("Softmax", "channel_attention", "convolved", "attention", axis=1),
        *head("attention"),
    ]
    return model("softmax_in_the_middle", nodes, weights())


def control_flow():
    """An If node named `brighter` whose branch depends on the image."""
    bright = branch("bright", "Relu")
    dark = branch("dark", "Identity")
    nodes = [
        node("Conv", "conv", "image conv.weight", "convolved"),
        node("ReduceSum", "total", "convolved", "sum", keepdims=0),
        node("Greater", "compare", "sum zero", "is_bright"),
        node("If", "brighter", "is_bright", "chosen", then_branch=bright, else_branch=dark),
        *head("chosen"),
    ]
    return model("control_flow", nodes, {**weights(), "zero": np.array(0.0, np.float32)})


def branch(name, operator):
    output = files.value(f"{name}_output", ["N", 2, 4, 4])
    return helper.make_graph([node(operator, name, "convolved", f"{name}_output")], name, [], [output])


def gemm_shape_mismatch():
    """The Gemm's weight takes 31 features and gets 32."""
    tensors = weights()
    tensors["gemm.weight"] = tensors["gemm.weight"][:, :31]
    return classifier("gemm_shape_mismatch", tensors)


def node(operator, name, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), name=name, **attributes)


def model(name, nodes, tensors, image=IMAGE, output=CLASSES, element_type=TensorProto.FLOAT):
    inputs = [files.value("image", image, element_type)]
    return files.model(name, 13, nodes, inputs, [files.value("scores", output, element_type)], tensors)


main()
