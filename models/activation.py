"""Where in a picture a network saw a class, from its last map and the weights of its one dense layer.

Class activation maps (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization"): of a network that
ends in global average pooling and one dense layer, each place of the map adds `map @ weights` to the class's logit, so
that product, place by place, is the class's logit spread over the picture. Grad-CAM (Selvaraju et al. 2017, section
3.1) is the same for such networks up to a positive factor.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

FOCUS_NAMES = ("focus_x", "focus_y", "focus_area", "border_share")
BORDER = 0.1
"""The outer border is a tenth of the side on each side: 36 % of the area, the share of a map that is alike all over."""
HELD = 0.5
"""`focus_area` is the smallest share of the picture that holds this share of the activation."""

_STEPS = 10_000  # a focus is kept in ten thousandths: float32 noise between batches is a hundred times smaller
_NOWHERE = 65_535  # kept where no place speaks for the class
_ALLOWED = 1e-2  # of the logits' span: the weights are the very ones, but half precision may have made the answers
_TOLD = 1e-30  # of what float32 rounds to nearly nothing, softmax tells nothing


def class_activation(maps: NDArray[np.float32], kernel: NDArray[np.float32], classes: NDArray[np.integer]
                     ) -> NDArray[np.float32]:
    """The activation of one class a picture at each place.

    Args:
        maps: (N, h, w, K), what the average is taken of.
        kernel: (K, C), the weights of the dense layer.
        classes: (N,), which class.

    Returns:
        float32 (N, h, w); its mean over places is the class's logit without the bias. One picture's values do not
        depend on the others.
    """
    count, height, width, depth = maps.shape
    chosen = np.ascontiguousarray(kernel.T[classes])[:, :, None]  # (N, K, 1)
    activation: NDArray[np.float32] = np.matmul(maps.reshape(count, height * width, depth), chosen)
    return activation.reshape(count, height, width)


def focus(activation: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Where the positive part of each activation (N, h, w) lies, as it is kept: uint16 (N, 4) for `focus_values`.

    The columns are FOCUS_NAMES: the centre of mass, from the left and from the top; the smallest share of the picture
    that holds half of it (the last cell counts in part, so that no rounding makes it jump); its share in the outer
    tenth. All are shares of the square that the model sees.
    """
    count, height, width = activation.shape
    positive = np.maximum(activation.reshape(count, -1), 0).astype(np.float64)
    total = positive.sum(axis=1, keepdims=True)
    is_nowhere = ~(np.isfinite(total) & (total > 0))[:, 0]
    if is_nowhere.any():
        positive[is_nowhere], total[is_nowhere] = 1.0, height * width  # any values that divide; marked below
    shares = positive / total
    columns = np.empty((count, len(FOCUS_NAMES)))
    columns[:, [0, 1, 3]] = shares @ _places(height, width)
    columns[:, 2] = _area(shares)
    kept = (columns.clip(0, 1) * _STEPS + 0.5).astype(np.uint16)
    kept[is_nowhere] = _NOWHERE
    return kept


def focus_values(kept: NDArray[np.uint16]) -> NDArray[np.float64]:
    """The kept focus (N, 4) as shares 0..1, not a number where no place speaks for the class."""
    return np.where(kept == _NOWHERE, np.nan, kept / _STEPS)


def find_kernel(weights: Iterable[NDArray[np.float32]], maps: NDArray[np.float32],
                probabilities: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Which of a network's weights are those of its last dense layer: (K, C), or None where none does its work.

    The layer is known by what it does, not by its name: averaged map times weights are the logits, up to a bias a class
    and a constant a picture. A network that claims a map but goes on from it otherwise has no such weights.

    Args:
        weights: candidates; also (C, K), as transposed products have them, and 1 x 1 convolutions.
        maps: (N, h, w, K) of the golden pictures.
        probabilities: (N, C) of the same, before the temperature.
    """
    means = maps.mean(axis=(1, 2), dtype=np.float64)
    told = np.flatnonzero((probabilities > _TOLD).all(axis=0))
    if len(told) < 2:
        return None
    logits = np.log(probabilities[:, told], dtype=np.float64)
    allowed = _ALLOWED * max(1.0, float(np.ptp(logits)))
    for values in weights:
        flat = values.reshape([side for side in values.shape if side != 1]) if values.ndim > 2 else values
        for kernel in (flat, flat.T):
            if kernel.shape == (means.shape[1], probabilities.shape[1]):
                off = _differences(means @ kernel[:, told]) - _differences(logits)
                if float(np.abs(off).max()) <= allowed:
                    return np.ascontiguousarray(kernel, np.float32)
    return None


def _differences(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without what is the same for every class of a picture (softmax) and for every picture of a class (the bias)."""
    by_picture = logits - logits.mean(axis=1, keepdims=True)
    differences: NDArray[np.float64] = by_picture - by_picture.mean(axis=0, keepdims=True)
    return differences


@functools.lru_cache(maxsize=64)
def _places(height: int, width: int) -> NDArray[np.float64]:
    """For each cell of a map: its centre from the left and from the top, and how much of it is border, (h * w, 3)."""
    down, across = np.divmod(np.arange(height * width), width)
    inner = _inner(height)[down] * _inner(width)[across]
    return np.stack([(across + 0.5) / width, (down + 0.5) / height, 1 - inner], axis=1)


def _inner(cells: int) -> NDArray[np.float64]:
    """How much of each of `cells` along one side lies inside the border."""
    edges = np.clip(np.arange(cells + 1) / cells, BORDER, 1 - BORDER)
    return np.diff(edges) * cells


def _area(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest share of the cells (N, P) that holds HELD, the last of them in part."""
    ranked = np.sort(shares, axis=1)[:, ::-1]
    held = ranked.cumsum(axis=1)
    whole = np.minimum((held < HELD).sum(axis=1), shares.shape[1] - 1)
    rows = np.arange(len(shares))
    last = ranked[rows, whole]
    part = (HELD - held[rows, whole] + last) / np.maximum(last, 1e-300)
    area: NDArray[np.float64] = (whole + part) / shares.shape[1]
    return area
