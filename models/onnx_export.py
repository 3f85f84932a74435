"""Keras's own ONNX export, tidied, and kept only where ONNX Runtime answers as Keras did."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import onnx_runtime
from models.golden import FULL_TOLERANCE, GoldenSet, Run, engine_fault

log = logging.getLogger(__name__)

_MEMORY_PER_WEIGHT = 40
"""Bytes the TensorFlow exporter needs for each byte of weights: it copies the graph for each of its steps. Measured: 22
for ResNet-152, over 31 for VGG16."""


_SHOWN_CHARACTERS = 300  # of an exporter's error, which may list every node


def export_onnx(model: Any, path: Path, golden: GoldenSet) -> str:
    """Write `path` if ONNX Runtime reproduces `golden` with it; returns what became of it, for `about`."""
    fault = _memory_fault(model)
    if fault is None:
        try:
            with _quiet(), _collecting():
                onnx_runtime.load()  # before an exporter does, which would let it report
                model.export(path, format="onnx", verbose=False)
            drop_unread_inputs(path)
            fault = _fault_of(onnx_run(path), golden)
        except Exception as exc:  # noqa: BLE001 - three exporters raise whatever they like; the file is optional
            fault = _one_line(exc).replace(str(path), path.name)
    if fault is None:
        return "kept: ONNX Runtime reproduces the golden outputs"
    path.unlink(missing_ok=True)
    log.info("model.onnx is left out: %s", fault)
    return f"left out: {fault}"


def onnx_run(path: Path) -> Run:
    """A network on the CPU, all its outputs by name, picture by picture where it takes but one at a time.

    ONNX Runtime's own errors pass.
    """
    onnxruntime = onnx_runtime.load()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: its warnings are for authors of exporters
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]

    def run(pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        inputs = pixels.astype(np.float32)
        if entry.shape[0] != 1 or len(inputs) == 1:
            return dict(zip(names, session.run(names, {entry.name: inputs}), strict=True))
        rows = [session.run(names, {entry.name: inputs[row:row + 1]}) for row in range(len(inputs))]
        return {name: np.concatenate(parts) for name, parts in zip(names, zip(*rows, strict=True), strict=True)}

    return run


def drop_unread_inputs(path: Path) -> None:
    """Take inputs that no node reads out of the file: the exporter leaves EfficientNet's constants behind as such."""
    import onnx

    network = onnx.load(path)
    read = {name for node in network.graph.node for name in node.input}
    unread = [entry for entry in network.graph.input if entry.name not in read]
    for entry in unread:
        network.graph.input.remove(entry)
    if unread:
        onnx.save(network, path)


def _memory_fault(model: Any) -> str | None:
    """Why the export is not even tried: it would take the memory of everything else on this machine."""
    import psutil

    weights = 4 * sum(int(np.prod(variable.shape)) for variable in model.weights)
    needed, free = weights * _MEMORY_PER_WEIGHT, psutil.virtual_memory().available
    if needed > free:
        megabytes, gigabytes = f"{weights / 1e6:,.0f} MB", f"{needed / 1e9:,.0f} GB"
        return f"exporting {megabytes} of weights takes about {gigabytes} of memory; {free / 1e9:.0f} GB are free"
    return None


def _one_line(exc: Exception) -> str:
    text = f"{type(exc).__name__}: {exc}".splitlines()[0]
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _fault_of(run: Run, golden: GoldenSet) -> str | None:
    """All golden pictures at once, then the first alone: the batch axis must be free."""
    fault = engine_fault(golden, run(golden.pixels), FULL_TOLERANCE)
    if fault is None and len(run(golden.pixels[:1])["probabilities"]) != 1:
        return "its batch axis is not free"
    return fault


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what Keras and tf2onnx print and warn about each other; the golden outputs decide, not their chatter."""
    chatter = logging.getLogger("tf2onnx")
    level = chatter.level
    chatter.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        chatter.setLevel(level)


@contextlib.contextmanager
def _collecting() -> Iterator[None]:
    """Collect garbage often: tf2onnx's copies of the graph are few objects, but huge, and wait for the collector.

    For ResNet-50 this takes the peak from 9.8 to 6.0 GB.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
