"""The way of an import: file -> network -> labels -> scaling -> golden pictures -> version folder."""

from __future__ import annotations

import platform
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.adding import next_version
from models.errors import GoldenMismatchError, ModelError
from models.golden import COUNTS
from models.importing.check_folder import CheckSet, folder_names, golden_copy, read_check
from models.importing.ends import End, end_of, finished
from models.importing.order import Order, Report
from models.importing.scalings import Scaling, scalings, usual_scaling
from models.importing.trial import Trial, is_clearly_better, try_scalings
from models.photos import photo_pieces
from models.picture import RESIZE_POLICIES, read_picture
from models.spec import ModelSpec
from models.version import ModelVersion

_PROBES = 16  # pictures at once
_MOST = 200  # pictures among which the golden ones are chosen
_SQUASH, _CROP, _SQUARE = "squash-bilinear-v1", "crop-bilinear-v1", "square-bilinear-v1"


@dataclass(frozen=True, slots=True)
class Usual:
    """What a kind of file usually expects: a scaling by name and why, and a resize policy."""

    scaling: str
    reason: str
    resize: str


@dataclass(frozen=True, slots=True, eq=False)
class _Import:
    """An import under way: what was ordered, and what is known of it; `pieces` are pictures where --check has none."""

    order: Order
    network: Any
    usual: Usual
    labels: tuple[str, ...]
    check: CheckSet | None
    pieces: Mapping[str, bytes]
    scratch: Path

    def pixels(self, resize: str) -> NDArray[np.uint8]:
        """The pictures of --check, else the built-in ones, uint8 (N, S, S, C)."""
        policy = {"size": self.network.size, "channels": self.network.channels, "resize": resize}
        if self.check is not None:
            return self.check.pixels(**policy)
        return np.stack([read_picture(data, **policy).pixels for data in self.pieces.values()])

    def probabilities(self, values: NDArray[np.float32], end: End) -> NDArray[np.float32]:
        """Of scaled pixels."""
        return finished(self.network.answer(values), end)


def import_file(order: Order) -> Report:
    """Make the next free version of `order.name`; raises `ModelError` with one sentence on what is wrong."""
    labels = order.labels or (tuple(folder_names(order.check)) if order.check is not None else ())
    with tempfile.TemporaryDirectory(prefix="pixfield-import-") as folder:
        scratch = Path(folder)
        network, usual = _open(order, scratch, len(labels))
        _fit(labels, network, order)
        check = None if order.check is None else read_check(order.check, labels)
        pieces = photo_pieces() if check is None else {}
        return _made(_Import(order, network, usual, labels, check, pieces, scratch))


def _made(one: _Import) -> Report:
    resize = one.usual.resize
    pixels = one.pixels(resize)
    probe = scalings(one.network.channels)["unit"](pixels[:: max(1, len(pixels) // _PROBES)])
    end = end_of(one.network.answer(probe), one.network.activation)
    scaling, origin, trial = _scaling(one, end, pixels)
    resize, tried = _resize(one, scaling, end, resize)
    spec = ModelSpec(
        name=one.order.name, version=next_version(one.order.root / one.order.name), labels=one.labels,
        input_size=one.network.size, channels=one.network.channels, resize=resize, outputs={}, files={},
        about=_about(one.order, scaling, origin, end, trial, tried),
    )
    try:
        version = _written(one, scaling, end, spec, _golden_pictures(one, scaling, end, resize))
    except GoldenMismatchError as exc:
        if not origin.startswith("a guess"):
            raise
        raise GoldenMismatchError(f"{exc} The pixels were taken to be {scaling.title} ({origin}): that may be wrong, "
                                  "see --check and --scale.") from exc
    return _report(version, one, scaling, origin, end, trial, tried)


def _open(order: Order, scratch: Path, labels: int) -> tuple[Any, Usual]:
    """The network, and what is usual for such a file."""
    if order.file.is_dir():
        from models.importing.onnx_network import OnnxNetwork
        from models.importing.saved_model import load_saved_model

        proto = load_saved_model(order.file, scratch, is_trusted=order.is_trusted)
        network: Any = OnnxNetwork(proto, size=order.size, labels=labels)
        return network, Usual("unit", "usual for a SavedModel", _SQUASH)
    if order.file.suffix.lower() == ".onnx":
        from models.importing.onnx_file import load_onnx
        from models.importing.onnx_network import OnnxNetwork

        network = OnnxNetwork(load_onnx(order.file), size=order.size, labels=labels)
        return network, Usual(network.usual, "usual for ONNX files", _CROP)
    from models.importing.keras_file import load_keras
    from models.importing.keras_network import KerasNetwork

    model = load_keras(order.file, scratch, is_trusted=order.is_trusted)
    network = KerasNetwork(model, size=order.size, labels=labels)
    if _is_teachable_machine(network.names):
        return network, Usual("signed", "usual for Teachable Machine", _SQUARE)
    return network, Usual(*usual_scaling(network.names, "unit"), _SQUASH)


def _is_teachable_machine(names: list[str]) -> bool:
    """Its networks are a Sequential of two Sequentials, the first of which holds "model1"."""
    return names[0].startswith("sequential") and sum(name.startswith("sequential") for name in names) >= 3 and any(
        name.startswith("model") for name in names)


def _fit(labels: tuple[str, ...], network: Any, order: Order) -> None:
    """Raise where there are not as many labels as the network answers for."""
    wanted = max(2, network.classes)
    if not labels:
        raise ModelError(f"{order.file.name} answers for {wanted} classes; say which they are, in its order, with "
                         "--labels FILE or --labels a,b,c.")
    if len(labels) != wanted:
        where = "--labels has" if order.labels else f"--check {order.check} has folders for"
        raise ModelError(f"{where} {len(labels):,} labels; {order.file.name} answers for {wanted:,} classes.")


def _scaling(one: _Import, end: End, pixels: NDArray[np.uint8]) -> tuple[Scaling, str, Trial | None]:
    """The scaling, where it comes from, and how all of them did on the pictures of --check."""
    rows = scalings(one.network.channels)
    wanted = one.order.scale
    if wanted is not None and wanted not in rows:
        raise ModelError(f"--scale {wanted}: this network takes grey pictures; expected {', '.join(rows)}.")
    trial = None
    if one.check is not None:
        trial = try_scalings(lambda values: one.probabilities(values, end), rows, pixels, one.check.classes,
                             len(one.labels))
    if wanted is not None:
        return rows[wanted], "--scale", trial
    if trial is not None:
        return trial.best.scaling, "--check", trial
    if one.network.scales_itself:
        return rows["raw"], "the network scales them itself", None
    name = one.usual.scaling if one.usual.scaling in rows else "unit"
    return rows[name], f"a guess, {one.usual.reason}", None


def _resize(one: _Import, scaling: Scaling, end: End, usual: str) -> tuple[str, dict[str, float]]:
    """The resize policy, another than the usual one only where the pictures of --check clearly prefer it."""
    if one.check is None:
        return usual, {}
    is_right = {}
    for policy in (usual, *(name for name in RESIZE_POLICIES if name != usual)):
        pixels = one.pixels(policy)
        parts = [one.probabilities(scaling(pixels[start:start + _PROBES]), end).argmax(axis=1)
                 for start in range(0, len(pixels), _PROBES)]
        is_right[policy] = np.concatenate(parts) == one.check.classes
    best = max(is_right, key=lambda policy: is_right[policy].mean())
    chosen = best if is_clearly_better(is_right[best], is_right[usual]) else usual
    return chosen, {policy: round(float(right.mean()), 5) for policy, right in is_right.items()}


def _golden_pictures(one: _Import, scaling: Scaling, end: End, resize: str) -> Mapping[str, bytes]:
    """Pictures with clear winners, of as many classes as can be: a tie would fail on another machine for nothing."""
    probabilities = np.concatenate([one.probabilities(scaling(row[None]), end) for row in one.pixels(resize)[:_MOST]])
    ranked = np.sort(probabilities, axis=1)
    order = np.argsort(ranked[:, -2] - ranked[:, -1], kind="stable")
    if one.check is None:
        names = list(one.pieces)
        return {names[row]: one.pieces[names[row]] for row in sorted(order[: COUNTS[0]].tolist())}
    rows = sorted(_by_turns(order, one.check.classes)[: COUNTS[4]])
    return {f"picture-{row:03d}.png": golden_copy(one.check.pictures[row].read_bytes()) for row in rows}


def _by_turns(order: NDArray[np.intp], classes: NDArray[np.int64]) -> list[int]:
    """The rows of `order`, the first of every class before the second of any."""
    seen: Counter[int] = Counter()
    turns = {}
    for row in order.tolist():
        turns[row] = seen[int(classes[row])]
        seen[int(classes[row])] += 1
    return sorted(turns, key=lambda row: turns[row])


def _written(one: _Import, scaling: Scaling, end: End, spec: ModelSpec, pictures: Mapping[str, bytes]) -> ModelVersion:
    from models.export import export_version
    from models.importing.onnx_version import write_as_onnx, write_onnx_version

    if not one.network.is_keras:
        return write_onnx_version(one.network.proto(scaling, end), spec, pictures, root=one.order.root)
    model = one.network.model(scaling, end)
    if one.network.has_code:
        return write_as_onnx(model, spec, pictures, one.scratch, root=one.order.root)
    return export_version(model, spec, pictures, root=one.order.root)


def _about(order: Order, scaling: Scaling, origin: str, end: End, trial: Trial | None,
           tried: Mapping[str, float]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "title": f"imported from {order.file.name}",
        "command": f"run.py models import {order.file.name} --name {order.name}",
        "scaling": f"{scaling.title}, inside the network ({origin})",
        "output": end.value,
    }
    if trial is not None:
        outcome = next(one for one in trial.outcomes if one.scaling == scaling)
        about |= {"accuracy": round(outcome.accuracy, 5), "check": {**trial.about(), "resize": dict(tried)}}
    return {
        **about,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _report(version: ModelVersion, one: _Import, scaling: Scaling, origin: str, end: End, trial: Trial | None,
            tried: Mapping[str, float]) -> Report:
    spec = version.spec
    shape = f"{spec.input_size}x{spec.input_size}x{spec.channels}"
    lines = [f"{one.order.file.name}: {shape}, {len(one.labels)} labels; {end.value}"]
    warnings: list[str] = []
    if trial is not None:
        lines += trial.table()
        warnings += trial.warnings() if origin == "--check" else trial.doubts_about(scaling)
    if tried:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in tried.items())
        lines.append(f"resize: {spec.resize} (tried: {shares})")
    lines.append(f"pixels: {scaling.title} ({origin})")
    if origin.startswith("a guess"):
        warnings.append(f"That the pixels are {scaling.title} is a guess: check it with --check FOLDER, which has a "
                        "folder of pictures for each label.")
    lines.append(f"{version.reference} is in {version.folder}; model.onnx: {spec.about['onnx']}")
    return Report(lines, warnings)
