"""A Keras model, however nested, as one flat graph whose last steps can be read and extended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.importing.ends import End
from models.importing.scalings import Scaling

_BATCH = 16  # pictures at once: bounded memory for large networks
_IDLE = ("Dropout", "SpatialDropout2D", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
         "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast",
         "RandomBrightness", "RandomHue", "RandomSaturation", "RandomShear", "RandomColorJitter")
"""Layers that change nothing when a network answers: left out, so that the export has no random generators."""
_SCALING = ("Rescaling", "Normalization")
_RESHAPING = ("Flatten", "Reshape")
_ACTIVATIONS = ("softmax", "sigmoid", "linear")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One layer at work: its class name, the tensor that enters and the one that leaves."""

    layer: Any
    entering: Any
    leaving: Any

    @property
    def kind(self) -> str:
        return type(self.layer).__name__


class KerasNetwork:
    """A model with one picture as its input and one row of numbers a class as its output.

    `size`, `channels`, `classes` describe it, `activation` is its last one where it can be read, `names` those of its
    parts; `scales_itself` says whether it has layers that scale its pixels, `has_code` whether it has Lambda layers.
    """

    is_keras = True

    def __init__(self, model: Any, *, size: int | None, labels: int) -> None:
        """Raises ModelError: it takes something else than a picture, or answers with something else than classes."""
        import keras

        self.size, self.channels, self._shape = _picture_shape(model, size)
        self._input = keras.Input((self.size, self.size, self.channels), name="pixels")
        self._calls: list[_Call] = []
        self._taken: set[str] = set()
        self.names = _names_in(model)
        entering = self._input
        if len(self._shape) == 2:
            entering = keras.layers.Reshape(self._shape, name="pixfield_grey")(entering)
        outputs = keras.tree.flatten(self._through(model, entering))
        self._output = _chosen_output(outputs, labels)
        self.classes = int(np.prod(self._output.shape[1:]))
        self._last = self._last_mixing()
        self.activation = self._activation()
        self.scales_itself = self._scales_itself()
        self.has_code = any(call.kind == "Lambda" for call in self._calls)
        self._raw = keras.Model(self._input, _as_row(self._output, "output"))

    def answer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled pixels float32 (N, S, S, C) -> the network's own outputs float32 (N, classes)."""
        parts = [np.asarray(self._raw.predict_on_batch(values[start:start + _BATCH]), np.float32)
                 for start in range(0, len(values), _BATCH)]
        return np.concatenate(parts)

    def model(self, scaling: Scaling, end: End) -> Any:
        """The network as Pixfield has them: raw RGB 0..255 in, probabilities, embedding and maybe map out."""
        import keras

        pixels = keras.Input((self.size, self.size, self.channels), name="pixels")
        scaled = pixels
        if scaling.is_bgr:
            scaled = keras.ops.take(scaled, [2, 1, 0], axis=-1)
        if set(scaling.factors) != {1.0} or set(scaling.offsets) != {0.0}:
            scaled = keras.layers.Rescaling(_ordered(scaling.factors, scaling), _ordered(scaling.offsets, scaling),
                                            name="pixfield_scaling")(scaled)
        ends = {"probabilities": _with_end(_as_row(self._output, "output"), end), **self._features()}
        inner = keras.Model(self._input, ends)
        self._calls, self._taken = [], set()
        outputs = self._through(inner, scaled)
        return keras.Model(pixels, {name: _named(tensor) for name, tensor in outputs.items()})

    def _through(self, layer: Any, *entering: Any, **arguments: Any) -> Any:
        """What leaves a layer or model, whose inner layers are called one by one; notes each call."""
        import keras

        if isinstance(layer, keras.Sequential):
            (value,) = entering
            for one in layer.layers:
                value = self._through(one, value)
            return value
        if isinstance(layer, keras.Model) and hasattr(layer, "_run_through_graph"):
            fitting = keras.tree.pack_sequence_as(layer.input, keras.tree.flatten(entering))
            return layer._run_through_graph(  # noqa: SLF001 - clone_model's own way; it returns another graph's tensors
                fitting, operation_fn=lambda one: one, call_fn=self._through)
        if type(layer).__name__ in _IDLE:
            return entering[0]
        arguments.pop("training", None)
        self._rename(layer)
        leaving = layer.call(*entering, **arguments) if _is_operator(layer) else layer(*entering, **arguments)
        self._calls.append(_Call(layer, entering[0], leaving))
        return leaving

    def _rename(self, layer: Any) -> None:
        """Layers of two inner models may have one name; in a flat network each needs its own."""
        same = any(call.layer is layer for call in self._calls)
        number, name = 1, layer.name
        while not same and layer.name in self._taken:
            layer.name = f"{name}_{number}"
            number += 1
        self._taken.add(layer.name)

    def _producer(self, tensor: Any) -> _Call | None:
        return next((call for call in self._calls if call.leaving is tensor), None)

    def _last_mixing(self) -> _Call:
        mixing = [call for call in self._calls if call.kind in ("Dense", "Conv2D")]
        if not mixing:
            raise ModelError("The network has no dense or convolutional layer, so it has no embedding.")
        return mixing[-1]

    def _features(self) -> dict[str, Any]:
        """The classifier's input, and the map where only an average stands between."""
        import keras

        features = self._last.entering
        source = self._producer(features)
        while source is not None and source.kind in _RESHAPING:
            features, source = source.entering, self._producer(source.entering)
        if source is not None and source.kind == "GlobalAveragePooling2D" and len(source.entering.shape) == 4:
            return {"embedding": _as_row(features, "embedding"), "map": source.entering}
        if len(self._last.entering.shape) == 2:
            features = self._last.entering
        elif len(features.shape) == 4 and tuple(features.shape[1:3]) != (1, 1):
            features = keras.layers.GlobalAveragePooling2D(name="pixfield_average")(features)
        return {"embedding": _as_row(features, "embedding")}

    def _activation(self) -> str | None:
        call = self._producer(self._output)
        while call is not None and call.kind in _RESHAPING:
            call = self._producer(call.entering)
        if call is None:
            return None
        if call.kind == "Softmax":
            return "softmax"
        name = getattr(getattr(call.layer, "activation", None), "__name__", None)
        return name if name in _ACTIVATIONS else None

    def _scales_itself(self) -> bool:
        """Whether a scaling layer, or arithmetic with numbers, comes before the first layer with weights."""
        for call in self._calls:
            if call.kind in _SCALING or _is_operator(call.layer):
                return True
            if call.layer.weights or call.kind == "MaxPooling2D":
                return False
        return False


def _is_operator(layer: Any) -> bool:
    return type(layer).__name__ == "TFOpLambda"


def _as_row(tensor: Any, name: str) -> Any:
    import keras

    return tensor if len(tensor.shape) == 2 else keras.layers.Flatten(name=f"pixfield_{name}")(tensor)


def _named(tensor: Any) -> Any:
    """float32, whatever the network computes in."""
    import keras

    return tensor if tensor.dtype == "float32" else keras.ops.cast(tensor, "float32")


def _with_end(raw: Any, end: End) -> Any:
    import keras

    if end is End.SCORES:
        return keras.layers.Softmax(dtype="float32", name="pixfield_softmax")(raw)
    if end.is_single:
        sigmoid = keras.layers.Activation("sigmoid", dtype="float32", name="pixfield_sigmoid")
        second = sigmoid(raw) if end is End.SCORE else raw
        first = keras.layers.Rescaling(-1.0, 1.0, dtype="float32", name="pixfield_rest")(second)
        return keras.layers.Concatenate(dtype="float32", name="pixfield_both")([first, second])
    return raw


def _ordered(values: tuple[float, ...], scaling: Scaling) -> Any:
    """One number where they are equal, else the list in the network's own channel order."""
    if len(set(values)) == 1:
        return values[0]
    return list(values[::-1] if scaling.is_bgr else values)


def _picture_shape(model: Any, size: int | None) -> tuple[int, int, tuple[int, ...]]:
    """Side, channels, and the shape the network itself wants, without the batch axis."""
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        raise ModelError(f"The network has {len(inputs)} inputs; expected one picture.")
    if not inputs and size is None:
        raise ModelError("The network does not say how large its pictures are; say it with --size N.")
    shape = tuple(inputs[0].shape[1:]) if inputs else (None, None, 3)
    height, width, channels = (*shape, 1) if len(shape) == 2 else shape if len(shape) == 3 else (0, 0, 0)
    if channels not in (1, 3) or height == 0:
        raise ModelError(f"The network's input has the shape {_written(shape)}; expected pictures (side, side, 3) or "
                         "(side, side, 1).")
    if (height is None or width is None) and size is None:
        raise ModelError("The network takes pictures of any size; say which with --size N.")
    side = int(height or width or size or 0)
    if (height or side, width or side) != (side, side):
        raise ModelError(f"The network takes pictures of {width} x {height} pixels; Pixfield's are square.")
    if size is not None and size != side:
        raise ModelError(f"--size is {size}; the network takes pictures of {side} x {side} pixels.")
    own: tuple[int, ...] = (side, side) if len(shape) == 2 else (side, side, int(channels))
    return side, int(channels), own


def _written(shape: tuple[Any, ...]) -> str:
    return "(" + ", ".join("any" if one is None else str(one) for one in shape) + ")"


def _chosen_output(outputs: list[Any], labels: int) -> Any:
    """The output that holds one number a class, alone or as the only one with as many as there are labels."""
    rows = [tensor for tensor in outputs if _is_row(tensor)]
    if len(rows) > 1:
        rows = [tensor for tensor in rows if int(np.prod(tensor.shape[1:])) == labels]
    if len(rows) != 1:
        shapes = ", ".join(_written(tuple(tensor.shape)) for tensor in outputs)
        raise ModelError(f"The network has {len(outputs)} outputs of the shapes {shapes}; expected one number a class, "
                         "as image classifiers answer.")
    return rows[0]


def _is_row(tensor: Any) -> bool:
    shape = tuple(tensor.shape[1:])
    return bool(shape) and None not in shape and int(np.prod(shape)) == max(shape)


def _names_in(model: Any) -> list[str]:
    import keras

    inner = [layer for layer in getattr(model, "layers", []) if isinstance(layer, keras.Model)]
    return [model.name, *(name for layer in inner for name in _names_in(layer))]
