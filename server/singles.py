"""One picture a request, past Flask: the frame around such a request costs as much as the answer in it.

A request for `/v1/classify` as it came from the connection enters; its answer leaves, or None for everything that is
not exactly one path with fields: other pages and arguments, gzip, forms, mistakes, refusals. For these the application
behind is asked, which says what is to be said, so nothing is decided in two places. What both do is `answering`'s. A
request that the doors refuse is never plain: its body was thrown away as it came (`listening`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import orjson

from server import envelope, fields
from server.answering import Wish, classified
from server.service import Service
from server.tasks import SECURITY_HEADERS, Reply

PATH, ENDPOINT = "/v1/classify", "classify_column"
_MOST_BYTES = 4096
_KEYS = frozenset({"paths", "fields"})
_UNUSUAL = frozenset({"CONTENT_ENCODING", "UPGRADE"})
_ARGUMENTS = {"top_k": 3}  # as a body without them means it
_HEADERS = [("Content-Type", "application/json"), *SECURITY_HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Singles:
    """Answers what it can of one service; `places` are those of requests that wait for a model."""

    service: Service
    places: threading.BoundedSemaphore

    def __call__(self, request: Any) -> Reply | None:
        """The answer to a parsed request whose headers the doors have let in; None where Flask is to answer."""
        started = time.monotonic()
        asked = _asked(request)
        if asked is None or not self.places.acquire(blocking=False):
            return None
        try:
            content, summary = self._answered(*asked, started)
        except Exception:  # noqa: BLE001 - busy, stopping, a fault: the application meets it, too, and tells it
            return None
        finally:
            self.places.release()
        id_ = envelope.new_id()
        envelope.count(self.service.metrics, ENDPOINT, 200, started)
        envelope.log_line(id_, PATH, 200, summary, started)
        return Reply("200 OK", [("X-Request-Id", id_), *_HEADERS], envelope.json_bytes(content))

    def _answered(self, path: str, names: list[str], started: float) -> tuple[dict[str, Any], str]:
        until = started + self.service.settings.deadline_s
        with self.service.using(None, until=started) as model:  # one that is to be opened first is Flask's
            return classified([path], Wish(names, _ARGUMENTS, until), model, self.service)


def _asked(request: Any) -> tuple[str, list[str]] | None:
    """The path and the fields of a plain request; None of any other."""
    if (request.path != PATH or request.command != "POST" or request.query or request.chunked
            or not 0 < request.content_length <= _MOST_BYTES or not _UNUSUAL.isdisjoint(request.headers)
            or not request.headers.get("CONTENT_TYPE", "").startswith("application/json")):
        return None
    stream = request.get_body_stream()
    try:
        body = orjson.loads(stream.read())
    except orjson.JSONDecodeError:
        return None
    finally:
        stream.seek(0)  # for whoever reads it next
    if not isinstance(body, dict) or not body.keys() <= _KEYS:
        return None
    paths, names = body.get("paths"), body.get("fields", ["label", "confidence"])
    if not isinstance(paths, list) or len(paths) != 1 or not isinstance(paths[0], str):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name in fields.FIELDS for name in names):
        return None
    return paths[0], names
