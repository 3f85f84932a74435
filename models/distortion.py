"""Training pictures from training pictures: small turns, shifts, zooms and shears of the digits; never a mirror image.

A digit is drawn again at four times its eight places with a smooth curve, moved, and counted down to eight again, so
that a distorted digit has the same look as a scanned one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FINE = 4  # fine places per place of the data: the scans had 4 x 4 bits for each count (UCI description)
_MAX_TURN_DEGREES = 12.0
_MAX_SHIFT = 0.6  # places of eight; the digits were centred before they were counted
_MAX_ZOOM = 0.12
_MAX_SHEAR = 0.15


def distort(ink: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Each picture moved in its own way: ink counts uint8 (N, 8, 8) in 0..16 in and out."""
    return np.stack([_distort_one(one, random) for one in ink])


def _distort_one(ink: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    from scipy import ndimage

    side = ink.shape[0]
    fine = ndimage.zoom(ink.astype(np.float32), _FINE, order=3, mode="grid-constant", grid_mode=True)
    matrix = _random_matrix(random)
    centre = np.full(2, (side * _FINE - 1) / 2)
    shift = random.uniform(-_MAX_SHIFT, _MAX_SHIFT, 2) * _FINE
    moved = ndimage.affine_transform(fine, matrix, offset=centre - matrix @ centre + shift, order=1)
    counts = moved.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))
    distorted: NDArray[np.uint8] = np.rint(np.clip(counts, 0, 16)).astype(np.uint8)
    return distorted


def _random_matrix(random: np.random.Generator) -> NDArray[np.float64]:
    """A 2 x 2 matrix that turns, zooms and shears by chance within the limits."""
    angle = np.deg2rad(random.uniform(-_MAX_TURN_DEGREES, _MAX_TURN_DEGREES))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    zoom = np.diag(random.uniform(1 - _MAX_ZOOM, 1 + _MAX_ZOOM, 2))
    shear = np.array([[1.0, random.uniform(-_MAX_SHEAR, _MAX_SHEAR)], [0.0, 1.0]])
    matrix: NDArray[np.float64] = turn @ zoom @ shear
    return matrix
