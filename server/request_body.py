"""The JSON of a request's body: unpacked where it is gzip, whatever its content type says.

Bytes enter, a value leaves. What unpacks to more than a body may have is refused before more of it is unpacked, and all
requests together hold no more unpacked bytes than `Unpacked` lets them: a few kilobytes of gzip can mean gigabytes.
"""

from __future__ import annotations

import json
import threading
import zlib
from typing import Any, cast

import orjson
from flask import current_app, g, request

from server.errors import BadRequestError, BusyError, TooLargeError

UNPACKED = "pixfield_unpacked"
"""The application's `Unpacked`."""

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1_048_576
_BODIES = 4  # of the largest size; smaller ones are many more


class Unpacked:
    """How many unpacked bytes all requests together hold until they are answered; BusyError beyond the limit."""

    def __init__(self, *, body_bytes: int) -> None:
        self.body_bytes = body_bytes
        self._limit, self._held = _BODIES * body_bytes, 0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Count them; raises BusyError and counts nothing where they are too many now."""
        with self._lock:
            if self._held + count > self._limit:
                raise BusyError("too_many_bytes", "too much compressed data is being worked on",
                                "ask again in a moment")
            self._held += count

    def give_back(self, count: int) -> None:
        """They are not held any more."""
        with self._lock:
            self._held -= count


def json_body() -> Any:
    """The value that the body of this request says; Tableau 2020.1 sends JSON as a form.

    Raises:
        BadRequestError: it is no JSON, or packed otherwise than with gzip.
        TooLargeError: it unpacks to more than a body may have.
    """
    data = _unpacked(request.get_data())
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        try:  # half of a surrogate pair in one path is that row's fault; orjson would refuse the whole column
            return json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise BadRequestError("not_json", f"the body is not JSON: {exc}", "send UTF-8 JSON") from exc


def give_back(_exc: BaseException | None = None) -> None:
    """At the end of a request: what it unpacked is not held any more."""
    _limits().give_back(g.pop("unpacked_bytes", 0))


def unpack(data: bytes, limits: Unpacked) -> bytes:
    """What `data` is gzip of, piece by piece; counts its length in `limits`, nothing where it raises.

    Raises:
        BadRequestError, TooLargeError, BusyError: it is no gzip, too long, or too much beside the others.
    """
    pieces: list[bytes] = []
    count = 0
    try:
        while data:
            inflating = zlib.decompressobj(_GZIP)
            while not inflating.eof:
                piece = inflating.decompress(data, _PIECE)
                data = inflating.unconsumed_tail
                if not piece and not inflating.eof:
                    raise BadRequestError("not_gzip", "the body is cut off: its gzip does not end")
                if count + len(piece) > limits.body_bytes:
                    raise TooLargeError("too_many_bytes", f"the body unpacks to more than {limits.body_bytes:,} bytes",
                                        "send less at once, or raise --max-body-mb")
                limits.take(len(piece))
                count += len(piece)
                pieces.append(piece)
            data = inflating.unused_data  # another member follows
    except zlib.error as exc:
        limits.give_back(count)
        raise BadRequestError("not_gzip", "the body is not gzip", "send it so, or without Content-Encoding") from exc
    except (BadRequestError, TooLargeError, BusyError):
        limits.give_back(count)
        raise
    return b"".join(pieces)


def _unpacked(data: bytes) -> bytes:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise BadRequestError("unknown_encoding", "a body may be plain or gzip", "send it without Content-Encoding")
    unpacked = unpack(data, _limits())
    g.unpacked_bytes = len(unpacked)
    return unpacked


def _limits() -> Unpacked:
    return cast("Unpacked", current_app.extensions[UNPACKED])


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON
