"""The page behind a picture's address: one view a kind, made from the table; the doors have judged the signature."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from server.envelope import place, service
from server.errors import UnknownError
from server.picture_address import PictureAddress
from server.picture_kinds import PictureKind

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


def page_of(kind: PictureKind) -> Callable[..., Response]:
    """The view of one kind of picture; what its path names besides the id stands in the address, too."""

    def page(**_: str) -> Response:
        address = PictureAddress.of(request.path)
        if address is None or address.version:
            raise UnknownError("no_picture", "there is no such picture", "ask for the column of addresses again")
        with place(PLACES):
            png = service().picture(address, kind)
        response = Response(png, mimetype="image/png")
        response.set_etag(f"{kind.policy}-{address.id}", weak=True)  # another Pillow may pack the same pixels otherwise
        response.headers.update(PICTURE_HEADERS)
        if "Origin" in request.headers:  # the doors let in only names of ours; the others never get here
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.make_conditional(request)
        return response

    page.__doc__ = kind.description
    return page
