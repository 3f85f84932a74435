"""Keras network in, version folder out: what ONNX Runtime answers is what Keras answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import make_spec, toy_pictures

from models.errors import GoldenMismatchError, ModelError
from models.export import export_version, keras_run
from models.golden import FULL_TOLERANCE, Run, check_decode, check_engine
from models.onnx_export import drop_unread_inputs, onnx_run
from models.version import ModelVersion


@pytest.fixture(scope="module")
def model(keras: Any) -> Any:
    """A tiny residual network whose random weights tell the toy pictures apart."""
    from models.architectures import residual
    from models.picture import read_picture
    from models.untrained import seed_everything, spread_out

    assert keras
    seed_everything()
    tiny = residual.build(size=16, channels=1, classes=3, patch=4, widths=(8, 12))
    pictures = toy_pictures().values()
    policy = {"size": 16, "channels": 1, "resize": "squash-bilinear-v1"}
    spread_out(tiny, np.stack([read_picture(data, **policy).pixels for data in pictures]))  # type: ignore[arg-type]
    return tiny


@pytest.fixture(scope="module")
def exported(model: Any, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """The tiny network as a version folder."""
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras exports all outputs with a free batch axis on TensorFlow only")
    return export_version(model, make_spec("tiny"), toy_pictures(), root=tmp_path_factory.mktemp("store"))


def test_an_exported_version_is_complete(exported: ModelVersion) -> None:
    """Hashes, shapes, both engines' files, and nothing left over beside it."""
    exported.verify()
    check_decode(exported)
    assert {"model.keras", "model.onnx", "golden/outputs.npz"} <= set(exported.spec.files)
    assert exported.spec.outputs == {"probabilities": (3,), "embedding": (12,), "map": (4, 4, 12)}
    assert exported.spec.about["onnx"].startswith("kept")
    assert [path.name for path in exported.folder.parent.iterdir()] == ["1"]


def test_the_onnx_file_has_named_outputs_and_a_free_batch_axis(exported: ModelVersion) -> None:
    """Outputs are asked for by name; any number of pictures at once."""
    run = onnx_run(exported.folder / "model.onnx")
    for count in (1, 2, 7):
        outputs = run(np.zeros((count, 16, 16, 1), np.uint8))
        rows = {name: values.shape[0] for name, values in outputs.items()}
        assert rows == dict.fromkeys(exported.spec.outputs, count)


def test_both_engines_reproduce_the_golden_outputs(model: Any, exported: ModelVersion) -> None:
    """The network in memory and the exported one."""
    check_engine(exported, keras_run(model))
    check_engine(exported, onnx_run(exported.folder / "model.onnx"))


def test_the_embedding_is_the_mean_of_the_map(exported: ModelVersion) -> None:
    """Global average pooling, which is what makes the map explain the answer."""
    outputs = onnx_run(exported.folder / "model.onnx")(np.arange(512, dtype=np.uint8).reshape(2, 16, 16, 1))
    np.testing.assert_allclose(outputs["map"].mean(axis=(1, 2)), outputs["embedding"], atol=1e-5)


@pytest.fixture(scope="module")
def digit_runs(keras: Any, shipped: ModelVersion) -> tuple[Run, Run]:
    """The shipped network in Keras and in ONNX Runtime."""
    loaded = keras.saving.load_model(shipped.folder / "model.keras", compile=False, safe_mode=True)
    return keras_run(loaded), onnx_run(shipped.folder / "model.onnx")


def test_onnx_equals_keras_on_the_golden_digits(digit_runs: tuple[Run, Run], shipped: ModelVersion) -> None:
    """The shipped files are one network."""
    for run in digit_runs:
        check_engine(shipped, run)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["noise", "flat", "sparse"]))
def test_onnx_equals_keras_on_any_picture(digit_runs: tuple[Run, Run], seed: int, kind: str) -> None:
    """Noise, flat grey and sparse dots, all outputs, well below the golden tolerance."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (4, 32, 32, 1), np.uint8)
    if kind == "flat":
        pixels[:] = pixels[:, :1, :1]
    elif kind == "sparse":
        pixels[random.random(pixels.shape) < 0.9] = 0
    by_keras, by_onnx = (run(pixels) for run in digit_runs)
    for name in ("probabilities", "embedding", "map"):
        np.testing.assert_allclose(by_onnx[name], by_keras[name], atol=FULL_TOLERANCE / 5, rtol=1e-4)


def test_a_version_is_never_overwritten(model: Any, exported: ModelVersion) -> None:
    """Workbooks rely on it; a new network is a new version."""
    with pytest.raises(ModelError, match="tiny@1 exists"):
        export_version(model, make_spec("tiny"), toy_pictures(), root=exported.folder.parents[1])


def test_further_files_belong_to_the_version(model: Any, tmp_path: Path) -> None:
    """They are listed with their hashes; one that would replace a file of the version stops the export."""
    version = export_version(model, make_spec("tiny"), toy_pictures(), root=tmp_path, extra={"evaluation.json": b"{}"})
    assert version.path("evaluation.json") is not None
    version.verify()
    with pytest.raises(FileExistsError):
        export_version(model, make_spec("tiny", "2"), toy_pictures(), root=tmp_path, extra={"model.keras": b""})
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["1"]


def test_a_failed_export_leaves_nothing_behind(model: Any, tmp_path: Path) -> None:
    """All or nothing: too few golden pictures, and the folder was never there."""
    with pytest.raises(GoldenMismatchError, match="expected 8 to 16"):
        export_version(model, make_spec("tiny"), toy_pictures(3), root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_spec_that_does_not_fit_the_network_is_refused(model: Any, tmp_path: Path) -> None:
    """Four labels for three classes."""
    spec = replace(make_spec("tiny"), labels=("a", "b", "c", "d"))
    with pytest.raises(ModelError, match=r"outputs\.probabilities is \[3\]; expected \[4\]"):
        export_version(model, spec, toy_pictures(), root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_network_is_refused(keras: Any, tmp_path: Path) -> None:
    """Answers that are all alike would make a golden set that confirms anything."""
    pixels = keras.Input((16, 16, 1))
    embedding = keras.layers.Flatten()(pixels)
    constant = keras.layers.Dense(3, activation="softmax", kernel_initializer="zeros")(embedding)
    model = keras.Model(pixels, {"probabilities": constant, "embedding": embedding})
    with pytest.raises(GoldenMismatchError, match="alike"):
        export_version(model, make_spec("tiny"), toy_pictures(), root=tmp_path)


def test_outputs_with_other_names_are_refused(keras: Any, tmp_path: Path) -> None:
    """The contract is by name."""
    pixels = keras.Input((16, 16, 1))
    model = keras.Model(pixels, {"scores": keras.layers.Flatten()(pixels)})
    with pytest.raises(ModelError, match=r"outputs are \['scores'\]"):
        export_version(model, make_spec("tiny"), toy_pictures(), root=tmp_path)


def test_an_export_that_is_not_exact_is_left_out(keras: Any, model: Any, tmp_path: Path) -> None:
    """The version then has Keras only, and says why."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("elsewhere the export fails before it can be inexact")
    other = keras.models.clone_model(model)
    other(np.zeros((1, 16, 16, 1), np.float32))  # Keras exports only what has been called

    class Inexact:
        """The network, but its export has other weights."""

        output, weights = model.output, model.weights
        save, predict_on_batch = model.save, model.predict_on_batch
        export = other.export

    version = export_version(Inexact(), make_spec("tiny"), toy_pictures(), root=tmp_path)
    assert "model.onnx" not in version.spec.files
    assert not (version.folder / "model.onnx").exists()
    assert version.spec.about["onnx"].startswith("left out: probabilities is off by up to ")


def test_inputs_that_nothing_reads_are_dropped(exported: ModelVersion, tmp_path: Path) -> None:
    """ONNX Runtime would demand a value for each of them."""
    onnx = pytest.importorskip("onnx")
    network = onnx.load(exported.folder / "model.onnx")
    network.graph.input.append(onnx.helper.make_tensor_value_info("stray", onnx.TensorProto.FLOAT, [1]))
    onnx.save(network, tmp_path / "stray.onnx")
    drop_unread_inputs(tmp_path / "stray.onnx")
    assert onnx_run(tmp_path / "stray.onnx")(np.zeros((1, 16, 16, 1), np.uint8))["embedding"].shape == (1, 12)


def test_an_export_that_memory_cannot_hold_is_not_tried(keras: Any) -> None:
    """TensorFlow's exporter copies the graph many times; the version then says why it has no model.onnx."""
    from models.onnx_export import _memory_fault

    class Huge:
        """A network of 40 TB."""

        weights = (keras.KerasTensor((10_000_000, 1_000_000)),)

    assert "exporting 40,000,000 MB of weights takes about 1,600,000 GB of memory" in str(_memory_fault(Huge()))
