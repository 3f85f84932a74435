"""Golden pictures: what a version answered when it was made, kept as files to compare with on every start.

`golden/*.png` are pictures as users have them, `golden/outputs.npz` what became of them: decoded pixels and the
network's outputs (before the temperature). Decoding and engine are checked apart, so that the error names the culprit.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import GoldenMismatchError
from models.picture import PictureError, read_picture
from models.spec import ModelSpec

if TYPE_CHECKING:
    from models.version import ModelVersion

Run = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]
"""Pixels uint8 (N, S, S, C) -> float32 by name, at least "probabilities" (N, classes) and "embedding" (N, D)."""

GOLDEN_FOLDER = "golden"
OUTPUTS_FILE = f"{GOLDEN_FOLDER}/outputs.npz"
COUNTS = range(8, 17)
FULL_TOLERANCE = 1e-3
HALF_TOLERANCE = 2e-2

_MAX_LEVELS = 1  # Pillow's resize may round differently on another processor; a wrong policy differs by far more
_EMBEDDING_SLACK = 5.0
"""Embeddings may be off by this many tolerances of their largest value: hundreds of features are compared, each with
its own rounding, and half precision reached 1.7 tolerances (MobileNetV2 with random weights)."""

_ALIKE = 1e-4  # rows closer than this tell nothing: any engine that answers 1/C for all would pass


@dataclass(frozen=True, slots=True, eq=False)
class GoldenSet:
    """PNG file names, `pixels` uint8 (N, S, S, C), `probabilities` float32 (N, C), `embedding` float32 (N, D).

    Raises:
        GoldenMismatchError: shapes that do not belong together, or answers that are all alike.
    """

    names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    embedding: NDArray[np.float32]

    def __post_init__(self) -> None:
        rows = {len(self.names), len(self.pixels), len(self.probabilities), len(self.embedding)}
        if len(rows) != 1 or len(self.names) not in COUNTS:
            raise GoldenMismatchError(f"The golden set has {sorted(rows)} rows; expected {COUNTS[0]} to {COUNTS[-1]}.")
        if not np.isfinite(self.probabilities).all() or not np.isfinite(self.embedding).all():
            raise GoldenMismatchError("The golden outputs have values that are not numbers.")
        for what, rows_of in (("probabilities", self.probabilities), ("embeddings", self.embedding)):
            if float(np.ptp(rows_of, axis=0).max()) < _ALIKE:
                raise GoldenMismatchError(
                    f"All golden {what} are alike, so they would confirm any engine; "
                    "train the network or randomise its batch-norm statistics."
                )


def read_golden(folder: Path, spec: ModelSpec) -> GoldenSet:
    """The golden set of a version folder.

    Raises:
        GoldenMismatchError: the file is missing, damaged, or belongs to another network.
    """
    try:
        with (folder / OUTPUTS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            golden = GoldenSet(
                tuple(str(name) for name in arrays["names"]),
                arrays["pixels"].astype(np.uint8, casting="safe"),
                arrays["probabilities"].astype(np.float32, casting="same_kind"),
                arrays["embedding"].astype(np.float32, casting="same_kind"),
            )
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as exc:
        raise GoldenMismatchError(f"{OUTPUTS_FILE} cannot be read ({exc}); copy the version again.") from exc
    expected: dict[str, tuple[int, ...]] = {
        "pixels": (spec.input_size, spec.input_size, spec.channels),
        "probabilities": spec.outputs["probabilities"],
        "embedding": spec.outputs["embedding"],
    }
    for name, shape in expected.items():
        actual = getattr(golden, name).shape[1:]
        if actual != shape:
            raise GoldenMismatchError(f"{OUTPUTS_FILE} has {name} of shape {actual}; model.json says {shape}.")
    return golden


def make_golden(pictures: Mapping[str, bytes], run: Run, **policy: Any) -> GoldenSet:
    """Decode `pictures` (file name -> PNG bytes) by `policy` (what `read_picture` takes) and ask `run` for the answers.

    Raises:
        GoldenMismatchError: too few, too many, or all answers alike.
        PictureError: one of the pictures cannot be read.
    """
    pixels = np.stack([read_picture(data, **policy).pixels for data in pictures.values()])
    outputs = run(pixels)
    return GoldenSet(tuple(pictures), pixels, outputs["probabilities"], outputs["embedding"])


def write_golden(folder: Path, pictures: Mapping[str, bytes], golden: GoldenSet) -> list[str]:
    """Write the pictures and `outputs.npz` under `folder`; returns the file names relative to it."""
    (folder / GOLDEN_FOLDER).mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        (folder / GOLDEN_FOLDER / name).write_bytes(data)
    np.savez_compressed(
        folder / OUTPUTS_FILE,
        names=np.array(golden.names),
        pixels=golden.pixels,
        probabilities=golden.probabilities,
        embedding=golden.embedding,
    )
    return [*(f"{GOLDEN_FOLDER}/{name}" for name in pictures), OUTPUTS_FILE]


def check_decode(version: ModelVersion) -> None:
    """Decode the golden files and compare with the stored pixels.

    Raises:
        GoldenMismatchError: decoding here differs from where the model was made; the engine is not to blame.
    """
    spec, golden = version.spec, version.golden()
    for name, expected in zip(golden.names, golden.pixels, strict=True):
        try:
            data = (version.folder / GOLDEN_FOLDER / name).read_bytes()
            picture = read_picture(data, size=spec.input_size, channels=spec.channels, resize=spec.resize)
        except (OSError, PictureError) as exc:
            raise GoldenMismatchError(f"{version.reference}: decoding failed on golden/{name} ({exc}).") from exc
        levels = int(np.abs(picture.pixels.astype(np.int16) - expected).max())
        if levels > _MAX_LEVELS:
            raise GoldenMismatchError(
                f"{version.reference}: decoding differs by {levels} of 255 levels on golden/{name}; the model was "
                f"made with {spec.decode}, {spec.resize}. Install the Pillow version of requirements-serve.txt."
            )


def check_engine(version: ModelVersion, run: Run, tolerance: float = FULL_TOLERANCE) -> None:
    """Run the stored golden pixels and compare with the stored outputs.

    The top class must be equal, probabilities within `tolerance` (`HALF_TOLERANCE` in half precision), embeddings
    within five tolerances of their largest value.

    Raises:
        GoldenMismatchError: the engine computes something else; decoding is not to blame.
    """
    golden = version.golden()
    fault = engine_fault(golden, run(golden.pixels), tolerance)
    if fault:
        raise GoldenMismatchError(f"{version.reference}: the engine differs: {fault}.")


def engine_fault(golden: GoldenSet, outputs: Mapping[str, NDArray[np.float32]], tolerance: float) -> str | None:
    """How `outputs` differ from the golden ones beyond `tolerance`; None when they do not."""
    largest = max(1.0, float(np.abs(golden.embedding).max()))
    for name, allowed in (("probabilities", tolerance), ("embedding", tolerance * _EMBEDDING_SLACK * largest)):
        expected = getattr(golden, name)
        actual = outputs.get(name)
        if actual is None or actual.shape != expected.shape:
            return f"{name} has shape {None if actual is None else actual.shape}, expected {expected.shape}"
        worst = float(np.abs(actual - expected).max())
        if not worst <= allowed:  # also when it is not a number
            return f"{name} is off by up to {worst:.2g}; {allowed:.2g} is allowed"
    wrong = np.flatnonzero(outputs["probabilities"].argmax(axis=1) != golden.probabilities.argmax(axis=1))
    return f"another top class for golden/{golden.names[wrong[0]]}" if len(wrong) else None
