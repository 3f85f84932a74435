"""The pictures of the benchmarks: a folder the user names, or variants of the photos that scikit-learn brings."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from models import digits

_KINDS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def photos(count: int, *, folder: Path | None, cache: Path, seed: int = 0) -> list[Path]:
    """`count` photos: the first of `folder` by name, else crops of the sample photos, made once under `cache`."""
    if folder is not None:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _KINDS)[:count]
        if not found:
            raise SystemExit(f"--images {folder}: there are no pictures in it.")
        return found
    target = cache / f"photos-{seed}"
    target.mkdir(parents=True, exist_ok=True)
    paths = [target / f"photo-{number:05d}.jpg" for number in range(count)]
    if not paths[-1].exists():
        for path, data in zip(paths, _variants(seed), strict=False):
            path.write_bytes(data)
    return paths


def _variants(seed: int) -> Iterator[bytes]:
    """JPEG crops of the two sample photos (427 x 640), endlessly, each of other content."""
    originals = [Image.fromarray(image) for image in load_sample_images().images]
    random = np.random.default_rng(seed)
    while True:
        for image in originals:
            width, height = image.size
            scale = random.uniform(0.75, 1.0)
            left, top = random.uniform(0, width * (1 - scale)), random.uniform(0, height * (1 - scale))
            box = (left, top, left + width * scale, top + height * scale)
            file = io.BytesIO()
            image.resize((width, height), Image.Resampling.BICUBIC, box=box).save(file, "JPEG", quality=90)
            yield file.getvalue()


def many_digits(count: int, cache: Path) -> list[Path]:
    """`count` small PNG files, each of other content: handwritten digits with their number written in two pixels."""
    folder = cache / f"digits-{count}"
    paths = [folder / f"{number // 1000:03d}" / f"digit-{number:06d}.png" for number in range(count)]
    if not paths[-1].exists():
        originals = [np.asarray(Image.open(io.BytesIO(data))) for _, data, _ in digits.held_out()]
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = originals[number % len(originals)].copy()
            pixels[0, :3] = number % 251, number // 251 % 251, number // 63001
            Image.fromarray(pixels).save(path, "PNG", compress_level=1)
    return paths
