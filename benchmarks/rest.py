"""Requests to the server itself, past TabPy."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 120.0


def classify(url: str, paths: list[str], *fields: str, deadline_s: float | None = None) -> dict[str, list[Any]]:
    """The columns of `POST /v1/classify`; OSError or HTTPException when the server is away, RuntimeError otherwise."""
    content = {"paths": paths, "fields": fields} | ({} if deadline_s is None else {"deadline_s": deadline_s})
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/classify", json.dumps(content).encode(), headers)
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the server answered {answer.status}: {data[:300]!r}")
    columns: dict[str, list[Any]] = json.loads(data)["columns"]
    return columns
