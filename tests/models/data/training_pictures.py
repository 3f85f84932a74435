"""Pictures that tests make: textured, each different, so that nothing is a duplicate by chance."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


def shared(name: str) -> Path:
    """A file of the training data that lie in `shared/data` beside some checkouts; skips the test without it."""
    places = [folder / "shared" / "data" / name for folder in Path(__file__).resolve().parents[4:]]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        pytest.skip(f"{name} is not here: training data lie beside some checkouts only")
    return found


def noise(seed: int, *, width: int = 40, height: int = 30, channels: int = 3) -> NDArray[np.uint8]:
    """Random pixels uint8 (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def image(seed: int, *, width: int = 40, height: int = 30, channels: int = 3) -> Image.Image:
    """The same as a Pillow image."""
    pixels = noise(seed, width=width, height=height, channels=channels)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def png(seed: int, *, width: int = 40, height: int = 30, channels: int = 3) -> bytes:
    """The same as the bytes of a PNG file."""
    file = io.BytesIO()
    image(seed, width=width, height=height, channels=channels).save(file, "PNG")
    return file.getvalue()


def write(path: Path, seed: int, *, width: int = 40, height: int = 30, channels: int = 3) -> Path:
    """Write such a PNG, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(seed, width=width, height=height, channels=channels))
    return path


def class_folders(root: Path, *labels: str, count: int = 4, size: int = 32) -> Path:
    """`count` pictures in a folder for each label."""
    for number, label in enumerate(labels):
        for index in range(count):
            write(root / label / f"{index}.png", 1000 * number + index, width=size, height=size)
    return root
