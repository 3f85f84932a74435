"""Training pictures from training pictures: moved, distorted, mirrored, partly blanked; batches, uint8 in and out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.training.distortion import distorted
from models.training.look import Look
from models.training.recipe import Recipe

Pixels = NDArray[np.uint8]


def augment(pixels: Pixels, recipe: Recipe, random: np.random.Generator, look: Look | None = None) -> Pixels:
    """Each picture of uint8 (N, S, S, C) changed in its own way, its look kept; the argument stays as it is."""
    look = look or Look()
    if recipe.distort:
        changed = distorted(pixels, recipe.distort, recipe.shift, look, random)
    else:
        changed = look.grained(_shifted(pixels, round(recipe.shift * pixels.shape[1]), random))
    if recipe.flip:
        mirrored = random.random(len(changed)) < 0.5
        changed[mirrored] = changed[mirrored, :, ::-1]
    if recipe.erase:
        _erase(changed, round(recipe.erase * pixels.shape[1]), random)
    return changed


def _shifted(pixels: Pixels, most: int, random: np.random.Generator) -> Pixels:
    """Moved by up to `most` pixels each way; what comes in from outside is the mirrored border."""
    if most == 0:
        return pixels.copy()
    size = pixels.shape[1]
    padded = np.pad(pixels, ((0, 0), (most, most), (most, most), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))  # (N, h, w, C, S, S)
    down, right = random.integers(0, 2 * most + 1, (2, len(pixels)))
    taken = windows[np.arange(len(pixels)), down, right]  # (N, C, S, S)
    return np.ascontiguousarray(taken.transpose(0, 2, 3, 1))


def _erase(pixels: Pixels, side: int, random: np.random.Generator) -> None:
    """Blank a square of `side` in each picture with that picture's mean; its centre may lie anywhere, so parts of it
    may lie outside."""
    size = pixels.shape[1]
    tops, lefts = random.integers(-(side // 2), size - side // 2, (2, len(pixels)))
    means = pixels.mean(axis=(1, 2)).astype(np.uint8)
    for picture, top, left, mean in zip(pixels, tops.tolist(), lefts.tolist(), means, strict=True):
        picture[max(0, top):max(0, top + side), max(0, left):max(0, left + side)] = mean


def smaller(pixels: Pixels, side: int) -> Pixels:
    """The pictures at `side` pixels, antialiased."""
    from PIL import Image

    if pixels.shape[1] == side:
        return pixels
    result = np.empty((len(pixels), side, side, pixels.shape[3]), np.uint8)
    for row, picture in enumerate(pixels):
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        result[row] = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)).reshape(result.shape[1:])
    return result
