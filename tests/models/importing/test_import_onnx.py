"""ONNX files of every layout get Pixfield's input and outputs, and are served by ONNX Runtime alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import COLOURS, SIDE, colour_network, colour_onnx, write_colours

from models.errors import ModelError
from models.golden import check_engine
from models.importing.ends import End
from models.importing.importing import import_file
from models.importing.onnx_file import load_onnx
from models.importing.onnx_network import OnnxNetwork
from models.importing.order import Order
from models.importing.scalings import scalings
from models.onnx_export import onnx_run
from models.registry import ModelVersion, Registry
from server.engine import open_engine
from server.errors import SettingsError
from server.settings import Settings

pytest.importorskip("onnx", reason="onnx is not installed: only the serving requirements are")


def _network(path: Path, **kind: Any) -> OnnxNetwork:
    size = kind.pop("size", None)
    return OnnxNetwork(load_onnx(colour_onnx(path, **kind)), size=size, labels=5)


def _expected(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    from networks import colour_bias, colour_kernel

    scores = (pixels / 127.5 - 1).mean(axis=(1, 2)) @ colour_kernel() + colour_bias()
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"channels_first": False},
        {"batch": 1},
        {"batch": 1, "channels_first": False, "shape": (1, -1)},
        {"batch": 1, "shape": (1, 3)},
        {"kind": "UINT8"},
        {"kind": "UINT8", "channels_first": False, "batch": 1},
        {"end": None},
        {"end": "LogSoftmax", "extra": True},
        {"side": "S", "size": 32},
        {"opset": 11},
    ],
    ids=str,
)
def test_every_layout_answers_alike(tmp_path: Path, kind: dict[str, Any]) -> None:
    """Channels first or last, one picture or many, bytes or numbers, scores or probabilities, extra outputs."""
    network = _network(tmp_path / "m.onnx", **kind)
    pixels = np.random.default_rng(3).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
    scaling = scalings(3)["raw" if kind.get("kind") == "UINT8" else "signed"]
    end = End.PROBABILITIES if kind.get("end", "Softmax") == "Softmax" else End.SCORES
    import onnx

    onnx.save(network.proto(scaling, end), tmp_path / "ours.onnx")
    outputs = onnx_run(tmp_path / "ours.onnx")(pixels)
    assert outputs["probabilities"] == pytest.approx(_expected(pixels.astype(np.float64)), abs=1e-5)
    assert outputs["embedding"] == pytest.approx(outputs["map"].mean(axis=(1, 2)), abs=1e-4)
    assert outputs["map"].shape == (5, SIDE, SIDE, 3)
    assert network.activation == ("softmax" if end is End.PROBABILITIES else "linear")


@pytest.mark.parametrize("name", list(scalings(3)))
def test_a_scaling_inside_equals_the_scaling_outside(tmp_path: Path, name: str) -> None:
    """Factors, offsets and channel order become nodes."""
    import onnx

    network = _network(tmp_path / "m.onnx")
    pixels = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    onnx.save(network.proto(scalings(3)[name], End.PROBABILITIES), tmp_path / "ours.onnx")
    inside = onnx_run(tmp_path / "ours.onnx")(pixels)["probabilities"]
    assert inside == pytest.approx(network.answer(scalings(3)[name](pixels)), abs=1e-4)


def test_a_single_sigmoid_becomes_two_labels(tmp_path: Path) -> None:
    """The second label has its value, the first the rest."""
    import onnx
    from onnx import helper

    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["score"]),
             helper.make_node("Sigmoid", ["score"], ["output"])]
    weights = onnx.numpy_helper.from_array(np.full((192, 1), 0.01, np.float32), "w")
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, ["N", 3, 8, 8])],
                              [helper.make_tensor_value_info("output", 1, ["N", 1])], [weights])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    network = OnnxNetwork(load_onnx(path), size=None, labels=2)
    onnx.save(network.proto(scalings(3)["signed"], End.SIGMOID), path)
    outputs = onnx_run(path)(np.full((2, 8, 8, 3), 255, np.uint8))
    assert outputs["probabilities"][0] == pytest.approx([1 - 0.87214, 0.87214], abs=1e-3)
    assert (outputs["embedding"].shape, "map" in outputs) == ((2, 192), False)


def test_a_batch_that_cannot_be_freed_is_answered_one_by_one(tmp_path: Path) -> None:
    """A reshape that mixes pictures when there are several: the answers decide, not the shapes."""
    import onnx

    model = onnx.load(colour_onnx(tmp_path / "m.onnx", batch=1, shape=(-1, 3)))
    sums = onnx.helper.make_node("ReduceMean", [model.graph.node[-1].output[0]], ["mixed"], axes=[0], keepdims=1)
    model.graph.node.append(sums)
    model.graph.output[0].name = "mixed"
    network = OnnxNetwork(model, size=None, labels=5)
    pixels = np.random.default_rng(3).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)
    onnx.save(network.proto(scalings(3)["signed"], End.PROBABILITIES), tmp_path / "ours.onnx")
    assert network.is_batch_fixed
    outputs = onnx_run(tmp_path / "ours.onnx")(pixels)
    assert outputs["probabilities"] == pytest.approx(_expected(pixels.astype(np.float64)), abs=1e-5)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """An ONNX file, imported with pictures to check it."""
    root = tmp_path_factory.mktemp("store")
    path = colour_onnx(tmp_path_factory.mktemp("モデル") / "色.onnx", batch=1)
    import_file(Order(file=path, name="色", root=root, labels=COLOURS,
                      check=write_colours(root.parent / "check onnx")))
    return Registry([root]).resolve("色@1")


def test_the_version_has_model_onnx_alone(imported: ModelVersion) -> None:
    """Complete, with the scaling inside and all answers right."""
    imported.verify()
    check_engine(imported, onnx_run(imported.folder / "model.onnx"))
    spec = imported.spec
    assert ("model.keras" in spec.files, spec.scale, spec.offset) == (False, 1.0, 0.0)
    assert spec.about["accuracy"] == 1.0
    assert dict(spec.outputs) == {"probabilities": (5,), "embedding": (3,), "map": (SIDE, SIDE, 3)}


@pytest.mark.parametrize("engine", ["auto", "onnx"])
def test_onnx_runtime_serves_it(imported: ModelVersion, tmp_path: Path, engine: str) -> None:
    """Also on a machine with a GPU: there is no network for Keras."""
    opened = open_engine(imported, replace(_settings(tmp_path), engine=engine))
    assert opened.name == "onnxruntime"


def test_the_keras_engine_says_that_it_has_nothing_to_run(imported: ModelVersion, tmp_path: Path) -> None:
    """One sentence with the way out."""
    with pytest.raises(SettingsError, match=r"色@1 has model\.onnx alone; start with --engine auto"):
        open_engine(imported, replace(_settings(tmp_path), engine="keras"))


def _settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path, engine_threads=1)


@pytest.mark.parametrize(
    ("kind", "size", "sentence"),
    [
        ({"side": "S"}, None, "takes pictures of any size; say which with --size N"),
        ({}, 64, "--size is 64; the network takes pictures of 32 x 32 pixels"),
        ({"opset": 99}, None, "is written in opset 99; 7 to "),
        ({"opset": 6}, None, "is written in opset 6; 7 to "),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, kind: dict[str, Any], size: int | None, sentence: str) -> None:
    """Free and wrong sizes, an opset from the future and one from the past."""
    with pytest.raises(ModelError) as caught:
        _network(tmp_path / "m.onnx", **kind, size=size)
    assert sentence in str(caught.value)


def test_an_operator_nobody_knows_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime's reason, in one sentence."""
    import onnx

    model = onnx.load(colour_onnx(tmp_path / "m.onnx"))
    model.graph.node[0].op_type, model.graph.node[0].domain = "Secret", "acme"
    model.opset_import.append(onnx.helper.make_opsetid("acme", 1))
    with pytest.raises(ModelError, match="ONNX Runtime does not take this network: ") as caught:
        OnnxNetwork(model, size=None, labels=5)
    assert str(caught.value).count("\n") == 0


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A file whose weights lie beside it."""
    import onnx

    folder = tmp_path / "モデル"
    folder.mkdir()
    model = onnx.load(colour_onnx(tmp_path / "m.onnx"))
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder / "m.onnx"


def test_data_beside_the_file_is_read(external: Path) -> None:
    """And the version then needs it no more."""
    network = OnnxNetwork(load_onnx(external), size=None, labels=5)
    assert network.answer(np.zeros((1, SIDE, SIDE, 3), np.float32)).argmax() == 1


@pytest.mark.parametrize("place", ["../weights.bin", "/etc/passwd", "C:\\weights.bin", "..\\weights.bin", ""])
def test_data_outside_the_folder_is_refused(external: Path, place: str) -> None:
    """However it is written, and also where such a file exists."""
    import onnx

    shutil.copy(external.with_name("weights.bin"), external.parents[1] / "weights.bin")
    model = onnx.load(external, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    external.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder; that is not read"):
        load_onnx(external)


def test_data_that_was_not_copied_is_named(external: Path) -> None:
    """People copy the .onnx file alone."""
    external.with_name("weights.bin").unlink()
    with pytest.raises(ModelError, match=r"keeps data in weights\.bin, which is not beside it: copy that file, too"):
        load_onnx(external)


def test_a_saved_model_is_turned_into_onnx(keras: Any, tmp_path: Path) -> None:
    """A TensorFlow folder answers as its network did."""
    from models.importing.saved_model import load_saved_model

    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow writes SavedModels")
    model = colour_network()
    model.export(tmp_path / "保存", format="tf_saved_model", verbose=False)
    network = OnnxNetwork(load_saved_model(tmp_path / "保存", tmp_path, is_trusted=False), size=None, labels=5)
    values = np.random.default_rng(3).uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32)
    assert network.answer(values) == pytest.approx(model.predict_on_batch(values), abs=1e-5)
