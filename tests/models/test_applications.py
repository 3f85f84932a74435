"""Networks of `keras.applications`: scaling inside, outputs by name, and honest errors."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.adding import add_application, next_version, read_labels
from models.applications import WeightsError, applications, build, find_application, scale
from models.errors import ModelError
from models.photos import photo_pieces
from models.version import ModelVersion


def test_the_table_is_all_of_keras_applications(keras: Any) -> None:
    """A network that Keras adds or drops is noticed here."""
    known = {name for name, value in inspect.getmembers(keras.applications, inspect.isfunction)}
    assert {application.name for application in applications().values()} == known


MODULES = {"tf": "mobilenet_v2", "torch": "densenet", "caffe": "resnet50", "inside": "efficientnet"}


@pytest.mark.parametrize(("scaling", "module"), MODULES.items())
def test_scaling_equals_kerass_own_preprocessing(keras: Any, scaling: str, module: str) -> None:
    """The layers in the graph against `preprocess_input` as the oracle."""
    raw = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    pixels = keras.Input((8, 8, 3))
    inside = keras.Model(pixels, keras.layers.Identity()(scale(pixels, scaling)))
    oracle = importlib.import_module(f"keras.applications.{module}").preprocess_input(raw.copy())
    np.testing.assert_allclose(inside.predict_on_batch(raw), oracle, atol=1e-4)


def test_every_scaling_is_that_of_its_module(keras: Any) -> None:
    """Each row of the table: what the network's own module does to a white and a black pixel."""
    ranges = {"tf": (-1, 1), "inside": (0, 255), "torch": (-2.118, 2.64), "caffe": (-123.68, 151.061)}
    for application in applications().values():
        module = inspect.getmodule(getattr(keras.applications, application.name))
        done = module.preprocess_input(np.array([[[[0, 0, 0], [255, 255, 255]]]], np.float32))  # type: ignore[union-attr]
        assert (done.min(), done.max()) == pytest.approx(ranges[application.scaling], abs=0.01), application


@pytest.mark.parametrize("name", ["mobilenetv2", "MOBILENETV2", "MobileNetV2"])
def test_case_does_not_matter(name: str) -> None:
    """People write names as they remember them."""
    assert find_application(name).name == "MobileNetV2"


def test_an_unknown_application_lists_the_choices() -> None:
    """The error is the catalogue."""
    with pytest.raises(ModelError, match=r"There is no application 'resnet'; choose from MobileNet, .*XLarge\."):
        find_application("resnet")


@pytest.fixture(scope="module")
def added(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """MobileNet at 64 pixels with five labels and random weights."""
    assert keras
    folder = tmp_path_factory.mktemp("add")
    labels = folder / "labels.txt"
    labels.write_text("ねこ\nいぬ\nchat\nقطة\nкот\n", encoding="utf-8")
    return add_application(
        "tiere", application="mobilenet", weights="none", labels_file=labels, size=64, root=folder / "store"
    )


def test_an_added_network_is_a_whole_version(added: ModelVersion) -> None:
    """Labels in their scripts, raw pixels in, the three outputs, exact in ONNX Runtime."""
    added.verify()
    spec = added.spec
    assert (spec.labels, spec.input_size, spec.channels) == (("ねこ", "いぬ", "chat", "قطة", "кот"), 64, 3)
    assert (spec.scale, spec.offset, spec.resize) == (1.0, 0.0, "crop-bilinear-v1")
    assert spec.outputs == {"probabilities": (5,), "embedding": (1024,), "map": (2, 2, 1024)}
    import keras

    assert spec.about["onnx"].startswith("kept" if keras.backend.backend() == "tensorflow" else "left out")


def test_random_weights_tell_pictures_apart(added: ModelVersion) -> None:
    """Not 1/C for every picture: clear winners, and not all the same."""
    probabilities = added.golden().probabilities
    assert probabilities.max(axis=1).min() > 1.2 / 5
    assert len(set(probabilities.argmax(axis=1).tolist())) > 1


@pytest.mark.parametrize(
    ("name", "size", "outputs"),
    [
        ("MobileNetV3Small", 64, {"embedding": (1024,)}),
        ("ResNet50", 32, {"embedding": (2048,), "map": (1, 1, 2048)}),
    ],
)
def test_the_map_is_there_where_only_an_average_follows(
    keras: Any, name: str, size: int, outputs: dict[str, tuple[int, ...]]
) -> None:
    """MobileNetV3 has a hidden layer after the average, so a map would not explain its answers."""
    assert keras
    model = build(find_application(name), weights="none", classes=7, size=size)
    shapes = {key: tuple(tensor.shape[1:]) for key, tensor in model.output.items()}
    assert shapes == {"probabilities": (7,), **outputs}


def test_weights_of_another_network_are_explained(keras: Any, added: ModelVersion, tmp_path: Path) -> None:
    """One sentence instead of Keras's page; a missing file too."""
    loaded = keras.saving.load_model(added.folder / "model.keras", compile=False)
    loaded.save_weights(tmp_path / "mine.weights.h5")
    application = find_application("MobileNet")
    same = build(application, weights=str(tmp_path / "mine.weights.h5"), classes=5, size=64)
    pixels = added.golden().pixels.astype(np.float32)
    np.testing.assert_allclose(
        same.predict_on_batch(pixels)["probabilities"], added.golden().probabilities, atol=1e-5
    )
    with pytest.raises(WeightsError, match=r"mine\.weights\.h5 holds no weights of MobileNet for 6 classes"):
        build(application, weights=str(tmp_path / "mine.weights.h5"), classes=6, size=64)
    with pytest.raises(WeightsError, match="there is no such file; expected imagenet, none or a file"):
        build(application, weights=str(tmp_path / "none.h5"), classes=5, size=64)


def test_versions_count_on(tmp_path: Path) -> None:
    """Also past a version that is damaged or not a number."""
    assert next_version(tmp_path / "new") == "1"
    for name in ("1", "3", "beta"):
        (tmp_path / "new" / name).mkdir(parents=True)
    assert next_version(tmp_path / "new") == "4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n\nb\n", r"line 2 is ''; expected one label a line, each once\."),
        ("a\nb\na\n", r"line 3 is 'a'; expected one label a line, each once\."),
        ("a\n", r"has 1 labels; expected at least 2\."),
        ("", r"has 0 labels; expected at least 2\."),
    ],
)
def test_wrong_label_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """The error names the line."""
    (tmp_path / "labels.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        read_labels(tmp_path / "labels.txt")


def test_a_label_file_is_utf_8(tmp_path: Path) -> None:
    """With or without the mark that Windows editors put in front; anything else is refused."""
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffä\r\nб\r\n\r\n".encode())
    assert read_labels(path) == ("ä", "б")
    path.write_bytes("ä\nb".encode("latin-1"))
    with pytest.raises(ModelError, match="cannot be read as UTF-8"):
        read_labels(path)


def test_golden_photos_are_the_same_everywhere() -> None:
    """Twelve, all different, as files."""
    pieces = photo_pieces()
    assert len(pieces) == len(set(pieces.values())) == 12
    assert min(pieces) == "china-1.png"
