"""ONNX Runtime answers what the version's maker saw, and what cannot serve is refused with the culprit's name."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import GoldenMismatchError
from models.golden import check_engine
from models.registry import ModelVersion, Registry
from server.engine import OnnxEngine, has_gpu, open_engine
from server.errors import SettingsError
from server.settings import Settings

pytest_plugins = ("server_fixtures",)

Change = Callable[..., ModelVersion]


@pytest.fixture
def changed(version: ModelVersion, tmp_path: Path) -> Change:
    """A copy of the digit model with some files replaced and `model.json` corrected accordingly; None removes one."""

    def make(**files: bytes | None) -> ModelVersion:
        folder = tmp_path / "models" / "digits" / "1"
        shutil.copytree(version.folder, folder)
        content: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        for suffix, data in files.items():
            name = f"model.{suffix}"
            if data is None:
                del content["files"][name]
            else:
                (folder / name).write_bytes(data)
                content["files"][name] = hashlib.sha256(data).hexdigest()
        (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
        return Registry([folder.parents[1]]).resolve("digits@1")

    return make


def test_the_golden_outputs_are_reproduced(engine: OnnxEngine, version: ModelVersion) -> None:
    """Probabilities and embeddings."""
    check_engine(version, engine.run)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_outputs_have_the_promised_shapes(engine: OnnxEngine, version: ModelVersion, rows: int) -> None:
    """float32, one row a picture."""
    outputs = engine.run(version.golden().pixels[:rows])
    shapes = {name: (values.shape, str(values.dtype)) for name, values in outputs.items()}
    assert shapes == {"probabilities": ((rows, 10), "float32"), "embedding": ((rows, 56), "float32"),
                      "map": ((rows, 8, 8, 56), "float32")}


def test_a_batch_is_answered_as_its_pictures_are(engine: OnnxEngine, version: ModelVersion) -> None:
    """One by one the same, to the precision of float32."""
    pixels = version.golden().pixels[:8]
    together = engine.run(pixels)["probabilities"]
    apart = np.concatenate([engine.run(pixels[row:row + 1])["probabilities"] for row in range(8)])
    assert apart == pytest.approx(together, abs=1e-5)


def test_threads_do_not_disturb_each_other(engine: OnnxEngine, version: ModelVersion) -> None:
    """Two at once, as the server calls it."""
    golden = version.golden()
    start = threading.Barrier(2)

    def work(row: int) -> list[int]:
        start.wait()
        return [int(engine.run(golden.pixels[row:row + 1])["probabilities"].argmax()) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(work, range(2)))
    assert answers == [[int(golden.probabilities[row].argmax())] * 50 for row in range(2)]


def test_scale_and_offset_are_applied(version: ModelVersion) -> None:
    """For versions whose network wants other numbers than 0..255."""
    halved = replace(version, spec=replace(version.spec, scale=0.5, offset=8.0))
    pixels = version.golden().pixels[:2] // 4 * 4
    plain = OnnxEngine(version, threads=1, max_batch=8).run(pixels // 2 + 8)
    scaled = OnnxEngine(halved, threads=1, max_batch=8).run(pixels)
    assert scaled["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-6)


@pytest.mark.parametrize("engine_name", ["onnx", "auto"])
def test_the_digit_model_is_served_by_onnx_runtime(version: ModelVersion, settings: Settings, engine_name: str) -> None:
    """With the threads and the batch size of the settings, on a machine without a GPU."""
    if engine_name == "auto" and has_gpu():
        pytest.skip("Keras serves on a GPU")
    opened = open_engine(version, replace(settings, engine=engine_name, engine_threads=3, batch_size=5))
    assert (opened.name, opened.threads, opened.max_batch) == ("onnxruntime", 3, 5)


def test_a_version_without_an_export_is_refused(changed: Change, settings: Settings) -> None:
    """A file that `model.json` does not list does not count: nobody checked it."""
    with pytest.raises(SettingsError, match=r"--engine onnx: this version has no model\.onnx; start with --engine k"):
        open_engine(changed(onnx=None), settings)


def test_an_export_that_cannot_be_loaded_is_refused(changed: Change, settings: Settings) -> None:
    """One sentence, whatever ONNX Runtime raises."""
    with pytest.raises(SettingsError, match=r"--engine onnx: ONNX Runtime cannot load model\.onnx .* --engine keras"):
        open_engine(changed(onnx=b"no network at all" * 100), settings)


def test_an_engine_that_computes_something_else_is_refused(version: ModelVersion, changed: Change,
                                                           settings: Settings) -> None:
    """The golden outputs tell."""
    outputs = dict(np.load(version.folder / "golden" / "outputs.npz"))
    outputs["probabilities"] = outputs["probabilities"][:, ::-1]
    other = changed()
    np.savez_compressed(other.folder / "golden" / "outputs.npz", **outputs)
    with pytest.raises(SettingsError, match=r"--engine onnx: digits@1: the engine differs: probabilities"):
        open_engine(other, settings)


def test_the_golden_check_sees_a_wrong_scale(version: ModelVersion) -> None:
    """A policy mistake is no small difference."""
    wrong = OnnxEngine(replace(version, spec=replace(version.spec, scale=1 / 255)), threads=1, max_batch=8)
    with pytest.raises(GoldenMismatchError, match="the engine differs"):
        check_engine(version, wrong.run)
