"""A version's network as what turns pixels into embeddings: its ONNX export, or Keras where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import DamagedModelError
from models.onnx_export import onnx_run
from models.reference.making import Embed
from models.version import ModelVersion

_BATCH = 32
_Run = Callable[[NDArray[Any]], Mapping[str, NDArray[np.float32]]]


def embedder(version: ModelVersion) -> Embed:
    """What embeds pictures with a checked version; raises `DamagedModelError` where its network cannot be loaded."""
    spec, path = version.spec, version.path("model.onnx")
    try:
        run: _Run = onnx_run(path) if path is not None else keras_run(_loaded(version))
    except Exception as exc:  # two runtimes raise whatever they like
        raise DamagedModelError(f"{version.reference}: its network cannot be loaded ({exc}).") from exc
    return batched(lambda pixels: run(pixels * np.float32(spec.scale) + np.float32(spec.offset)))


def batched(run: _Run) -> Embed:
    """The embeddings alone, a few pictures at a time: thousands at once would fill the memory."""

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [run(pixels[start:start + _BATCH].astype(np.float32))["embedding"]
                 for start in range(0, len(pixels), _BATCH)]
        return np.concatenate(parts)

    return embed


def keras_run(model: Any) -> _Run:
    """A Keras network, float32 in, its outputs by name."""

    def run(pixels: NDArray[Any]) -> Mapping[str, NDArray[np.float32]]:
        outputs = model.predict_on_batch(pixels)
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}

    return run


def _loaded(version: ModelVersion) -> Any:
    import keras

    return keras.saving.load_model(version.folder / "model.keras", compile=False, safe_mode=True)
