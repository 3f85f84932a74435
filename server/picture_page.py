"""The page behind a picture's address: one view a kind, made from the table; the doors have judged the signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Response, request

from server.envelope import place, service
from server.errors import UnknownError
from server.picture_address import PictureAddress
from server.picture_kinds import PictureKind

_NO_PICTURE = ("no_picture", "there is no such picture", "ask for the column of addresses again")

PLACES = "pixfield_picture_places"
"""The application's places for requests for pictures: columns have places of their own."""

MAX_AGE_S = 86_400
"""How long a browser shows a picture without asking; the picture of an id never changes: other contents, other ids."""

PICTURE_HEADERS = {
    "Cache-Control": f"private, max-age={MAX_AGE_S}",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Origin",
}
"""On pictures alone, instead of what every other answer has: Tableau's page may show them, proxies keep none."""

UNPINNED = "private, no-cache"
"""Where the address names no version: the default model is another one day, so a browser asks each time."""


def page_of(kind: PictureKind) -> Callable[..., Response]:
    """The view of one kind of picture; what its path names besides the id stands in the address, too."""

    def page(**named: str) -> Response:
        layer = named.get("layer", "")
        address = _address(request.path, kind, layer)
        with place(PLACES):
            pinned = service().pinned(address, kind)
            made = service().picture(pinned, kind, layer)
        return _response(made, pinned, kind, is_pinned=pinned == address)

    page.__doc__ = kind.description
    return page


def _address(path: str, kind: PictureKind, layer: str) -> PictureAddress:
    """The address that a path of this kind is; raises UnknownError. Numbers have no signed one."""
    address = PictureAddress.of(f"{path.removesuffix(kind.ending)}.png")
    if address is None and layer:
        raise UnknownError("unknown_layer", f"there is no layer {layer[:60]!r}",
                           "GET /v1/models/<reference>/layers.json lists those there are")
    if address is None or (address.version and not kind.needs_model) or (address.signature and not kind.is_png):
        raise UnknownError(*_NO_PICTURE)
    return replace(address, picture=address.picture.removesuffix(".png") + kind.ending)


def _response(made: bytes, address: PictureAddress, kind: PictureKind, *, is_pinned: bool) -> Response:
    if not kind.is_png:
        return Response(made, mimetype="application/json")
    response = Response(made, mimetype="image/png")
    tag = "-".join(filter(None, (kind.policy, address.id, address.version)))
    response.set_etag(tag, weak=True)  # another Pillow may pack the same pixels otherwise
    response.headers.update(PICTURE_HEADERS)
    if not is_pinned:
        response.headers["Cache-Control"] = UNPINNED
    if "Origin" in request.headers:  # the doors let in only names of ours; the others never get here
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
    response.make_conditional(request)
    return response
