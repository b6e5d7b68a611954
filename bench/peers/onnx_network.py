"""The network as an ONNX graph of fixed batch and size, for ONNX Runtime and OpenVINO. Batch norm is left to their own folding."""

import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

BLOCKS = 4
EPSILON = 1e-5


def build(header, tensors, n, height, width):
    """The serialised model: input "pixels" [n][3][height][width] float, normalised; output "logits" [n]."""
    nodes, initializers = [], []

    def constant(name, value):
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    h, w = height // 2 * 2, width // 2 * 2
    x = node("Slice", ["pixels", constant("zero2", np.int64([0, 0])), constant("even", np.int64([h, w])), constant("axes", np.int64([2, 3]))], "evened") \
        if (h, w) != (height, width) else "pixels"
    down = node("Slice", [x, constant("from", np.int64([0, 0])), constant("to", np.int64([h, w])), constant("hw", np.int64([2, 3])),
                          constant("step", np.int64([2, 2]))], "down")
    up = node("Resize", [down, "", constant("scales", np.float32([1, 1, 2, 2]))], "up", mode="nearest",
              coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = node("Abs", [node("Sub", [x, up], "difference")], "residual")
    for block in range(1, BLOCKS + 1):
        conv = [constant(f"block{block}.{p}", tensors[f"block{block}.conv.{p}"]) for p in ("weight", "bias")]
        norm = [constant(f"block{block}.{p}", tensors[f"block{block}.norm.{p}"]) for p in ("scale", "shift", "running_mean", "running_var")]
        x = node("Conv", [x, *conv], f"conv{block}", kernel_shape=[2, 2])
        x = node("BatchNormalization", [x, *norm], f"norm{block}", epsilon=EPSILON)
        x = node("Relu", [x], f"relu{block}")
        if block < BLOCKS:
            x = node("MaxPool", [x], f"pool{block}", kernel_shape=[2, 2], strides=[2, 2])
    x = node("Conv", [x, constant("projection", tensors["projection.weight"])], "maps", kernel_shape=[1, 1])
    x = node("Reshape", [x, constant("flat_maps", np.int64([n, 64, -1]))], "channels")
    nodes.append(helper.make_node("TopK", [x, constant("k", np.int64([header["architecture"]["k"]]))], ["values", "indices"], axis=2))
    x = node("Reshape", ["values", constant("flat_features", np.int64([n, -1]))], "features")
    x = node("Gemm", [x, constant("head.weight", tensors["head.weight"]), constant("head.bias", tensors["head.bias"])], "logit", transB=1)
    node("Reshape", [x, constant("flat_logits", np.int64([n]))], "logits")
    graph = helper.make_graph(
        nodes, "lfm",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [n, 3, height, width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [n])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()


if __name__ == "__main__":  # MODEL.lfmw OUTPUT.onnx: batch 1 at 256 x 256
    from weights import read_model

    with open(sys.argv[2], "wb") as file:
        file.write(build(*read_model(sys.argv[1]), 1, 256, 256))
