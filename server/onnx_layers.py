"""Looking into an ONNX file: its layers by the names Keras gave them, its filters, and the maps of any layer.

ONNX Runtime computes what a file lists as outputs. So the maps of a layer come from a second session over the same
bytes with one output more, made when somebody asks and kept for the layers asked for last. No version needs files of
its own for this, so those made before can be looked into as well.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.onnx_graph import Node, OnnxGraph, read_graph, with_outputs
from server.layers import Filters, named, target_of

Open = Callable[[bytes], Any]
"""The bytes of an ONNX file -> a session of ONNX Runtime."""

_FIRST, _LAST = "channels first", "channels last"
_TURNS: dict[tuple[int, ...], str] = {(0, 3, 1, 2): _FIRST, (0, 2, 3, 1): _LAST}
_MAKES_FIRST = frozenset({"Conv", "MaxPool", "AveragePool", "BatchNormalization", "LRN"})
_NO_LAYER = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Pad", "Shape", "MatMul",
                       "Gemm", "Softmax", "GlobalAveragePool", "ReduceMean"})
"""What only moves numbers, or leaves no map."""
_COPY = re.compile(r"_[0-9]+$")
"""What Keras's exporter adds to the names of the network it copies and of its layers: mostly _1, but another number
where a layer is called that already."""


class OnnxLayers:
    """One version's file; safe for many threads. `open_session` makes a session as the engine has one."""

    def __init__(self, path: Path, open_session: Open, *, input_name: str) -> None:
        self._path, self._open, self._input = path, open_session, input_name
        graph = read_graph(path.read_bytes())
        self._layouts = _layouts(graph, input_name)
        self._names = named(_layers(graph, self._layouts))
        self._filters = _filters(graph)
        self._lock = threading.Lock()
        self._opened: tuple[str, Any] | None = None

    def filters(self) -> Filters | None:
        """See `SeeingEngine.filters`."""
        return self._filters

    def layers(self) -> tuple[str, ...]:
        """See `SeeingEngine.layers`."""
        return tuple(self._names)

    def maps(self, inputs: NDArray[np.float32], layer: str) -> NDArray[np.float32]:
        """The maps of `layer`, float32 (N, h, w, K), for what the network takes."""
        tensor = target_of(self._names, layer)
        with self._lock:  # one at a time: the session of the layer asked for last is all that is kept
            if self._opened is None or self._opened[0] != tensor:
                self._opened = None  # before the next is made: two would be in memory
                self._opened = tensor, self._open(with_outputs(self._path.read_bytes(), [tensor]))
            (maps,) = self._opened[1].run([tensor], {self._input: inputs})
        return np.ascontiguousarray(maps.transpose(0, 2, 3, 1)) if self._layouts[tensor] == _FIRST else maps


def _layouts(graph: OnnxGraph, input_name: str) -> dict[str, str]:
    """Tensor -> where its channels stand: convolutions say it, transposing changes it, everything else keeps it."""
    layouts = {input_name: _LAST}
    for node in graph.nodes:
        known = [layouts[name] for name in node.inputs if name in layouts]
        layout = _FIRST if node.op in _MAKES_FIRST else _TURNS.get(node.perm) or (known[0] if known else None)
        if layout is not None:
            layouts.update(dict.fromkeys(node.outputs, layout))
    return layouts


def _layers(graph: OnnxGraph, layouts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(layer, tensor) of every step from the first convolution to the pooling that ends the maps."""
    has_begun = False
    for node in graph.nodes:
        if node.op == "Conv":
            has_begun = True
        if node.op in ("GlobalAveragePool", "ReduceMean", "Flatten") and _ends_maps(node, graph.nodes):
            return
        if has_begun and node.op not in _NO_LAYER and node.outputs[0] in layouts:
            yield _layer_name(node), node.outputs[0]


def _ends_maps(node: Node, nodes: Sequence[Node]) -> bool:
    """Whether no convolution comes after it: squeeze-and-excitation pools in the middle of a network."""
    return not any(later.op == "Conv" for later in nodes[nodes.index(node):])


def _layer_name(node: Node) -> str:
    """The Keras layer whose output a step has: the second part of its name, or of its last weights' name.

    A convolution with batch normalisation folded in has that one's name: its output is that one's, and its bias shows
    where it comes from. So a name means the same maps in both engines.
    """
    weights = node.inputs[1:] if node.op == "Conv" else ()
    return next(filter(None, map(_part_of, (node.name, *reversed(weights)))), node.name or node.outputs[0])


def _part_of(text: str) -> str:
    parts = text.split("/")
    if len(parts) <= 2:
        return ""
    return _COPY.sub("", parts[1]) if _COPY.search(parts[0]) else parts[1]


def _filters(graph: OnnxGraph) -> Filters | None:
    """The weights of the first convolution, (F, C, h, w) in the file."""
    first = next((node for node in graph.nodes if node.op == "Conv"), None)
    if first is None or first.inputs[1] not in graph.weights:
        return None
    return Filters(next(iter(named([(_part_of(first.inputs[1]) or first.name, "")]))),
                   np.ascontiguousarray(graph.weights[first.inputs[1]].transpose(0, 2, 3, 1)))
