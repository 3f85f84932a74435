"""A service that listens, and a way to ask it over real HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from server.app import create_app, create_http_server
from server.service import Service


@dataclass(frozen=True)
class Address:
    """A listening server."""

    service: Service
    port: int

    def ask(self, method: str, url: str, body: bytes | None = None,
            headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON, or text, of one request."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, url, body, dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if answer.headers.get_content_subtype() == "json" else data.decode()

    def classify(self, paths: list[str], **body: Any) -> Any:
        """The answer to a column."""
        return self.ask("POST", "/v1/classify", json.dumps({"paths": paths, **body}).encode())[1]


@contextmanager
def listening(service: Service) -> Iterator[Address]:
    """A server on a free port."""
    server = create_http_server(create_app(service), service)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Address(service, server.effective_port)
    finally:
        server.close()
        thread.join()
        server.task_dispatcher.shutdown()
