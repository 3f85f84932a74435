"""What a model sees in one picture, and what it looks for: as numbers for programs, as PNG for people.

A served model and prepared pixels enter; a dict of built-in values or the bytes of a PNG leave. What a version cannot
tell is an UnknownError that says why.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.activation import FOCUS_NAMES, class_activation, focus, focus_values
from server.errors import UnknownError
from server.heat_pictures import filters_grid, heat_over, maps_grid
from server.layers import Filters, SeeingEngine
from server.png import png_of, small_png_of
from server.served_model import ServedModel

POLICY = "heat-v2"
"""How all of these are drawn; a change of it is a new name: it is a part of what kept pictures are named by."""

MOST_BYTES = 64_000
"""Of an explanation: Tableau's Image Role takes 200 KB, before 2023.2 128, and a view has hundreds."""

_DECIMALS = 6
_MOST_NUMBERS = 4_000_000
"""In one answer, 40 MB of JSON: MobileNetV2's largest layer has 1.2 million."""


def explanation_png(model: ServedModel, pixels: NDArray[np.uint8], label: str | None = None) -> bytes:
    """The picture with the activation of `label` over it; without one, of the class that it is most probably.

    Args:
        model: with a map; else UnknownError.
        pixels: uint8 (S, S, C), as the model is given them.
        label: one of the model's; UnknownError for another.
    """
    _, activation = _activation(model, pixels, label)
    return small_png_of(heat_over(pixels, activation), most_bytes=MOST_BYTES)


def explanation_numbers(model: ServedModel, pixels: NDArray[np.uint8], label: str | None = None) -> dict[str, Any]:
    """The same as numbers: the class, its activation by rows from the top, and the focus."""
    number, activation = _activation(model, pixels, label)
    values = focus_values(focus(activation[None]))[0].tolist()
    shares = {name: None if math.isnan(value) else value for name, value in zip(FOCUS_NAMES, values, strict=True)}
    return {"label": model.labels[number], "activation": _rounded(activation), **shares}


def maps_png(model: ServedModel, pixels: NDArray[np.uint8], layer: str) -> bytes:
    """The maps of one layer for one picture, as a grid; UnknownError for a layer there is not."""
    return png_of(maps_grid(_looking(model).feature_maps(pixels[None], layer)[0]))


def maps_numbers(model: ServedModel, pixels: NDArray[np.uint8], layer: str) -> dict[str, Any]:
    """The same as numbers: rows from the top, columns from the left, then the maps."""
    maps = _looking(model).feature_maps(pixels[None], layer)[0]
    if maps.size > _MOST_NUMBERS:
        raise UnknownError("too_many_numbers", f"{layer} has {maps.size:,} numbers, the limit is {_MOST_NUMBERS:,}",
                           "ask for the PNG, or for a later layer")
    return {"layer": layer, "shape": list(maps.shape), "maps": _rounded(maps)}


def filters_of(model: ServedModel) -> Filters:
    """What the first layer looks for; UnknownError where it has no filters that are pictures."""
    filters = _looking(model).filters()
    if filters is None:
        raise UnknownError("no_filters", f"{model.name} does not begin with a convolution: it has no filters",
                           "look at another version")
    return filters


def filters_picture(model: ServedModel) -> bytes:
    """The filters as a grid."""
    return png_of(filters_grid(filters_of(model).values))


def filters_numbers(model: ServedModel) -> dict[str, Any]:
    """The filters by number, rows from the top, columns from the left, channels."""
    filters = filters_of(model)
    return {"layer": filters.layer, "shape": list(filters.values.shape), "filters": _rounded(filters.values)}


def layers_of(model: ServedModel) -> dict[str, Any]:
    """The layers whose maps can be asked for, and whether the model can tell where it looked, else why not."""
    return {"layers": list(_looking(model).layers()), "has_map": model.kernel is not None,
            "reason": model.blindness or None}


def _activation(model: ServedModel, pixels: NDArray[np.uint8], label: str | None
                ) -> tuple[int, NDArray[np.float32]]:
    if model.kernel is None:
        raise UnknownError("no_map", model.blindness or f"{model.name} cannot be looked into",
                           "see docs/explanations.md for the networks that can")
    outputs = model.engine.run(pixels[None])
    number = int(outputs["probabilities"][0].argmax())
    if label is not None:
        if label not in model.labels:
            raise UnknownError("unknown_label", f"{model.name} has no class {label!r}", "see GET /v1/models/{name}")
        number = list(model.labels).index(label)
    return number, class_activation(outputs["map"], model.kernel, np.array([number]))[0]


def _looking(model: ServedModel) -> SeeingEngine:
    if model.seeing is None:
        raise UnknownError("not_seeing", f"{model.name} runs on an engine that cannot be looked into",
                           "start with --engine onnx or --engine keras")
    return model.seeing


def _rounded(values: NDArray[np.float32]) -> list[Any]:
    rounded: list[Any] = np.round(np.nan_to_num(values.astype(np.float64)), _DECIMALS).tolist()
    return rounded
