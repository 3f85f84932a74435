"""A model version without a network: what a spec, a golden set and a registry need, in milliseconds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.golden import make_golden, write_golden
from models.spec import SPEC_FILE, ModelSpec, write_spec
from models.version import ModelVersion, file_digest, open_version


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (H, W) or (H, W, 3) as PNG bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make_spec(name: str = "toy", version: str = "1", **changes: Any) -> ModelSpec:
    """A spec that is fine, with changes."""
    values: dict[str, Any] = {
        "name": name, "version": version, "labels": ("いぬ", "chat", "قطة"), "input_size": 16, "channels": 1,
        "resize": "squash-bilinear-v1", "outputs": {"probabilities": (3,), "embedding": (16 * 16,)},
        "files": {"model.onnx": "0" * 64}, "about": {"accuracy": 0.5, "data": {"source": "ひらがな"}},
    }
    return ModelSpec(**{**values, **changes})


def toy_run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """A "network" whose embedding is the picture and whose probabilities are thirds of it."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    sums = np.stack([part.sum(axis=1) for part in np.array_split(flat, 3, axis=1)], axis=1) + 1e-3
    return {"probabilities": (sums / sums.sum(axis=1, keepdims=True)).astype(np.float32), "embedding": flat}


def toy_pictures(count: int = 8) -> dict[str, bytes]:
    """Grey noise with a bright band that wanders, so that the toy network has clear winners."""
    random = np.random.default_rng(1)
    pictures = {}
    for number in range(count):
        pixels = random.integers(0, 60, (16, 16), np.uint8)
        pixels[5 * (number % 3) : 5 * (number % 3) + 5] += 150
        pictures[f"{number}.png"] = png(pixels)
    return pictures


def write_toy(root: Path, name: str = "toy", version: str = "1") -> ModelVersion:
    """A complete version folder without a real network."""
    folder = root / name / version
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(f"{name} {version}".encode())
    pictures = toy_pictures()
    golden = make_golden(pictures, toy_run, size=16, channels=1, resize="squash-bilinear-v1")
    names = ["model.onnx", *write_golden(folder, pictures, golden)]
    files = {one: file_digest(folder / one) for one in names}
    write_spec(folder / SPEC_FILE, make_spec(name, version, files=files))
    return open_version(folder)
