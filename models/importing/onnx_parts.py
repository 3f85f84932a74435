"""The nodes that are put before and behind an ONNX graph so that it takes and answers what Pixfield's models do."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from models.importing.ends import End
from models.importing.scalings import Scaling

LARGEST_FILE = 1_500_000_000  # bytes; protobuf ends at two gigabytes
_FLOAT = 1
_PREFIX = "pixfield_"
_OURS = ("pixels", "probabilities", "embedding", "map", "output")


class Parts:
    """Adds to `proto`; every name it makes begins with "pixfield_", except those of the input and the outputs."""

    def __init__(self, proto: Any, *, is_batch_fixed: bool) -> None:
        self.proto = proto
        self._batch: int | str = 1 if is_batch_fixed else "N"
        self._number = 0

    def add_head(self, entry: str, shape: tuple[int, int, int], *, kind: int, scaling: Scaling | None,
                 is_channels_first: bool) -> None:
        """float32 "pixels" (N, S, S, C) -> scaled, turned, transposed and cast -> `entry`."""
        import onnx

        before = len(self.proto.graph.node)
        self.proto.graph.input.insert(0, onnx.helper.make_tensor_value_info("pixels", _FLOAT, [self._batch, *shape]))
        name = "pixels"
        if scaling is not None and set(scaling.factors) != {1.0}:
            name = self._node("Mul", [name, self._constant(np.array(scaling.factors, np.float32))])
        if scaling is not None and set(scaling.offsets) != {0.0}:
            name = self._node("Add", [name, self._constant(np.array(scaling.offsets, np.float32))])
        if scaling is not None and scaling.is_bgr:
            name = self._node("Gather", [name, self._constant(np.array([2, 1, 0], np.int64))], axis=3)
        if is_channels_first:
            name = self._node("Transpose", [name], perm=[0, 3, 1, 2])
        self._node("Cast", [name], out=entry, to=kind)
        added = list(self.proto.graph.node)[before:]
        kept = list(self.proto.graph.node)[:before]
        del self.proto.graph.node[:]
        self.proto.graph.node.extend([*added, *kept])

    def add_row(self, out: str, name: str, width: int) -> None:
        """`name` as float32 (N, width) under the output `out`."""
        flat = self._node("Flatten", [self._cast(name)], axis=1)
        self._node("Identity", [flat], out=out)
        self._output(out, (width,))

    def add_probabilities(self, name: str, classes: int, end: End) -> None:
        """What `models.importing.ends.finished` computes."""
        row = self._node("Flatten", [self._cast(name)], axis=1)
        if end is End.SCORES:
            row = self._node("Softmax", [row], axis=1)
        elif end.is_single:
            row = self._node("Sigmoid", [row]) if end is End.SCORE else row
            rest = self._node("Sub", [self._constant(np.float32(1)), row])
            row = self._node("Concat", [rest, row], axis=1)
        self._node("Identity", [row], out="probabilities")
        self._output("probabilities", (2 if end.is_single else classes,))

    def add_embedding(self, name: str, shape: tuple[int, ...]) -> None:
        """The classifier's input; the average over places where it still has them."""
        name = self._cast(name)
        if len(shape) == 4 and int(np.prod(shape[2:])) > 1:
            name, shape = self._node("GlobalAveragePool", [name]), (*shape[:2], 1, 1)
        self.add_row("embedding", name, int(np.prod(shape[1:])))

    def add_map(self, name: str, shape: tuple[int, ...], *, is_channels_first: bool) -> None:
        """(N, h, w, K)."""
        name = self._cast(name)
        if is_channels_first:
            name, shape = self._node("Transpose", [name], perm=[0, 2, 3, 1]), (shape[0], *shape[2:], shape[1])
        self._node("Identity", [name], out="map")
        self._output("map", shape[1:])

    def _cast(self, name: str) -> str:
        return self._node("Cast", [name], to=_FLOAT)

    def _node(self, operator: str, inputs: list[str], *, out: str | None = None, **attributes: Any) -> str:
        import onnx

        self._number += 1
        out = out or f"{_PREFIX}{self._number}"
        node = onnx.helper.make_node(operator, inputs, [out], name=f"{_PREFIX}node_{self._number}", **attributes)
        self.proto.graph.node.append(node)
        return out

    def _constant(self, value: Any) -> str:
        import onnx

        self._number += 1
        name = f"{_PREFIX}constant_{self._number}"
        self.proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _output(self, name: str, shape: tuple[int, ...]) -> None:
        import onnx

        self.proto.graph.output.append(onnx.helper.make_tensor_value_info(name, _FLOAT, [self._batch, *shape]))


def with_other_names(proto: Any) -> Any:
    """A copy in which no tensor is called as ours are."""
    changed = copy.deepcopy(proto)
    _rename(changed.graph)
    return changed


def _rename(graph: Any) -> None:
    def other(name: str) -> str:
        return f"network_{name}" if name in _OURS or name.startswith(_PREFIX) else name

    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = other(value.name)
    for node in graph.node:
        node.input[:] = [other(name) for name in node.input]
        node.output[:] = [other(name) for name in node.output]
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                _rename(inner)


def save(proto: Any, path: Path) -> None:
    """One file, or `path` and `path`.data where protobuf could not hold it."""
    import onnx

    is_large = proto.ByteSize() > LARGEST_FILE
    onnx.save(proto, path, save_as_external_data=is_large, location=f"{path.name}.data")
