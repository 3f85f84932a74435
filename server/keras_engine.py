"""The Keras engine: a version's `model.keras` on whatever backend Keras is set to, kept compiled and warm.

`predict_on_batch` is Keras's own neutral way to the compiled forward: a `tf.function` on TensorFlow, `jax.jit` on JAX,
a plain call without gradients on PyTorch. TensorFlow and JAX compile once per shape, so batches are padded to a few
sizes. Pixels cross to the device as uint8, a quarter of the bytes, and become numbers there.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.activation import find_kernel
from models.errors import DamagedModelError
from models.registry import ModelVersion
from models.spec import ModelSpec
from server.layers import NO_KERNEL, NO_MAP, Filters, named, target_of

log = logging.getLogger(__name__)

_GPU_BATCH = 64  # a GPU is busy at this size; more only adds waiting
_CPU_BATCH = 8  # two cores gain nothing beyond it, and a waiting row would wait longer
_OUTPUTS = ("probabilities", "embedding")
_NO_LAYER = ("InputLayer", "Rescaling", "Normalization", "Dropout")


class KerasEngine:
    """See `server.engine.Engine`. One call at a time: a GPU runs one batch after the other anyway."""

    threads = 1

    def __init__(self, version: ModelVersion, *, half: bool = False, max_batch: int | None = None) -> None:
        """Load and rebuild the network; of a version with a map, the golden pictures say which weights lead from it.

        Args:
            version: must have `model.keras`.
            half: float16 inside, float32 outside; for GPUs, a CPU gets slower by it.
            max_batch: pictures a call; 64 on a GPU and 8 on a CPU without it.

        Raises:
            DamagedModelError: `model.keras` is missing or cannot be loaded safely.
        """
        import keras

        _let_memory_grow()
        on_gpu = is_on_gpu()
        self.name = f"keras-{keras.backend.backend()}"
        self.half = half
        self.max_batch = max_batch or (_GPU_BATCH if on_gpu else _CPU_BATCH)
        self.buckets = bucket_sizes(self.max_batch)
        self._spec = version.spec
        # On a CPU, XLA made MobileNetV2 8 to 10 times slower than the graph with oneDNN (ResNet-50 17 % faster),
        # and takes 3 to 6 times as long to get warm.
        self._jit = on_gpu if keras.backend.backend() == "tensorflow" else "auto"
        self._network = _load(version)
        self._running, self._looking = threading.Lock(), threading.Lock()
        self._looked_at: tuple[str, Any] | None = None
        self._names: tuple[str, ...] = _OUTPUTS
        self.kernel, self.blindness = self._find_kernel(version)
        if "map" not in self._names:
            self._model = self._forward()

    def run(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """uint8 (N, S, S, C) -> probabilities float32 (N, classes), embedding float32 (N, D); any N."""
        starts = range(0, len(pixels), self.max_batch)
        parts = [self._run_one(pixels[start : start + self.max_batch]) for start in starts]
        if len(parts) == 1:
            return parts[0]
        empty = {name: np.zeros((0, *self._spec.outputs[name]), np.float32) for name in self._names}
        return {name: np.concatenate([empty[name], *(part[name] for part in parts)]) for name in self._names}

    def warm_up(self) -> None:
        """Compile for every bucket size, so that no request waits for it."""
        side = self._spec.input_size
        for size in self.buckets:
            self.run(np.zeros((size, side, side, self._spec.channels), np.uint8))
            log.debug("%s is warm for batches of %d", self.name, size)

    def _run_one(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        count = len(pixels)
        bucket = next(size for size in self.buckets if size >= count)
        if bucket > count:
            padded = np.zeros((bucket, *pixels.shape[1:]), np.uint8)
            padded[:count] = pixels
            pixels = padded
        with self._running:  # explanations come from other threads than the engine's
            outputs = self._model.predict_on_batch(pixels)
        return {name: np.asarray(outputs[name][:count], np.float32) for name in self._names}

    def _forward(self) -> Any:
        model = _forward(self._network, self._spec, self._names, half=self.half)
        model.jit_compile = self._jit
        return model

    def _find_kernel(self, version: ModelVersion) -> tuple[NDArray[np.float32] | None, str]:
        if "map" not in version.spec.outputs or "map" not in self._network.output:
            return None, NO_MAP
        self._names = (*_OUTPUTS, "map")
        self._model = self._forward()
        golden = self.run(version.golden().pixels)
        weights = [values for values in self._network.get_weights() if values.ndim > 1]
        kernel = find_kernel(weights, golden["map"], golden["probabilities"])
        self._names = self._names if kernel is not None else _OUTPUTS
        return kernel, "" if kernel is not None else NO_KERNEL

    def filters(self) -> Filters | None:
        """See `server.layers.SeeingEngine.filters`."""
        for layer in self._network.layers:
            shape = getattr(getattr(layer, "kernel", None), "shape", ())
            if len(shape) == 4:  # (h, w, C, F)
                values = np.asarray(layer.get_weights()[0], np.float32).transpose(3, 0, 1, 2)
                return Filters(next(iter(named([(layer.name, "")]))), np.ascontiguousarray(values))
            if len(shape) == 2:
                return None
        return None

    def layers(self) -> tuple[str, ...]:
        """See `server.layers.SeeingEngine.layers`."""
        return tuple(self._layer_names())

    def feature_maps(self, pixels: NDArray[np.uint8], layer: str) -> NDArray[np.float32]:
        """See `server.layers.SeeingEngine.feature_maps`; in full precision."""
        import keras

        target = target_of(self._layer_names(), layer)
        inputs = pixels.astype(np.float32) * np.float32(self._spec.scale) + np.float32(self._spec.offset)
        with self._looking:
            if self._looked_at is None or self._looked_at[0] != target:
                looking = keras.Model(self._network.input, self._network.get_layer(target).output)
                looking.jit_compile = self._jit
                self._looked_at = target, looking
            return np.asarray(self._looked_at[1].predict_on_batch(inputs), np.float32)

    def _layer_names(self) -> dict[str, str]:
        return named((layer.name, layer.name) for layer in self._network.layers
                     if type(layer).__name__ not in _NO_LAYER and not isinstance(layer.output, list | dict)
                     and len(layer.output.shape) == 4 and None not in layer.output.shape[1:])


def bucket_sizes(max_batch: int) -> tuple[int, ...]:
    """The batch sizes that are compiled: powers of two below `max_batch`, then itself; 8 -> (1, 2, 4, 8)."""
    if max_batch < 1:
        raise ValueError(f"max_batch is {max_batch}; expected 1 or more.")
    powers = [2**n for n in range(max_batch.bit_length()) if 2**n < max_batch]
    return (*powers, max_batch)


def is_on_gpu() -> bool:
    """Whether the Keras backend in use computes on a GPU."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return bool(torch.cuda.is_available())
    return any(device.startswith(("gpu", "cuda", "rocm")) for device in keras.distribution.list_devices())


def _let_memory_grow() -> None:
    """TensorFlow otherwise takes the whole GPU, and other programs on it cannot start."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError as exc:  # the GPU is in use by this process already, as the first caller set it up
            log.info("GPU memory growth stays as it is: %s", exc)


def _load(version: ModelVersion) -> Any:
    """The network of `model.keras`; safe mode, so that a file from elsewhere cannot bring code along."""
    import keras

    path = version.folder / "model.keras"
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise DamagedModelError(f"{version.reference}: model.keras cannot be loaded: {reason}") from exc


def _forward(network: Any, spec: ModelSpec, names: tuple[str, ...], *, half: bool) -> Any:
    """uint8 pixels -> scaled -> network -> the outputs `names`: a map that leads nowhere is not computed."""
    import keras

    if half:
        network = _in_half_precision(network)
    pixels = keras.Input((spec.input_size, spec.input_size, spec.channels), dtype="uint8", name="pixels")
    numbers = keras.layers.Rescaling(spec.scale, spec.offset, dtype="float32")(pixels)
    served = keras.Model(network.input, {name: network.output[name] for name in names})
    return keras.Model(pixels, served(numbers))


def _in_half_precision(network: Any) -> Any:
    """The same network with float16 arithmetic and float32 weights; its outputs and normalisation stay float32.

    Mixed precision as in Micikevicius et al. 2018; softmax in float16 would lose the small probabilities.
    """
    import keras

    ends = {tensor._keras_history.operation.name for tensor in network.output.values()}  # noqa: SLF001 - no public way

    def lower(layer: Any) -> Any:
        config = layer.get_config()
        if not isinstance(layer, keras.layers.Layer):  # a bare operation, which has no precision of its own
            return type(layer).from_config(config)
        is_exact = layer.name in ends or isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        config["dtype"] = "float32" if is_exact else "mixed_float16"
        return type(layer).from_config(config)

    lowered = keras.models.clone_model(network, clone_function=lower)
    lowered.set_weights(network.get_weights())
    return lowered
