"""The Keras engine: the shipped digits on whatever backend is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import DamagedModelError
from models.golden import HALF_TOLERANCE, check_engine
from models.registry import ModelVersion, Registry
from server.keras_engine import KerasEngine, bucket_sizes

# Keras 3.15 copies TensorFlow 2.21 tensors with `np.array(x)`, which NumPy 2.4 warns about: nothing of ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def version() -> ModelVersion:
    """The digit model of the project."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("keras", reason="Keras is not installed: only the serving requirements are")
    return Registry([ROOT / "models" / "store"]).resolve("digits@1")


@pytest.fixture(scope="module")
def engine(version: ModelVersion) -> KerasEngine:
    """Warm, at most four pictures a call."""
    warm = KerasEngine(version, max_batch=4)
    warm.warm_up()
    return warm


def noise(count: int) -> NDArray[np.uint8]:
    """Pictures of the digits' size."""
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 1), np.uint8)


def test_the_engine_reproduces_the_golden_outputs(engine: KerasEngine, version: ModelVersion) -> None:
    """What every start checks."""
    check_engine(version, engine.run)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_a_batch_equals_one_by_one(engine: KerasEngine, count: int) -> None:
    """Padding and splitting change nothing; answers are float32 and as many as pictures."""
    pixels = noise(count)
    outputs = engine.run(pixels)
    assert {name: (values.shape, values.dtype) for name, values in outputs.items()} == {
        "probabilities": ((count, 10), np.dtype("float32")),
        "embedding": ((count, 56), np.dtype("float32")),
        "map": ((count, 8, 8, 56), np.dtype("float32")),
    }
    for row in range(count):
        single = engine.run(pixels[row : row + 1])
        for name, values in outputs.items():
            np.testing.assert_allclose(values[row], single[name][0], atol=1e-5)


def test_half_precision_stays_within_its_tolerance(version: ModelVersion) -> None:
    """Float16 inside, float32 outside."""
    half = KerasEngine(version, half=True, max_batch=16)
    check_engine(version, half.run, HALF_TOLERANCE)
    outputs = half.run(noise(2))
    assert {values.dtype for values in outputs.values()} == {np.dtype("float32")}
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, atol=1e-5)


def test_scale_and_offset_are_applied_to_the_pixels(version: ModelVersion, engine: KerasEngine) -> None:
    """x = u8 * scale + offset: a network that wants its pixels inverted gets them inverted."""
    inverted = replace(version, spec=replace(version.spec, scale=-1.0, offset=255.0))
    pixels = noise(3)
    expected, actual = engine.run(255 - pixels), KerasEngine(inverted, max_batch=4).run(pixels)
    np.testing.assert_allclose(actual["probabilities"], expected["probabilities"], atol=1e-5)


def test_the_engine_names_its_backend(engine: KerasEngine) -> None:
    """Logs and metrics show it."""
    import keras

    assert engine.name == f"keras-{keras.backend.backend()}"
    assert (engine.threads, engine.max_batch) == (1, 4)


@pytest.mark.parametrize(
    ("max_batch", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (64, (1, 2, 4, 8, 16, 32, 64))]
)
def test_bucket_sizes_are_powers_of_two_and_the_largest(max_batch: int, sizes: tuple[int, ...]) -> None:
    """Few shapes to compile, at most half a batch of padding."""
    assert bucket_sizes(max_batch) == sizes


def test_a_file_that_brings_code_is_refused(version: ModelVersion, tmp_path: Path) -> None:
    """Safe mode: a lambda from elsewhere is never run."""
    import keras

    pixels = keras.Input((32, 32, 1))
    model = keras.Model(pixels, {"probabilities": keras.layers.Lambda(lambda x: x)(pixels)})
    model.save(tmp_path / "model.keras")
    with pytest.raises(DamagedModelError, match=r"digits@1: model\.keras cannot be loaded"):
        KerasEngine(replace(version, folder=tmp_path))


CHECK = """
import sys
from pathlib import Path
import numpy as np
from models.golden import check_engine
from models.registry import Registry
from server.keras_engine import KerasEngine
version = Registry([Path("models/store")]).resolve("digits@1")
for half in (False, True):
    engine = KerasEngine(version, half=half, max_batch=4)
    engine.warm_up()
    check_engine(version, engine.run, 2e-2 if half else 1e-3)
assert engine.name == "keras-" + sys.argv[1], engine.name
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
@pytest.mark.usefixtures("version")
def test_the_engine_runs_on_every_backend_that_is_installed(backend: str) -> None:
    """KERAS_BACKEND decides; each needs its own process."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment: dict[str, Any] = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", CHECK, backend], cwd=ROOT, env=environment, check=True)
