"""The pages of what a version looks for: its layers, and its first layer's filters as numbers and as PNG."""

from __future__ import annotations

from typing import Any

from flask import Response

from server.envelope import json_response, service
from server.seeing import filters_numbers, filters_picture, layers_of
from server.served_model import ServedModel


def layers_json(reference: str) -> Response:
    """The layers of one version, and whether it can tell where it looked."""
    with service().using(reference) as model:
        return json_response(_of(model) | layers_of(model))


def filters_json(reference: str) -> Response:
    """The filters of a version's first layer as numbers."""
    with service().using(reference) as model:
        return json_response(_of(model) | filters_numbers(model))


def filters_png(reference: str) -> Response:
    """The same as a PNG: a grid of filters."""
    with service().using(reference) as model:
        return Response(filters_picture(model), mimetype="image/png")


def _of(model: ServedModel) -> dict[str, Any]:
    return {"model": model.spec.name, "version": model.spec.version}
