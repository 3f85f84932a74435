"""An ONNX file, read without trusting it: its data may lie in files beside it, and nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from models.errors import ModelError
from models.importing.keras_file import shown

_OLDEST_OPSET = 7  # what ONNX Runtime reads


def load_onnx(path: Path) -> Any:
    """The whole model, external data included.

    Raises:
        ModelError: no ONNX, too new or too old, or data outside the file's folder.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size == 0:
        raise ModelError(f"{path.name} is empty; expected an ONNX network.")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError, RuntimeError) as exc:
        raise ModelError(f"{path.name} cannot be read as ONNX: {shown(exc)}") from exc
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path.name} cannot be read as ONNX: it has no network in it.")
    _check_opset(model, path)
    _load_external(model, path)
    return model


def _check_opset(model: Any, path: Path) -> None:
    import onnx

    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    if opset is None:
        raise ModelError(f"{path.name} uses none of ONNX's own operators; it is no image classifier.")
    newest = onnx.defs.onnx_opset_version()
    if not _OLDEST_OPSET <= opset <= newest:
        raise ModelError(f"{path.name} is written in opset {opset}; {_OLDEST_OPSET} to {newest} can be read: export it "
                         "again with such an opset.")


def _load_external(model: Any, path: Path) -> None:
    """Read tensors that are kept beside the file; every name is checked before any of them is opened."""
    import onnx

    folder = path.parent.resolve()
    for tensor in _tensors(model.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        pure = (PurePosixPath(place), PureWindowsPath(place))
        target = (folder / place).resolve()
        if not place or any(one.is_absolute() or one.drive or ".." in one.parts for one in pure) or (
                not target.is_relative_to(folder)):
            raise ModelError(f"{path.name} keeps data in {place!r}, outside its own folder; that is not read.")
        if not target.is_file():
            raise ModelError(f"{path.name} keeps data in {place}, which is not beside it: copy that file, too.")
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as exc:
        raise ModelError(f"{path.name}: the data beside it cannot be read: {shown(exc)}") from exc


def _tensors(graph: Any) -> list[Any]:
    """Initialisers and constants, those of inner graphs included."""
    found = list(graph.initializer)
    found += [one for sparse in graph.sparse_initializer for one in (sparse.values, sparse.indices)]
    for node in graph.node:
        for attribute in node.attribute:
            found += [attribute.t] if attribute.HasField("t") else []
            found += list(attribute.tensors)
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                found += _tensors(inner)
    return found
