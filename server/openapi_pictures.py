"""What there is of a picture by its id, in the OpenAPI document: made from the table of kinds."""

from __future__ import annotations

from server.openapi_parts import TEXT, WHOLE, Schema, listed, picture_responses, record, responses
from server.picture_address import SUBJECT, UNSIGNED
from server.picture_kinds import KINDS, LAYER, PictureKind

_SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_NUMBERS: Schema = {"type": "number"}
_ANSWERS = {
    "explanation.json": record(model=TEXT, version=TEXT, label=TEXT, activation=listed(listed(_NUMBERS)),
                               focus_x=_SHARE, focus_y=_SHARE, focus_area=_SHARE, border_share=_SHARE),
    f"feature-maps/{LAYER}.json": record(model=TEXT, version=TEXT, layer=TEXT, shape=listed(WHOLE),
                                         maps=listed(listed(listed(_NUMBERS)))),
}
_ABOUT_ID = {
    False: "the id of a picture; in the addresses that columns give out a dot and a signature follow it, and no token"
           " is needed",
    True: "the id of a picture, and where it is seen by another version than the default model .v and the first 16"
          " digits of that one's digest; in the addresses that columns give out a dot and a signature follow, and no"
          " token is needed",
}
_LAYER: Schema = {"name": "layer", "in": "path", "required": True, "schema": TEXT | {"pattern": "^[a-z0-9_-]{1,180}$"},
                  "description": "a name of /v1/models/{reference}/layers.json", "example": "re_lu"}
_IF_NONE_MATCH: Schema = {"name": "If-None-Match", "in": "header", "required": False, "schema": TEXT,
                          "description": "the ETag of an answer: 304 says that it still holds"}


def _reading(kind: PictureKind) -> Schema:
    """A signed address needs no token, any other does: so `security` of a picture has both."""
    subject = SUBJECT if kind.is_png else UNSIGNED
    parameters = [{"name": "id", "in": "path", "required": True, "schema": TEXT | {"pattern": f"^{subject}$"},
                   "description": _ABOUT_ID[kind.needs_model]}]
    parameters += [_LAYER] if LAYER in kind.path else []
    if not kind.is_png:
        return {"get": {"summary": kind.description, "parameters": parameters,
                        "responses": responses(_ANSWERS[kind.path], "404", "503")}}
    return {"get": {"summary": kind.description, "security": [{}, {"bearer": []}],
                    "parameters": [*parameters, _IF_NONE_MATCH], "responses": picture_responses("404", "503")}}


PICTURES: Schema = {f"/v1/images/{{id}}/{path.replace('<', '{').replace('>', '}')}": _reading(kind)
                    for path, kind in KINDS.items()}
"""Path -> its operations."""
