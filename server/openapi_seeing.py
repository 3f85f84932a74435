"""What a version looks for, in the OpenAPI document."""

from __future__ import annotations

from server.openapi_parts import TEXT, WHOLE, Schema, listed, record, responses

_REFERENCE: Schema = {"name": "reference", "in": "path", "required": True, "schema": TEXT | {"minLength": 1},
                      "description": "name, name@version or name@alias", "example": "digits@1"}
_LAYERS = record(model=TEXT, version=TEXT, layers=listed(TEXT), has_map={"type": "boolean"},
                 reason={"type": ["string", "null"]})
_FILTERS = record(model=TEXT, version=TEXT, layer=TEXT, shape=listed(WHOLE),
                  filters=listed(listed(listed(listed({"type": "number"})))))


def png(answers: Schema) -> Schema:
    """The same responses with a PNG as the good one."""
    good = answers["200"] | {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
    return answers | {"200": good}


def _reading(summary: str, answers: Schema) -> Schema:
    return {"get": {"summary": summary, "parameters": [_REFERENCE], "responses": answers}}


_MORE = ("404", "422", "503")
SEEING: Schema = {
    "/v1/models/{reference}/layers.json": _reading("The layers of one version", responses(_LAYERS, *_MORE)),
    "/v1/models/{reference}/filters.json": _reading("The filters of its first layer", responses(_FILTERS, *_MORE)),
    "/v1/models/{reference}/filters.png": _reading("The same as a grid", png(responses({}, *_MORE))),
}
"""Path -> its operations."""
