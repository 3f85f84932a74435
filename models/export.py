"""A built Keras model becomes a version folder, all of it or nothing.

`model.onnx` is kept only where ONNX Runtime reproduces the golden outputs with it, so that whoever finds the file may
trust it; why it is left out stands in `about` of `model.json`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.golden import Run, make_golden, write_golden
from models.onnx_export import export_onnx
from models.spec import SPEC_FILE, ModelSpec, write_spec
from models.version import ModelVersion, file_digest, open_version

KERAS_FILE = "model.keras"
ONNX_FILE = "model.onnx"
OUTPUT_NAMES = ("probabilities", "embedding", "map")


def export_version(model: Any, spec: ModelSpec, pictures: Mapping[str, bytes], *, root: Path,
                   extra: Mapping[str, bytes] | None = None) -> ModelVersion:
    """Write `<root>/<name>/<version>/` with the network, its export, golden pictures and `model.json`.

    Args:
        model: a Keras model with the outputs "probabilities" and "embedding", and "map" where it has one; its input is
            float32 (N, S, S, C), raw pixels 0..255.
        spec: what `model.json` says, except `outputs`, `files` and what becomes of the export: these are filled in.
        pictures: 8 to 16 golden pictures, file name -> PNG bytes.
        root: the folder of all models; a version that is there already is never overwritten.
        extra: further files that belong to the version, name -> bytes; listed with their hashes like the others.

    Raises:
        ModelError: the version exists, the model's outputs have other names, or the golden set is unusable.
    """
    folder = root / spec.name / spec.version
    if folder.exists():
        raise ModelError(f"{spec.name}@{spec.version} exists in {root}; remove it first or take another version.")
    shapes = output_shapes(model)
    with arriving_folder(folder) as arriving:
        run = keras_run(model)
        golden = make_golden(pictures, run, size=spec.input_size, channels=spec.channels, resize=spec.resize)
        names = [*write_golden(arriving, pictures, golden), KERAS_FILE]
        model.save(arriving / KERAS_FILE)
        outcome = export_onnx(model, arriving / ONNX_FILE, golden)
        names += [ONNX_FILE] if (arriving / ONNX_FILE).exists() else []
        names += _write_extra(arriving, extra or {})
        files = {name: file_digest(arriving / name) for name in names}
        about = {**spec.about, "onnx": outcome}
        write_spec(arriving / SPEC_FILE, replace(spec, outputs=shapes, files=files, about=about))
    return open_version(folder)


def output_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Output name -> shape without the batch axis; raises `ModelError` for other outputs than ours."""
    outputs = model.output if isinstance(model.output, dict) else {}
    if not {"probabilities", "embedding"} <= set(outputs) <= set(OUTPUT_NAMES):
        raise ModelError(f"The model's outputs are {sorted(outputs)}; expected probabilities, embedding and maybe map.")
    return {name: tuple(outputs[name].shape[1:]) for name in OUTPUT_NAMES if name in outputs}


def keras_run(model: Any) -> Run:
    """The network itself as a golden check wants it: pixels in, named outputs out."""

    def run(pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        outputs = model.predict_on_batch(pixels.astype(np.float32))
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}

    return run


def _write_extra(folder: Path, extra: Mapping[str, bytes]) -> list[str]:
    """Write the files and return their names; a name that is taken would hide a file of the version."""
    for name, data in extra.items():
        with (folder / name).open("xb") as file:
            file.write(data)
    return list(extra)


@contextlib.contextmanager
def arriving_folder(folder: Path) -> Iterator[Path]:
    """A dotted folder beside `folder` that takes its name when all went well, else disappears."""
    arriving = folder.with_name(f".arriving-{folder.name}-{os.getpid()}")
    arriving.mkdir(parents=True)
    try:
        yield arriving
        arriving.rename(folder)
    except BaseException:
        shutil.rmtree(arriving, ignore_errors=True)
        with contextlib.suppress(OSError):  # the name's folder stays where it holds other versions
            folder.parent.rmdir()
        raise
