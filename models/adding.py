"""`models add`: a network of `keras.applications` becomes the next version of a model."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.applications import Application, build, find_application, imagenet_labels
from models.errors import ModelError
from models.export import export_version, keras_run
from models.photos import photo_pieces
from models.picture import read_picture
from models.spec import ModelSpec
from models.untrained import seed_everything, spread_out
from models.version import ModelVersion

RESIZE = "crop-bilinear-v1"
"""What ImageNet weights were evaluated with."""

_IMAGENET_CLASSES = 1000


def add_application(
    name: str, *, application: str, weights: str, labels_file: Path | None, size: int | None, root: Path
) -> ModelVersion:
    """Build, export and write the next free version of `name`.

    Args:
        name: the model's name.
        application: a name in `keras.applications`, in any case.
        weights: "imagenet", "none", or a file.
        labels_file: one label a line; without it ImageNet's own, or "class 0000" and so on.
        size: side of the input in pixels; the application's own without it.
        root: the folder of all models.

    Raises:
        ModelError: an argument that cannot be met; the text says what to do.
    """
    chosen = find_application(application)
    side = size or chosen.size
    labels = read_labels(labels_file) if labels_file else _default_labels(weights)
    if weights == "imagenet" and len(labels) != _IMAGENET_CLASSES:
        raise ModelError(f"--labels has {len(labels):,} labels; ImageNet weights have {_IMAGENET_CLASSES:,} classes.")
    pictures = photo_pieces()
    model = _network(chosen, weights=weights, classes=len(labels), size=side, pixels=_decode(pictures.values(), side))
    spec = ModelSpec(
        name=name, version=next_version(root / name), labels=labels, input_size=side, channels=3, resize=RESIZE,
        outputs={}, files={}, about=_about(name, chosen, weights),
    )
    return export_version(model, spec, _clearest(model, pictures, side), root=root)


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file, blank ones at the end left out; raises `ModelError` for what cannot be labels."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelError(f"--labels {path}: cannot be read as UTF-8 ({exc}).") from exc
    labels = tuple(line.strip() for line in lines)
    for number, label in enumerate(labels, 1):
        if not label or label in labels[: number - 1]:
            raise ModelError(f"--labels {path}: line {number} is {label!r}; expected one label a line, each once.")
    if len(labels) < 2:
        raise ModelError(f"--labels {path}: has {len(labels)} labels; expected at least 2.")
    return labels


def next_version(folder: Path) -> str:
    """One above the highest number in use, whether that version is usable or not; "1" without any."""
    taken = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return str(max(taken, default=0) + 1)


def _default_labels(weights: str) -> tuple[str, ...]:
    if weights == "imagenet":
        return imagenet_labels()
    return tuple(f"class {number:04d}" for number in range(_IMAGENET_CLASSES))


def _network(application: Application, *, weights: str, classes: int, size: int, pixels: NDArray[np.uint8]) -> Any:
    seed_everything()
    model = build(application, weights=weights, classes=classes, size=size)
    if weights == "none":
        spread_out(model, pixels)
    return model


def _decode(pictures: Iterable[bytes], size: int) -> NDArray[np.uint8]:
    return np.stack([read_picture(data, size=size, channels=3, resize=RESIZE).pixels for data in pictures])


def _clearest(model: Any, pictures: dict[str, bytes], size: int) -> dict[str, bytes]:
    """The eight pictures with the clearest winners: a tie would fail on another machine for no reason."""
    outputs = keras_run(model)(_decode(pictures.values(), size))
    ranked = np.sort(outputs["probabilities"], axis=1)
    margins = ranked[:, -1] / np.maximum(ranked[:, -2], np.finfo(np.float32).tiny)
    names = np.array(list(pictures))[np.sort(np.argsort(-margins, kind="stable")[:8])]
    return {str(name): pictures[name] for name in names}


def _about(name: str, application: Application, weights: str) -> dict[str, Any]:
    import keras

    return {
        "title": f"{application.name} of keras.applications, weights: {Path(weights).name}",
        "command": f"run.py models add {name} --application {application.name} --weights {Path(weights).name}",
        "scaling": f"{application.scaling}, inside the network",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "keras": f"{keras.__version__}, {keras.backend.backend()}",
    }
