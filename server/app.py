"""The Flask application around a service, and waitress around the application."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from server.errors import RequestError
from server.routes import on_fault, on_http_error, on_request_error, routes
from server.service import Service

if TYPE_CHECKING:
    from waitress.server import BaseWSGIServer

THREADS = 64
PLACES = 48
"""Requests that may wait for the model; the other threads stay free for health, metrics and models."""


def create_app(service: Service) -> Flask:
    """The application; tests give it a service of their own."""
    app = Flask("pixfield", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = service.settings.max_body_mb * 1_000_000
    app.extensions["pixfield"] = service
    app.extensions["pixfield_places"] = threading.BoundedSemaphore(PLACES)
    app.register_blueprint(routes)
    app.register_error_handler(RequestError, on_request_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_fault)
    return app


def create_http_server(app: Flask, service: Service, *, sockets: dict[int, Any] | None = None) -> BaseWSGIServer:
    """A bound waitress server; `run` serves until `close`, and keeps its sockets in `sockets`."""
    from waitress import create_server

    settings = service.settings
    options: dict[str, Any] = {
        "threads": THREADS,
        "ident": "pixfield",
        "max_request_body_size": settings.max_body_mb * 1_000_000,
        "recv_bytes": 262_144,  # a column of 10,000 paths is 1 MB: waitress's 8 KB a read costs more than the answer
        "inbuf_overflow": 16_000_000,  # kept in memory up to here instead of a temporary file
        "channel_timeout": 300,
        "asyncore_use_poll": True,  # select() fails above 1,024 descriptors
        "connection_limit": 1000,
    }
    server: BaseWSGIServer = create_server(app, sockets, host=settings.host, port=settings.port, **options)
    return server
