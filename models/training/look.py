"""What all pictures of a data set have in common, and their changed copies must keep, or they would be told by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEWEST_PLACES = 8  # a side has at least as many squares; fewer are a picture of one colour
_LOOKED_AT = 500  # pictures, before all of them are
_GROUND_SHARE = 0.5  # of the pixels at the borders


@dataclass(frozen=True, slots=True)
class Look:
    """`grain` is the side in pixels of the squares that pictures are made of, 1 for most; `ground` their background
    0..255 of each channel, None where they have not one."""

    grain: int = 1
    ground: tuple[int, ...] | None = None

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Look:
        """The look of pictures uint8 (N, S, S, C)."""
        return cls(_grain(pixels), _ground(pixels[:_LOOKED_AT]))

    def grained(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pictures with each square of one colour again, its mean."""
        if self.grain == 1:
            return pixels
        return _enlarged(np.rint(_squares(pixels, self.grain).mean(axis=(2, 4))).astype(np.uint8), self.grain)


def _grain(pixels: NDArray[np.uint8]) -> int:
    """The largest square that all pictures are made of."""
    side = pixels.shape[1]
    grains = (grain for grain in range(side // _FEWEST_PLACES, 1, -1) if side % grain == 0)
    return next((grain for grain in grains if _is_made_of(pixels[:_LOOKED_AT], grain) and _is_made_of(pixels, grain)),
                1)


def _is_made_of(pixels: NDArray[np.uint8], grain: int) -> bool:
    return bool((pixels == _enlarged(pixels[:, ::grain, ::grain], grain)).all())


def _squares(pixels: NDArray[np.uint8], grain: int) -> NDArray[np.uint8]:
    """A view (N, S/grain, grain, S/grain, grain, C)."""
    count, side, _, channels = pixels.shape
    return pixels.reshape(count, side // grain, grain, side // grain, grain, channels)


def _enlarged(pixels: NDArray[np.uint8], grain: int) -> NDArray[np.uint8]:
    return pixels.repeat(grain, axis=1).repeat(grain, axis=2)


def _ground(pixels: NDArray[np.uint8]) -> tuple[int, ...] | None:
    """The commonest colour at the borders, where it is there for the greater part."""
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    colours, counts = np.unique(border.reshape(-1, pixels.shape[3]), axis=0, return_counts=True)
    if counts.max() < _GROUND_SHARE * counts.sum():
        return None
    return tuple(int(value) for value in colours[counts.argmax()])
