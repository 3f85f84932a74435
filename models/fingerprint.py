"""A short key of what a picture looks like: equal for equal pixels, mostly equal for the same picture saved again.

The perceptual hash of DCT signs (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
2010, section 3.2; as `imagehash.phash` with `hash_size=7`, but for the rounding) and two digits of mean colour, which
tell a red product from a blue one. It is an exact key: pictures are alike when their keys are equal, so a key hangs on
no other picture. Measured by `python -m benchmarks.fingerprint`:

| share of pictures whose key stays | JPEG 95 | JPEG 75 | JPEG 50 | half size |
|---|---|---|---|---|
| 120 pieces of two photos, 200 to 427 px, read at 224 px | 92 % | 94 % | 93 % | 98 % |
| 1,000 of CIFAR-10 at 32 px (saved as JPEG 75 before) | 92 % | 98 % | 64 % | 73 % |

Share of pictures that have a key with another picture of the set in common, right or wrong: 0.06 % of CIFAR-10's
10,000 test pictures, 3 % of Fashion-MNIST's (grey, one thing before black), 0.3 % of scikit-learn's digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WAVES = 7  # of each direction; 6 keeps more keys of tiny pictures, but five times as many plain ones share one
_SIDE = 4 * _WAVES
_DECIMALS = 3  # of waves up to 7,000: what differs less is rounding, in which processors differ
_COLOUR_STEP = 40  # of mean Cb and Cr in 0..255: grey is mid-step, and saving moves a mean by less than 1


def fingerprint(pixels: NDArray[np.uint8]) -> str:
    """The key of a picture uint8 (H, W, 1 or 3): 15 digits, of these pixels alone."""
    from scipy import fft

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), np.float64)
    waves = np.round(fft.dctn(grey, norm="ortho")[:_WAVES, :_WAVES], _DECIMALS)
    bits = np.packbits(waves > np.median(waves)).tobytes().hex()[:13]
    return bits + "".join(map(str, _colour(image)))


def _colour(image: Image.Image) -> tuple[int, int]:
    """Steps of the mean Cb and Cr, 0 to 6; 3 for grey."""
    if image.mode == "L":
        return 3, 3
    mean = np.asarray(image.resize((1, 1), Image.Resampling.BOX).convert("YCbCr"))[0, 0]
    blue, red = ((int(value) - 128 + _COLOUR_STEP // 2) // _COLOUR_STEP + 3 for value in mean[1:])
    return blue, red
