"""What a network sees, drawn: a heat map over a picture, filters and maps as grids.

Arrays enter, RGB pixels leave. Nothing is told by hue alone: the scale rises in brightness from dark blue to yellow,
as cividis does (Nunez, Anderton and Renslow 2018, made for colour-blind eyes), the picture below is grey, and a line
encloses what holds half of the activation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.activation import HELD

LEGIBLE, LARGEST = 256, 512
"""Sides of a drawn picture in pixels: small ones are enlarged by whole numbers, so that their pixels stay squares."""
SHOWN = 256
"""Filters or maps in a grid; a layer may have thousands."""

_SCALE = np.array([(0, 32, 77), (64, 77, 108), (124, 123, 120), (188, 175, 111), (255, 234, 70)], np.float64)
_BELOW, _ABOVE = np.array([0, 77, 168], np.float64), np.array([230, 120, 0], np.float64)
_DIM = 0.7  # of the picture's brightness: heat is bright, and must be seen on white, too
_COVER = 0.75  # of the picture, by the heat at its hottest
_GAP, _GROUND = 1, 96  # pixels between cells, and their grey


def side_of(size: int) -> int:
    """The side of what is drawn for pictures of `size` pixels: the first multiple from 256 on, 512 at most."""
    return min(LARGEST, size * math.ceil(LEGIBLE / size))


def heat_over(pixels: NDArray[np.uint8], activation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture in grey with the positive part of its activation over it.

    Args:
        pixels: uint8 (S, S, C), what the model was given.
        activation: (h, w), of one class.

    Returns:
        uint8 (side, side, 3). Where nothing speaks for the class the picture is grey and no more.
    """
    side = side_of(len(pixels))
    resample = Image.Resampling.BICUBIC if side % len(pixels) else Image.Resampling.NEAREST
    below = _DIM * np.asarray(_image(pixels).convert("L").resize((side, side), resample), np.float64)
    positive = np.maximum(np.nan_to_num(activation), 0)
    if not positive.any():
        return np.repeat(below[..., None], 3, axis=2).astype(np.uint8)
    shares = Image.fromarray((positive / positive.max()).astype(np.float32))
    heat = np.clip(np.asarray(shares.resize((side, side), Image.Resampling.BICUBIC), np.float64), 0, 1)
    cover = _COVER * heat[..., None]
    drawn = (1 - cover) * below[..., None] + cover * coloured(heat)
    line = _outline(heat)
    drawn[_thick(line)] = 0  # black around white: seen on dark and on bright pictures
    drawn[line] = 255
    return np.rint(drawn).astype(np.uint8)


def coloured(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values in 0..1 on the scale, float64 (..., 3) in 0..255."""
    places = np.linspace(0, 1, len(_SCALE))
    return np.stack([np.interp(values, places, _SCALE[:, channel]) for channel in range(3)], axis=-1)


def maps_grid(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One picture's maps (h, w, K) as a grid in reading order, on one scale from the layer's least to its most."""
    values = np.nan_to_num(np.moveaxis(maps, -1, 0)[:SHOWN].astype(np.float64))
    low, high = (float(edge) for edge in np.quantile(values, (0.001, 0.999)))  # single places hide no others
    return _grid(coloured(np.clip((values - low) / ((high - low) or 1.0), 0, 1)))


def filters_grid(filters: NDArray[np.float32]) -> NDArray[np.uint8]:
    """First-layer filters (F, h, w, C) as a grid: of 3 channels as the colours they look for, else blue (against)
    over white to orange (for), averaged over the channels."""
    values = np.nan_to_num(filters[:SHOWN].astype(np.float64))
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    scaled = values / np.where(largest > 0, largest, 1)  # -1..1, each by itself: sizes differ a hundredfold
    if scaled.shape[-1] == 3:
        return _grid(127.5 + 127.5 * scaled)
    one = scaled.mean(axis=-1)
    one = one[..., None] / max(float(np.abs(one).max()), 1e-12)
    return _grid(np.where(one < 0, 255 + (255 - _BELOW) * one, 255 - (255 - _ABOVE) * one))


def _grid(cells: NDArray[np.float64]) -> NDArray[np.uint8]:
    """RGB cells (N, h, w, 3) in 0..255 side by side, a grey line between them, enlarged until the grid is legible."""
    count, height, width, _ = cells.shape
    columns = math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    times = max(1, min(16, round(LARGEST / max(columns * width, rows * height))))
    large = cells.repeat(times, axis=1).repeat(times, axis=2)
    if max(columns * width, rows * height) > 2 * LARGEST:  # 256 maps of 112 x 112
        large = large[:, ::(step := math.ceil(max(columns * width, rows * height) / (2 * LARGEST))), ::step]
    high, wide = large.shape[1] + _GAP, large.shape[2] + _GAP
    grid = np.full((rows * high + _GAP, columns * wide + _GAP, 3), _GROUND, np.uint8)
    for number, cell in enumerate(large):
        top, left = number // columns * high + _GAP, number % columns * wide + _GAP
        grid[top:top + high - _GAP, left:left + wide - _GAP] = np.rint(np.clip(cell, 0, 255))
    return grid


def _outline(heat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The edge of the smallest region that holds half of the heat."""
    ranked = -np.sort(-heat, axis=None)
    level = ranked[np.searchsorted(np.cumsum(ranked), HELD * ranked.sum())]
    inside = heat >= level
    padded = np.pad(inside, 1, mode="edge")
    all_around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: NDArray[np.bool_] = inside & ~all_around
    return edge


def _thick(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One pixel more on each side."""
    padded = np.pad(mask, 1)
    thick: NDArray[np.bool_] = (mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:])
    return thick


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
