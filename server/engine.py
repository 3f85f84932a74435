"""The model itself: prepared pictures in, named outputs out; nothing else in the server touches a model.

Two engines behind one interface. ONNX Runtime serves on a CPU, where it is four to five times as fast as TensorFlow and
starts in a second; Keras serves on a GPU, and wherever the export does not reproduce the golden outputs.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models import onnx_runtime
from models.activation import find_kernel
from models.errors import DamagedModelError, GoldenMismatchError
from models.golden import FULL_TOLERANCE, HALF_TOLERANCE, check_engine
from models.onnx_graph import read_graph
from models.registry import ModelVersion
from server.errors import SettingsError
from server.layers import NO_KERNEL, NO_MAP, Filters
from server.onnx_layers import OnnxLayers
from server.settings import Settings

log = logging.getLogger(__name__)

Outputs = dict[str, NDArray[np.float32]]

_OUTPUTS = ("probabilities", "embedding")


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
        """uint8 (N, S, S, C) -> probabilities float32 (N, classes), embedding float32 (N, D); N up to `max_batch`.

        An engine that knows what to do with the map (`server.layers.SeeingEngine`) answers with it as well, from the
        same forward pass: map float32 (N, h, w, K). It costs MobileNetV2 less than a hundredth of its time.
        """

    def warm_up(self) -> None:
        """Do now what the first call would have to do."""


class OnnxEngine:
    """ONNX Runtime on the CPU: one session, one intra-op thread a call, as many calls at once as cores.

    Many small calls use two cores better than one call split over them, and no batch is padded, since nothing is
    compiled per shape.
    """

    name = "onnxruntime"

    def __init__(self, version: ModelVersion, *, threads: int, max_batch: int) -> None:
        self._spec = version.spec
        self._path = version.folder / "model.onnx"
        self._session = _onnx_session(str(self._path))
        entry = self._session.get_inputs()[0]
        self._input = entry.name
        self._takes_one = entry.shape[0] == 1  # an imported file whose batch axis could not be freed
        self.threads, self.max_batch = threads, 1 if self._takes_one else max_batch
        self._layers: OnnxLayers | None = None
        self._looking = threading.Lock()
        self._names = list(_OUTPUTS)
        self.kernel, self.blindness = self._find_kernel(version)
        if self.kernel is not None:
            self._names.append("map")

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """See `Engine.run`."""
        return self._run(self._inputs(pixels), self._names)

    def filters(self) -> Filters | None:
        """See `SeeingEngine.filters`; where the exporter folded batch normalisation in, it is in these as well."""
        return self._look().filters()

    def layers(self) -> tuple[str, ...]:
        """See `SeeingEngine.layers`."""
        return self._look().layers()

    def feature_maps(self, pixels: NDArray[np.uint8], layer: str) -> NDArray[np.float32]:
        """See `SeeingEngine.feature_maps`."""
        return self._look().maps(self._inputs(pixels), layer)

    def _look(self) -> OnnxLayers:
        with self._looking:
            if self._layers is None:
                self._layers = OnnxLayers(self._path, _onnx_session, input_name=self._input)
            return self._layers

    def _find_kernel(self, version: ModelVersion) -> tuple[NDArray[np.float32] | None, str]:
        if "map" not in version.spec.outputs or "map" not in {one.name for one in self._session.get_outputs()}:
            return None, NO_MAP
        golden = self._run(self._inputs(version.golden().pixels), ["probabilities", "map"])
        kernel = find_kernel(read_graph(self._path.read_bytes()).weights.values(), golden["map"],
                             golden["probabilities"])
        return kernel, "" if kernel is not None else NO_KERNEL

    def _inputs(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        inputs = pixels.astype(np.float32)
        if (self._spec.scale, self._spec.offset) != (1.0, 0.0):
            inputs = inputs * np.float32(self._spec.scale) + np.float32(self._spec.offset)
        return inputs

    def _run(self, inputs: NDArray[np.float32], names: list[str]) -> Outputs:
        if not self._takes_one or len(inputs) == 1:
            return self._run_at_once(inputs, names)
        rows = [self._run_at_once(inputs[row:row + 1], names) for row in range(len(inputs))]
        return {name: np.concatenate([row[name] for row in rows]) for name in names}

    def _run_at_once(self, inputs: NDArray[np.float32], names: list[str]) -> Outputs:
        return dict(zip(names, self._session.run(names, {self._input: inputs}), strict=True))

    def warm_up(self) -> None:
        """Run a batch of the largest size once, so that its memory is there."""
        size = self._spec.input_size
        self.run(np.zeros((self.max_batch, size, size, self._spec.channels), np.uint8))


def _onnx_session(model: str | bytes) -> Any:
    """A session over a file or its bytes, one thread a call; raises DamagedModelError."""
    onnxruntime = onnx_runtime.load()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: its warnings are for exporters
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        raise DamagedModelError(f"ONNX Runtime cannot load model.onnx ({exc})") from exc


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
    if version.path("model.keras") is None:
        return _open_only_onnx(version, settings)
    if settings.engine == "onnx" or (settings.engine == "auto" and not has_gpu()):
        try:
            return _checked(_open_onnx(version, settings), version, FULL_TOLERANCE)
        except (FileNotFoundError, DamagedModelError, GoldenMismatchError) as exc:
            if settings.engine == "onnx":
                raise SettingsError(f"--engine onnx: {exc}; start with --engine keras.") from exc
            log.warning("%s@%s: %s; Keras serves it", version.spec.name, version.spec.version, exc)
    return _checked(_open_keras(version, settings), version, HALF_TOLERANCE if settings.half else FULL_TOLERANCE)


def _open_only_onnx(version: ModelVersion, settings: Settings) -> Engine:
    """The engine of a version that came as ONNX: there is no network for Keras, on a GPU neither."""
    if settings.engine == "keras":
        raise SettingsError(f"--engine keras: {version.reference} has model.onnx alone; start with --engine auto.")
    try:
        return _checked(_open_onnx(version, settings), version, FULL_TOLERANCE)
    except DamagedModelError as exc:
        raise SettingsError(f"{version.reference}: {exc}, and it has no model.keras; import it again.") from exc


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
