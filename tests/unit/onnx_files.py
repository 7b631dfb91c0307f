"""Small ONNX files whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Nodes = list[onnx.NodeProto]


def write(
    path: Path,
    shape: list[int | str],
    nodes: Nodes,
    outputs: dict[str, list[int | str]],
    constants: dict[str, np.ndarray],
    kind: int = TensorProto.FLOAT,
) -> Path:
    """A file with the input `input` and these outputs."""
    graph = helper.make_graph(
        nodes,
        "known",
        [helper.make_tensor_value_info("input", kind, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, of)
            for name, of in outputs.items()
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def constant_detector(
    path: Path, side: tuple[int, int], raw: np.ndarray, first_channel: np.ndarray | None = None
) -> Path:
    """Says `raw` [1, ...] of every picture, plus `first_channel` times the mean of the picture's
    first channel.
    """
    nodes = [
        helper.make_node("Gather", ["input", "zero"], ["first"], axis=1),
        helper.make_node("ReduceMean", ["first"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "share"], ["seen"]),
        helper.make_node("Add", ["raw", "seen"], ["output"]),
    ]
    share = np.zeros(raw.shape) if first_channel is None else first_channel
    constants = {
        "zero": np.array(0, np.int64),
        "raw": raw.astype(np.float32),
        "share": share.astype(np.float32),
    }
    return write(path, [1, 3, *side], nodes, {"output": list(raw.shape)}, constants)


def brightest_detector(path: Path, side: tuple[int, int], size: float, cells: int) -> Path:
    """YOLOv8's form, two classes: in the first cell a person of 0.9, `size` x `size` around the
    brightest pixel, nothing in the others.
    """
    height, width = side
    nodes: Nodes = []
    for axis, others in (("x", [0, 1, 2]), ("y", [0, 1, 3])):
        nodes += [
            helper.make_node("ReduceMax", ["input"], [f"{axis}_profile"], axes=others, keepdims=0),
            helper.make_node("ArgMax", [f"{axis}_profile"], [f"{axis}_index"], axis=0, keepdims=1),
            helper.make_node("Cast", [f"{axis}_index"], [f"{axis}_pixel"], to=TensorProto.FLOAT),
            helper.make_node("Add", [f"{axis}_pixel", "half"], [axis]),
        ]
    nodes += [
        helper.make_node("Concat", ["x", "y", "rest"], ["column"], axis=0),
        helper.make_node("Reshape", ["column", "upright"], ["first"]),
        helper.make_node("Concat", ["first", "others"], ["output"], axis=2),
    ]
    constants = {
        "half": np.array([0.5], np.float32),
        "rest": np.array([size, size, 0.9, 0.1], np.float32),
        "upright": np.array([1, 6, 1], np.int64),
        "others": np.zeros((1, 6, cells - 1), np.float32),
    }
    return write(path, [1, 3, height, width], nodes, {"output": [1, 6, cells]}, constants)


def brightest_pose(
    path: Path, height: int = 256, width: int = 192, joints: int = 17, batch: int | str = "n"
) -> Path:
    """RTMPose's form: every joint at the brightest pixel; a head's peak is that pixel's red + green
    + blue, standardised, over 10.
    """
    nodes = [
        helper.make_node("ReduceSum", ["input", "channels"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "tenth"], ["grey"]),
    ]
    for axis, other in (("x", 1), ("y", 2)):
        nodes += [
            # [n, side]
            helper.make_node("ReduceMax", ["grey"], [f"{axis}_profile"], axes=[other], keepdims=0),
            helper.make_node("Unsqueeze", [f"{axis}_profile", "last"], [f"{axis}_column"]),
            helper.make_node(
                "Concat", [f"{axis}_column", f"{axis}_column"], [f"{axis}_twice"], axis=2
            ),
            # [n, 1, 2 x side]
            helper.make_node("Reshape", [f"{axis}_twice", "flat"], [f"{axis}_bins"]),
            helper.make_node("Expand", [f"{axis}_bins", "joints"], [f"simcc_{axis}"]),
        ]
    constants = {
        "channels": np.array([1], np.int64),
        "tenth": np.array([0.1], np.float32),
        "last": np.array([2], np.int64),
        "flat": np.array([0, 1, -1], np.int64),
        "joints": np.array([1, joints, 1], np.int64),
    }
    outputs: dict[str, list[int | str]] = {
        "simcc_x": [batch, joints, 2 * width],
        "simcc_y": [batch, joints, 2 * height],
    }
    return write(path, [batch, 3, height, width], nodes, outputs, constants)


def constant_movenet(path: Path, found: np.ndarray, side: int = 192) -> Path:
    """MoveNet's form: says `found` [1, 1, 17, 3] of every picture."""
    nodes = [
        helper.make_node("Cast", ["input"], ["picture"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["found", "nothing"], ["output"]),
    ]
    constants = {"zero": np.float32(0).reshape(()), "found": found.astype(np.float32)}
    return write(
        path, [1, side, side, 3], nodes, {"output": list(found.shape)}, constants, TensorProto.INT32
    )
