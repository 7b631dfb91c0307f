"""Small .tflite files whose answer is known, written without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

KINDS = {
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}


class _Graph:
    """Tensors and operators of one model."""

    def __init__(self) -> None:
        empty = schema.BufferT()
        empty.data = np.zeros(0, np.uint8)
        self.buffers: list[Any] = [empty]
        self.tensors: list[Any] = []
        self.codes: list[Any] = []
        self.operators: list[Any] = []

    def tensor(self, shape: tuple[int, ...], kind: int, values: np.ndarray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = list(shape), kind, f"t{len(self.tensors)}"
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, values: np.ndarray) -> int:
        kind = schema.TensorType.INT32 if values.dtype == np.int32 else KINDS[values.dtype]
        return self.tensor(values.shape, kind, values)

    def add(self, code: int, inputs: list[int], shape: tuple[int, ...], options: Any) -> int:
        operator, known = schema.OperatorT(), schema.OperatorCodeT()
        known.builtinCode = known.deprecatedBuiltinCode = code
        known.version = 1
        self.codes.append(known)
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs = inputs
        operator.outputs = [self.tensor(shape, schema.TensorType.FLOAT32)]
        operator.builtinOptionsType = getattr(
            schema.BuiltinOptions, type(options).__name__.removesuffix("T")
        )
        operator.builtinOptions = options
        self.operators.append(operator)
        return int(operator.outputs[0])

    def write(self, path: Path, inputs: list[int], outputs: list[int]) -> Path:
        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = inputs, outputs
        model.version, model.subgraphs = 3, [graph]
        model.operatorCodes, model.buffers = self.codes, self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(builder.Output()))
        return path


def known_model(
    path: Path,
    side: int,
    kind: type,
    outputs: list[np.ndarray],
    of_mean: list[np.ndarray] | None = None,
) -> Path:
    """Says `outputs` of every picture [1, side, side, 3], plus `of_mean` times the mean of all its
    numbers.
    """
    graph = _Graph()
    taken = graph.tensor((1, side, side, 3), KINDS[np.dtype(kind)])
    seen = taken
    if kind is np.uint8:
        seen = graph.add(
            schema.BuiltinOperator.CAST, [taken], (1, side, side, 3), schema.CastOptionsT()
        )
    axes = graph.constant(np.array([0, 1, 2, 3], np.int32))
    mean = graph.add(schema.BuiltinOperator.MEAN, [seen, axes], (), schema.ReducerOptionsT())
    given = []
    for values, share in zip(outputs, of_mean or [0 * one for one in outputs], strict=True):
        times = graph.constant(share.astype(np.float32))
        part = graph.add(
            schema.BuiltinOperator.MUL, [times, mean], values.shape, schema.MulOptionsT()
        )
        own = graph.constant(values.astype(np.float32))
        given.append(
            graph.add(schema.BuiltinOperator.ADD, [own, part], values.shape, schema.AddOptionsT())
        )
    return graph.write(path, [taken], given)
