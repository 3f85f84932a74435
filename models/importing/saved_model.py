"""A SavedModel folder becomes an ONNX graph: TensorFlow's own format needs TensorFlow to answer, ONNX does not."""

from __future__ import annotations

import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.importing.onnx_file import load_onnx

_FILE = "saved_model.pb"
_OPSET = 18
_MOST_BYTES = 2_000_000_000  # what protobuf can hold
_REACHING_OUT = ("ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "PrintV2", "MatchingFiles",
                 "LoadLibrary", "ShellCommand", "TFRecordDataset", "TextLineDataset", "SaveV2", "Save", "DebugIdentity")
"""Operations that touch files or run Python."""

_functions = attrgetter("library.function")  # of a GraphDef: what its nodes call by name


def load_saved_model(folder: Path, scratch: Path, *, is_trusted: bool) -> Any:
    """The network of `folder` as an ONNX graph; `scratch` is an empty folder.

    Raises:
        ModelError: no SavedModel, operations that reach out of the graph, or none that ONNX knows.
    """
    if not (folder / _FILE).is_file():
        raise ModelError(f"{folder.name} is a folder without {_FILE}; expected a SavedModel, or a .keras, .h5 or .onnx "
                         "file.")
    if not (folder / "variables").is_dir():
        raise ModelError(f"{folder.name} has no folder variables beside {_FILE}: it is half copied.")
    for path in folder.rglob("*"):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{folder.name} has the link {path.name!r} out of its own folder; that is not read.")
    kinds = _operations(folder)
    reaching = sorted(kinds & set(_REACHING_OUT) - ({"SaveV2", "Save"} if _is_checkpoint(kinds) else set()))
    if reaching and not is_trusted:
        raise ModelError(f"{folder.name} has the operation {reaching[0]}, which reaches out of the network; add "
                         "--trust where you would run its maker's programs too.")
    path = scratch / "network.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder), "--output", str(path), "--opset",
               str(_OPSET)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
                          errors="replace", check=False)
    if not path.is_file():
        reason = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
        raise ModelError(f"{folder.name} cannot be turned into ONNX: {reason[:200]}")
    return load_onnx(path)


def _is_checkpoint(kinds: set[str]) -> bool:
    """Every SavedModel brings the operations that wrote and read its own weights."""
    return "RestoreV2" in kinds


def _operations(folder: Path) -> set[str]:
    """The operations of all graphs and functions in the file."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = folder / _FILE
    if path.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{path.name} of {folder.name} has {path.stat().st_size:,} bytes; expected fewer than 2 GB.")
    saved = SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except DecodeError as exc:
        raise ModelError(f"{folder.name} cannot be read as a SavedModel: {_FILE} is damaged.") from exc
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    if not graphs:
        raise ModelError(f"{folder.name} cannot be read as a SavedModel: there is no graph in it.")
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for graph in graphs for function in _functions(graph) for node in function.node_def]
    return {node.op for node in nodes}
