"""What of a network can be looked at besides its answers: layers by name, and the filters it begins with.

Names enter an address, so they are kept to what an address may have; two layers never share one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from server.errors import UnknownError

_ODD = re.compile(r"[^a-z0-9_-]+")
_SHOWN = 40  # names in a message


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """The first layer's weights: its name, float32 (F, h, w, C)."""

    layer: str
    values: NDArray[np.float32]


@runtime_checkable
class SeeingEngine(Protocol):
    """An engine that lets its network be looked at; its `run` answers with "map" as well, where `kernel` is there."""

    kernel: NDArray[np.float32] | None
    """(K, C): the weights of the dense layer behind the map; None where the version has no map that leads there."""

    blindness: str
    """Why `kernel` is None, as the end of a sentence."""

    def filters(self) -> Filters | None:
        """The first layer's filters; None where the first layer has none that are pictures."""

    def layers(self) -> tuple[str, ...]:
        """The layers whose outputs are maps, in the order of the network."""

    def feature_maps(self, pixels: NDArray[np.uint8], layer: str) -> NDArray[np.float32]:
        """uint8 (N, S, S, C) -> the maps of that layer float32 (N, h, w, K); UnknownError for a name it has not."""


NO_MAP = ("has no output `map`: the places of a picture can be told only of networks that end in global average pooling"
          " and one dense layer")
NO_KERNEL = "has a map, but no dense layer leads from its average to the answers"


def named(layers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name for addresses -> what the file calls it, from (name, what the file calls it); the last of a name stays."""
    names: dict[str, str] = {}
    for name, target in layers:
        plain = _ODD.sub("-", name.lower()).strip("-") or "layer"
        names.pop(plain, None)  # a layer's last step is its output: it stands where that is computed
        names[plain] = target
    return names


def target_of(names: Mapping[str, str], layer: str) -> str:
    """What the file calls `layer`; UnknownError with the names there are."""
    if layer not in names:
        known = list(names)
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        raise UnknownError("unknown_layer", f"there is no layer {layer!r}",
                           f"layers are {', '.join(known[:_SHOWN])}{more}" if known else "this version has no maps")
    return names[layer]
