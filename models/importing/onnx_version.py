"""A version folder with model.onnx alone: what came as ONNX is served as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.export import ONNX_FILE, OUTPUT_NAMES, arriving_folder, keras_run
from models.golden import make_golden, write_golden
from models.importing.onnx_file import load_onnx
from models.importing.onnx_parts import save
from models.onnx_export import export_onnx, onnx_run
from models.spec import SPEC_FILE, ModelSpec, write_spec
from models.version import ModelVersion, file_digest, open_version


def write_onnx_version(proto: Any, spec: ModelSpec, pictures: Mapping[str, bytes], *, root: Path,
                       outcome: str = "it is what was imported; there is no model.keras") -> ModelVersion:
    """As `models.export.export_version`, for a graph with Pixfield's input and outputs.

    Raises:
        ModelError: the version exists, or the golden set is unusable.
    """
    folder = root / spec.name / spec.version
    if folder.exists():
        raise ModelError(f"{spec.name}@{spec.version} exists in {root}; remove it first or take another version.")
    with arriving_folder(folder) as place:
        save(proto, place / ONNX_FILE)
        policy = {"size": spec.input_size, "channels": spec.channels, "resize": spec.resize}
        golden = make_golden(pictures, onnx_run(place / ONNX_FILE), **policy)
        names = [*write_golden(place, pictures, golden), *(path.name for path in place.glob(f"{ONNX_FILE}*"))]
        files = {name: file_digest(place / name) for name in names}
        shapes = {one.name: tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim[1:])
                  for one in proto.graph.output}
        outputs = {name: shapes[name] for name in OUTPUT_NAMES if name in shapes}
        about = {**spec.about, "onnx": outcome}
        write_spec(place / SPEC_FILE, replace(spec, outputs=outputs, files=files, about=about))
    return open_version(folder)


def write_as_onnx(model: Any, spec: ModelSpec, pictures: Mapping[str, bytes], scratch: Path, *,
                  root: Path) -> ModelVersion:
    """The same for a Keras model that brings code along: its export has none, and no engine would load its own file.

    Raises:
        ModelError: as above, or the network cannot be exported exactly.
    """
    policy = {"size": spec.input_size, "channels": spec.channels, "resize": spec.resize}
    golden = make_golden(pictures, keras_run(model), **policy)
    path = scratch / "exported.onnx"
    outcome = export_onnx(model, path, golden)
    if not path.is_file():
        raise ModelError(f"A network with Lambda layers is served by its ONNX export alone, and that was {outcome}.")
    outcome = "exported; there is no model.keras, since Lambda layers bring code along"
    return write_onnx_version(load_onnx(path), spec, pictures, root=root, outcome=outcome)
