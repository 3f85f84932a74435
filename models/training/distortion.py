"""Pictures turned, zoomed, sheared and moved by small amounts, each in its own way; never mirrored.

Simard, Steinkraus and Platt 2003, "Best Practices for Convolutional Neural Networks Applied to Visual Document
Analysis", section 2: for handwriting this is worth more than any choice of network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.training.look import Look

Pixels = NDArray[np.uint8]

MOST_TURN_DEGREES = 12.0
MOST_ZOOM = 0.12
MOST_SHEAR = 0.15


def distorted(pixels: Pixels, strength: float, shift: float, look: Look, random: np.random.Generator) -> Pixels:
    """Changed copies of uint8 (N, S, S, C).

    Args:
        pixels: the pictures.
        strength: 0..1 of the most that a picture is turned, zoomed and sheared.
        shift: the share of the side by which it is moved at most; not by whole pixels alone.
        look: what the copies keep. What comes in from outside is the ground, or the mirrored border where there is
            none.
        random: all chance comes from it.
    """
    import keras

    ground = np.array(look.ground or 0, np.float32)
    moved = keras.ops.image.affine_transform(
        _smooth(pixels, look) - ground, _transforms(len(pixels), pixels.shape[1], strength, shift, random),
        interpolation="bilinear", fill_mode="reflect" if look.ground is None else "constant", fill_value=0.0,
        data_format="channels_last")
    grey = np.clip(np.rint(np.asarray(keras.ops.convert_to_numpy(moved)) + ground), 0, 255)
    return look.grained(grey.astype(np.uint8))


def _smooth(pixels: Pixels, look: Look) -> NDArray[np.float32]:
    """Float32 of the same shape; squares become a smooth surface, or turned they would show their corners."""
    import keras

    if look.grain == 1:
        return pixels.astype(np.float32)
    small = pixels[:, ::look.grain, ::look.grain].astype(np.float32)
    drawn = keras.ops.image.resize(small, pixels.shape[1:3], interpolation="bicubic", data_format="channels_last")
    return np.asarray(keras.ops.convert_to_numpy(drawn), np.float32)


def _transforms(count: int, side: int, strength: float, shift: float, random: np.random.Generator
                ) -> NDArray[np.float32]:
    """Float32 (N, 8) as Keras wants them: from where in the picture, x before y, each pixel of its copy is taken."""
    angle = np.deg2rad(_within(MOST_TURN_DEGREES * strength, (count,), random))
    zoom_x, zoom_y = 1 + _within(MOST_ZOOM * strength, (2, count), random)
    shear = _within(MOST_SHEAR * strength, (count,), random)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[zoom_x * cos, zoom_y * (shear * cos - sin)],
                       [zoom_x * sin, zoom_y * (shear * sin + cos)]]).transpose(2, 0, 1)  # (N, 2, 2)
    centre = np.full(2, (side - 1) / 2)
    offset = centre - matrix @ centre + _within(shift * side, (count, 2), random)
    rows = np.concatenate([matrix, offset[..., None]], axis=2).reshape(count, 6)
    return np.concatenate([rows, np.zeros((count, 2))], axis=1).astype(np.float32)


def _within(most: float, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    return random.uniform(-most, most, shape)
