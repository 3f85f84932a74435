"""The Flask application around a service, and waitress around the application."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.routing import MapAdapter

from server import answering, envelope, listening, picture_page, request_body
from server.routes import routes
from server.service import Service
from server.singles import Singles
from server.tableau import tableau

if TYPE_CHECKING:
    from waitress.server import BaseWSGIServer

PLACES = 384
"""Requests that may wait for a model: three seconds of single images at 128 a second, so that a burst of them is
answered rather than refused, also where the machine is slower for a moment. `admission` refuses earlier where the model
is slow; a thread that waits costs no time, only its stack (some 30 KB)."""
PICTURE_PLACES = 128
"""Requests that may wait for a picture: a browser behind an HTTP/2 proxy asks for a hundred of a dashboard at once."""
THREADS = PLACES + PICTURE_PLACES + 16
"""The last ones stay free for health, metrics and models."""


BLUEPRINTS = (routes, tableau)
"""All pages."""


class _NoSessions(SessionInterface):
    """Callers are not remembered: one empty session is enough for all."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:  # noqa: ARG002 - Flask's signature
        """The empty one."""
        return self._none


class _Application(Flask):
    """Flask without what no page here uses, as a fifth of a small request went there."""

    session_interface = _NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Pages are found by path and method alone: `Doors` judges the Host header, and no address is ever built."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        return MapAdapter(self.url_map, "localhost", request.root_path or "/", "", request.scheme, request.path,
                          request.method)


def create_app(service: Service) -> Flask:
    """The application; tests give it a service of their own."""
    app = _Application("pixfield", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = service.settings.max_body_mb * 1_000_000
    app.extensions["pixfield"] = service
    app.extensions[answering.PLACES] = threading.BoundedSemaphore(PLACES)
    app.extensions[picture_page.PLACES] = threading.BoundedSemaphore(PICTURE_PLACES)
    app.url_map.merge_slashes = False  # //v1//models is no such page, not a redirect
    app.extensions[request_body.UNPACKED] = request_body.Unpacked(body_bytes=service.settings.max_body_mb * 1_000_000)
    for pages in BLUEPRINTS:
        app.register_blueprint(pages)
    app.teardown_request(request_body.give_back)
    envelope.wrap(app)
    return app


def create_http_server(app: Flask, service: Service, *, sockets: dict[int, Any] | None = None) -> BaseWSGIServer:
    """A bound waitress server; `run` serves until `close`, and keeps its sockets in `sockets`."""
    settings = service.settings
    options: dict[str, Any] = {
        "threads": THREADS,
        "ident": "pixfield",
        "max_request_body_size": settings.max_body_mb * 1_000_000 + 1,  # waitress refuses from this size on
        "recv_bytes": 262_144,  # a column of 10,000 paths is 1 MB: waitress's 8 KB a read costs more than the answer
        "inbuf_overflow": 16_000_000,  # kept in memory up to here instead of a temporary file
    }
    singles = Singles(service, app.extensions[answering.PLACES])
    server: BaseWSGIServer = listening.bound(app, service.doors, count=service.metrics.count_unread, shortcut=singles,
                                             sockets=sockets, host=settings.host, port=settings.port, **options)
    return server
