"""Files that are no networks, or more than networks: one clear sentence each, and nothing is unpacked for them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import LEGACY, colour_onnx

from models.errors import ModelError
from models.importing.importing import import_file
from models.importing.order import Order

pytestmark = pytest.mark.usefixtures("keras")


def _bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _truncated(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        source = colour_onnx(folder / "whole.onnx") if name.endswith(".onnx") else LEGACY / name
        (folder / name).write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        return folder / name

    return make


def _zip(**members: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return folder / "m.keras"

    return make


def _h5(change: Callable[[Any, Path], None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import h5py

        path = folder / "m.h5"
        path.write_bytes((LEGACY / "keras_model.h5").read_bytes())
        with h5py.File(path, "r+") as file:
            change(file, folder)
        return path

    return make


def _folder(*files: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "saved").mkdir()
        for name in files:
            (folder / "saved" / name).parent.mkdir(exist_ok=True)
            (folder / "saved" / name).write_bytes(b"hello" * 99)
        return folder / "saved"

    return make


def _without_config(file: Any, _: Path) -> None:
    del file.attrs["model_config"]


def _bomb(file: Any, _: Path) -> None:
    file.create_dataset("zeros", (60_000, 10_000), np.float32, chunks=True, compression="gzip")


def _link(file: Any, folder: Path) -> None:
    import h5py

    file["model_weights/away"] = h5py.ExternalLink(str(folder / "other.h5"), "/")


def _elsewhere(file: Any, folder: Path) -> None:
    file.create_dataset("passwords", (10,), np.uint8, external=[(str(folder / "secret"), 0, 10)])


def _nonsense(file: Any, _: Path) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}
    file.attrs["model_config"] = json.dumps(config)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_bytes("m.h5", b""), "is neither a .keras nor an HDF5 file, it is empty"),
        (_bytes("m.keras", b"random" * 999), "is neither a .keras nor an HDF5 file; expected"),
        (_bytes("m.onnx", b""), "m.onnx is empty"),
        (_bytes("m.onnx", b"random" * 999), "m.onnx cannot be read as ONNX"),
        (_truncated("keras_model.h5"), "keras_model.h5 cannot be read as a Keras model"),
        (_truncated("binary.keras"), "is neither a .keras nor an HDF5 file"),
        (_truncated("m.onnx"), "m.onnx cannot be read as ONNX"),
        (_folder(), "is a folder without saved_model.pb; expected a SavedModel"),
        (_folder("saved_model.pb"), "has no folder variables beside saved_model.pb"),
        (_folder("saved_model.pb", "variables/x"), "cannot be read as a SavedModel: saved_model.pb is damaged"),
        (_h5(_without_config), "has weights alone, without the network they belong to"),
        (_h5(_bomb), "and would expand to 2,400,0"),
        (_h5(_link), "has the link 'away' to somewhere else"),
        (_h5(_elsewhere), "keeps 'passwords' in another file"),
        (_h5(_nonsense), "cannot be read as a Keras model"),
        (_zip(a=b"x"), "is a ZIP archive without config.json"),
        (_zip(**{"config.json": b"{}", "../../evil": b"x"}), "has the member '../../evil', which leads out of it"),
        (_zip(**{"config.json": b"{}", "zeros": bytes(200_000_000)}), "and would expand to 200,000,002; that is no"),
        (_zip(**{"config.json": b"[1]"}), "describes no network in its configuration"),
        (_zip(**{"config.json": b'{"config": {"layers": ' + b"[" * 9999}), "cannot be read as a Keras model"),
    ],
)
def test_it_is_one_sentence(tmp_path: Path, make: Callable[[Path], Path], sentence: str) -> None:
    """Random, empty, truncated, half copied, weights alone, bombs, and paths that lead elsewhere."""
    order = Order(file=make(tmp_path), name="m", root=tmp_path / "store", labels=("a", "b", "c", "d", "e"))
    with pytest.raises(ModelError) as caught:
        import_file(order)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_a_saved_model_that_touches_files_is_refused(tmp_path: Path) -> None:
    """Its graph is a program: an operation that reads files is named."""
    from models.importing.saved_model import load_saved_model

    pb2 = pytest.importorskip("tensorflow.core.protobuf.saved_model_pb2")
    saved = pb2.SavedModel()
    saved.meta_graphs.add().graph_def.node.add(name="spy", op="ReadFile")
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match="has the operation ReadFile, which reaches out of the network"):
        load_saved_model(tmp_path / "m", tmp_path, is_trusted=False)
