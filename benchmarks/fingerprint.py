"""How well `models.fingerprint` keeps a picture's key when it is saved again: `python -m benchmarks.fingerprint`.

Pieces of scikit-learn's two photos, and with `--cifar ZIP` the test part of CIFAR-10 as class folders; prints the table
that stands in the module's docstring. About twenty seconds.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from models.fingerprint import fingerprint
from models.picture import read_picture

_PIECES = 60  # of each photo
_SIDES = (200, 427)
_CIFAR_STEP = 10  # every tenth picture for recall, all for false matches

Change = Callable[[Image.Image], Image.Image]


def _jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return change


def _half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


CHANGES: dict[str, Change] = {"JPEG 95": _jpeg(95), "JPEG 75": _jpeg(75), "JPEG 50": _jpeg(50), "half size": _half}
"""What people do with pictures."""


def recall(images: Sequence[Image.Image], size: int) -> dict[str, float]:
    """Share of `images`, read at `size`, that keep their key under each change."""
    keys = [_key(image, size) for image in images]
    return {name: float(np.mean([key == _key(change(image), size) for key, image in zip(keys, images, strict=True)]))
            for name, change in CHANGES.items()}


def shared_keys(images: Sequence[Image.Image], size: int) -> float:
    """Share of different pictures whose key another has, too."""
    counts = Counter(_key(image, size) for image in images)
    return sum(count for count in counts.values() if count > 1) / len(images)


def _key(image: Image.Image, size: int) -> str:
    file = io.BytesIO()
    image.convert("RGB").save(file, "PPM")  # lossless, and quick to write
    return fingerprint(read_picture(file.getvalue(), size=size, channels=3, resize="squash-bilinear-v1").pixels)


def pieces() -> list[Image.Image]:
    """Square pieces of two photos, by chance but the same each time."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    found = []
    for photo in load_sample_images().images:
        for _ in range(_PIECES):
            side = int(random.integers(*_SIDES))
            top, left = (int(random.integers(0, length - side + 1)) for length in photo.shape[:2])
            found.append(Image.fromarray(photo[top : top + side, left : left + side]))
    return found


def _cifar(path: Path) -> list[Image.Image]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if "test/" in name and name.endswith(".jpg"))
        return [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fingerprint", description=__doc__)
    parser.add_argument("--cifar", type=Path, help="a .zip with test/<class>/*.jpg")
    arguments = parser.parse_args()
    photos = pieces()
    print(f"{len(photos)} pieces of photos:", _line(recall(photos, 224)))
    if arguments.cifar is not None:
        tiny = _cifar(arguments.cifar)
        print(f"{len(tiny[::_CIFAR_STEP]):,} of CIFAR-10:", _line(recall(tiny[::_CIFAR_STEP], 32)))
        print(f"share a key with another of {len(tiny):,}: {shared_keys(tiny, 32):.2%}")


def _line(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


if __name__ == "__main__":
    main()
