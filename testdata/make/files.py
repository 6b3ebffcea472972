"""Writes ONNX models and tensors so that the same content always has the same bytes."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TESTDATA = Path(__file__).resolve().parent.parent

# The first opset that goes with each IR version; older runtimes refuse a newer IR version. Version 3, opsets 7 and 8,
# demanded that every initializer is also a graph input, which exporters soon gave up: 4 is the oldest used.
IR_VERSION_OF_OPSET = ((15, 8), (13, 7), (11, 6), (10, 5), (7, 4))


def value(name, shape, element_type=TensorProto.FLOAT):
    """A graph input or output; a string in `shape` is a symbolic axis."""
    return helper.make_tensor_value_info(name, element_type, shape)


def initializer(name, array):
    return numpy_helper.from_array(array.copy(order="C"), name)


def model(name, opset, nodes, inputs, outputs, weights):
    """A model of one graph; `weights` maps initializer names to arrays."""
    graph = helper.make_graph(
        nodes, name, inputs, outputs, [initializer(key, array) for key, array in weights.items()]
    )
    ir_version = next(ir for first, ir in IR_VERSION_OF_OPSET if opset >= first)
    return helper.make_model(
        graph,
        ir_version=ir_version,
        opset_imports=[helper.make_opsetid("", opset)],
        producer_name="paf-testdata",
    )


def write_model(path, onnx_model):
    """Checks the model with ONNX's own checker and shape inference, then writes it."""
    onnx.checker.check_model(onnx_model, full_check=True)
    write_unchecked_model(path, onnx_model)


def write_unchecked_model(path, onnx_model):
    write_bytes(path, onnx_model.SerializeToString(deterministic=True))


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_array(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array.copy(order="C"), allow_pickle=False)
