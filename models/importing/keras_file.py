"""A `.keras` or `.h5` file becomes a Keras model, without trusting it: nothing is unpacked that could fill the disk,
nothing is read outside the file, and no code of its maker runs.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import ModelError
from models.importing.legacy import modern, refuse_foreign
from models.importing.operators import operator_layers

_MOST_EXPANSION = 50  # times the file: weights do not compress, and an optimiser's zeros are a part of a real file
_ALWAYS_ALLOWED = 64_000_000  # bytes that a small file may expand to
_SHOWN_CHARACTERS = 200


def load_keras(path: Path, scratch: Path, *, is_trusted: bool) -> Any:
    """The model in `path`, in inference form; `scratch` is an empty folder for a rewritten copy.

    Raises:
        ModelError: one sentence on what is wrong with the file.
    """
    try:
        is_zip = zipfile.is_zipfile(path)  # what a file is stands in it, not in its name
        copy = scratch / f"network.{'keras' if is_zip else 'h5'}"
        (_rewrite_zip if is_zip else _rewrite_h5)(path, copy, is_trusted=is_trusted)
        return _load(copy, is_trusted=is_trusted)
    except ModelError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, RecursionError, EOFError) as exc:
        raise ModelError(f"{path.name} cannot be read as a Keras model: {shown(exc)}") from exc


def shown(exc: BaseException) -> str:
    """An exception of a reader as the end of a sentence: the innermost reason's first line."""
    reason = exc
    while isinstance(reason.__cause__, Exception):
        reason = reason.__cause__
    innermost = str(reason).rpartition("Exception encountered:")[2]  # Keras nests them as text
    text = next((line.strip() for line in innermost.splitlines() if line.strip()), type(reason).__name__)
    text = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
    return text.rstrip(".") + "."


def _load(copy: Path, *, is_trusted: bool) -> Any:
    import keras

    model = keras.saving.load_model(copy, custom_objects=operator_layers(), compile=False, safe_mode=not is_trusted)
    _settle(model)
    return model


def _settle(model: Any) -> None:
    """Let Normalization layers take the statistics they were given: of `.h5` files Keras 3 only stores them.

    Without it every EfficientNet of Keras 2 answers a little wrong, and nothing fails.
    """
    import keras

    for layer in getattr(model, "layers", []):
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()
        _settle(layer)


def _rewrite_zip(path: Path, copy: Path, *, is_trusted: bool) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        _check_members(old, path)
        if "config.json" not in old.namelist():
            raise ModelError(f"{path.name} is a ZIP archive without config.json; expected a file that Keras's "
                             "model.save('name.keras') wrote.")
        config = _parsed(old.read("config.json"), path)
        config.pop("compile_config", None)
        refuse_foreign(config, is_trusted=is_trusted)
        for name in old.namelist():
            if name == "config.json":
                new.writestr(name, json.dumps(modern(config)))
            elif name in ("metadata.json", "model.weights.h5") or name.startswith("assets/"):
                new.writestr(name, old.read(name))
        if "model.weights.h5" in old.namelist():
            _check_h5(io.BytesIO(old.read("model.weights.h5")), path)


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Nothing that leaves the folder it is unpacked into, and nothing that expands beyond measure."""
    for name in archive.namelist():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
            raise ModelError(f"{path.name} has the member {name!r}, which leads out of it; that is not Keras's.")
    _check_expansion(sum(entry.file_size for entry in archive.infolist()), path)


def _check_expansion(size: int, path: Path) -> None:
    if size > max(_ALWAYS_ALLOWED, _MOST_EXPANSION * path.stat().st_size):
        raise ModelError(f"{path.name} has {path.stat().st_size:,} bytes and would expand to {size:,}; that is no "
                         "network.")


def _rewrite_h5(path: Path, copy: Path, *, is_trusted: bool) -> None:
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelError(f"{path.name} is neither a .keras nor an HDF5 file"
                         f"{', it is empty' if path.stat().st_size == 0 else ''}; expected what Keras's save wrote.")
    _check_h5(path, path)
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        text = file.attrs.get("model_config")
        if text is None:
            raise ModelError(f"{path.name} has weights alone, without the network they belong to: save the whole model "
                             "with model.save('name.keras').")
        config = _parsed(text, path)
        refuse_foreign(config, is_trusted=is_trusted)
        file.attrs["model_config"] = json.dumps(modern(config))
        file.attrs.pop("training_config", None)


def _check_h5(file: Any, path: Path) -> None:
    """Refuse links to other files, data stored elsewhere, and data that expands beyond measure."""
    import h5py

    sizes = [0]

    def look(group: Any) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"{path.name} has the link {name!r} to somewhere else; it is not what Keras writes.")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                look(entry)
            elif entry.external or entry.is_virtual:
                raise ModelError(f"{path.name} keeps {name!r} in another file; it is not what Keras writes.")
            else:
                sizes[0] += int(entry.size or 0) * entry.dtype.itemsize

    with h5py.File(file, "r") as opened:
        look(opened)
    _check_expansion(sizes[0], path)


def _parsed(text: Any, path: Path) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ModelError(f"{path.name} describes no network in its configuration.")
    return content
