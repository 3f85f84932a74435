"""Names and weights in an ONNX file, for serving, which does not install the `onnx` package.

The bytes of a file enter; its nodes and weights leave, or the same file with more of its tensors as outputs. Protocol
Buffers, which ONNX Runtime brings, read it; only the fields that are needed here are described, by their numbers in
onnx.proto (github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import DamagedModelError

_FLOAT = 1  # TensorProto.DataType
_FIELDS = {
    "Model": (("graph", 7, "Graph", False),),
    "Graph": (("node", 1, "Node", True), ("initializer", 5, "Tensor", True), ("output", 12, "Value", True)),
    "Node": (("input", 1, "string", True), ("output", 2, "string", True), ("name", 3, "string", False),
             ("op_type", 4, "string", False), ("attribute", 5, "Attribute", True)),
    "Attribute": (("name", 1, "string", False), ("ints", 8, "int64", True)),
    "Tensor": (("dims", 1, "int64", True), ("data_type", 2, "int32", False), ("float_data", 4, "float", True),
               ("name", 8, "string", False), ("raw_data", 9, "bytes", False)),
    "Value": (("name", 1, "string", False),),
}
"""Message -> its fields: name, number, type, whether there may be many."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the network; `perm` is a Transpose's order of axes, empty for everything else."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    perm: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class OnnxGraph:
    """Nodes in the order they are computed, and the float32 weights by name."""

    nodes: tuple[Node, ...]
    weights: dict[str, NDArray[np.float32]]


def read_graph(data: bytes) -> OnnxGraph:
    """The network in the bytes of an ONNX file.

    Raises:
        DamagedModelError: they are none, or a weight has not the size it claims.
    """
    model = _messages()["Model"]()
    try:
        model.ParseFromString(data)
        return OnnxGraph(tuple(map(_node, model.graph.node)), dict(_weights(model.graph.initializer)))
    except Exception as exc:  # protobuf's DecodeError, and NumPy's ValueError for sizes that do not fit
        raise DamagedModelError(f"model.onnx cannot be read ({exc}): copy the version again") from exc


def with_outputs(data: bytes, names: Iterable[str]) -> bytes:
    """The same file with the tensors `names` as further outputs, whose shapes ONNX Runtime infers.

    Two messages one behind the other are, by Protocol Buffers' own rule, one message with the fields of both: the file
    is neither read nor rewritten.
    """
    kinds = _messages()
    more = kinds["Model"](graph=kinds["Graph"](output=[kinds["Value"](name=name) for name in names]))
    return data + bytes(more.SerializeToString())


def _node(node: Any) -> Node:
    perm = next((tuple(entry.ints) for entry in node.attribute if entry.name == "perm"), ())
    return Node(node.op_type, node.name, tuple(node.input), tuple(node.output), perm)


def _weights(tensors: Iterable[Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for tensor in tensors:
        if tensor.data_type == _FLOAT:
            values = np.frombuffer(tensor.raw_data, "<f4") if tensor.raw_data else np.array(tensor.float_data, "<f4")
            yield tensor.name, values.reshape(tuple(tensor.dims)).astype(np.float32, copy=False)


def _messages() -> dict[str, Any]:
    """Message name -> its class, in a pool of its own: the `onnx` package may have loaded the real ones."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    scalar = descriptor_pb2.FieldDescriptorProto
    kinds = {"string": scalar.TYPE_STRING, "bytes": scalar.TYPE_BYTES, "int64": scalar.TYPE_INT64,
             "int32": scalar.TYPE_INT32, "float": scalar.TYPE_FLOAT}
    file = descriptor_pb2.FileDescriptorProto(name="pixfield_onnx.proto", package="pixfield_onnx", syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, is_many in fields:
            row = message.field.add(name=field, number=number,
                                    label=scalar.LABEL_REPEATED if is_many else scalar.LABEL_OPTIONAL)
            if kind in kinds:
                row.type = kinds[kind]
            else:
                row.type, row.type_name = scalar.TYPE_MESSAGE, f".pixfield_onnx.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"pixfield_onnx.{name}"))
            for name in _FIELDS}
