"""The pictures of docs/explanations.md, made from digits that training never saw: `python -m server.seeing_pictures`.

A folder enters, three small PNGs leave it filled; the same on every machine up to rounding.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models import digits
from models.activation import class_activation
from models.picture import read_picture
from models.registry import Registry
from server.engine import OnnxEngine
from server.heat_pictures import filters_grid, heat_over, maps_grid

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
STORE = FOLDER.parents[1] / "models" / "store"
LAYER = "re_lu_2"
_SHOWN = ("3", "4", "7", "9")
_COLOURS = 256  # a palette: a third of the bytes, no difference to the eye


def drawn() -> dict[str, NDArray[np.uint8]]:
    """File name -> RGB pixels."""
    engine = OnnxEngine(Registry((STORE,)).resolve("digits@1"), threads=1, max_batch=8)
    first = {label: data for _, data, label in reversed(digits.held_out())}
    pixels = np.stack([read_picture(first[label], **digits.POLICY).pixels for label in _SHOWN])
    outputs = engine.run(pixels)
    filters = engine.filters()
    if engine.kernel is None or filters is None:
        raise ValueError("the digit model has a map and begins with a convolution")
    heat = class_activation(outputs["map"], engine.kernel, outputs["probabilities"].argmax(axis=1))
    return {
        "explanation.png": np.concatenate([heat_over(*pair) for pair in zip(pixels, heat, strict=True)], axis=1),
        "filters.png": filters_grid(filters.values),
        "feature-maps.png": maps_grid(engine.feature_maps(pixels[:1], LAYER)[0]),
    }


def main(arguments: list[str] | None = None) -> None:
    """Draw them into `--folder`."""
    parser = argparse.ArgumentParser(prog="python -m server.seeing_pictures")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to (docs/pictures)")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in drawn().items():
        Image.fromarray(pixels).quantize(_COLOURS, dither=Image.Dither.NONE).save(folder / name, "PNG", optimize=True)
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
