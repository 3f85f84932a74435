"""The model itself: prepared pictures in, named outputs out; nothing else in the server touches a model.

Two engines behind one interface. ONNX Runtime serves on a CPU, where it is four to five times as fast as TensorFlow and
starts in a second; Keras serves on a GPU, and wherever the export does not reproduce the golden outputs.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models import onnx_runtime
from models.errors import DamagedModelError, GoldenMismatchError
from models.golden import FULL_TOLERANCE, HALF_TOLERANCE, check_engine
from models.registry import ModelVersion
from server.errors import SettingsError
from server.settings import Settings

log = logging.getLogger(__name__)

Outputs = dict[str, NDArray[np.float32]]


class Engine(Protocol):
    """Runs a model; `run` may be called from as many threads as `threads` says."""

    @property
    def name(self) -> str:
        """What runs it, for logs: onnxruntime, keras-tensorflow, ..."""

    @property
    def max_batch(self) -> int:
        """Pictures a call may have."""

    @property
    def threads(self) -> int:
        """Calls that may run at once."""

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """uint8 (N, S, S, C) -> probabilities float32 (N, classes), embedding float32 (N, D); N up to `max_batch`."""

    def warm_up(self) -> None:
        """Do now what the first call would have to do."""


class OnnxEngine:
    """ONNX Runtime on the CPU: one session, one intra-op thread a call, as many calls at once as cores.

    Many small calls use two cores better than one call split over them, and no batch is padded, since nothing is
    compiled per shape.
    """

    name = "onnxruntime"

    def __init__(self, version: ModelVersion, *, threads: int, max_batch: int) -> None:
        onnxruntime = onnx_runtime.load()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only: its warnings are for exporters
        self.threads, self.max_batch = threads, max_batch
        self._spec = version.spec
        path = str(version.folder / "model.onnx")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as exc:
            raise DamagedModelError(f"ONNX Runtime cannot load model.onnx ({exc})") from exc
        self._input = self._session.get_inputs()[0].name

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """See `Engine.run`."""
        inputs = pixels.astype(np.float32)
        if (self._spec.scale, self._spec.offset) != (1.0, 0.0):
            inputs = inputs * np.float32(self._spec.scale) + np.float32(self._spec.offset)
        names = ["probabilities", "embedding"]
        return dict(zip(names, self._session.run(names, {self._input: inputs}), strict=True))

    def warm_up(self) -> None:
        """Run a batch of the largest size once, so that its memory is there."""
        size = self._spec.input_size
        self.run(np.zeros((self.max_batch, size, size, self._spec.channels), np.uint8))


def has_gpu() -> bool:
    """Whether Keras would compute on a GPU; where no GPU package is installed, it is not even asked (it takes 13 s)."""
    if not any(importlib.util.find_spec(name) for name in ("nvidia", "jax_cuda12_plugin", "jax_cuda13_plugin")):
        return False
    from server.keras_engine import is_on_gpu

    return is_on_gpu()


def open_engine(version: ModelVersion, settings: Settings) -> Engine:
    """The engine `--engine` asks for, checked against the golden outputs.

    Raises:
        SettingsError: the wanted engine cannot serve this version; says why and what to do.
    """
    if settings.engine == "onnx" or (settings.engine == "auto" and not has_gpu()):
        try:
            return _checked(_open_onnx(version, settings), version, FULL_TOLERANCE)
        except (FileNotFoundError, DamagedModelError, GoldenMismatchError) as exc:
            if settings.engine == "onnx":
                raise SettingsError(f"--engine onnx: {exc}; start with --engine keras.") from exc
            log.warning("%s@%s: %s; Keras serves it", version.spec.name, version.spec.version, exc)
    return _checked(_open_keras(version, settings), version, HALF_TOLERANCE if settings.half else FULL_TOLERANCE)


def _open_onnx(version: ModelVersion, settings: Settings) -> Engine:
    if version.path("model.onnx") is None:  # a file that model.json does not list was not checked
        raise FileNotFoundError("this version has no model.onnx")
    return OnnxEngine(version, threads=settings.engine_threads, max_batch=settings.batch_size)


def _open_keras(version: ModelVersion, settings: Settings) -> Engine:
    if importlib.util.find_spec("keras") is None:
        raise SettingsError(f"{version.spec.name} needs Keras, which is not installed: run `python run.py test --co`"
                            " once with a network, it installs everything.")
    from server.keras_engine import KerasEngine

    engine: Engine = KerasEngine(version, half=settings.half)
    return engine


def _checked(engine: Engine, version: ModelVersion, tolerance: float) -> Engine:
    check_engine(version, engine.run, tolerance=tolerance)
    engine.warm_up()
    return engine
