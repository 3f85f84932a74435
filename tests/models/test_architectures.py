"""The table of architectures: counts as published, outputs by contract, errors in one sentence, any backend."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.applications import applications
from models.architectures import table
from models.errors import ModelError

ROOT = Path(__file__).parents[2]
OWN = [row for row in table.table().values() if "keras.applications" not in row.source]
FAMILIES = ("mobilenetv2", "xception", "resnet50", "resnet152", "vgg16", "efficientnetb0", "convnexttiny")


BUILDERS = ("dense", "cnn", "alexnet", "vgg-16", "googlenet", "residual", "plain-20", "wrn-16-4",
            "resnet50", "xception")


@pytest.fixture(scope="module")
def counts(keras: Any) -> dict[tuple[str, int], int]:
    """(name, size) -> parameters at the published and at the smallest size, from the shapes alone.

    No weight is made, for VGG's alone would take half a gigabyte.
    """
    rows = [(table.find(name), table.find(name).size) for name in (*(row.name for row in OWN), *FAMILIES)]
    rows += [(table.find(name), table.find(name).smallest) for name in BUILDERS]
    try:
        with keras.StatelessScope(initialize_variables=False):
            return {(row.name, size): _count(row, size) for row, size in rows}
    finally:
        keras.utils.clear_session()  # or Keras makes the weights up for later


def _count(row: table.Architecture, size: int) -> int:
    model = table.build(row.name, size=size, channels=row.channels, classes=row.classes)
    weights = model.trainable_weights if row in OWN else model.weights
    return sum(int(np.prod(variable.shape)) for variable in weights)


@pytest.mark.parametrize("name", [*(row.name for row in OWN), *FAMILIES])
def test_the_count_is_the_tables(counts: dict[tuple[str, int], int], name: str) -> None:
    """Every network of our own, and the larger families of `keras.applications`."""
    row = table.find(name)
    assert counts[name, row.size] == row.parameters


@pytest.mark.parametrize("row", [row for row in table.table().values() if row.published], ids=lambda row: row.name)
def test_the_count_rounds_to_the_published_figure(row: table.Architecture) -> None:
    """All its digits where the source prints them, else as many as it prints."""
    digits, millions = re.fullmatch(r"([\d.,]+)( M)?", row.published).groups()  # type: ignore[union-attr]
    exact = float(digits.replace(",", ""))
    decimals = len(digits.partition(".")[2])
    assert (round(row.parameters / 1e6, decimals) if millions else row.parameters) == exact


def test_every_application_has_its_row() -> None:
    """With its size; a network that Keras adds is noticed here."""
    rows = table.table()
    assert {row.name for row in rows.values() if row not in OWN} == set(applications())
    assert all(rows[name].size == application.size for name, application in applications().items())


RUNS: list[tuple[str, dict[str, Any]]] = [
    ("dense", {"size": 1, "channels": 1}), ("dense", {"size": 28, "channels": 3}),
    ("cnn", {"size": 18, "channels": 3}), ("cnn", {"size": 28, "channels": 1}),
    ("resnet-20", {"size": 8, "channels": 1, "depth": 8}), ("plain-20", {"size": 33, "channels": 3, "width": 8}),
    ("resnet-20", {"size": 28, "channels": 1, "width": 5, "depth": 14}),
    ("wrn-16-4", {"size": 15, "channels": 3, "widening": 1, "dropout": 0.3}),
    ("residual", {"size": 16, "channels": 3, "widths": (8, 12)}),
    ("googlenet", {"size": 70, "channels": 3, "batch_norm": True}),
    ("vgg-16", {"size": 33, "channels": 1, "head": "pooled"}), ("alexnet", {"size": 63, "channels": 3}),
]


@pytest.mark.parametrize(("name", "options"), RUNS)
def test_outputs_are_the_contract(keras: Any, name: str, options: dict[str, Any]) -> None:
    """Probabilities that sum to 1, an embedding, and a map whose mean it is; grey and RGB, odd and even sizes."""
    keras.utils.set_random_seed(3)
    model = table.build(name, classes=7, **options)
    shape = (3, options["size"], options["size"], options["channels"])
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    outputs = {key: keras.ops.convert_to_numpy(values) for key, values in model(pixels, training=False).items()}
    has_map = name not in ("dense", "cnn", "alexnet")
    assert sorted(outputs) == ["embedding", *(["map"] if has_map else []), "probabilities"]
    assert outputs["probabilities"].shape == (3, 7)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)
    assert (len(outputs["embedding"]), outputs["embedding"].ndim) == (3, 2)
    if has_map:
        np.testing.assert_allclose(outputs["map"].mean(axis=(1, 2)), outputs["embedding"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_smallest_size_is_the_smallest(counts: dict[tuple[str, int], int], name: str) -> None:
    """It can be built, and one pixel less is refused."""
    row = table.find(name)
    assert counts[name, row.smallest] > 0
    with pytest.raises(ModelError, match=rf"at least {row.smallest} x {row.smallest} pixels; size is"):
        table.build(name, size=row.smallest - 1, channels=row.channels, classes=2)


@pytest.mark.parametrize(("name", "options"), [
    ("dense", {}), ("cnn", {}), ("plain-20", {"depth": 8}), ("resnet-20", {"depth": 8}),
    ("wrn-16-4", {"depth": 10, "widening": 1}), ("residual", {}),
])
def test_a_training_step_lowers_the_loss(keras: Any, name: str, options: dict[str, Any]) -> None:
    """One batch, one small step against the gradient."""
    keras.utils.set_random_seed(5)
    network = table.build(name, size=20, channels=1, classes=4, **options)
    model = keras.Model(network.input, network.output["probabilities"])
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", run_eagerly=True)
    pixels = np.random.default_rng(1).integers(0, 256, (16, 20, 20, 1)).astype(np.float32)
    first, second = (float(model.train_on_batch(pixels, np.arange(16) % 4)) for _ in range(2))
    assert second < first


@pytest.mark.parametrize(("name", "options"), [("resnet-20", {"depth": 8}), ("wrn-16-4", {"depth": 10, "widening": 1})])
def test_onnx_answers_as_keras(keras: Any, tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """All outputs, with a free batch axis; both kinds of shortcut."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras exports all outputs with a free batch axis on TensorFlow only")
    from models.export import keras_run
    from models.onnx_export import _quiet, onnx_run

    keras.utils.set_random_seed(9)
    model = table.build(name, size=9, channels=3, classes=5, **options)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 9, 9, 3), np.uint8)
    expected = keras_run(model)(pixels)
    with _quiet():
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    run = onnx_run(tmp_path / "model.onnx")
    for count in (5, 1):
        for output, values in run(pixels[:count]).items():
            np.testing.assert_allclose(values, expected[output][:count], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("arguments", "text"), [
    ({"name": "resnet20"}, "There is no architecture 'resnet20'; choose from resnet-20"),
    ({"name": "ねこ"}, "There is no architecture 'ねこ'; choose from dense, cnn, alexnet, .*, convnextxlarge"),
    ({"name": "cnn", "depth": 3}, "cnn has no option depth; it has none"),
    ({"name": "ResNet-20", "wdth": 3}, "resnet-20 has no option wdth; it has depth, momentum, residual, width"),
    ({"name": "vgg-16", "head": "none"}, "vgg-16 has the heads paper and pooled; head is 'none'"),
    ({"name": "wrn-16-4", "depth": 17}, r"6n \+ 4 layers \(10, 16, 22, 28, 34, 40, \.\.\.\); depth is 17"),
    ({"name": "wrn-16-4", "widening": 0}, "widening is 0"),
    ({"name": "dense", "channels": 2}, "channels is 2"),
    ({"name": "residual", "classes": 1}, "classes is 1"),
    ({"name": "resnet50", "channels": 1}, "ResNet50 takes RGB pictures, 3 channels; channels is 1"),
])
@pytest.mark.usefixtures("keras")
def test_what_cannot_be_built_is_refused_in_one_sentence(arguments: dict[str, Any], text: str) -> None:
    """It names the value and what is expected."""
    with pytest.raises(ModelError, match=text):
        table.build(**{"size": 32, "channels": 3, "classes": 10, **arguments})


def test_the_table_loads_no_keras() -> None:
    """Names and sizes are known without it."""
    code = "import sys\nfrom models.architectures import table\ntable.names()\nprint('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


CHECK = """
import sys
import keras, numpy as np
from models.architectures import table
assert keras.backend.backend() == sys.argv[1]
for name, options in (("dense", {}), ("cnn", {}), ("plain-20", {"depth": 8}), ("resnet-20", {"depth": 8}),
                      ("wrn-16-4", {"depth": 10, "widening": 1}), ("residual", {}), ("vgg-16", {"head": "pooled"})):
    model = table.build(name, size=33, channels=3, classes=4, **options)
    answers = model.predict_on_batch(np.zeros((2, 33, 33, 3), np.float32))["probabilities"]
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.usefixtures("keras")
def test_the_small_networks_run_on_every_backend_that_is_installed(backend: str) -> None:
    """KERAS_BACKEND decides; each needs its own process. The other tests here run on the default one."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment: dict[str, str] = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", CHECK, backend], cwd=ROOT, env=environment, check=True)
