"""An ONNX graph with one picture as its input: how it ends, and the same graph with Pixfield's input and outputs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.importing.ends import End
from models.importing.keras_file import shown
from models.importing.onnx_batch import free_batch
from models.importing.onnx_parts import Parts, with_other_names
from models.importing.onnx_session import open_session
from models.importing.scalings import Scaling

_BATCH = 16  # pictures at once: bounded memory for large networks
_MIXING = ("Gemm", "MatMul", "Conv", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "FusedMatMul",
           "FusedGemm", "FusedConv", "QGemm")
_PASSING = ("Softmax", "LogSoftmax", "Sigmoid", "Add", "Mul", "Sub", "Div", "Reshape", "Flatten", "Squeeze", "Identity",
            "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear", "Unsqueeze", "QLinearAdd", "QLinearSoftmax",
            "QLinearSigmoid", "GlobalAveragePool", "ReduceMean", "Relu", "Transpose")
"""Between the last mixing and the end: bias, activation, reshaping."""
_RESHAPING = ("Reshape", "Flatten", "Squeeze", "Identity", "Dropout", "Cast", "DequantizeLinear", "QuantizeLinear")
_FLOATS = (1, 10, 11, 16)  # FLOAT, FLOAT16, DOUBLE, BFLOAT16 of onnx.TensorProto
_LARGE = 50.0  # 127.5 and 255 and ImageNet's mean of 0..255 lie above, its deviation and its mean of 0..1 below
_ACTIVATIONS = {"Softmax": "softmax", "QLinearSoftmax": "softmax", "Sigmoid": "sigmoid", "QLinearSigmoid": "sigmoid",
                "LogSoftmax": "linear", "Add": "linear", **dict.fromkeys(_MIXING, "linear")}


@dataclass(frozen=True, slots=True)
class _Entry:
    """The picture's input: its name, ONNX element type, and whether channels come first."""

    name: str
    kind: int
    is_channels_first: bool
    size: int
    channels: int

    def picture(self) -> tuple[int, ...]:
        """The shape of one picture as the graph wants it."""
        sides = (self.size, self.size)
        return (self.channels, *sides) if self.is_channels_first else (*sides, self.channels)


class OnnxNetwork:
    """As `models.importing.keras_network.KerasNetwork`, for ONNX Runtime."""

    is_keras = False
    names: tuple[str, ...] = ()

    def __init__(self, proto: Any, *, size: int | None, labels: int) -> None:
        """Raises ModelError: it takes something else than a picture, or answers with something else than classes."""
        proto = with_other_names(proto)
        self._entry = _entry(proto, size)
        self.size, self.channels = self._entry.size, self._entry.channels
        self.takes_bytes = self._entry.kind not in (1, 10, 11, 16)  # FLOAT, FLOAT16, DOUBLE, BFLOAT16
        self._proto = free_batch(proto, self._entry.name, self._entry.picture())
        self.is_batch_fixed = self._proto is proto
        self._makers = {name: node for node in self._proto.graph.node for name in node.output}
        self._shapes = _probe(self._proto, self._entry)
        self._output = self._chosen_output(labels)
        self.classes = int(np.prod(self._shapes[self._output][1:]))
        self.activation = self._activation()
        self.scales_itself, self.usual = self._scaling()
        self._features, self._map = self._ends()
        self._raw = open_session(self._assembled(None, None))

    def answer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled pixels float32 (N, S, S, C) -> the network's own outputs float32 (N, classes)."""
        step = 1 if self.is_batch_fixed else _BATCH
        parts = [self._raw.run(["output"], {"pixels": values[start:start + step]})[0]
                 for start in range(0, len(values), step)]
        return np.concatenate(parts).astype(np.float32)

    def proto(self, scaling: Scaling, end: End) -> Any:
        """The graph with raw RGB pixels float32 (N, S, S, C) in, and Pixfield's outputs."""
        return self._assembled(scaling, end)

    def _chosen_output(self, labels: int) -> str:
        names = [output.name for output in self._proto.graph.output if output.name in self._shapes]
        rows = [name for name in names if _is_row(self._shapes[name])]
        if len(rows) > 1:
            rows = [name for name in rows if int(np.prod(self._shapes[name][1:])) == labels]
        if len(rows) != 1:
            shapes = ", ".join(f"{name} {self._shapes[name]}" for name in names)
            raise ModelError(f"The network has {len(names)} outputs ({shapes}); expected one number a class, as image "
                             "classifiers answer.")
        return str(rows[0])

    def _before(self, name: str) -> Any:
        """The node behind a tensor, past reshaping."""
        node = self._makers.get(name)
        while node is not None and node.op_type in _RESHAPING:
            node = self._makers.get(node.input[0])
        return node

    def _activation(self) -> str | None:
        node = self._before(self._output)
        return None if node is None else _ACTIVATIONS.get(node.op_type)

    def _scaling(self) -> tuple[bool, str]:
        """Whether the graph takes raw pixels as far as it tells, and what is usual otherwise.

        Arithmetic before the first layer with weights tells it: by 255 or 127.5 from raw pixels, by ImageNet's mean and
        deviation from 0..1.
        """
        if self._entry.kind not in _FLOATS:
            return True, "raw"
        constants = _constants(self._proto)
        for node in self._proto.graph.node:
            if node.op_type in (*_MIXING, "MaxPool", "BatchNormalization"):
                break
            if node.op_type in ("Mul", "Sub", "Div", "Add"):
                values = [np.abs(_array(constants[name])).max() for name in node.input if name in constants]
                is_raw = any(value >= _LARGE or value <= 1 / _LARGE for value in values)
                return is_raw, "raw" if is_raw else "unit"
        return False, "torch"

    def _ends(self) -> tuple[str, tuple[str, bool] | None]:
        """The classifier's input, and the map (name, whether channels come first) where only an average is between."""
        mixing = self._last_mixing()
        features = mixing.input[0]
        node = self._before(features)
        if node is None or node.op_type not in ("GlobalAveragePool", "ReduceMean"):
            return features, None
        source = node.input[0]
        axes = {2, 3} if node.op_type == "GlobalAveragePool" else self._axes(node)
        if len(self._shapes.get(source, ())) != 4 or axes not in ({2, 3}, {1, 2}):
            return features, None
        return features, (source, axes == {2, 3})

    def _axes(self, node: Any) -> set[int]:
        axes = next((list(one.ints) for one in node.attribute if one.name == "axes"), None)
        if axes is None and len(node.input) > 1:
            constant = _constants(self._proto).get(node.input[1])
            axes = [] if constant is None else _array(constant).ravel().tolist()
        return {axis % 4 for axis in axes or []}

    def _last_mixing(self) -> Any:
        """The mixing node from which only bias, activation and reshaping lead to the end, else the last there is."""
        node = self._makers.get(self._output)
        while node is not None and node.op_type in _PASSING:
            made = [name for name in node.input if name in self._makers and self._shapes.get(name, ())[:1] == (1,)]
            node = self._makers.get(made[0]) if made else None
        if node is not None and node.op_type in _MIXING:
            return node
        mixing = [one for one in self._proto.graph.node if one.op_type in _MIXING and one.input[0] in self._shapes]
        if not mixing:
            raise ModelError("The network has no Gemm, MatMul or Conv, so it has no embedding.")
        return mixing[-1]

    def _assembled(self, scaling: Scaling | None, end: End | None) -> Any:
        """A copy with another head and tail; without a scaling, scaled pixels in and the raw output out."""
        proto = copy.deepcopy(self._proto)
        for value in list(proto.graph.input):
            if value.name == self._entry.name:
                proto.graph.input.remove(value)
        del proto.graph.output[:]
        del proto.graph.value_info[:]
        parts = Parts(proto, is_batch_fixed=self.is_batch_fixed)
        shape = (self.size, self.size, self.channels)
        parts.add_head(self._entry.name, shape, kind=self._entry.kind, scaling=scaling,
                       is_channels_first=self._entry.is_channels_first)
        if end is None:
            parts.add_row("output", self._output, self.classes)
        else:
            parts.add_probabilities(self._output, self.classes, end)
            parts.add_embedding(self._features, self._shapes[self._features])
            if self._map is not None:
                name, is_channels_first = self._map
                parts.add_map(name, self._shapes[name], is_channels_first=is_channels_first)
        return parts.proto


def _entry(proto: Any, size: int | None) -> _Entry:
    """The one input that is no weight."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ModelError(f"The network has {len(inputs)} inputs; expected one picture.")
    tensor = inputs[0].type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim]
    written = "(" + ", ".join("any" if one is None else str(one) for one in shape) + ")"
    if len(shape) != 4 or (shape[1] not in (1, 3) and shape[3] not in (1, 3)):
        raise ModelError(f"The network's input has the shape {written}; expected (N, channels, side, side) or (N, "
                         "side, side, channels), with 1 or 3 channels.")
    is_first = shape[1] in (1, 3)
    channels = shape[1] if is_first else shape[3]
    height, width = shape[2:4] if is_first else shape[1:3]
    if (height is None or width is None) and size is None:
        raise ModelError("The network takes pictures of any size; say which with --size N.")
    side = height or width or size
    if (height or side, width or side) != (side, side):
        raise ModelError(f"The network takes pictures of {width} x {height} pixels; Pixfield's are square.")
    if size is not None and size != side:
        raise ModelError(f"--size is {size}; the network takes pictures of {side} x {side} pixels.")
    return _Entry(inputs[0].name, tensor.elem_type, is_first, int(side or 0), int(channels or 0))


def _is_row(shape: tuple[int, ...]) -> bool:
    return len(shape) >= 2 and int(np.prod(shape[1:])) == max(shape[1:])


def _array(tensor: Any) -> NDArray[Any]:
    import onnx

    array: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    return array


def _constants(proto: Any) -> dict[str, Any]:
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        for one in node.attribute if node.op_type == "Constant" else []:
            if one.name == "value":
                constants[node.output[0]] = one.t
    return constants


def _probe(proto: Any, entry: _Entry) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor for one picture: asked of ONNX Runtime, since few files state them all."""
    import onnx

    probe = copy.deepcopy(proto)
    del probe.graph.value_info[:]
    outputs = {value.name for value in probe.graph.output}
    names = [name for node in probe.graph.node for name in node.output if name]
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in outputs)
    session = open_session(probe)
    shape = (1, *entry.picture())
    zeros = np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(entry.kind))
    found = [value.name for value in session.get_outputs()]
    try:
        values = session.run(found, {entry.name: zeros})
    except Exception as exc:  # as above
        raise ModelError(f"The network fails on a picture of {entry.size} x {entry.size} pixels: {shown(exc)}") from exc
    shapes = {name: value.shape for name, value in zip(found, values, strict=True) if isinstance(value, np.ndarray)}
    return {**shapes, entry.name: shape}
