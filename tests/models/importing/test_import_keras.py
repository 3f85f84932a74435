"""Keras files of every age: read as they were meant, made flat, and given Pixfield's input and outputs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_legacy import probe_pixels
from networks import COLOURS, LEGACY, SIDE, answers_of_keras_2, as_older_keras, colour_network, write_colours

from models.errors import GoldenMismatchError, ModelError
from models.golden import check_decode, check_engine
from models.importing.ends import End
from models.importing.importing import import_file
from models.importing.keras_file import load_keras
from models.importing.keras_network import KerasNetwork
from models.importing.order import Order
from models.importing.scalings import scalings
from models.onnx_export import onnx_run
from models.registry import ModelVersion, Registry

pytestmark = pytest.mark.usefixtures("keras")

Load = Callable[..., KerasNetwork]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A file as a flat network."""

    def loaded(path: Path, *, size: int | None = None, labels: int = 5) -> KerasNetwork:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        return KerasNetwork(load_keras(path, scratch, is_trusted=False), size=size, labels=labels)

    return loaded


@pytest.mark.parametrize("is_older", [False, True], ids=["module names", "Keras 2.2"])
def test_a_teachable_machine_file_answers_as_it_did(load: Load, tmp_path: Path, is_older: bool) -> None:
    """Written by Keras 2: nested Sequentials, `groups` in a DepthwiseConv2D, a frozen base, no bias at the end."""
    path = as_older_keras(LEGACY / "keras_model.h5", tmp_path / "o.h5") if is_older else LEGACY / "keras_model.h5"
    network = load(path)
    assert network.answer(probe_pixels() / 127.5 - 1) == pytest.approx(answers_of_keras_2("keras_model"), abs=1e-5)
    assert (network.size, network.channels, network.classes, network.activation) == (32, 3, 5, "softmax")


def test_keras_3_alone_refuses_that_file(keras: Any) -> None:
    """Why the conversion exists; when this fails, it may go."""
    with pytest.raises((TypeError, ValueError)):
        keras.saving.load_model(LEGACY / "keras_model.h5", compile=False)


@pytest.mark.parametrize("name", ["binary.h5", "binary.keras", "caffe.h5"])
def test_operators_between_layers_are_kept(load: Load, name: str) -> None:
    """`preprocess_input(x)` inside a functional model, as transfer learning is taught, in both formats of Keras 2."""
    network = load(LEGACY / name, labels=2)
    assert network.answer(probe_pixels()) == pytest.approx(answers_of_keras_2(Path(name).stem), abs=1e-5)
    assert network.scales_itself


def test_the_flat_network_answers_as_the_nested_one(load: Load, tmp_path: Path) -> None:
    """With the scaling inside, after being saved and loaded in safe mode; nothing random is left in it."""
    import keras

    network = load(LEGACY / "binary.h5", labels=2)
    model = network.model(scalings(3)["raw"], End.SCORE)
    model.save(tmp_path / "m.keras")
    outputs = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True).predict_on_batch(probe_pixels())
    second = 1 / (1 + np.exp(-answers_of_keras_2("binary")))
    assert outputs["probabilities"] == pytest.approx(np.concatenate([1 - second, second], axis=1), abs=1e-5)
    assert outputs["map"].mean(axis=(1, 2)) == pytest.approx(outputs["embedding"], abs=1e-4)
    assert not [layer.name for layer in model.layers if "random" in layer.name or "dropout" in layer.name]


@pytest.mark.parametrize("name", ["torch", "caffe", "raw-bgr", "signed"])
def test_a_scaling_inside_equals_the_scaling_outside(name: str) -> None:
    """Factors, offsets and channel order become layers."""
    network = KerasNetwork(colour_network(), size=None, labels=5)
    pixels = probe_pixels()
    scaling = scalings(3)[name]
    inside = network.model(scaling, End.PROBABILITIES).predict_on_batch(pixels)["probabilities"]
    assert inside == pytest.approx(network.answer(scaling(pixels.astype(np.uint8))), abs=1e-5)


def test_layers_of_the_same_name_in_two_inner_models_are_told_apart() -> None:
    """A flat network needs each name once."""
    import keras

    layers = keras.layers
    first = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, name="same"),
                              layers.GlobalAveragePooling2D(name="pool")])
    second = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="same")])
    model = keras.Sequential([keras.Input((16, 16, 3)), first, second])
    pixels = probe_pixels()[:, :16, :16]
    expected = model.predict_on_batch(pixels)
    network = KerasNetwork(model, size=None, labels=3)
    assert network.answer(pixels) == pytest.approx(expected, rel=1e-5)
    assert set(network.model(scalings(3)["raw"], End.SCORES).output) == {"probabilities", "embedding", "map"}


def test_grey_pictures_without_a_channel_axis_are_taken() -> None:
    """(28, 28), as every first tutorial has it."""
    import keras

    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(9, "relu"), layers.Dense(10)])
    network = KerasNetwork(model, size=None, labels=10)
    assert (network.size, network.channels, network.activation) == (28, 1, "linear")
    assert network.model(scalings(1)["unit"], End.SCORES).output["embedding"].shape == (None, 9)


def _model(shape: tuple[int | None, ...], *ends: int) -> Any:
    import keras

    pixels = keras.Input(shape)
    features = keras.layers.GlobalAveragePooling2D()(pixels)
    return keras.Model(pixels, [keras.layers.Dense(end)(features) for end in ends])


@pytest.mark.parametrize(
    ("shape", "ends", "size", "sentence"),
    [
        ((None, None, 3), (5,), None, "takes pictures of any size; say which with --size N"),
        ((32, 32, 3), (5,), 64, "--size is 64; the network takes pictures of 32 x 32"),
        ((32, 48, 3), (5,), None, "takes pictures of 48 x 32 pixels; Pixfield's are square"),
        ((32, 32, 4), (5,), None, "input has the shape (32, 32, 4)"),
        ((32, 32, 3), (5, 5, 4, 1), None, "has 4 outputs of the shapes (any, 5), (any, 5), (any, 4), (any, 1)"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_refused(
    shape: tuple[int | None, ...], ends: tuple[int, ...], size: int | None, sentence: str
) -> None:
    """Free, wrong and odd sizes, four channels, and a detector with four outputs."""
    with pytest.raises(ModelError) as caught:
        KerasNetwork(_model(shape, *ends), size=size, labels=5)
    assert sentence in str(caught.value)


def test_extra_outputs_are_left_out_where_the_labels_tell(keras: Any) -> None:
    """One output has as many numbers as there are labels; a free size is what --size says."""
    assert keras
    network = KerasNetwork(_model((None, None, 3), 7, 5), size=40, labels=5)
    assert (network.classes, network.size) == (5, 40)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, keras: Any) -> ModelVersion:
    """The Teachable Machine file, imported with pictures to check it."""
    assert keras
    root = tmp_path_factory.mktemp("保管")
    order = Order(file=LEGACY / "keras_model.h5", name="色", root=root, labels=COLOURS,
                  check=write_colours(root.parent / "check 色", each=16))
    report = import_file(order)
    assert report.warnings == []
    return Registry([root]).resolve("色@1")


def test_an_imported_version_is_complete_and_exact(imported: ModelVersion) -> None:
    """Both engines' files, golden pictures of every class, scale 1 and offset 0: the scaling is inside."""
    imported.verify()
    check_decode(imported)
    check_engine(imported, onnx_run(imported.folder / "model.onnx"))
    spec = imported.spec
    assert {"model.keras", "model.onnx"} <= set(spec.files)
    assert (spec.scale, spec.offset, spec.labels) == (1.0, 0.0, COLOURS)
    assert set(imported.golden().probabilities.argmax(axis=1)) == set(range(5))


def test_the_card_says_what_was_tried(imported: ModelVersion) -> None:
    """All ten scalings with their accuracy, the choice, and where it comes from."""
    about = imported.spec.about
    assert about["scaling"] == "-1..1 RGB, inside the network (--check)"
    assert about["accuracy"] == 1.0
    assert set(about["check"]["tried"]) == set(scalings(3))
    assert about["check"]["tried"]["raw"] < 0.7
    assert (about["check"]["pictures"], about["check"]["within_noise"]) == (80, [])


def test_without_check_the_scaling_is_a_guess_and_said_to_be(tmp_path: Path) -> None:
    """A network without any hint; --scale makes it the user's word; a network that scales itself needs neither."""
    from models.importing.importing import Usual, _Import, _scaling

    order = Order(file=tmp_path / "m.keras", name="m", root=tmp_path, labels=COLOURS)
    pixels = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    found = []
    for wanted, scaling in ((None, "signed"), ("torch", "signed"), (None, "raw")):
        network = KerasNetwork(colour_network(scaling=scaling), size=None, labels=5)
        usual = Usual("unit", "usual for such files", "squash-bilinear-v1")
        one = _Import(replace(order, scale=wanted), network, usual, COLOURS, None, {}, tmp_path)
        chosen, origin, _ = _scaling(one, End.PROBABILITIES, pixels)
        found.append((chosen.name, origin))
    assert found == [("unit", "a guess, usual for such files"), ("torch", "--scale"),
                     ("raw", "the network scales them itself")]


def test_a_network_that_answers_all_alike_is_refused(tmp_path: Path) -> None:
    """Its golden outputs would confirm any engine; nothing is left behind."""
    import keras

    pixels = keras.Input((16, 16, 3))
    flat = keras.layers.Flatten()(pixels)
    dense = keras.layers.Dense(3, activation="softmax", kernel_initializer="zeros")
    keras.Model(pixels, dense(flat)).save(tmp_path / "m.keras")
    order = Order(file=tmp_path / "m.keras", name="m", root=tmp_path / "store", labels=("a", "b", "c"))
    with pytest.raises(GoldenMismatchError, match=r"alike, .* taken to be 0\.\.1 RGB .* see --check and --scale"):
        import_file(order)
    assert list((tmp_path / "store").iterdir()) == []


def test_too_few_labels_are_one_sentence_with_both_numbers(tmp_path: Path) -> None:
    """And none at all say how many are wanted."""
    order = Order(file=LEGACY / "keras_model.h5", name="m", root=tmp_path, labels=("a", "b"))
    with pytest.raises(ModelError, match=r"--labels has 2 labels; keras_model\.h5 answers for 5 classes"):
        import_file(order)
    with pytest.raises(ModelError, match=r"answers for 5 classes; say which they are, in its order, with --labels"):
        import_file(replace(order, labels=()))


def _lambda_file(path: Path) -> Path:
    """The colour network with a harmless Lambda of Python code in it."""
    import keras

    pixels = keras.Input((SIDE, SIDE, 3))
    doubled = keras.layers.Lambda(lambda x: x * 2.0, output_shape=(SIDE, SIDE, 3), name="twice")(pixels)
    keras.Model(pixels, colour_network()(doubled)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_is_refused_without_trust(tmp_path: Path, suffix: str) -> None:
    """It is Python code of the file's maker; the layer is named."""
    path = _lambda_file(tmp_path / f"m{suffix}")
    with pytest.raises(ModelError, match=r"'twice' is a Lambda, which brings Python code .* add --trust"):
        import_file(Order(file=path, name="m", root=tmp_path, labels=COLOURS))


def test_a_lambda_inside_a_wrapper_is_found(tmp_path: Path) -> None:
    """Wherever it hides."""
    import keras

    layers = keras.layers
    pixels = keras.Input((8, 8, 3))
    hidden = layers.TimeDistributed(layers.Lambda(lambda x: x, output_shape=(8, 3), name="hidden"))(pixels)
    keras.Model(pixels, layers.Dense(5)(layers.Flatten()(hidden))).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match="'hidden' is a Lambda"):
        load_keras(tmp_path / "m.keras", tmp_path, is_trusted=False)


def test_a_trusted_lambda_is_served_by_its_export_alone(tmp_path: Path) -> None:
    """No engine would load its code again, and none has to."""
    path = _lambda_file(tmp_path / "m.keras")
    order = Order(file=path, name="m", root=tmp_path / "s", labels=COLOURS, scale="signed", is_trusted=True)
    import_file(order)
    version = Registry([tmp_path / "s"]).resolve("m@1")
    assert "model.keras" not in version.spec.files
    check_engine(version, onnx_run(version.folder / "model.onnx"))


def test_a_layer_of_the_makers_own_is_named(tmp_path: Path) -> None:
    """Code that only its maker has."""
    path = tmp_path / "m.keras"
    colour_network().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1].update(class_name="KerasLayer", module="tensorflow_hub", registered_name="KerasLayer")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**parts, "config.json": json.dumps(config).encode()}.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="of the class KerasLayer, which Keras does not have; export"):
        load_keras(path, tmp_path, is_trusted=False)


def test_names_and_arguments_of_keras_2_are_translated(load: Load, tmp_path: Path) -> None:
    """Slashes in names (DenseNet, MobileNetV3), and arguments that Keras 3 does not know (Xception, decoders)."""
    import h5py
    import keras

    layers = keras.layers
    pixels = keras.Input((16, 16, 3), name="pictures")
    first = layers.SeparableConv2D(4, 3, name="block__first")(pixels)
    second = layers.Conv2DTranspose(4, 3, name="block__second")(first)
    model = keras.Model(pixels, layers.Dense(5)(layers.Flatten()(second)))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"].replace("block__", "block/"))
        for layer in config["config"]["layers"][1:3]:
            layer["config"] |= {"groups": 1, "kernel_initializer": None} if "first" in layer["name"] else {"groups": 1}
        file.attrs["model_config"] = json.dumps(config)
    values = probe_pixels()[:, :16, :16]
    assert load(tmp_path / "m.h5").answer(values) == pytest.approx(model.predict_on_batch(values), rel=1e-4, abs=1e-3)


def test_a_file_with_the_other_ending_is_read_as_what_it_is(load: Load, tmp_path: Path) -> None:
    """What a file is stands in it."""
    path = tmp_path / "m.h5"
    colour_network().save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(path)
    assert load(path).classes == 5


def test_statistics_of_a_normalization_layer_are_used(load: Load, tmp_path: Path) -> None:
    """Keras 3 loads them from .h5 files and goes on with mean 0 and variance 1: EfficientNet would answer wrong."""
    import keras

    normalization = keras.layers.Normalization()
    values = probe_pixels()
    normalization.adapt(values)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), normalization, keras.layers.GlobalAveragePooling2D(),
                              keras.layers.Dense(5)])
    model.save(tmp_path / "m.h5")
    assert load(tmp_path / "m.h5").answer(values) == pytest.approx(model.predict_on_batch(values), abs=1e-5)
