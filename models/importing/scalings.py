"""What networks expect of their pixels: the scalings and channel orders in use, and what is usual for which file.

A wrong one is the commonest silent fault: nothing fails, the answers are just bad. So the choice is made once, here,
and becomes part of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, of 0..1; torchvision's figures
_CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB, of 0..255; Simonyan and Zisserman 2014


@dataclass(frozen=True, slots=True)
class Scaling:
    """pixels * factors + offsets, both in RGB order, then turned round where `is_bgr`; one value each for grey."""

    name: str
    title: str
    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    is_bgr: bool = False

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, S, S, C) -> float32 (N, S, S, C) as the network wants it."""
        values = pixels.astype(np.float32) * _floats(self.factors) + _floats(self.offsets)
        return np.ascontiguousarray(values[..., ::-1]) if self.is_bgr else values

    @property
    def is_raw(self) -> bool:
        """Whether the network takes the pixels as they are."""
        return not self.is_bgr and set(self.factors) == {1.0} and set(self.offsets) == {0.0}


def scalings(channels: int) -> dict[str, Scaling]:
    """Every scaling by name, the usual channel order of each first; of grey pictures only those that make sense."""
    torch_factors = tuple(1 / (255 * std) for std in _IMAGENET_STD)
    torch_offsets = tuple(-mean / std for mean, std in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True))
    rows = [
        ("raw", "0..255", (1.0,), (0.0,), False),
        ("unit", "0..1", (1 / 255,), (0.0,), False),
        ("signed", "-1..1", (1 / 127.5,), (-1.0,), False),
        ("torch", "ImageNet mean and deviation", torch_factors, torch_offsets, False),
        ("caffe", "ImageNet mean, 0..255", (1.0,), tuple(-mean for mean in _CAFFE_MEAN), True),
    ]
    if channels == 1:
        return {name: Scaling(name, title, factors, offsets) for name, title, factors, offsets, _ in rows[:3]}
    first = [Scaling(name, _title(title, bgr), _three(a), _three(b), bgr) for name, title, a, b, bgr in rows]
    second = [
        Scaling(f"{name}-{'rgb' if bgr else 'bgr'}", _title(title, not bgr), _three(a), _three(b), not bgr)
        for name, title, a, b, bgr in rows
    ]
    return {one.name: one for one in (*first, *second)}


def _floats(values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def _title(title: str, is_bgr: bool) -> str:
    return f"{title} {'BGR' if is_bgr else 'RGB'}"


def _three(values: tuple[float, ...]) -> tuple[float, ...]:
    return values if len(values) == 3 else values * 3


def usual_scaling(names: list[str], fallback: str) -> tuple[str, str]:
    """The scaling that belongs to a network of `keras.applications` named among `names`, else `fallback`; and why."""
    from models.applications import applications

    of_application = {"tf": "signed", "torch": "torch", "caffe": "caffe", "inside": "raw"}
    known = sorted(applications().values(), key=lambda one: -len(one.name))  # ResNet50V2 before ResNet50
    for name in names:
        plain = name.lower().replace("_", "").replace("-", "")
        for application in known:
            if plain.startswith(application.name.lower()):
                return of_application[application.scaling], f"usual for {application.name}"
    return fallback, "usual for such files"
